"""A stack in the log shows where, and no local variable: those hold keys and tokens."""

import logging
from collections.abc import Iterator
from typing import Literal

import pytest

from app.web.logs import configure_logs


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("signalr_bridge")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


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
