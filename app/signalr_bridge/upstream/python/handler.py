"""A function of a hub as a handler: with its filters, its bound arguments, and a time limit."""

import asyncio
import inspect
import logging
import math
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from signalr_bridge.errors import BridgeError, HubError, SettingsError
from signalr_bridge.protocol.hub_message import Payload
from signalr_bridge.protocol.upstream_event import CONNECTIONS
from signalr_bridge.upstream.context import Context
from signalr_bridge.upstream.outbox import OutboxScope
from signalr_bridge.upstream.python.binding import Binding, find_code, unwrap
from signalr_bridge.upstream.python.hub import Hub, Registration, read_hub_name, read_hub_seconds, read_methods
from signalr_bridge.upstream.python.threads import Threads

_LOG = logging.getLogger("signalr_bridge.upstream")

Result = TypeVar("Result")


class Begun(Generic[Result]):
    """Runs a coroutine up to where it first waits. Awaiting this runs the rest of it, in the same task.

    So a time limit, which costs a timer, is needed only for what waits. Raises what the coroutine raises.

    Attributes:
        has_returned: Whether the coroutine has returned without waiting. Then there is nothing to await.
        result: What it has returned.
    """

    __slots__ = ("_coroutine", "_waits_for", "has_returned", "result")

    result: Result

    def __init__(self, coroutine: Coroutine[Any, Any, Result]) -> None:
        self._coroutine = coroutine
        try:
            self._waits_for = coroutine.send(None)
            self.has_returned = False
        except StopIteration as stop:
            self.result = stop.value
            self.has_returned = True

    def __await__(self) -> Generator[Any, Any, Result]:
        """The rest of the coroutine. The loop sees what it waits for as if the coroutine itself were awaited."""
        try:
            while True:
                try:
                    sent = yield self._waits_for
                except BaseException as error:
                    self._waits_for = self._coroutine.throw(error)
                else:
                    self._waits_for = self._coroutine.send(sent)
        except StopIteration as stop:
            result: Result = stop.value
            return result


@dataclass(frozen=True, slots=True)
class HandlerCall:
    """A function that is awaited, or that runs in a thread when it is not async."""

    function: Callable[..., Any]
    threads: Threads | None

    def __call__(self, *arguments: Any) -> Awaitable[Any]:
        return self.function(*arguments) if self.threads is None else self._run(self.threads, arguments)

    async def _run(self, threads: Threads, arguments: Sequence[Any]) -> Any:
        result = await threads.run(self.function, *arguments)
        return await result if inspect.isawaitable(result) else result


@dataclass(frozen=True, slots=True)
class HubHandler:
    """One function of a hub. ``seconds`` limits filters and function together. None means no limit."""

    hub: str
    category: str
    event: str
    source: str
    call: HandlerCall
    binding: Binding
    filters: Sequence[HandlerCall] = ()
    seconds: float | None = None

    @property
    def takes_json(self) -> bool:
        """Whether the arguments are wanted as JSON text, because a parameter wants all digits of a number."""
        return self.binding.needs_digits

    async def answer(self, context: Context) -> Payload:
        """What the function returns. Raises ``TimeoutError`` when it takes too long and was cancelled."""
        with OutboxScope(context.outbox):
            if self.seconds is None:
                return await self._answer(context)
            ends = asyncio.get_running_loop().time() + self.seconds
            begun = Begun(self._answer(context))
            if begun.has_returned:  # most functions never wait, and need no timer
                return begun.result
            return await self._finish(begun, ends)

    async def _finish(self, begun: Begun[Payload], ends: float) -> Payload:
        limit = asyncio.timeout_at(ends)
        try:
            async with limit:
                result = await begun
        except TimeoutError as error:
            if limit.expired():
                raise self._late() from error
            raise
        if limit.expired():  # the function has swallowed its cancellation
            raise self._late()
        return result

    def _late(self) -> TimeoutError:
        return TimeoutError(f"The handler took longer than {self.seconds:g} s.")

    async def _answer(self, context: Context) -> Payload:
        for check in self.filters:
            await check(context)
        return await self.call(context, *self._bind(context))

    def _bind(self, context: Context) -> list[Any]:
        try:
            return self.binding.bind(context.event, context.sent_arguments)
        except HubError as error:
            where = {"handler": self.source, "hub": context.hub, "event": context.event, "reason": error.detail}
            _LOG.warning("arguments do not fit", extra=where)
            raise


