"""What authors of handlers in Python write: a ``Hub`` with decorators, or a subclass of it."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from signalr_bridge.errors import SettingsError
from signalr_bridge.protocol.upstream_event import CONNECTED, CONNECTIONS, DISCONNECTED, MESSAGES
from signalr_bridge.upstream.dispatch import read_hub_pattern

Function = TypeVar("Function", bound=Callable[..., Any])

EVENT_MARK = "__signalr_event__"
"""The name of the attribute by which a method is marked."""

_OF_CONNECTIONS = {"on_connected": CONNECTED, "on_disconnected": DISCONNECTED}


@dataclass(frozen=True, slots=True)
class Registration:
    """A function and the event that it answers. ``timeout_seconds`` is None when the hub's time-out is to be used."""

    category: str
    event: str
    function: Callable[..., Any]
    timeout_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class EventMark:
    """What ``event`` attaches to a method."""

    name: str
    timeout_seconds: float | None


def event(name: str, *, timeout_seconds: float | None = None) -> Callable[[Function], Function]:
    """Mark a method of a subclass of ``Hub``. It answers the event ``name`` instead of the one with its own name.

    Args:
        name: The event, or ``*`` for every message that has no other handler.
        timeout_seconds: How long the method may take. None leaves it to the hub.

    Raises:
        SettingsError: ``name`` is not a text.
    """
    _check_event(name, '@event("name")')

    def mark(function: Function) -> Function:
        setattr(function, EVENT_MARK, EventMark(name, timeout_seconds))
        return function

    return mark


def _check_event(name: object, written: str) -> None:
    if not isinstance(name, str):
        given = f"the function {name.__qualname__}" if inspect.isroutine(name) else f"a value of type {_kind(name)}"
        raise SettingsError(f"Instead of the name of an event stands {given}: write {written}, with the parentheses.")


def read_name(name: object) -> str:
    """A hub's name in lower case, or ``*``. Raises ``SettingsError`` for what is not the name of a hub."""
    if not isinstance(name, str):
        raise SettingsError(f'A hub has a text for its name, and not a value of type {_kind(name)}: write Hub("chat").')
    return read_hub_pattern(name, f"The hub of handlers {name!r}")


def _kind(value: object) -> str:
    return type(value).__name__


class Hub:
    """Handlers of the hub ``name``, or of every hub (``*``).

    A handler takes the ``Context`` and, for messages, the arguments. One that is not async runs in a thread. One that
    takes longer than its time-out has failed. Its own time-out counts, else the hub's, else that of the settings.

    Args:
        name: The hub's name. A subclass may leave it out. Then the class's name is used.
        timeout_seconds: How long a handler of this hub may take.
    """

    def __init__(self, name: str | None = None, *, timeout_seconds: float | None = None) -> None:
        self._hub = read_name(type(self).__name__ if name is None else name)
        self._timeout_seconds = timeout_seconds

    @overload
    def connected(self, function: Function, /) -> Function: ...
    @overload
    def connected(self, /, *, timeout_seconds: float | None = None) -> Callable[[Function], Function]: ...
    def connected(self, function: Any = None, /, *, timeout_seconds: float | None = None) -> Any:
        """Register a function for every connection that opens. It may raise ``Rejected`` to refuse the connection."""
        return self._register(CONNECTIONS, CONNECTED, function, timeout_seconds)

    @overload
    def disconnected(self, function: Function, /) -> Function: ...
    @overload
    def disconnected(self, /, *, timeout_seconds: float | None = None) -> Callable[[Function], Function]: ...
    def disconnected(self, function: Any = None, /, *, timeout_seconds: float | None = None) -> Any:
        """Register a function for every connection that has closed."""
        return self._register(CONNECTIONS, DISCONNECTED, function, timeout_seconds)

    def on(self, event: str, *, timeout_seconds: float | None = None) -> Callable[[Function], Function]:
        """Register a function for the message ``event``, or for every message without another handler (``*``)."""
        _check_event(event, '@chat.on("name")')
        return lambda function: self._add(Registration(MESSAGES, event, function, timeout_seconds))

    def filter(self, function: Function) -> Function:
        """Register a function that is called with the context before each handler of this hub.

        What it raises ends the event. ``Rejected`` and ``HubError`` refuse as they do in a handler. Several filters run
        in the order of their registration.
        """
        vars(self).setdefault("_filters", []).append(function)
        return function

    def _register(self, category: str, event: str, function: Function | None, timeout_seconds: float | None) -> Any:
        def register(function: Function) -> Any:
            return self._add(Registration(category, event, function, timeout_seconds))

        return register if function is None else register(function)

    def _add(self, registration: Registration) -> Any:
        # It is kept in the instance's own dictionary, because a subclass may forget to call __init__.
        vars(self).setdefault("_registered", []).append(registration)
        return registration.function


def read_hub_name(hub: Hub) -> str:
    """The name of a hub in lower case, or ``*``. A subclass that does not call ``__init__`` is called as its class."""
    return vars(hub).get("_hub") or read_name(type(hub).__name__)


def read_methods(hub: Hub) -> list[Registration]:
    """The handlers that a subclass defines as methods: ``on_connected``, ``on_disconnected``, and its events."""
    if type(hub) is Hub:
        return []
    names = [name for name in _OF_CONNECTIONS if hasattr(hub, name)]
    found = [Registration(CONNECTIONS, _OF_CONNECTIONS[name], getattr(hub, name)) for name in names]
    for name, attribute in vars(type(hub)).items():
        if (mark := _read_event(name, attribute)) is not None and not _is_filter(hub, name):
            found.append(Registration(MESSAGES, mark.name, getattr(hub, name), mark.timeout_seconds))
    return found


def advise(hub: Hub) -> str:
    """A hint for the author of a hub that has no handlers."""
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
    """The event that an attribute of a class answers. None when it does not answer one."""
    function = _behind(attribute)
    if (mark := getattr(attribute, EVENT_MARK, None) or getattr(function, EVENT_MARK, None)) is not None:
        return mark if isinstance(mark, EventMark) else None
    # A function that yields cannot be a handler. It is reported, as it is with a decorator.
    is_async = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    return EventMark(name, None) if is_async and not name.startswith("_") and name not in _OF_CONNECTIONS else None


def _behind(attribute: Any) -> Any:
    """The function within ``staticmethod`` or ``classmethod``, which show neither its mark nor that it is async."""
    while isinstance(attribute, staticmethod | classmethod):
        attribute = attribute.__func__
    return attribute
