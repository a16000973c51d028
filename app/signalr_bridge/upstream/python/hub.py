"""What authors of handlers in Python write: a ``Hub`` with decorators, or a subclass of it."""

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar, overload

from signalr_bridge.errors import SettingsError
from signalr_bridge.protocol.admission import NEGOTIATE
from signalr_bridge.protocol.upstream_event import CONNECTED, CONNECTIONS, DISCONNECTED, MESSAGES
from signalr_bridge.upstream.dispatch import read_hub_pattern

Function = TypeVar("Function", bound=Callable[..., Any])

EVENT_MARK = "__signalr_event__"
"""The name of the attribute by which a method is marked."""

_OF_CONNECTIONS = {"on_connected": CONNECTED, "on_disconnected": DISCONNECTED}
_ON_NEGOTIATE = "on_negotiate"
_NO_MESSAGES = {*_OF_CONNECTIONS, _ON_NEGOTIATE}
# Newer names of Hub. A subclass may have had an event so called.
_NEW_NAMES = ("negotiate", "startup", "shutdown", "every")

Filters = Sequence[Callable[..., Any]]
"""Functions that are called with the context before a handler."""


@dataclass(frozen=True, slots=True)
class Registration:
    """A function and the event that it answers. ``timeout_seconds`` is None when the hub's time-out is to be used.

    ``filters`` are those of this function alone, which run after the hub's.
    """

    category: str
    event: str
    function: Callable[..., Any]
    timeout_seconds: float | None = None
    filters: Filters = ()


class Occasion(Enum):
    """When a function runs that answers no event."""

    STARTUP = "startup"
    SHUTDOWN = "shutdown"
    EVERY = "every"


@dataclass(frozen=True, slots=True)
class Appointment:
    """A function that answers no event, and when it runs. ``seconds`` counts for ``Occasion.EVERY`` alone."""

    occasion: Occasion
    function: Callable[..., Any]
    seconds: float = 0


@dataclass(frozen=True, slots=True)
class EventMark:
    """What ``event`` attaches to a method."""

    name: str
    timeout_seconds: float | None = None
    filters: Filters = ()


def event(name: str, *, timeout_seconds: float | None = None, filters: Filters = ()) -> Callable[[Function], Function]:
    """Mark a method of a subclass of ``Hub``. It answers the event ``name`` instead of the one with its own name.

    Args:
        name: The event, or ``*`` for every message that has no other handler.
        timeout_seconds: How long the method may take. None leaves it to the hub.
        filters: Functions that are called with the context before this method, after those of the hub.

    Raises:
        SettingsError: ``name`` is not a text, or ``filters`` is not a list.
    """
    _check_event(name, '@event("name")')
    listed = _list_filters(filters)

    def mark(function: Function) -> Function:
        setattr(function, EVENT_MARK, EventMark(name, timeout_seconds, listed))
        return function

    return mark


def _check_event(name: object, written: str) -> None:
    if not isinstance(name, str):
        given = f"the function {name.__qualname__}" if inspect.isroutine(name) else f"a value of type {_kind(name)}"
        raise SettingsError(f"Instead of the name of an event stands {given}: write {written}, with the parentheses.")


