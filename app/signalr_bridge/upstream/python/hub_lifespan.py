"""What hubs do outside events: functions at the start and at the stop, and every so many seconds."""

import asyncio
import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from signalr_bridge.errors import SettingsError
from signalr_bridge.upstream.dispatch import explain_outside
from signalr_bridge.upstream.outbox import Outbox, OutboxScope
from signalr_bridge.upstream.python.binding import find_needed, read_signature
from signalr_bridge.upstream.python.handler import HandlerCall, check_function, explain_error, make_call, name_function
from signalr_bridge.upstream.python.hub import Appointment, Hub, Occasion, read_appointments
from signalr_bridge.upstream.python.threads import Threads
from signalr_bridge.web.cancellation import is_from_outside
from signalr_bridge.web.trace import acting

_LOG = logging.getLogger("signalr_bridge.upstream")

_CANCEL_SECONDS = 1.0
"""How long a function may take to end once it was cancelled."""


@dataclass(frozen=True, slots=True)
class HubFunction:
    """A function of a hub that answers no event. ``seconds`` is the time between two runs of a timer."""

    occasion: Occasion
    source: str
    call: HandlerCall
    seconds: float


def read_functions(hub: Hub, threads: Threads) -> list[HubFunction]:
    """The functions of a hub that answer no event. Raises ``SettingsError`` for one that takes arguments."""
    return [_make_function(one, threads) for one in read_appointments(hub)]


def _make_function(appointment: Appointment, threads: Threads) -> HubFunction:
    function, source = appointment.function, name_function(appointment.function)
    what = f"@chat.{appointment.occasion.value}"
    check_function(function, source, f"{what} stands")
    if find_needed(read_signature(function, source)):
        raise SettingsError(f"{what} stands with {source}, which takes arguments, and it is called without any.")
    return HubFunction(appointment.occasion, source, make_call(function, threads), appointment.seconds)


class HubLifespan:
    """Runs the functions of hubs that answer no event. It is entered once what they send with is open.

    Entering it runs the start-up functions, and starts the timers. Leaving it lets runs that are under way end, cancels
    those that take longer than the grace, and runs the functions for the stop.

    Args:
        functions: The functions of all hubs.
        outbox: What they send with.
        seconds: How long a function for the stop may take.
        grace_seconds: How long runs that are under way may take to end.
    """

    def __init__(
        self, functions: Sequence[HubFunction], outbox: Outbox, *, seconds: float, grace_seconds: float
    ) -> None:
        self._functions = functions
        self._outbox = outbox
        self._seconds, self._grace_seconds = seconds, grace_seconds
        self._timers: list[Timer] = []
        self._ends: float | None = None
        self._is_over = False
        self._changing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        with OutboxScope(self._outbox):
            for one in _those_of(Occasion.STARTUP, self._functions):
                await start_function(one)
            self._start_timers()

    async def __aexit__(self, *_: object) -> None:
        self.begin_stop()
        if self._changing is not None:
            await asyncio.wait([self._changing], timeout=_CANCEL_SECONDS)
            self._changing.cancel()
            await asyncio.wait([self._changing], timeout=_CANCEL_SECONDS)
        await self._end_timers()
        await self._shut_down(self._functions)

    def begin_drain(self) -> None:
        """Begin no further run of a timer."""
        self._is_over = True
        for timer in self._timers:
            timer.end()

    def begin_stop(self) -> None:
        """Begin no further run of a timer. From now on the grace counts."""
        if self._ends is None:
            self._ends = asyncio.get_running_loop().time() + self._grace_seconds
        self.begin_drain()

    def use(self, functions: Sequence[HubFunction]) -> None:
        """Go on with the functions of code that was loaded anew.

        The old timers are cancelled at once. Then the old code's functions for the stop run, and the new code's
        start-up functions. What they raise is logged.
        """
        self._changing = asyncio.create_task(self._change(functions, self._changing))

    async def _change(self, functions: Sequence[HubFunction], before: "asyncio.Task[None] | None") -> None:
        if before is not None:
            await asyncio.wait([before])
        for timer in self._timers:
            timer.task.cancel()
        await self._end_timers()
        ending, self._functions = self._functions, ()  # each ends once, also when the bridge stops meanwhile
        await self._shut_down(ending)
        with OutboxScope(self._outbox):
            for one in _those_of(Occasion.STARTUP, functions):
                await run_function(one)
            self._functions = functions
            self._start_timers()

    def _start_timers(self) -> None:
        if not self._is_over:
            self._timers = [Timer(one) for one in _those_of(Occasion.EVERY, self._functions)]

    async def _end_timers(self) -> None:
        tasks = [timer.task for timer in self._timers]
        if not tasks:
            return
        if self._ends is not None:
            left = max(0.0, self._ends - asyncio.get_running_loop().time())
            await asyncio.wait(tasks, timeout=left)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=_CANCEL_SECONDS)

    async def _shut_down(self, functions: Iterable[HubFunction]) -> None:
        with OutboxScope(self._outbox):
            for one in _those_of(Occasion.SHUTDOWN, functions):
                await run_function(one, self._seconds)


class Timer:
    """Runs a function every so many seconds, in a task that it starts at once.

    A run that takes longer than that lets the runs fall out that would have begun meanwhile.

    Attributes:
        task: The task.
    """

    def __init__(self, function: HubFunction) -> None:
        self._function = function
        self._is_running = self._is_over = False
        self.task = asyncio.create_task(self._repeat(), name=f"every {function.seconds:g} s: {function.source}")

    def end(self) -> None:
        """Begin no further run. One that is under way goes on."""
        self._is_over = True
        if not self._is_running:
            self.task.cancel()

    async def _repeat(self) -> None:
        time = asyncio.get_running_loop().time
        due = time()
        while not self._is_over:
            due += max(1, math.ceil((time() - due) / self._function.seconds)) * self._function.seconds
            await asyncio.sleep(due - time())
            self._is_running = True
            await run_function(self._function)
            self._is_running = False


def _those_of(occasion: Occasion, functions: Iterable[HubFunction]) -> list[HubFunction]:
    return [one for one in functions if one.occasion is occasion]


async def start_function(function: HubFunction) -> None:
    """Run a start-up function. Raises ``SettingsError`` when it fails, and the log has the stack."""
    try:
        with acting(function.source):
            await function.call()
    except SettingsError:
        raise
    except BaseException as error:
        if is_from_outside(error):
            raise
        _log_failure(function, error)
        text = f"The bridge does not start, because the startup function {function.source} failed"
        raise SettingsError(f"{text} ({explain_error(error)}).") from error


async def run_function(function: HubFunction, seconds: float | None = None) -> None:
    """Run a function, and log what it raises. It cannot end the process."""
    try:
        async with asyncio.timeout(seconds):
            with acting(function.source):
                await function.call()
    except BaseException as error:
        if is_from_outside(error):
            raise
        _log_failure(function, error)


def _log_failure(function: HubFunction, error: BaseException) -> None:
    words = f"{function.occasion.value} function failed"
    where = {"handler": function.source}
    if (reason := explain_outside(error)) is None:
        _LOG.error(words, exc_info=error, extra=where)
    else:
        _LOG.error(words, extra=where | {"error": type(error).__name__, "reason": reason})
