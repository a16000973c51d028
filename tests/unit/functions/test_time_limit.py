"""How long functions may run."""

import asyncio
import json
import math
from pathlib import Path
from typing import Any, cast

import pytest
from signalr_bridge.functions.app import Invoker, TimeLimit, read_time_limit
from signalr_bridge.functions.app_folder import read_host
from signalr_bridge.functions.bindings import Bindings
from signalr_bridge.functions.description import FunctionDescription
from signalr_bridge.functions.invocation import (
    FunctionFailed,
    FunctionResult,
    HttpCall,
    Invocation,
    TimerCall,
    TriggerData,
)
from signalr_bridge.runtime import RUNTIME

REQUEST = HttpCall("GET", "http://localhost/api/work", "/api/work")
TIMER = TimerCall(False, None, None, None)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, TimeLimit(60, 1800)),
        ({"functionTimeout": "00:00:05"}, TimeLimit(5, 5)),
        ({"functionTimeout": "00:05:00"}, TimeLimit(300, 300)),
        ({"FunctionTimeout": "1.00:00:00"}, TimeLimit(86_400, 86_400)),
        ({"functionTimeout": "-1"}, TimeLimit(math.inf, math.inf)),
        ({"functionTimeout": -1}, TimeLimit(math.inf, math.inf)),
    ],
)
def test_host_json_or_the_settings_say_so(document: dict[str, Any], expected: TimeLimit, tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text(json.dumps({"version": "2.0"} | document))
    assert read_time_limit(read_host(tmp_path), 60) == expected


class Nothing:
    """Bindings of a function that has none."""

    async def read_inputs(self, *_: object) -> dict[str, object]:
        return {}

    async def send_outputs(self, *_: object) -> None: ...


class Ending:
    """A runner whose functions end when they are told to, or raise."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    async def run(self, invocation: Invocation) -> FunctionResult:
        if self._error is None:
            await asyncio.Event().wait()
        raise self._error or AssertionError


async def call(trigger: TriggerData, limit: TimeLimit, error: Exception | None = None) -> None:
    invoker = Invoker(Ending(error), cast(Bindings, Nothing()), RUNTIME, limit)
    await invoker.invoke(FunctionDescription("work", (), "function_app.py:work"), trigger)


async def test_a_function_that_takes_too_long_has_failed() -> None:
    with pytest.raises(FunctionFailed, match=r"^The function work took longer than 0\.01 s\.$"):
        await call(REQUEST, TimeLimit(0.01, math.inf))
    with pytest.raises(FunctionFailed, match=r"^The function work took longer than 0\.02 s\.$"):
        await call(TIMER, TimeLimit(math.inf, 0.02))


async def test_a_time_out_of_the_function_itself_is_its_own() -> None:
    with pytest.raises(TimeoutError, match="of its own"):
        await call(REQUEST, TimeLimit(5, 5), TimeoutError("of its own"))
