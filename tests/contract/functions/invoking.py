"""Functions that are called as a trigger calls them, in front of a programmable service."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from signalr_bridge.errors import SettingsError
from signalr_bridge.functions.app import Invoker, sort_functions
from signalr_bridge.functions.app_folder import HostFile
from signalr_bridge.functions.app_settings import AppSettings
from signalr_bridge.functions.bindings import Bindings
from signalr_bridge.functions.description import FunctionDescription, read_description
from signalr_bridge.functions.invocation import FunctionResult, HttpCall, Invocation, TriggerData
from signalr_bridge.negotiate.rules import ClientRules
from signalr_bridge.parts import Parts
from signalr_bridge.runtime import RUNTIME
from signalr_bridge.web.document import BridgeApp
from signalr_bridge.web.issuer_keys import Issuers

Answer = Callable[[Invocation], FunctionResult]


@dataclass
class Code:
    """A runner: it keeps what it is called with, and answers as told."""

    answer: Answer = lambda invocation: FunctionResult()
    calls: list[Invocation] = field(default_factory=list)

    async def run(self, invocation: Invocation) -> FunctionResult:
        self.calls.append(invocation)
        return self.answer(invocation)


def describe(*bindings: Mapping[str, Any], name: str = "negotiate") -> FunctionDescription:
    return read_description({"bindings": list(bindings)}, name, f"{name}/function.json")


HTTP = {"type": "httpTrigger", "direction": "in", "name": "req", "route": "rooms/{room}/negotiate"}
TIMER = {"type": "timerTrigger", "direction": "in", "name": "timer", "schedule": "0 */5 * * * *"}


def trigger(*names: str) -> dict[str, Any]:
    found = {"type": "signalRTrigger", "direction": "in", "name": "invocation", "hubName": "chat"}
    return found | {"category": "messages", "event": "send", "parameterNames": list(names)}


def info(kind: str = "signalRConnectionInfo", **properties: Any) -> dict[str, Any]:
    return {"type": kind, "direction": "in", "name": "info", "hubName": "Chat", **properties}


def out(name: str = "messages", **properties: Any) -> dict[str, Any]:
    return {"type": "signalR", "direction": "out", "name": name, "hubName": "chat", **properties}


def bindings_of(app: BridgeApp, issuers: Issuers | None = None, **app_settings: str) -> Bindings:
    """The bindings of functions by the settings of a bridge. ``issuers`` stand for those that it would ask."""
    parts: Parts = app.state.parts
    settings = parts.snapshots.settings().model_copy(update={"app_settings": app_settings})

    def rules_of(hub: str | None) -> ClientRules:
        rules = parts.clients.rules_of(hub)
        return rules if issuers is None else replace(rules, issuers=issuers)

    return Bindings(settings, rules_of, parts.negotiator, parts.directory, parts.sender)


async def invoke(
    app: BridgeApp,
    function: FunctionDescription,
    started: TriggerData,
    code: Code | None = None,
    *,
    named: Mapping[str, Any] | None = None,
    issuers: Issuers | None = None,
    **app_settings: str,
) -> Invocation:
    """Call a function as its trigger does, once all of it has been checked."""
    bindings, code = bindings_of(app, issuers, **app_settings), code or Code()
    invoker = Invoker(code, bindings, RUNTIME)
    sort_functions([function], invoker, bindings, HostFile(), AppSettings(app_settings))
    await invoker.invoke(bindings.resolve(function), started, named or {})
    return code.calls[-1]


def call(**members: Any) -> HttpCall:
    """A request to the function at ``HTTP``."""
    return HttpCall("POST", "https://bridge/api/rooms/blue/negotiate", "/api/rooms/blue/negotiate", **members)


def is_refused(app: BridgeApp, *functions: FunctionDescription, **app_settings: str) -> str | None:
    """What a start says of functions. None where it takes them."""
    bindings = bindings_of(app, None, **app_settings)
    try:
        sort_functions(functions, Invoker(Code(), bindings, RUNTIME), bindings, HostFile(), AppSettings(app_settings))
    except SettingsError as error:
        return error.detail
    return None
