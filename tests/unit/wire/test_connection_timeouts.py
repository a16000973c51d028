"""The time-outs of a connection by a clock that the test moves: one timer, and none where everything is on time."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from signalr_bridge.wire.timeouts import HEAD_SECONDS, WRITE_SECONDS, ConnectionTimeouts

IDLE = 100.0


class Timer:
    def __init__(self, moment: float, call: Callable[[], object]) -> None:
        self.moment, self.call, self.is_cancelled = moment, call, False

    def cancel(self) -> None:
        self.is_cancelled = True


class Loop:
    """A clock and timers."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, moment: float, call: Callable[[], object]) -> Timer:
        self.timers.append(Timer(moment, call))
        return self.timers[-1]

    @property
    def waiting(self) -> list[Timer]:
        return [timer for timer in self.timers if not timer.is_cancelled]

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [timer for timer in self.waiting if timer.moment <= end]:
            timer = min(due, key=lambda timer: timer.moment)
            self.timers.remove(timer)
            self.now = max(self.now, timer.moment)
            timer.call()
        self.now = end


class Wire(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.left = 0

    def get_write_buffer_size(self) -> int:
        return self.left

    def close(self) -> None:
        self.calls.append("close")

    def abort(self) -> None:
        self.calls.append("abort")


Parts = tuple[ConnectionTimeouts, Loop, Wire]


@pytest.fixture
def parts() -> Parts:
    loop, wire = Loop(), Wire()
    timeouts = ConnectionTimeouts(cast(Any, loop), wire, IDLE)
    timeouts.expect_head()
    return timeouts, loop, wire


def answer(timeouts: ConnectionTimeouts) -> None:
    """A request comes and is answered."""
    timeouts.idle_since = None
    timeouts.head_since = None
    timeouts.is_answering = True
    timeouts.is_answering = False
    timeouts.expect_request()


def test_a_head_may_take_its_time_and_no_longer(parts: Parts) -> None:
    timeouts, loop, wire = parts
    loop.advance(HEAD_SECONDS - 1)
    timeouts.expect_head()
    assert wire.calls == []
    loop.advance(1)
    assert wire.calls == ["close"]


def test_requests_in_time_set_no_timer(parts: Parts) -> None:
    timeouts, loop, wire = parts
    for _ in range(50):
        answer(timeouts)
        loop.advance(0.1)
    assert len(loop.timers) == 1
    loop.advance(IDLE - 1)
    assert wire.calls == []
    assert len(loop.waiting) == 1
    loop.advance(1)
    assert wire.calls == ["close"]


def test_who_is_answered_for_long_is_not_idle(parts: Parts) -> None:
    timeouts, loop, wire = parts
    timeouts.idle_since = None
    timeouts.head_since = None
    timeouts.is_answering = True
    loop.advance(10 * IDLE)
    assert wire.calls == []
    timeouts.is_answering = False
    timeouts.expect_request()
    loop.advance(IDLE - 1)
    assert wire.calls == []
    loop.advance(1)
    assert wire.calls == ["close"]


def test_a_shorter_time_moves_the_timer(parts: Parts) -> None:
    timeouts, loop, wire = parts
    answer(timeouts)
    loop.advance(HEAD_SECONDS + 1)
    assert loop.waiting[0].moment == 1_000.0 + IDLE
    timeouts.idle_since = None
    timeouts.expect_head()
    assert len(loop.waiting) == 1
    loop.advance(HEAD_SECONDS - 1)
    assert wire.calls == []
    loop.advance(1)
    assert wire.calls == ["close"]


def test_a_slow_head_cuts_no_answer_off(parts: Parts) -> None:
    timeouts, loop, wire = parts
    answer(timeouts)
    timeouts.idle_since = None
    timeouts.is_answering = True
    timeouts.expect_head()
    loop.advance(3 * HEAD_SECONDS + 1)
    assert wire.calls == []
    timeouts.is_answering = False
    loop.advance(HEAD_SECONDS)
    assert wire.calls == ["close"]


def test_a_peer_that_takes_nothing_is_let_go_and_a_slow_one_is_not(parts: Parts) -> None:
    timeouts, loop, wire = parts
    timeouts.head_since = None
    timeouts.is_answering = True
    wire.left = 1_000
    timeouts.expect_taking()
    for _ in range(5):
        wire.left -= 1
        loop.advance(WRITE_SECONDS)
    assert wire.calls == []
    loop.advance(WRITE_SECONDS)
    assert wire.calls == ["abort"]


def test_a_peer_that_has_taken_enough_may_pause(parts: Parts) -> None:
    timeouts, loop, wire = parts
    timeouts.head_since = None
    timeouts.expect_taking()
    timeouts.all_is_taken()
    loop.advance(10 * WRITE_SECONDS)
    assert wire.calls == []


def test_a_closed_connection_waits_for_the_last_bytes_only(parts: Parts) -> None:
    timeouts, loop, wire = parts
    wire.left = 5
    timeouts.close()
    assert wire.calls == ["close"]
    loop.advance(WRITE_SECONDS)
    assert wire.calls == ["close", "abort"]


def test_behind_its_end_nothing_is_waited_for(parts: Parts) -> None:
    timeouts, loop, wire = parts
    answer(timeouts)
    timeouts.end()
    assert loop.waiting == []
    loop.advance(IDLE)
    assert wire.calls == []


def test_a_timer_that_rings_a_little_early_rings_once(parts: Parts) -> None:
    """Event loops round to milliseconds."""
    timeouts, loop, wire = parts
    (timer,) = loop.timers
    loop.now = timer.moment - 0.001
    timer.cancel()
    timer.call()
    assert wire.calls == ["close"]
    timeouts.end()
