"""The events that functions answer: what a ``signalRTrigger`` must say.

Source: ``docs/protocol/functions-bindings.md`` 1.10.
"""

from collections.abc import Iterable

from signalr_bridge.errors import InvalidName
from signalr_bridge.functions.description import Binding, FunctionDescription, Kind
from signalr_bridge.functions.expressions import fault
from signalr_bridge.protocol.names import check_hub
from signalr_bridge.protocol.upstream_event import CONNECTED, CONNECTIONS, DISCONNECTED, MESSAGES


def check_triggers(functions: Iterable[FunctionDescription]) -> None:
    """Raise ``SettingsError`` for a trigger that names no event, and for two that name the same one."""
    first: dict[tuple[str, ...], str] = {}
    for function in functions:
        trigger = function.trigger
        if trigger is None or trigger.kind != Kind.SIGNALR_TRIGGER:
            continue
        _check(function, trigger)
        event = tuple(trigger.text(name).lower() for name in ("hubName", "category", "event"))
        if (other := first.setdefault(event, function.name)) != function.name:
            sentence = f"'{other}' answers the same event: remove one of them, or give it another event."
            raise fault(function, trigger, "event", sentence)


def _check(function: FunctionDescription, trigger: Binding) -> None:
    try:
        check_hub(trigger.text("hubName"))
    except InvalidName as error:
        raise fault(function, trigger, "hubName", error.detail) from None
    category, event = trigger.text("category").lower(), trigger.text("event")
    if category not in {CONNECTIONS, MESSAGES}:
        raise fault(function, trigger, "category", f"it is not one: write {CONNECTIONS} or {MESSAGES}.")
    if category == CONNECTIONS and event.lower() not in {CONNECTED, DISCONNECTED}:
        sentence = f"connections have no such event: write {CONNECTED} or {DISCONNECTED}."
        raise fault(function, trigger, "event", sentence)
    if event in {"", "*"}:
        raise fault(function, trigger, "event", "it is the name of one method that clients call: write it.")
    names = [one.strip().lower() for one in trigger.texts("parameterNames") or ()]
    if len(set(names)) < len(names) or not all(names):
        raise fault(function, trigger, "parameterNames", "the names differ in any case: write others.")
