"""What a line of the log holds; a stack shows where, and no local variable: those hold keys and tokens."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from signalr_bridge.protocol.rest import Action
from signalr_bridge.web.logs import LogObserver, configure_logs
from signalr_bridge.web.observer import Observer

SWITCHES = ("_srcfile", "logThreads", "logProcesses", "logMultiprocessing")


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("signalr_bridge")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    switches = {name: getattr(logging, name) for name in SWITCHES}
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
    for name, value in switches.items():
        setattr(logging, name, value)


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_stack_shows_no_local_variable(form: Literal["text", "json"], capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", form)

    def fail(key: str) -> None:
        raise ValueError("broken")

    try:
        fail("can" + "ary")
    except ValueError:
        logging.getLogger("signalr_bridge.access").exception("unhandled error")
    shown = capsys.readouterr().err
    assert "ValueError: broken" in shown
    assert "canary" not in shown


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_is_one_object_with_what_was_logged(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")
    log = logging.getLogger("signalr_bridge.upstream")
    log.info("request", extra={"path": "/hubs/ü\n{}", "milliseconds": 1.25, "caller": None})
    log.debug("not this one")
    (line,) = lines(capsys)
    written = datetime.fromisoformat(line.pop("timestamp"))
    assert abs((datetime.now(UTC) - written).total_seconds()) < 60
    assert line == {
        "path": "/hubs/ü\n{}",
        "milliseconds": 1.25,
        "caller": None,
        "message": "request",
        "level": "info",
        "logger": "signalr_bridge.upstream",
    }


def test_whatever_is_logged_makes_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")
    try:
        raise ValueError("half a character: \ud83d")
    except ValueError:
        logging.getLogger("signalr_bridge").exception("failed: %s", "why", extra={"object": Ellipsis})
    (line,) = lines(capsys)
    assert (line["message"], line["object"], line["level"]) == ("failed: why", "Ellipsis", "error")
    assert "half a character" in line["exception"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_event_and_a_message_stand_side_by_side(
    form: Literal["text", "json"], capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs("info", form)
    logging.getLogger("signalr_bridge.upstream").error("handler failed", extra={"hub": "chat", "event": "newMessage"})
    shown = capsys.readouterr().err
    assert shown.count("handler failed") == shown.count("newMessage") == 1
    if form == "json":
        assert (json.loads(shown)["message"], json.loads(shown)["event"]) == ("handler failed", "newMessage")
    else:
        assert "event=newMessage" in shown


def fill(observer: Observer, caller: str | None = None) -> None:
    """Tell a fact of each kind."""
    observer.request_ended(
        method="GET", path="/x" * 2000, status=200, seconds=0.0012345, caller=caller, request_id="mine"
    )
    for code in ("no-credential", "denied"):
        observer.operation_ended(
            endpoint="a",
            hub="chat",
            action=Action.SEND_TO_ALL,
            outcome="unreachable",
            code=code,
            reason="status 500",
            has_credential=code == "denied",
            seconds=1.0,
        )
        observer.probe_ended(
            endpoint="b", outcome="unreachable", code=code, reason="status 500", has_credential=code == "denied"
        )
    observer.operation_retried(
        endpoint="a", hub="chat", action=Action.SEND_TO_ALL, outcome="unreachable", code=None, attempt=1, delay=1.0
    )
    observer.event_ended(hub="chat", category="messages", event="x", ending="failed", endpoint=None, seconds=1.0)
    observer.forward_retried(handler="forward.x", hub="chat", event="x", reason="no", attempt=1, delay=1.0)
    observer.keys_fetched(issuer="https://issuer", seconds=1.0)
    observer.key_fetch_failed(issuer="https://issuer", error="OSError", seconds=1.0)
    for failures in (0, 3):
        observer.credential_refreshed(credential="token", failures=failures)
    for is_news in (True, False):
        observer.credential_failed(credential="token", reason="status 500", failures=1, is_news=is_news)
    observer.settings_changed(changes=["endpoint a added", "endpoint b removed"])
    observer.settings_waiting(settings=["BRIDGE_PORT", "BRIDGE_HOST"])
    observer.settings_refused(reason="Two names.")


def test_the_log_writes_what_people_look_for(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")
    fill(LogObserver(), caller="ann")
    shown = lines(capsys)
    for line in shown:
        del line["timestamp"]
    access = shown.pop(0)
    assert (access.pop("milliseconds"), len(access.pop("path"))) == (1.23, 2048)
    assert access == {
        "message": "request",
        "level": "info",
        "logger": "signalr_bridge.access",
        "method": "GET",
        "status": 200,
        "request_id": "mine",
        "caller": "ann",
    }
    assert [(line.pop("level"), line.pop("logger").removeprefix("signalr_bridge."), line) for line in shown] == [
        ("info", "endpoints", {"message": "no credential", "endpoint": "a", "reason": "status 500"}),
        ("info", "endpoints", {"message": "no credential", "endpoint": "b", "reason": "status 500"}),
        (
            "warning",
            "tokens",
            {
                "message": "the token issuer's keys could not be fetched",
                "issuer": "https://issuer",
                "error": "OSError",
            },
        ),
        ("info", "credentials", {"message": "credential is back", "credential": "token"}),
        ("warning", "credentials", {"message": "no credential", "credential": "token", "reason": "status 500"}),
        ("info", "settings", {"message": "settings changed", "changes": "endpoint a added; endpoint b removed"}),
        (
            "warning",
            "settings",
            {"message": "settings changed that wait for a restart", "settings": "BRIDGE_PORT, BRIDGE_HOST"},
        ),
        ("error", "settings", {"message": "settings refused, the old ones stay", "reason": "Two names."}),
    ]


def test_a_request_without_a_caller_names_none(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")
    fill(LogObserver())
    assert "caller" not in lines(capsys)[0]
    configure_logs("warning", "json")
    fill(LogObserver())
    assert "request" not in [line["message"] for line in lines(capsys)]
