"""Timers on a clock of the test's own: when functions run, what they are told, and how they end."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from signalr_bridge.errors import SettingsError
from signalr_bridge.functions.app_settings import AppSettings
from signalr_bridge.functions.description import Binding, Direction, FunctionDescription
from signalr_bridge.functions.invocation import FunctionFailed, TimerCall
from signalr_bridge.functions.timers import TimerFunction, Timers

START = datetime(2026, 11, 28, 10, 0, 30, tzinfo=UTC)


class Machine:
    """A clock that goes on only while the test lets time go by, and that may be set meanwhile."""

    def __init__(self) -> None:
        self._elapsed = 0.0
        self._ahead = START.timestamp()
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []
        self.jumps: list[tuple[float, float]] = []
        """After how many seconds the clock is set, and by how many."""

    def read(self) -> float:
        return self._elapsed + self._ahead

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._elapsed + seconds, future))
        await future

    async def last(self, seconds: float) -> None:
        """Let so much time go by."""
        end = self._elapsed + seconds
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            wakes, future = self._sleepers.pop(0)
            self._go_on(wakes)
            if not future.done():
                future.set_result(None)
            await self._settle()
        self._go_on(end)

    def _go_on(self, elapsed: float) -> None:
        self._elapsed = elapsed
        for jump in [one for one in self.jumps if one[0] <= elapsed]:
            self.jumps.remove(jump)
            self._ahead += jump[1]

    async def _settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)
        self._sleepers.sort(key=lambda one: one[0])


def function(
    run: Callable[[TimerCall], Awaitable[None]], schedule: str, *, name: str = "tick", **more: Any
) -> TimerFunction:
    trigger = Binding("timer", "timerTrigger", Direction.IN, {"schedule": schedule, **more})
    return TimerFunction(FunctionDescription(name, (trigger,), "function_app.py:tick"), run)


def timers(
    machine: Machine,
    *functions: TimerFunction,
    is_on: bool = True,
    grace: float = 5,
    settings: Mapping[str, str] | None = None,
) -> Timers:
    made = Timers(
        AppSettings(settings or {}), is_on=is_on, wall_clock=machine.read, grace_seconds=grace, sleep=machine.sleep
    )
    made.use(functions)
    return made


class Runs:
    """A function that notes its calls. It is busy so many seconds, and raises what it is told to."""

    def __init__(self, machine: Machine, *, busy: float = 0, error: BaseException | None = None) -> None:
        self.calls: list[TimerCall] = []
        self.times: list[str] = []
        self._machine, self._busy, self._error = machine, busy, error

    async def __call__(self, call: TimerCall) -> None:
        self.calls.append(call)
        self.times.append(f"{datetime.fromtimestamp(self._machine.read(), UTC):%H:%M:%S}")
        await self._machine.sleep(self._busy)
        if self._error is not None:
            raise self._error


async def times(
    schedule: str, seconds: float, jumps: Sequence[tuple[float, float]] = (), *, busy: float = 0, **more: Any
) -> list[str]:
    machine = Machine()
    machine.jumps = list(jumps)
    runs = Runs(machine, busy=busy)
    async with timers(machine, function(runs, schedule, **more), grace=0):
        await machine.last(seconds)
    return runs.times


async def test_it_runs_when_it_is_due() -> None:
    assert await times("0 * * * * *", 180) == ["10:01:00", "10:02:00", "10:03:00"]
    assert await times("*/20 * * * * *", 60) == ["10:00:40", "10:01:00", "10:01:20"]
    assert await times("00:00:40", 130) == ["10:01:10", "10:01:50", "10:02:30"]
    assert await times("0 0 0 31 2 *", 600) == []


@pytest.mark.parametrize("said", [True, "true", "True"])
async def test_it_may_run_at_the_start_too(said: object) -> None:
    assert await times("0 * * * * *", 90, runOnStartup=said) == ["10:00:30", "10:01:00", "10:02:00"]
    assert await times("0 0 0 31 2 *", 90, runOnStartup=said, useMonitor=True) == ["10:00:30"]


async def test_what_is_due_during_a_run_is_left_out() -> None:
    assert await times("0 * * * * *", 300, busy=70) == ["10:01:00", "10:03:00", "10:05:00"]
    assert await times("00:01:00", 300, busy=130) == ["10:01:30", "10:04:40"]


async def test_what_was_missed_is_not_made_up() -> None:
    assert await times("0 * * * * *", 120, [(5, 3600)]) == ["11:01:00", "11:02:00"], "suspended for an hour"
    assert await times("* * * * * *", 3, [(2, 86_400)]) == ["10:00:31", "10:00:33"], "no storm of runs"
    assert await times("0 1 * * * *", 120, [(5, 3600)]) == ["11:01:00"], "10:01 was missed"
    assert await times("0 * * * * *", 60, [(28, 5)]) == ["10:01:05"], "a little late is not missed"


async def test_a_clock_that_is_set_back_is_followed() -> None:
    assert await times("0 0 11 * * *", 7300, [(5, -3600)]) == ["11:00:00"]
    assert await times("0 * * * * *", 140, [(65, -3600)]) == ["10:01:00", "09:02:00"]
    assert await times("0 * * * * *", 120, [(31, -2)]) == ["10:01:00", "10:02:00"], "not the same minute twice"


async def test_what_a_run_is_told() -> None:
    machine = Machine()
    runs = Runs(machine)
    async with timers(
        machine,
        function(runs, "0 * 11 * * *", runOnStartup=True),
        settings={"WEBSITE_TIME_ZONE": "Europe/Berlin"},
    ):
        await machine.last(90)
    assert [call.describe() for call in runs.calls[:3]] == [
        {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": {"Last": last, "LastUpdated": last, "Next": due},
            "IsPastDue": False,
        }
        for last, due in [
            ("0001-01-01T00:00:00+00:00", "2026-11-28T11:01:00+01:00"),
            ("2026-11-28T11:00:30+01:00", "2026-11-28T11:01:00+01:00"),
            ("2026-11-28T11:01:00+01:00", "2026-11-28T11:02:00+01:00"),
        ]
    ]
    assert TimerCall(False, None, None, None, False).describe()["Schedule"] == {"AdjustForDST": False}


@pytest.mark.parametrize(
    "error", [ValueError("x"), SystemExit(1), asyncio.CancelledError(), FunctionFailed("no answer")]
)
async def test_an_error_is_logged_and_the_timer_goes_on(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine()
    runs = Runs(machine, error=error)
    async with timers(machine, function(runs, "0 * * * * *")):
        await machine.last(120)
    assert runs.times == ["10:01:00", "10:02:00"]
    failures = [one for one in caplog.records if one.message == "timer function failed"]
    assert [one.__dict__["function"] for one in failures] == ["tick", "tick"]
    assert {bool(one.exc_info) for one in failures} == {not isinstance(error, FunctionFailed)}


async def test_after_drain_nothing_begins_and_what_runs_goes_on() -> None:
    machine, begun, ended = Machine(), asyncio.Event(), []
    goes_on = asyncio.Event()

    async def work(_: TimerCall) -> None:
        begun.set()
        await goes_on.wait()
        ended.append("ended")

    idle = Runs(machine)
    async with timers(machine, function(work, "0 1 * * * *"), function(idle, "0 2 * * * *", name="idle")) as running:
        await machine.last(40)
        await begun.wait()
        running.begin_drain()
        await machine.last(300)
        assert (ended, idle.times) == ([], [])
        goes_on.set()
    assert (ended, idle.times) == (["ended"], [])


async def test_a_run_that_outlasts_the_grace_is_cancelled() -> None:
    machine, begun, cancelled = Machine(), asyncio.Event(), []

    async def hang(_: TimerCall) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append("cancelled")
            raise

    async with timers(machine, function(hang, "0 1 * * * *"), grace=0.01):
        await machine.last(40)
        await begun.wait()
    assert cancelled == ["cancelled"]


async def test_functions_that_are_listed_anew() -> None:
    machine = Machine()
    first, second, other = Runs(machine), Runs(machine), Runs(machine)
    async with timers(machine, function(first, "0 * * * * *", runOnStartup=True)) as running:
        await machine.last(40)
        assert first.times == ["10:00:30", "10:01:00"]
        running.use([function(second, "0 * * * * *", runOnStartup=True), function(other, "30 * * * * *", name="other")])
        await machine.last(60)
        assert second.times == ["10:02:00"], "the same trigger goes on, and does not start once more"
        assert other.times == ["10:01:30"]
        with pytest.raises(SettingsError):
            running.use([function(first, "bad")])
        running.use([function(first, "15 * * * * *")])
        await machine.last(120)
        assert first.times[2:] == ["10:02:15", "10:03:15"], "another schedule takes its place"
        running.use([])
        await machine.last(120)
    assert (len(first.times), len(second.times), len(other.times)) == (4, 1, 1)


async def test_two_apps_may_have_functions_of_one_name() -> None:
    machine = Machine()
    first, second = Runs(machine), Runs(machine)
    both = [function(first, "0 * * * * *"), function(second, "0 * * * * *")]
    async with timers(machine, *both) as running:
        running.use(both)
        await machine.last(60)
        running.use(both[1:])
        await machine.last(60)
    assert (len(first.times) + len(second.times), second.times) == (3, ["10:01:00", "10:02:00"])


async def test_the_log_says_when_a_timer_is_due(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    machine = Machine()
    runs = Runs(machine)
    both = function(runs, "0 0 3 * * *"), function(runs, "0 0 0 31 2 *", name="never")
    async with timers(machine, *both, settings={"WEBSITE_TIME_ZONE": "Tokyo Standard Time"}):
        await machine.last(1)
    lines = [(one.__dict__["function"], one.__dict__["what"]) for one in caplog.records]
    assert lines == [("tick", "due next at 2026-11-29T03:00:00+09:00"), ("never", "it is never due")]


async def test_where_timers_do_not_run(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    machine = Machine()
    runs = Runs(machine)
    async with timers(machine, function(runs, "* * * * * *", runOnStartup=True), is_on=False):
        await machine.last(10)
    assert runs.times == []
    [line] = [one for one in caplog.records if one.message == "timers do not run here"]
    assert line.__dict__["reason"] == "Set BRIDGE_FUNCTION_APP__TIMERS=true in one replica."


@pytest.mark.parametrize(
    ("schedule", "settings", "text"),
    [
        ("0 0 25 * * *", {}, r"^tick\.timer\.schedule \(function_app\.py:tick\): its field \{hour\} is wrong\. Write "),
        ("", {}, r"^tick\.timer\.schedule .*: write six fields"),
        ("0 * * * * *", {"WEBSITE_TIME_ZONE": "Mars"}, "^WEBSITE_TIME_ZONE: write a name"),
    ],
)
def test_what_is_wrong_is_a_start_up_error_also_where_no_timers_run(
    schedule: str, settings: dict[str, str], text: str
) -> None:
    machine = Machine()
    with pytest.raises(SettingsError, match=text):
        timers(machine, function(Runs(machine), schedule), is_on=False, settings=settings)
    timers(machine, settings=settings)  # without timers nobody asks for the time zone
