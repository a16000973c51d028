"""What a line of the log holds; a stack shows where, and no local variable: those hold keys and tokens."""

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from signalr_bridge.protocol.rest import Action
from signalr_bridge.web.log_observer import LogObserver
from signalr_bridge.web.logs import configure_logs
from signalr_bridge.web.observer import Observer

pytestmark = pytest.mark.usefixtures("own_logging")


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_stack_shows_no_local_variable(form: Literal["text", "json"], capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", form)

    def fail(key: str) -> None:
        raise ValueError("broken")

    try:
        fail("can" + "ary")
    except ValueError:
        logging.getLogger("signalr_bridge.access").exception("unhandled error")
    shown = read(capsys)
    assert "ValueError: broken" in shown
    assert "canary" not in shown


def read(capsys: pytest.CaptureFixture[str]) -> str:
    for handler in logging.getLogger().handlers:
        handler.flush()
    return capsys.readouterr().err


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in read(capsys).splitlines()]


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
    shown = read(capsys)
    assert shown.count("handler failed") == shown.count("newMessage") == 1
    if form == "json":
        assert (json.loads(shown)["message"], json.loads(shown)["event"]) == ("handler failed", "newMessage")
    else:
        assert "event=newMessage" in shown


def fill(observer: Observer, caller: str | None = None) -> None:
    """Tell a fact of each kind."""
    observer.request_ended(
        method="GET", path="/x" * 2000, route="/{hub}", status=200, seconds=0.0012345, caller=caller, request_id="mine"
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
    observer.forward_retried(handler="forward.x", hub="chat", event="x", reason="no", attempt=1, delay=1.0)
    observer.keys_fetched(issuer="https://issuer", seconds=1.0)
    observer.key_fetch_failed(issuer="https://issuer", error="OSError", seconds=1.0)
    for failures in (0, 3):
        observer.credential_refreshed(credential="token", failures=failures)
    for is_news in (True, False):
        observer.credential_failed(credential="token", reason="status 500", failures=1, is_news=is_news)
    observer.settings_changed(changes=["endpoint a added", "endpoint b removed"])
    observer.settings_waiting(settings=["BRIDGE_PORT", "BRIDGE_HOST"])
    observer.settings_opening(openings=["BRIDGE_CALLERS__KEYS: the key 'a' is new"])
    observer.settings_refused(reason="Two names.")


def audited(what: str, result: str) -> tuple[str, str, dict[str, str]]:
    return "info", "audit", {"message": "audit", "who": "settings", "what": what, "result": result}


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
        audited("endpoint a added; endpoint b removed", "taken"),
        (
            "warning",
            "settings",
            {"message": "settings changed that wait for a restart", "settings": "BRIDGE_PORT, BRIDGE_HOST"},
        ),
        audited("BRIDGE_PORT, BRIDGE_HOST changed", "refused until a restart"),
        (
            "warning",
            "settings",
            {
                "message": "settings refused that would open something, they wait for a restart",
                "settings": "BRIDGE_CALLERS__KEYS: the key 'a' is new",
            },
        ),
        audited("BRIDGE_CALLERS__KEYS: the key 'a' is new", "refused until a restart"),
        ("error", "settings", {"message": "settings refused, the old ones stay", "reason": "Two names."}),
        audited("Two names.", "refused"),
    ]


