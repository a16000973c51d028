"""Functions that run by a schedule, each in a task of its own.

Runs that were missed are not made up: those that were due while the bridge was down, while the machine was suspended
or its clock was set, and while the function was still busy.

Source: https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from types import TracebackType
from typing import Self, TypeAlias

from signalr_bridge.errors import SettingsError
from signalr_bridge.functions.app_settings import AppSettings
from signalr_bridge.functions.description import FunctionDescription
from signalr_bridge.functions.expressions import fault
from signalr_bridge.functions.invocation import TimerCall
from signalr_bridge.functions.schedule import Schedule, read_schedule
from signalr_bridge.functions.time_zones import read_zone
from signalr_bridge.runtime import Runtime, WallClock
from signalr_bridge.settings.model import Settings
from signalr_bridge.upstream.dispatch import explain_outside
from signalr_bridge.web.cancellation import is_from_outside
from signalr_bridge.web.trace import acting

_LOG = logging.getLogger("signalr_bridge.functions")

LOOK_SECONDS = 10.0
"""How often a timer that waits looks at the clock, which may be set meanwhile. A run that is later was missed."""

_CANCEL_SECONDS = 1.0
"""How long a function may take to end once it was cancelled."""

RunTimer: TypeAlias = Callable[[TimerCall], Awaitable[None]]
"""Runs a function for its timer."""

Sleep: TypeAlias = Callable[[float], Awaitable[None]]
"""Waits so many seconds."""


@dataclass(frozen=True, slots=True)
class TimerFunction:
    """A function that runs by a schedule. Its trigger says which."""

    function: FunctionDescription
    run: RunTimer


@dataclass(frozen=True, slots=True)
class TimerPlan:
    """When a function runs.

    Attributes:
        function: Which one, and what runs it.
        schedule: When it is due.
        at_start: Whether it also runs once at the start.
    """

    function: TimerFunction
    schedule: Schedule
    at_start: bool

    @property
    def name(self) -> str:
        """The function's name."""
        return self.function.function.name


def read_plan(function: TimerFunction, zone: tzinfo) -> TimerPlan:
    """When a function runs. Raises ``SettingsError`` that names the function and says what to write.

    Args:
        function: Its trigger has the schedule, ``runOnStartup`` and ``useMonitor``. The last is not used: what a
            monitor would remember is the runs that were missed.
        zone: The time zone of the schedule's clock.
    """
    trigger = function.function.trigger
    if trigger is None:
        raise SettingsError(f"The function {function.function.name} has no trigger.")
    try:
        schedule = read_schedule(trigger.text("schedule"), zone)
    except SettingsError as error:
        raise fault(function.function, trigger, "schedule", error.sentence) from None
    return TimerPlan(function, schedule, trigger.text("runOnStartup").lower() == "true")


def settle(schedule: Schedule, due: datetime, seen: datetime, now: datetime) -> datetime | None:
    """When a timer is due, seen from now: as before, or anew where the clock was set or the machine was suspended.

    Args:
        schedule: Its schedule.
        due: When it was due, seen from before.
        seen: The moment before.
        now: This moment.
    """
    slack = timedelta(seconds=LOOK_SECONDS)
    return schedule.next_after(now) if now > due + slack or now < seen - slack else due


class Timer:
    """Runs one function whenever it is due, and never twice at once, in a task that it starts at once.

    Attributes:
        plan: When it runs. Another one with the same trigger may take its place.
        task: The task.
    """

    def __init__(self, plan: TimerPlan, wall_clock: WallClock, sleep: Sleep) -> None:
        self.plan = plan
        self._wall_clock, self._sleep = wall_clock, sleep
        self._last: datetime | None = None
        self._is_running = self._is_over = False
        self.task = asyncio.create_task(self._repeat(), name=f"timer {plan.name}")

    def end(self) -> None:
        """Begin no further run. One that is under way goes on."""
        self._is_over = True
        if not self._is_running:
            self.task.cancel()

    async def _repeat(self) -> None:
        schedule = self.plan.schedule
        due = schedule.next_after(self._now())
        if self.plan.at_start:
            await self._run(due)
            due = schedule.next_after(self._now())
        seen = self._now()
        while due is not None and not self._is_over:
            now = self._now()
            due, seen = settle(schedule, due, seen, now), now
            if due is not None and due > now:
                await self._sleep(min((due - now).total_seconds(), LOOK_SECONDS))
            elif due is not None:
                await self._run(due)
                due = self._find_next(due)

    def _find_next(self, due: datetime) -> datetime | None:
        """When the next run is due. What was due during the last one is left out."""
        schedule, now = self.plan.schedule, self._now()
        after = schedule.next_after(due)
        return after if after is None or after > now else schedule.next_after(now)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._wall_clock(), UTC)

    async def _run(self, due: datetime | None) -> None:
        """Run the function, and log what it raises. It cannot end the timer."""
        schedule, last, self._last = self.plan.schedule, self._last, self._now().astimezone(self.plan.schedule.zone)
        self._is_running = True
        try:
            with acting(self.plan.name):
                await self.plan.function.run(TimerCall(False, last, due, last, schedule.follows_clock))
        except BaseException as error:
            if is_from_outside(error):
                raise
            _log_failure(self.plan.name, error)
        finally:
            self._is_running = False