def read_handlers(hub: Hub, threads: Threads, default_seconds: float | None = None) -> list[HubHandler]:
    """All handlers of a hub, from decorators and from methods. Raises ``SettingsError`` for one that could not work.

    ``default_seconds`` limits handlers whose hub has no time-out of its own. ``threads`` runs those that are not async.
    """
    name = read_hub_name(hub)
    seconds = read_hub_seconds(hub, default_seconds)
    filters = [_make_filter(name, one, threads) for one in vars(hub).get("_filters", ())]
    registered = [*vars(hub).get("_registered", ()), *read_methods(hub)]
    return [_make_handler(name, one, filters, threads, seconds) for one in registered]


def _make_handler(
    hub: str, registration: Registration, filters: Sequence[HandlerCall], threads: Threads, seconds: float | None
) -> HubHandler:
    function, own = registration.function, registration.timeout_seconds
    source = name_function(function)
    if not registration.event:
        raise SettingsError(f"The handler {source} answers an event without a name: name it, or '*' for all others.")
    check_function(function, source, f"The hub '{hub}' answers '{registration.event}'")
    binding = Binding(function, source)
    if registration.category == CONNECTIONS and not binding.fits(0):
        raise SettingsError(f"The handler {source} of connections takes more than the context.")
    limit = read_seconds(seconds if own is None else own, source)
    call = make_call(function, threads)
    checks = [*filters, *(_make_filter(hub, one, threads) for one in registration.filters)]
    return HubHandler(hub, registration.category, registration.event, source, call, binding, checks, limit)


def _make_filter(hub: str, function: Callable[..., Any], threads: Threads) -> HandlerCall:
    source = name_function(function)
    check_function(function, source, f"The hub '{hub}' filters")
    if not Binding(function, source).fits(0):
        raise SettingsError(f"The filter {source} takes more than the context.")
    return make_call(function, threads)


def check_function(function: object, source: str, use: str) -> None:
    """Raise ``SettingsError`` for what cannot be called, or yields. ``use`` begins the error with what it is for."""
    if not callable(function) or isinstance(function, type):
        raise SettingsError(f"{use} with {source}, which is no function: write one, `async def` or `def`.")
    code = find_code(function)
    if inspect.isasyncgenfunction(code) or inspect.isgeneratorfunction(code):
        raise SettingsError(f"{use} with {source}, which yields: serverless hubs have no streams, so return a list.")


def make_call(function: Callable[..., Any], threads: Threads) -> HandlerCall:
    """The call of a function, in a thread when it is not async."""
    is_async = any(map(inspect.iscoroutinefunction, (function, find_code(function))))
    return HandlerCall(function, None if is_async else threads)


def name_function(function: object) -> str:
    """Where the function is, as ``module:name``."""
    called = unwrap(function)
    named = called if hasattr(called, "__qualname__") else type(called)
    return f"{named.__module__}:{named.__qualname__}"


def read_seconds(seconds: float | None, source: str) -> float | None:
    """A time limit. None means no limit. Raises ``SettingsError``."""
    if seconds is not None and not (_is_number(seconds) and seconds > 0):
        raise SettingsError(f"The handler {source} has no time: its timeout_seconds must be more than 0 (a number).")
    return None if seconds is None or math.isinf(seconds) else seconds


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def explain_error(error: BaseException) -> str:
    """What went wrong, and where. An error's text may hold a secret, except those of imports and of the syntax."""
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg}, {error.filename}, line {error.lineno}"
    if isinstance(error, ImportError | BridgeError):
        return f"{type(error).__name__}: {error}"
    return name_error(error)


def name_error(error: BaseException) -> str:
    """The kind of an error, and where it was raised, without its text."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__}, {frames[-1].filename}, line {frames[-1].lineno}"
