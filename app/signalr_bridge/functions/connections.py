"""The connection of each hub, as the bindings of an app name it, against that of the settings."""

from collections.abc import Iterable

from signalr_bridge.functions.belief import SIGNALR_KINDS
from signalr_bridge.functions.description import Binding, FunctionDescription, Kind
from signalr_bridge.functions.expressions import fault
from signalr_bridge.settings.model import Settings
from signalr_bridge.settings.names import write_name

PROPERTY = "connectionStringSetting"
DEFAULT = "AzureSignalRConnectionString"
"""What a binding means that names no connection."""


def check_connections(settings: Settings, functions: Iterable[FunctionDescription]) -> None:
    """Raise ``SettingsError`` for a binding whose connection is not that of its hub.

    All bindings of a hub name one connection, and the settings name the same one. One that the app leaves out
    everywhere may be any.
    """
    first: dict[str, tuple[str, str]] = {}
    for function in functions:
        for binding in function.bindings:
            hub = binding.text("hubName").lower()
            if binding.kind in SIGNALR_KINDS | {Kind.SIGNALR_TRIGGER} and hub and "{" not in hub:
                wanted = binding.text(PROPERTY) or DEFAULT
                _check(settings, function, binding, hub, first.setdefault(hub, (wanted, function.name)))


def _check(
    settings: Settings, function: FunctionDescription, binding: Binding, hub: str, first: tuple[str, str]
) -> None:
    given = binding.text(PROPERTY)
    if any(mark in given for mark in ";="):
        sentence = "this is the name of a setting, and no connection string: write the name."
        raise fault(function, binding, PROPERTY, sentence)
    if _spell(given or DEFAULT) != _spell(first[0]):
        sentence = f"it is '{given or DEFAULT}', and '{first[0]}' in '{first[1]}': a hub has one connection, write one."
        raise fault(function, binding, PROPERTY, sentence)
    if given and not settings.development and _spell(given) != _spell(settings.connection_of(hub)):
        name = write_name(("hubs", hub, "connection"))
        raise fault(function, binding, PROPERTY, f"the settings know another connection: set {name}={given}.")


def _spell(name: str) -> str:
    return name.lower().replace("__", ":")
