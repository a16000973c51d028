"""Coarse time-outs: they cost little to start and to stop, because most of them are stopped."""

import asyncio
import heapq
from collections.abc import Callable

TICK = 0.02
"""How many seconds a time-out may come late."""

# So many empty buckets may wait for their time.
_MOST_EMPTY = 64


class Timeout:
    """A time-out that waits in a ``TimeoutWheel``. What has a time of its own may be one, and override ``expire``."""

    __slots__ = ("bucket",)

    bucket: "set[Timeout]"
    """Where it waits, which is the wheel's business."""

    def expire(self) -> None:
        """Its time is over."""
        raise NotImplementedError

    def stop(self) -> None:
        """Forget it. It does nothing when the time-out has expired, or has been stopped."""
        self.bucket.discard(self)


class _Callback(Timeout):
    __slots__ = ("_call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call

    def expire(self) -> None:
        self._call()


class TimeoutWheel:
    """Calls back at a time or up to a tick later, never earlier.

    The time-outs of one tick share a bucket, and the buckets share one timer of the loop. There is no timer while
    nothing waits. Moments are those of the loop's own clock.

    Args:
        loop: The loop whose clock and timer are used.
        tick: The width of a bucket in seconds.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, tick: float = TICK) -> None:
        self._loop = loop
        self._per_second = 1 / tick
        self._buckets: dict[int, set[Timeout]] = {}
        self._due: list[int] = []  # a heap of the buckets' numbers
        self._most = _MOST_EMPTY  # buckets, until the empty ones are looked for
        self._timer: asyncio.TimerHandle | None = None

    def add(self, seconds: float, call: Callable[[], None]) -> Timeout:
        """Call back in so many seconds."""
        timeout = _Callback(call)
        self.start(timeout, self._loop.time() + seconds)
        return timeout

    def start(self, timeout: Timeout, moment: float) -> None:
        """Let a time-out, which is not waiting, expire at a moment of the loop's clock."""
        number = int(moment * self._per_second) + 1  # the end of the tick
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._open(number)
        timeout.bucket = bucket
        bucket.add(timeout)

    def close(self) -> None:
        """Forget all time-outs."""
        self._buckets.clear()
        self._due.clear()
        self._set_timer()

    def _open(self, number: int) -> set[Timeout]:
        if len(self._due) >= self._most:
            self._forget_empty()
        bucket = self._buckets[number] = set()
        heapq.heappush(self._due, number)
        if self._due[0] == number:
            self._set_timer()
        return bucket

    def _forget_empty(self) -> None:
        """Drop the buckets in which nothing waits any more. They would take memory until their time."""
        self._buckets = {number: bucket for number, bucket in self._buckets.items() if bucket}
        self._due = sorted(self._buckets)
        self._most = 2 * len(self._due) + _MOST_EMPTY

    def _set_timer(self) -> None:
        """Wake up for the first bucket."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._due[0] / self._per_second, self._wake) if self._due else None

    def _wake(self) -> None:
        now = int(self._loop.time() * self._per_second)
        come: list[set[Timeout]] = []
        while self._due and (self._due[0] <= now or not self._buckets[self._due[0]]):
            come.append(self._buckets.pop(heapq.heappop(self._due)))
        self._set_timer()
        for bucket in come:
            while bucket:  # one may stop another
                self._expire(bucket.pop())

    def _expire(self, timeout: Timeout) -> None:
        try:
            timeout.expire()
        except Exception as error:  # it must not hold up the others
            self._loop.call_exception_handler({"message": "a time-out failed", "exception": error})