def _list_filters(filters: object) -> Filters:
    if not isinstance(filters, Sequence) or isinstance(filters, str):
        given = f"the function {filters.__qualname__}" if inspect.isroutine(filters) else f"a {_kind(filters)}"
        raise SettingsError(f"Instead of a list of filters stands {given}: write filters=[check].")
    return tuple(filters)


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
    def connected(
        self, /, *, timeout_seconds: float | None = None, filters: Filters = ()
    ) -> Callable[[Function], Function]: ...
    def connected(self, function: Any = None, /, *, timeout_seconds: float | None = None, filters: Filters = ()) -> Any:
        """Register a function for every connection that opens. It may raise ``Rejected`` to refuse the connection."""
        return self._register(CONNECTIONS, CONNECTED, function, timeout_seconds, filters)

    @overload
    def disconnected(self, function: Function, /) -> Function: ...
    @overload
    def disconnected(
        self, /, *, timeout_seconds: float | None = None, filters: Filters = ()
    ) -> Callable[[Function], Function]: ...
    def disconnected(
        self, function: Any = None, /, *, timeout_seconds: float | None = None, filters: Filters = ()
    ) -> Any:
        """Register a function for every connection that has closed."""
        return self._register(CONNECTIONS, DISCONNECTED, function, timeout_seconds, filters)

    def on(
        self, event: str, *, timeout_seconds: float | None = None, filters: Filters = ()
    ) -> Callable[[Function], Function]:
        """Register a function for the message ``event``, or for every message without another handler (``*``).

        ``filters`` are called with the context before this function, after those of the hub.
        """
        _check_event(event, '@chat.on("name")')
        listed = _list_filters(filters)
        return lambda function: self._add(Registration(MESSAGES, event, function, timeout_seconds, listed))

    def startup(self, function: Function, /) -> Function:
        """Register a function without arguments that runs before the bridge is ready. What it raises stops the start.

        Functions of several hubs run one after the other. Clients can be sent to by then.
        """
        self._appoint(Appointment(Occasion.STARTUP, function))
        return function

    def shutdown(self, function: Function, /) -> Function:
        """Register a function without arguments that runs at the end, when no request is answered any longer.

        Clients can still be sent to.
        """
        self._appoint(Appointment(Occasion.SHUTDOWN, function))
        return function

    def every(self, seconds: float, /) -> Callable[[Function], Function]:
        """Register a function without arguments that runs on each replica every so many seconds.

        It runs first when that time has gone by, and never twice at the same time. What it raises is logged.

        Raises:
            SettingsError: ``seconds`` is not a number of more than 0.
        """
        given: object = seconds
        if not isinstance(given, int | float) or isinstance(given, bool) or not 0 < given < math.inf:
            raise SettingsError("@chat.every takes a number of seconds of more than 0: write @chat.every(30).")
        return lambda function: self._appoint(Appointment(Occasion.EVERY, function, seconds))

    @overload
    def negotiate(self, function: Function, /) -> Function: ...
    @overload
    def negotiate(self, /, *, timeout_seconds: float | None = None) -> Callable[[Function], Function]: ...
    def negotiate(self, function: Any = None, /, *, timeout_seconds: float | None = None) -> Any:
        """Register the function that decides which clients may connect.

        It takes a ``NegotiateRequest``. It returns an ``Admission``, or None to leave the client to the hub's rules. It
        raises ``Rejected`` or ``Unauthenticated``, with a text for the client, to refuse it.
        """

        def register(function: Function) -> Function:
            registration = Registration(NEGOTIATE, NEGOTIATE, function, timeout_seconds)
            vars(self).setdefault("_negotiate", []).append(registration)
            return function

        return register if function is None else register(function)

    def filter(self, function: Function) -> Function:
        """Register a function that is called with the context before each handler of this hub.

        What it raises ends the event. ``Rejected`` and ``HubError`` refuse as they do in a handler. Several filters run
        in the order of their registration.
        """
        vars(self).setdefault("_filters", []).append(function)
        return function

    def _register(
        self, category: str, event: str, function: Function | None, timeout_seconds: float | None, filters: Filters
    ) -> Any:
        listed = _list_filters(filters)

        def register(function: Function) -> Any:
            return self._add(Registration(category, event, function, timeout_seconds, listed))

        return register if function is None else register(function)

    def _add(self, registration: Registration) -> Any:
        # It is kept in the instance's own dictionary, because a subclass may forget to call __init__.
        vars(self).setdefault("_registered", []).append(registration)
        return registration.function

    def _appoint(self, appointment: Appointment) -> Any:
        vars(self).setdefault("_appointments", []).append(appointment)
        return appointment.function


def read_appointments(hub: Hub) -> Sequence[Appointment]:
    """The functions of a hub that answer no event, in the order of their registration."""
    return tuple(vars(hub).get("_appointments", ()))


def read_hub_name(hub: Hub) -> str:
    """The name of a hub in lower case, or ``*``. A subclass that does not call ``__init__`` is called as its class."""
    return vars(hub).get("_hub") or read_name(type(hub).__name__)


