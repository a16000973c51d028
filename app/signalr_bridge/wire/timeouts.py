"""Time-outs that cost little: of many calls in one wheel, and of one connection by one timer."""

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


HEAD_SECONDS = 30.0
"""How long a head may take to come to its end."""

WRITE_SECONDS = 30.0
"""How long a peer may accept none of the bytes that are sent to it."""

_EARLY = 0.002  # a timer may ring so many seconds before its moment, because event loops round to milliseconds


class ConnectionTimeouts:
    """Remembers since when something is waited for, and looks at it when the connection's one timer rings.

    What is on time costs no timer: moments are noted, and the timer is set anew only when it has rung. It is moved to
    an earlier moment where that is needed, which a request that comes and is answered in time does not need.

    Args:
        loop: The loop whose timer is used.
        transport: The connection.
        idle_seconds: How long the connection is kept without a request.
    """

    __slots__ = (
        "_idle_seconds",
        "_left",
        "_loop",
        "_rings_at",
        "_taking_since",
        "_timer",
        "_transport",
        "head_since",
        "idle_since",
        "is_answering",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, idle_seconds: float) -> None:
        self._loop = loop
        self._transport = transport
        self._idle_seconds = idle_seconds
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = 0.0
        self.head_since: float | None = None
        """Since when a head is expected. None once it has come."""
        self.idle_since: float | None = None
        """Since when nothing has come. None once something has."""
        self._taking_since: float | None = None
        self._left = 0
        self.is_answering = False
        """Whether an answer is being made or sent. A slow head does not cut it off."""

    def expect_request(self) -> None:
        """The last request has been answered, or none has come. The next one may take ``idle_seconds`` to begin."""
        self.idle_since = now = self._loop.time()
        if self._timer is None or now + self._idle_seconds < self._rings_at:
            self._ring_at(now + self._idle_seconds)

    def expect_head(self) -> None:
        """A head must arrive in time. Where one is expected already, its time does not begin anew."""
        if self.head_since is None:
            self.head_since = now = self._loop.time()
            self._ring_at(now + HEAD_SECONDS)

    def expect_taking(self) -> None:
        """The peer must accept some of the waiting bytes in time. A slow peer accepts some each time."""
        if self._taking_since is None:
            self._taking_since = now = self._loop.time()
            self._left = self._transport.get_write_buffer_size()
            self._ring_at(now + WRITE_SECONDS)

    def all_is_taken(self) -> None:
        """The peer has accepted enough bytes, and its time is not measured any longer."""
        self._taking_since = None

    def close(self) -> None:
        """End the connection once the peer has accepted all bytes, or has stalled."""
        self.head_since = self.idle_since = None
        self._transport.close()
        self.expect_taking()

    def close_if_quiet(self, seconds: float) -> None:
        """End the connection if for so many seconds it has waited for a request of which nothing has come."""
        since = self.quiet_since
        if since is None or since + seconds <= self._loop.time():
            self.close()

    @property
    def quiet_since(self) -> float | None:
        """Since when a request is waited for, or the rest of its head. None when none is."""
        return self.head_since if self.idle_since is None else self.idle_since

    def end(self) -> None:
        """The connection has ended."""
        self.head_since = self.idle_since = self._taking_since = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring_at(self, moment: float) -> None:
        if self._timer is not None:
            if self._rings_at <= moment:
                return
            self._timer.cancel()
        self._rings_at = moment
        self._timer = self._loop.call_at(moment, self._ring)

    def _ring(self) -> None:
        self._timer = None
        over = self._loop.time() + _EARLY
        if self._taking_since is not None and self._taking_since + WRITE_SECONDS <= over:
            self._abort_if_stalled()
        if self.idle_since is not None and self.idle_since + self._idle_seconds <= over:
            self.close()
        if self.head_since is not None and self.head_since + HEAD_SECONDS <= over:
            self._end_without_head()
        if self.head_since is not None:
            self._ring_at(self.head_since + HEAD_SECONDS)
        if self.idle_since is not None:
            self._ring_at(self.idle_since + self._idle_seconds)
        if self._taking_since is not None:
            self._ring_at(self._taking_since + WRITE_SECONDS)

    def _end_without_head(self) -> None:
        self.head_since = None
        if self.is_answering:
            self.expect_head()
        else:
            self.close()

    def _abort_if_stalled(self) -> None:
        self._taking_since = None
        if self._transport.get_write_buffer_size() < self._left:
            self.expect_taking()
        else:
            self._transport.abort()
