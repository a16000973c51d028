"""What a line of the log holds; a stack shows where, and no local variable: those hold keys and tokens."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from signalr_bridge.web.logs import configure_logs

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
        "event": "request",
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
    assert (line["event"], line["object"], line["level"]) == ("failed: why", "Ellipsis", "error")
    assert "half a character" in line["exception"]
