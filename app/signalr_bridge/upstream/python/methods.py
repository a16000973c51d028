"""The class form: which methods of a subclass of ``Hub`` answer events."""

import inspect
from collections.abc import Iterator
from typing import Any

from signalr_bridge.protocol.upstream_event import CONNECTED, CONNECTIONS, DISCONNECTED, MESSAGES
from signalr_bridge.upstream.python.hub import EVENT_MARK, EventMark, Hub, Registration

_OF_CONNECTIONS = {"on_connected": CONNECTED, "on_disconnected": DISCONNECTED}


def read_methods(hub: Hub) -> list[Registration]:
    """``on_connected`` and ``on_disconnected``, and the events among what the subclass itself defines."""
    if type(hub) is Hub:
        return []
    names = [name for name in _OF_CONNECTIONS if hasattr(hub, name)]
    found = [Registration(CONNECTIONS, _OF_CONNECTIONS[name], getattr(hub, name)) for name in names]
    for name, attribute in vars(type(hub)).items():
        if (mark := _read_event(name, attribute)) is not None and not _is_filter(hub, name):
            found.append(Registration(MESSAGES, mark.name, getattr(hub, name), mark.timeout_seconds))
    return found


def advise(hub: Hub) -> str:
    """What its author may do about a hub without handlers."""
    if type(hub) is Hub:
        return 'Register a function in its module, with @chat.on("name") or @chat.connected'
    if names := ", ".join(_list_others(hub)):
        return f'Its methods ({names}) must be `async def`, or marked with @event("name")'
    return 'Define an `async def` in the class itself, or mark a method there with @event("name")'


def _list_others(hub: Hub) -> Iterator[str]:
    for name, attribute in vars(type(hub)).items():
        if inspect.isfunction(_behind(attribute)) and not name.startswith("_") and not _is_filter(hub, name):
            yield name


def _is_filter(hub: Hub, name: str) -> bool:
    return getattr(hub, name) in vars(hub).get("_filters", ())


def _read_event(name: str, attribute: Any) -> EventMark | None:
    """The event that a class's attribute answers; None when it answers none."""
    function = _behind(attribute)
    if (mark := getattr(attribute, EVENT_MARK, None) or getattr(function, EVENT_MARK, None)) is not None:
        return mark if isinstance(mark, EventMark) else None
    # One that yields cannot be a handler, and is told about, as it is with a decorator.
    is_async = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    return EventMark(name, None) if is_async and not name.startswith("_") and name not in _OF_CONNECTIONS else None


def _behind(attribute: Any) -> Any:
    """The function within ``staticmethod`` or ``classmethod``: those do not tell of its mark, nor that it is async."""
    while isinstance(attribute, staticmethod | classmethod):
        attribute = attribute.__func__
    return attribute
