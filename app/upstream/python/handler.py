"""A function of a hub as a handler: filters before it, its arguments bound, its time measured out."""

import asyncio
import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from app.errors import SettingsError
from app.protocol.hub_message import Payload
from app.protocol.upstream_event import CONNECTED, CONNECTIONS, DISCONNECTED, MESSAGES
from app.upstream.context import Context
from app.upstream.dispatch import read_hub_pattern
from app.upstream.python.binding import Binding
from app.upstream.python.hub import EVENT_MARK, EventMark, Hub, Registration
from app.upstream.python.threads import Threads

_OF_CONNECTIONS = {"on_connected": CONNECTED, "on_disconnected": DISCONNECTED}


@dataclass(frozen=True, slots=True)
class Call:
    """A function that is awaited, or run in a thread when it is not async."""

    function: Callable[..., Any]
    threads: Threads | None

    async def __call__(self, *arguments: Any) -> Any:
        if self.threads is None:
            return await self.function(*arguments)
        result = await self.threads.run(self.function, *arguments)
        return await result if inspect.isawaitable(result) else result


@dataclass(frozen=True, slots=True)
class HubHandler:
    """One function of a hub. ``seconds`` is for filters and function together; None does not end."""

    hub: str
    category: str
    event: str
    source: str
    call: Call
    binding: Binding
    filters: Sequence[Call] = ()
    seconds: float | None = None

    async def answer(self, context: Context) -> Payload:
        """What the function returns. ``TimeoutError`` when it takes too long: then it has been cancelled."""
        limit = asyncio.timeout(self.seconds)
        try:
            async with limit:
                return await self._answer(context)
        except TimeoutError as error:
            if limit.expired():
                raise TimeoutError(f"The handler took longer than {self.seconds:g} s.") from error
            raise

    async def _answer(self, context: Context) -> Payload:
        for check in self.filters:
            await check(context)
        return await self.call(context, *self.binding.bind(context.event, context.arguments))


def read_handlers(hub: Hub, threads: Threads, default_seconds: float | None = None) -> list[HubHandler]:
    """All handlers of a hub, by decorators and by methods. Raises ``SettingsError``."""
    name = vars(hub).get("_hub") or read_hub_pattern(type(hub).__name__, "A hub of handlers")
    given = vars(hub).get("_timeout_seconds")
    seconds = default_seconds if given is None else given
    filters = [_make_filter(one, threads) for one in vars(hub).get("_filters", ())]
    registered = [*vars(hub).get("_registered", ()), *_read_methods(hub)]
    return [_make_handler(name, one, filters, threads, seconds) for one in registered]


def _make_handler(
    hub: str, registration: Registration, filters: Sequence[Call], threads: Threads, seconds: float | None
) -> HubHandler:
    function, own = registration.function, registration.timeout_seconds
    source = _name(function)
    if not registration.event:
        raise SettingsError(f"The handler {source} answers an event without a name: name it, or '*' for all others.")
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise SettingsError(f"The handler {source} yields, and serverless hubs have no streams: return a list.")
    binding = Binding(function, source)
    if registration.category == CONNECTIONS and not binding.fits(0):
        raise SettingsError(f"The handler {source} of connections takes more than the context.")
    limit = _read_seconds(seconds if own is None else own, source)
    call = _make_call(function, threads)
    return HubHandler(hub, registration.category, registration.event, source, call, binding, filters, limit)


def _make_filter(function: Callable[..., Any], threads: Threads) -> Call:
    source = _name(function)
    if not Binding(function, source).fits(0):
        raise SettingsError(f"The filter {source} takes more than the context.")
    return _make_call(function, threads)


def _make_call(function: Callable[..., Any], threads: Threads) -> Call:
    is_async = any(map(inspect.iscoroutinefunction, (function, type(function).__call__)))
    return Call(function, None if is_async else threads)


def _name(function: Callable[..., Any]) -> str:
    """Where it is, as ``module:name``."""
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}:{named.__qualname__}"


def _read_seconds(seconds: float | None, source: str) -> float | None:
    if seconds is not None and not seconds > 0:
        raise SettingsError(f"The handler {source} has no time: its timeout_seconds must be more than 0.")
    return None if seconds is None or math.isinf(seconds) else seconds


def _read_methods(hub: Hub) -> list[Registration]:
    """``on_connected`` and ``on_disconnected``, and the events among what the subclass itself defines."""
    if type(hub) is Hub:
        return []
    names = [name for name in _OF_CONNECTIONS if hasattr(hub, name)]
    found = [Registration(CONNECTIONS, _OF_CONNECTIONS[name], getattr(hub, name)) for name in names]
    for name, attribute in vars(type(hub)).items():
        if (mark := _read_event(name, attribute)) is not None and not _is_filter(hub, name):
            found.append(Registration(MESSAGES, mark.name, getattr(hub, name), mark.timeout_seconds))
    return found


def _is_filter(hub: Hub, name: str) -> bool:
    return getattr(hub, name) in vars(hub).get("_filters", ())


def _read_event(name: str, attribute: Any) -> EventMark | None:
    """The event that a class's attribute answers; None when it answers none."""
    if (mark := getattr(attribute, EVENT_MARK, None)) is not None:
        return mark if isinstance(mark, EventMark) else None
    is_event = inspect.iscoroutinefunction(attribute) and not name.startswith("_") and name not in _OF_CONNECTIONS
    return EventMark(name, None) if is_event else None