class Timers:
    """The timers of all function apps. It is entered once what they send with is open.

    Leaving it lets runs that are under way end, and cancels those that take longer than the grace.

    Args:
        app_settings: The settings of the apps. One names the time zone.
        is_on: Whether timers run in this replica.
        wall_clock: The clock that the schedules go by.
        grace_seconds: How long runs that are under way may take to end.
        sleep: Waits. Tests hand in their own.
    """

    def __init__(
        self,
        app_settings: AppSettings,
        *,
        is_on: bool,
        wall_clock: WallClock,
        grace_seconds: float,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._app_settings, self._is_on = app_settings, is_on
        self._wall_clock, self._sleep, self._grace_seconds = wall_clock, sleep, grace_seconds
        self._plans: list[TimerPlan] = []
        self._timers: list[Timer] = []
        self._ending: list[Timer] = []
        self._ends: float | None = None
        self._is_open = self._is_over = False

    def use(self, functions: Sequence[TimerFunction]) -> None:
        """Run these functions from now on. Those of before go on where their triggers are the same.

        Raises ``SettingsError`` for a schedule or a time zone that cannot be used, also where no timers run, and
        changes nothing then.
        """
        zone = read_zone(self._app_settings) if functions else UTC
        self._plans = [read_plan(one, zone) for one in functions]
        if self._is_open:
            self._start()

    def begin_drain(self) -> None:
        """Begin no further run. Those that are under way go on."""
        self._is_over = True
        self._end(self._timers)
        self._timers = []

    def begin_stop(self) -> None:
        """Begin no further run. From now on the grace counts."""
        if self._ends is None:
            self._ends = asyncio.get_running_loop().time() + self._grace_seconds
        self.begin_drain()

    async def __aenter__(self) -> Self:
        self._is_open = True
        self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.begin_stop()
        tasks = [timer.task for timer in self._ending]
        if not tasks:
            return
        await asyncio.wait(tasks, timeout=max(0.0, (self._ends or 0.0) - asyncio.get_running_loop().time()))
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=_CANCEL_SECONDS)

    def _start(self) -> None:
        if not self._is_on:
            self._say_off()
        elif not self._is_over:
            former, self._timers = self._timers, []
            for plan in self._plans:
                same = next((one for one in former if one.plan.function.function == plan.function.function), None)
                if same is None:
                    self._timers.append(self._begin(plan))
                else:
                    former.remove(same)
                    same.plan = plan
                    self._timers.append(same)
            self._end(former)

    def _begin(self, plan: TimerPlan) -> Timer:
        due = plan.schedule.next_after(datetime.fromtimestamp(self._wall_clock(), UTC))
        what = "it is never due" if due is None else f"due next at {due.isoformat()}"
        _LOG.info("timer started", extra={"function": plan.name, "what": what})
        return Timer(plan, self._wall_clock, self._sleep)

    def _end(self, timers: Iterable[Timer]) -> None:
        for timer in timers:
            timer.end()
            self._ending.append(timer)
        self._ending = [one for one in self._ending if not one.task.done()]

    def _say_off(self) -> None:
        if self._plans:
            names = ", ".join(one.name for one in self._plans)
            reason = "Set BRIDGE_FUNCTION_APP__TIMERS=true in one replica."
            _LOG.info("timers do not run here", extra={"function": names, "reason": reason})


def _log_failure(name: str, error: BaseException) -> None:
    where = {"function": name}
    if (reason := explain_outside(error)) is None:
        _LOG.error("timer function failed", exc_info=error, extra=where)
    else:
        _LOG.error("timer function failed", extra=where | {"error": type(error).__name__, "reason": reason})


def make_timers(settings: Settings, runtime: Runtime) -> Timers:
    """The timers of the bridge, still without functions."""
    return Timers(
        AppSettings(settings.app_settings),
        is_on=settings.function_app.timers,
        wall_clock=runtime.wall_clock,
        grace_seconds=settings.limits.grace_seconds,
    )
