"""The face for authors of handlers in Python: a ``Hub`` with decorators, or a subclass of it."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool

from app.errors import SettingsError
from app.protocol.hub_message import Payload
from app.protocol.upstream_event import CONNECTED, CONNECTIONS, DISCONNECTED, MESSAGES
from app.upstream.python.binding import Binding
from app.upstream.context import Context
from app.upstream.dispatch import read_hub_pattern

Function = TypeVar("Function", bound=Callable[..., Any])

_EVENT_NAME = "__signalr_event__"
_OF_CONNECTIONS = {"on_connected": CONNECTED, "on_disconnected": DISCONNECTED}


def event(name: str) -> Callable[[Function], Function]:
    """In a subclass of ``Hub``: the method answers the event ``name`` instead of that of its own name."""

    def mark(function: Function) -> Function:
        setattr(function, _EVENT_NAME, name)
        return function

    return mark


@dataclass(frozen=True, slots=True)
class _Registration:
    category: str
    event: str
    function: Callable[..., Any]


class Hub:
    """Handlers of the hub ``name``, or of every hub (``*``). A subclass is called like its class unless it says more.

    A handler takes the ``Context`` and, for messages, the arguments. One that is not async runs in a thread.
    """

    def __init__(self, name: str | None = None) -> None:
        self._hub = read_hub_pattern(type(self).__name__ if name is None else name, "A hub of handlers")

    def connected(self, function: Function) -> Function:
        """The function sees every connection that opens; ``Rejected`` refuses it."""
        return self._register(CONNECTIONS, CONNECTED, function)

    def disconnected(self, function: Function) -> Function:
        """The function sees every connection that has closed."""
        return self._register(CONNECTIONS, DISCONNECTED, function)

    def on(self, event: str) -> Callable[[Function], Function]:
        """The function answers the message ``event``, or every message that nobody else answers (``*``)."""
        return lambda function: self._register(MESSAGES, event, function)

    def _register(self, category: str, event: str, function: Function) -> Function:
        # Kept in the instance's own dictionary: a subclass may forget to call __init__.
        vars(self).setdefault("_registered", []).append(_Registration(category, event, function))
        return function


@dataclass(frozen=True, slots=True)
class HubHandler:
    """One function of a hub, as a handler."""

    hub: str
    category: str
    event: str
    source: str
    function: Callable[..., Any]
    binding: Binding

    async def answer(self, context: Context) -> Payload:
        arguments = self.binding.bind(context.event, context.arguments)
        if inspect.iscoroutinefunction(self.function):
            return await self.function(context, *arguments)
        result = await run_in_threadpool(self.function, context, *arguments)
        return await result if inspect.isawaitable(result) else result


def read_handlers(hub: Hub) -> list[HubHandler]:
    """All handlers of a hub, by decorators and by methods. Raises ``SettingsError``."""
    name = vars(hub).get("_hub") or read_hub_pattern(type(hub).__name__, "A hub of handlers")
    registered = [*vars(hub).get("_registered", ()), *_read_methods(hub)]
    return [_make_handler(name, one) for one in registered]


def _make_handler(hub: str, registration: _Registration) -> HubHandler:
    function = registration.function
    source = f"{function.__module__}:{getattr(function, '__qualname__', type(function).__qualname__)}"
    if not registration.event:
        raise SettingsError(f"The handler {source} answers an event without a name.")
    binding = Binding(function, source)
    if registration.category == CONNECTIONS and not binding.fits(0):
        raise SettingsError(f"The handler {source} of connections takes more than the context.")
    return HubHandler(hub, registration.category, registration.event, source, function, binding)


def _read_methods(hub: Hub) -> list[_Registration]:
    """``on_connected`` and ``on_disconnected``, and the events among what the subclass itself defines."""
    if type(hub) is Hub:
        return []
    names = [name for name in _OF_CONNECTIONS if hasattr(hub, name)]
    found = [_Registration(CONNECTIONS, _OF_CONNECTIONS[name], getattr(hub, name)) for name in names]
    for name, attribute in vars(type(hub)).items():
        if (spelling := _read_event(name, attribute)) is not None:
            found.append(_Registration(MESSAGES, spelling, getattr(hub, name)))
    return found


def _read_event(name: str, attribute: Any) -> str | None:
    """The event that a class's attribute answers; None when it answers none."""
    if (given := getattr(attribute, _EVENT_NAME, None)) is not None:
        return str(given)
    is_event = inspect.iscoroutinefunction(attribute) and not name.startswith("_") and name not in _OF_CONNECTIONS
    return name if is_event else None
