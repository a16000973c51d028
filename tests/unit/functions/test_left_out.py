"""Which functions do not run, and what is said of each."""

from typing import Any

import pytest
from signalr_bridge.functions.app import AppFunctions, FunctionApps
from signalr_bridge.functions.app_folder import HostFile
from signalr_bridge.functions.app_settings import AppSettings
from signalr_bridge.functions.description import read_description
from signalr_bridge.functions.left_out import LeftOut, find_reason
from signalr_bridge.functions.timers import Timers

SIGNALR = {"name": "$return", "type": "signalR", "direction": "out", "hubName": "chat"}
HTTP = {"name": "req", "type": "httpTrigger", "direction": "in"}
REPLY = {"name": "$return", "type": "http", "direction": "out"}
TIMER = {"name": "timer", "type": "timerTrigger", "direction": "in", "schedule": "0 * * * * *"}


def reason(
    *bindings: dict[str, str],
    host: HostFile | None = None,
    settings: dict[str, str] | None = None,
    is_beside: bool = False,
    **more: Any,
) -> str | None:
    function = read_description({"bindings": list(bindings), **more}, "Work", "Work/function.json")
    return find_reason(function, host or HostFile(), AppSettings(settings or {}), is_beside=is_beside)


def trigger(kind: str) -> dict[str, str]:
    return {"name": "given", "type": kind, "direction": "in"}


@pytest.mark.parametrize(
    ("bindings", "text"),
    [
        ([SIGNALR], "it has no trigger"),
        ([], "it has no trigger"),
        *(
            ([trigger(kind), SIGNALR], f"it starts by {kind}, which the bridge does not have")
            for kind in ("queueTrigger", "blobTrigger", "cosmosDBTrigger", "serviceBusTrigger", "eventGridTrigger")
        ),
        *(
            ([trigger(kind)], f"it belongs to Durable Functions ({kind}), which the bridge does not have")
            for kind in ("orchestrationTrigger", "activityTrigger", "entityTrigger")
        ),
        (
            [HTTP, REPLY, trigger("durableClient")],
            "it belongs to Durable Functions (durableClient), which the bridge does not have",
        ),
        (
            [HTTP, REPLY, trigger("table")],
            "it has a binding of the type table, which the bridge does not have",
        ),
        (
            [TIMER, SIGNALR, {"name": "out", "type": "queue", "direction": "out"}],
            "it has a binding of the type queue, which the bridge does not have",
        ),
        ([HTTP, REPLY, trigger("signalRConnectionInfo")], None),
        ([HTTP, REPLY, SIGNALR], None),
        ([TIMER, SIGNALR], None),
        ([trigger("SignalRTrigger")], None),
    ],
)
def test_triggers_and_bindings(bindings: list[dict[str, str]], text: str | None) -> None:
    assert reason(*bindings) == text


def test_a_program_beside_the_bridge_sees_to_its_other_outputs() -> None:
    queue = {"name": "out", "type": "queue", "direction": "out"}
    assert reason(TIMER, queue, is_beside=True) is None
    assert reason(TIMER, queue | {"direction": "in"}, is_beside=True) is not None


@pytest.mark.parametrize(
    ("disabled", "settings", "text"),
    [
        (True, {}, "it is disabled in Work/function.json"),
        ("true", {}, "it is disabled in Work/function.json"),
        ("IS_DISABLED", {"IS_DISABLED": "1"}, "it is disabled by the setting IS_DISABLED"),
        ("%is_disabled%", {"IS_DISABLED": "true"}, "it is disabled by the setting is_disabled"),
        (False, {"AzureWebJobs.Work.Disabled": "true"}, "it is disabled by the setting AzureWebJobs.Work.Disabled"),
        (None, {"azurewebjobs.work.disabled": "1"}, "it is disabled by the setting AzureWebJobs.Work.Disabled"),
        (None, {"AzureWebJobs__Work__Disabled": "True"}, "it is disabled by the setting AzureWebJobs__Work__Disabled"),
        (None, {"AzureWebJobs:Work:Disabled": "true"}, "it is disabled by the setting AzureWebJobs__Work__Disabled"),
        (False, {}, None),
        ("false", {}, None),
        ("IS_DISABLED", {}, None),
        ("IS_DISABLED", {"IS_DISABLED": "0"}, None),
        (None, {"AzureWebJobs.Work.Disabled": "false"}, None),
        (None, {"AzureWebJobs.Other.Disabled": "true"}, None),
    ],
)
def test_functions_that_are_disabled(disabled: object, settings: dict[str, str], text: str | None) -> None:
    assert reason(HTTP, REPLY, disabled=disabled, settings=settings) == text


def test_host_json_may_name_those_that_run() -> None:
    text = "host.json lists the functions that run, and it is not one of them"
    assert reason(TIMER, host=HostFile(functions=frozenset({"other"}))) == text
    assert reason(TIMER, host=HostFile(functions=frozenset({"work"}))) is None
    assert reason(TIMER, host=HostFile(functions=frozenset())) == text


async def test_each_of_them_is_a_line_when_the_bridge_starts(caplog: pytest.LogCaptureFixture) -> None:
    timers = Timers(AppSettings({}), is_on=True, wall_clock=lambda: 0.0, grace_seconds=0)
    apps = FunctionApps(timers, [AppFunctions(left_out=[LeftOut("Work", "it has no trigger"), LeftOut("Rest", "x")])])
    assert caplog.records == []
    async with apps:
        lines = [(one.message, one.__dict__["function"], one.__dict__["reason"]) for one in caplog.records]
    assert lines == [("function left out", "Work", "it has no trigger"), ("function left out", "Rest", "x")]