def read_hub_seconds(hub: Hub, default_seconds: float | None) -> float | None:
    """How long a handler of the hub may take. ``default_seconds`` counts for a hub that does not say."""
    given: float | None = vars(hub).get("_timeout_seconds")
    return default_seconds if given is None else given


def read_methods(hub: Hub) -> list[Registration]:
    """The handlers that a subclass defines as methods: ``on_connected``, ``on_disconnected``, and its events.

    Raises ``SettingsError`` for a method with one of the newer names of ``Hub``, unless ``event`` marks it.
    """
    if type(hub) is Hub:
        return []
    _check_names(type(hub))
    uses = _find_other_uses(hub)
    names = [name for name in _OF_CONNECTIONS if hasattr(hub, name)]
    found = [Registration(CONNECTIONS, _OF_CONNECTIONS[name], getattr(hub, name)) for name in names]
    for name, attribute in vars(type(hub)).items():
        if (mark := _read_event(name, attribute)) is not None and getattr(hub, name) not in uses:
            found.append(Registration(MESSAGES, mark.name, getattr(hub, name), mark.timeout_seconds, mark.filters))
    return found


def read_negotiate(hub: Hub) -> list[Registration]:
    """The negotiate handlers of a hub: those that were registered, and the method ``on_negotiate`` of a subclass."""
    registered: list[Registration] = list(vars(hub).get("_negotiate", ()))
    method = getattr(hub, _ON_NEGOTIATE, None)
    return registered if method is None else [*registered, Registration(NEGOTIATE, NEGOTIATE, method)]


def _check_names(kind: type[Hub]) -> None:
    for name in _NEW_NAMES:
        owner = next(one for one in kind.__mro__ if name in vars(one))
        if owner is not Hub and _find_mark(vars(owner)[name]) is None:
            raise SettingsError(
                f"The class {owner.__qualname__} defines '{name}', which is a name of Hub and no event. "
                f'If clients call it, write @event("{name}") above it. If not, give it another name.'
            )


def _find_other_uses(hub: Hub) -> list[Callable[..., Any]]:
    """The methods of a hub that are registered as something else than an event. No client may call them."""
    registered: list[Registration] = list(vars(hub).get("_registered", ()))
    negotiate: list[Registration] = list(vars(hub).get("_negotiate", ()))
    return [
        *vars(hub).get("_filters", ()),
        *(one.function for one in read_appointments(hub)),
        *(one.function for one in negotiate),
        *(check for one in registered for check in one.filters),
    ]


def advise(hub: Hub) -> str:
    """A hint for the author of a hub that has no handlers."""
    if type(hub) is Hub:
        return 'Register a function in its module, with @chat.on("name") or @chat.connected'
    if names := ", ".join(_list_others(hub)):
        return f'Its methods ({names}) must be `async def`, or marked with @event("name")'
    return 'Define an `async def` in the class itself, or mark a method there with @event("name")'


def _list_others(hub: Hub) -> Iterator[str]:
    uses = _find_other_uses(hub)
    for name, attribute in vars(type(hub)).items():
        if inspect.isfunction(_behind(attribute)) and not name.startswith("_") and getattr(hub, name) not in uses:
            yield name


def _find_mark(attribute: Any) -> Any:
    return getattr(attribute, EVENT_MARK, None) or getattr(_behind(attribute), EVENT_MARK, None)


def _read_event(name: str, attribute: Any) -> EventMark | None:
    """The event that an attribute of a class answers. None when it does not answer one."""
    function = _behind(attribute)
    if (mark := _find_mark(attribute)) is not None:
        return mark if isinstance(mark, EventMark) else None
    # A function that yields cannot be a handler. It is reported, as it is with a decorator.
    is_async = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    return EventMark(name) if is_async and not name.startswith("_") and name not in _NO_MESSAGES else None


def _behind(attribute: Any) -> Any:
    """The function within ``staticmethod`` or ``classmethod``, which show neither its mark nor that it is async."""
    while isinstance(attribute, staticmethod | classmethod):
        attribute = attribute.__func__
    return attribute
