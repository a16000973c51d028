"""Coarse time-outs: never early, at most a tick late, and one timer only while something waits."""

import asyncio
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from signalr_bridge.wire.timeouts import TICK, Timeout, TimeoutWheel


@dataclass(eq=False)
class Timer:
    moment: float
    call: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


@dataclass
class Loop:
    """As much of an event loop as a wheel uses, with a clock that is set."""

    now: float = 1000.0
    timers: list[Timer] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    woken: int = 0

    def time(self) -> float:
        return self.now

    def call_at(self, moment: float, call: Callable[[], None]) -> Timer:
        self.timers.append(Timer(moment, call))
        return self.timers[-1]

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context)

    def waiting(self) -> list[Timer]:
        self.timers = [one for one in self.timers if not one.cancelled]
        return self.timers

    def go_to(self, moment: float) -> None:
        """Let time pass, and call the timers when they are due."""
        while due := [one for one in self.waiting() if one.moment <= moment]:
            first = min(due, key=lambda one: one.moment)
            self.timers.remove(first)
            self.now = max(self.now, first.moment)
            self.woken += 1
            first.call()
        self.now = max(self.now, moment)

    def wheel(self) -> TimeoutWheel:
        return TimeoutWheel(cast(asyncio.AbstractEventLoop, self))


ROUNDING = 1e-9


@given(
    st.lists(st.tuples(st.floats(0, 5), st.one_of(st.none(), st.floats(0, 5)), st.floats(0, 1)), max_size=40),
)
def test_each_comes_at_its_time_or_a_tick_later_or_not_at_all(plan: list[tuple[float, float | None, float]]) -> None:
    """Of each: how long it takes, when it is stopped if it is, and how long after the last one it is added."""
    loop = Loop()
    wheel = loop.wheel()
    came: dict[int, float] = {}
    due: dict[int, float] = {}
    stops: list[tuple[float, int, Timeout]] = []

    def note(number: int) -> None:
        assert number not in came
        came[number] = loop.now

    def pass_time(until: float) -> None:
        for moment, number, timeout in sorted(stops, key=lambda one: one[:2]):
            if moment <= until:
                loop.go_to(moment)
                timeout.stop()
                if number not in came:
                    due.pop(number, None)
        stops[:] = [one for one in stops if one[0] > until]
        loop.go_to(until)

    for number, (seconds, stop, pause) in enumerate(plan):
        pass_time(loop.now + pause)
        due[number] = loop.now + seconds
        timeout = wheel.add(seconds, partial(note, number))
        if stop is not None:
            stops.append((loop.now + stop, number, timeout))
        assert len(loop.waiting()) == 1
    pass_time(loop.now + 20)
    assert came.keys() == due.keys()
    for number, moment in came.items():
        assert due[number] - ROUNDING <= moment <= due[number] + TICK + ROUNDING
    assert loop.waiting() == []


def test_stopped_ones_leave_nothing_behind() -> None:
    loop = Loop()
    wheel = loop.wheel()
    for _ in range(100):
        wheel.add(30, lambda: None).stop()
        loop.go_to(loop.now + TICK)
    assert len(loop.waiting()) == 1
    loop.go_to(loop.now + 100)
    assert loop.waiting() == []
    assert loop.woken <= 2


def test_what_is_stopped_takes_no_memory_until_its_time() -> None:
    loop = Loop()
    wheel = loop.wheel()
    wheel.add(3600, lambda: None)
    tracemalloc.start()
    try:
        for _ in range(10_000):
            wheel.add(3000, lambda: None).stop()
            loop.go_to(loop.now + TICK)
        assert tracemalloc.get_traced_memory()[0] < 200_000
    finally:
        tracemalloc.stop()


def test_one_may_stop_another_or_itself_or_begin_a_new_one() -> None:
    loop = Loop()
    wheel = loop.wheel()
    came: list[str] = []

    def again() -> None:
        came.append("again")

    def one_of_two() -> None:
        came.append("one of two")
        first.stop()
        second.stop()
        wheel.add(1, again)

    first = wheel.add(1, one_of_two)
    second = wheel.add(1, one_of_two)
    loop.go_to(loop.now + 1 + TICK)
    assert came == ["one of two"]
    loop.go_to(loop.now + 2)
    assert came == ["one of two", "again"]


def test_one_that_fails_holds_up_no_other() -> None:
    loop = Loop()
    wheel = loop.wheel()
    came: list[int] = []

    def fail() -> None:
        raise ValueError("broken")

    for number in range(3):
        wheel.add(1, fail)
        wheel.add(1, partial(came.append, number))
    loop.go_to(loop.now + 2)
    assert sorted(came) == [0, 1, 2]
    assert [str(one["exception"]) for one in loop.errors] == ["broken"] * 3


def test_a_shorter_one_moves_the_timer_forward() -> None:
    loop = Loop()
    wheel = loop.wheel()
    came: list[str] = []
    wheel.add(10, lambda: came.append("long"))
    wheel.add(1, lambda: came.append("short"))
    assert len(loop.waiting()) == 1
    loop.go_to(loop.now + 1 + TICK)
    assert came == ["short"]
    assert len(loop.waiting()) == 1


def test_a_closed_wheel_has_no_timer() -> None:
    loop = Loop()
    wheel = loop.wheel()
    waits = wheel.add(1, lambda: pytest.fail("it came"))
    wheel.close()
    assert loop.waiting() == []
    waits.stop()
    loop.go_to(loop.now + 2)


async def test_on_a_real_loop() -> None:
    loop = asyncio.get_running_loop()
    wheel = TimeoutWheel(loop)
    came: asyncio.Queue[tuple[float, float]] = asyncio.Queue()

    def note(seconds: float) -> None:
        came.put_nowait((seconds, loop.time()))

    begin = loop.time()
    for seconds in (0.0, 0.03, 0.05):
        wheel.add(seconds, partial(note, seconds))
    for expected in (0.0, 0.03, 0.05):
        seconds, moment = await came.get()
        assert seconds == expected
        assert moment >= begin + seconds - ROUNDING