def test_a_misrouted_endpoint_is_told_of_once_until_it_is_well_again(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")
    observer = LogObserver()
    for name, code, reason in [
        ("a", "endpoint-misrouted", "set this"),
        ("a", "endpoint-misrouted", "set this"),
        ("b", "endpoint-misrouted", None),
        ("a", None, None),
        ("a", "endpoint-misrouted", "set this"),
    ]:
        observer.probe_ended(endpoint=name, outcome="rejected", code=code, reason=reason, has_credential=True)
    shown = [(one["level"], one["message"], one["endpoint"], one["reason"]) for one in lines(capsys)]
    told = ("warning", "endpoint is misrouted and gets no clients", "a", "set this")
    assert [shown[0], shown[2]] == [told, told]
    assert shown[1][2:] == ("b", "it answers 404, and not in the service's words: check its address")
    assert len(shown) == 3


def test_a_request_without_a_caller_names_none(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")
    fill(LogObserver())
    assert "caller" not in lines(capsys)[0]
    configure_logs("warning", "json")
    fill(LogObserver())
    assert "request" not in [line["message"] for line in lines(capsys)]


def request(
    observer: Observer, *, method: str = "GET", path: str = "/x", seconds: float = 0.001, caller: str | None = None
) -> None:
    observer.request_ended(
        method=method,
        path=path,
        route="/{hub}",
        status=200,
        seconds=seconds,
        caller=caller,
        request_id="0123456789abcdef",
    )


@pytest.mark.parametrize(
    ("time", "written"),
    [
        (0.0, "1970-01-01T00:00:00Z"),
        (1.5, "1970-01-01T00:00:01.500000Z"),
        (1_790_000_000.000001, "2026-09-21T14:13:20.000001Z"),
    ],
)
def test_the_time_of_a_request_is_written_as_all_times_are(
    time: float, written: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure_logs("info", "json")
    request(LogObserver(lambda: time))
    record = logging.makeLogRecord({"name": "signalr_bridge", "levelno": logging.INFO, "created": time})
    logging.getLogger().handle(record)
    assert [line["timestamp"] for line in lines(capsys)] == [written, written]


@given(
    method=st.sampled_from(["GET", "M-SEARCH"]),
    path=st.text(max_size=3) | st.text(st.characters(max_codepoint=255), min_size=2040, max_size=2060),
    seconds=st.floats(0, 1000),
    caller=st.none() | st.text(st.characters()),
)
@example(method="GET", path="/x", seconds=0.001, caller="half a character: \ud83d")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_line_of_a_request_is_the_same_whichever_way_it_takes(
    method: str, path: str, seconds: float, caller: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs("info", "json")
    observer, other = LogObserver(lambda: 0.0), logging.NullHandler()
    access = logging.getLogger("signalr_bridge.access")
    request(observer, method=method, path=path, seconds=seconds, caller=caller)
    access.addHandler(other)
    request(observer, method=method, path=path, seconds=seconds, caller=caller)
    access.removeHandler(other)
    shown = read(capsys).rstrip("\n").split("\n")
    logging.getLogger().handlers[0].close()
    assert ["1970" in line for line in shown] == [encodable(caller), False], "the first is not made by logging"
    first, second = (re.sub(r'("timestamp": ?)"[^"]*"', r"\1", line) for line in shown)
    assert first == second


def encodable(text: str | None) -> bool:
    return not re.search("[\ud800-\udfff]", text or "")


@pytest.mark.parametrize("name", ["", "signalr_bridge", "signalr_bridge.access"])
def test_handlers_that_a_program_adds_see_requests(name: str, caplog: pytest.LogCaptureFixture) -> None:
    configure_logs("info", "json")
    observer, logger = LogObserver(), logging.getLogger(name)
    logger.addHandler(caplog.handler)
    try:
        request(observer, caller="ann")
    finally:
        logger.removeHandler(caplog.handler)
    (record,) = caplog.records
    assert vars(record)["caller"] == "ann"


@pytest.mark.parametrize("is_of_logger", [True, False])
def test_filters_that_a_program_adds_hold_for_requests(is_of_logger: bool, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")
    access = logging.getLogger("signalr_bridge.access")
    filtered = access if is_of_logger else logging.getLogger().handlers[0]
    filtered.addFilter(hide_health)
    try:
        for path in ("/health/live", "/hubs/chat/send"):
            request(LogObserver(), path=path)
    finally:
        filtered.removeFilter(hide_health)
    assert [line["path"] for line in lines(capsys)] == ["/hubs/chat/send"]


def hide_health(record: logging.LogRecord) -> bool:
    return not vars(record)["path"].startswith("/health")


@pytest.mark.parametrize("form", ["text", "json"])
def test_requests_and_all_else_stay_in_order(form: Literal["text", "json"], capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", form)
    observer = LogObserver()
    for number in range(50):
        request(observer, path=f"/a{number}b")
        logging.getLogger("signalr_bridge.upstream").info("told", extra={"reason": f"a{number}b"})
    assert re.findall(r"a(\d+)b", read(capsys)) == [str(number) for number in range(50) for _ in range(2)]


def test_lines_that_were_dropped_are_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    writer = configure_logs("info", "json")
    writer.dropped += 3
    logging.getLogger("signalr_bridge").warning("behind")
    told = lines(capsys)[1]
    del told["timestamp"]
    assert told == {"message": "log lines dropped", "level": "warning", "logger": "signalr_bridge.log", "count": 3}


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_call_that_cannot_be_logged_is_told_of(
    form: Literal["text", "json"], capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs("info", form)
    logging.getLogger("signalr_bridge").info("%d", "canary")
    shown = read(capsys)
    assert "TypeError" in shown
    assert "canary" not in shown


FORGED = "x\n2026-01-01T00:00:00Z [error    ] forged\x1b[2J\x9b31m\u2028\u202e"


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("colours", [False, True])
def test_what_is_logged_forges_no_line_and_steers_no_terminal(
    form: Literal["text", "json"], *, colours: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: colours)
    configure_logs("info", form)
    log = logging.getLogger("signalr_bridge.upstream")
    log.info(FORGED, extra={"event": FORGED, "hub": FORGED.replace(" ", "")})
    try:
        raise ValueError(FORGED)
    except ValueError:
        log.exception("failed")
    request(LogObserver(), path=f"/{FORGED}")
    shown = re.sub("\x1b\\[[0-9;]*m", "", read(capsys)) if form == "text" else read(capsys)
    assert re.findall("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]", shown) == []
    own = [line for line in shown.split("\n") if line and not line.startswith("    ")]
    assert len(own) == 3
    assert [line for line in own if line.startswith("2026-01-01T")] == []
    if form == "json":
        assert json.loads(own[0])["event"] == FORGED
