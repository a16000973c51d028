"""The queues of events for backends. Each connection's events go one after the other, and all queues are bounded."""

import asyncio
import logging
import math
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Hashable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

from signalr_bridge.errors import Overloaded
from signalr_bridge.upstream.context import Context

LONGEST_LINE = 64
"""How many events of one connection may wait for a backend, the one that is being posted included."""

MOST_EVENTS = 10_000
"""How many events of all connections together may wait."""

EndLate = Callable[[Exception], Awaitable[None]]
"""Deals with the error of an event that ends after the service has been answered."""

_LOG = logging.getLogger("signalr_bridge.upstream")


class Slot:
    """The place of an event in the line of its connection. The event leaves it when the ``with`` block ends."""

    def __init__(self, queue: "PerConnectionQueue", key: Hashable, source: str) -> None:
        self.source = source
        self._queue, self._key = queue, key
        self._turn = asyncio.Event()

    def call(self) -> None:
        """Say that it is this event's turn."""
        self._turn.set()

    async def wait(self, seconds: float | None = None) -> None:
        """Wait until it is this event's turn. Raises ``TimeoutError`` after so many ``seconds``."""
        if not self._turn.is_set():
            async with asyncio.timeout(seconds):
                await self._turn.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._queue.leave(self._key, self)


class PerConnectionQueue:
    """A line of events for each key, which is a connection at a backend. Empty lines are forgotten."""

    def __init__(self, longest: int = LONGEST_LINE, most: int = MOST_EVENTS) -> None:
        self._longest, self._most = longest, most
        self._events = 0
        self._lines: dict[Hashable, deque[Slot]] = {}

    def __len__(self) -> int:
        """How many events there are in all lines."""
        return self._events

    def count_by_source(self) -> Mapping[str, int]:
        """How many events there are of each handler, by its source."""
        return Counter(slot.source for line in self._lines.values() for slot in line)

    def enter(self, key: Hashable, source: str = "") -> Slot:
        """Take the last slot of the key's line. Raises ``Overloaded`` when the line, or the whole queue, is full.

        ``source`` is that of the handler whose event it is, for counting.
        """
        line = self._lines.get(key, deque())
        if len(line) >= self._longest:
            raise Overloaded("Too many events of this connection wait for their backend.")
        if self._events >= self._most:
            raise Overloaded("Too many events wait for their backends.")
        slot = Slot(self, key, source)
        self._lines.setdefault(key, line).append(slot)
        self._events += 1
        if len(line) == 1:
            slot.call()
        return slot

    def leave(self, key: Hashable, slot: Slot) -> None:
        """Leave the slot, whose event is done or given up. The event that is first now gets its turn."""
        line = self._lines[key]
        line.remove(slot)
        self._events -= 1
        if line:
            line[0].call()
        else:
            del self._lines[key]


class Backlog:
    """The events that are still on their way to backends. It is kept in memory only.

    When the ``async with`` block ends, the events that are left have the rest of the grace. Then they are given up,
    which is counted and logged.

    Args:
        queue: The queue of all events for backends. None makes one.
        grace_seconds: How long events may still be on their way when the service has been answered and the bridge ends.

    Attributes:
        queue: The queue of all events for backends. It outlives the rules, so that events under new rules do not
            overtake those under old ones.
        given_up: How many events were given up so far.
    """

    def __init__(self, queue: PerConnectionQueue | None = None, *, grace_seconds: float = 0) -> None:
        self._grace_seconds = grace_seconds
        self._ends: float | None = None
        self.queue = PerConnectionQueue() if queue is None else queue  # an empty one would count as false
        self.given_up = 0
        self._longest_wait = math.inf
        self._waits: set[asyncio.Timeout] = set()
        self._late: set[asyncio.Task[None]] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """How many events are still being delivered although the service has been answered."""
        return len(self._late)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.begin_stop()
        if tasks := list(self._tasks):
            await asyncio.wait(tasks, timeout=max(0.0, (self._ends or 0) - asyncio.get_running_loop().time()))
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError, Exception):
                await task
        if self.given_up:
            _LOG.warning("no more tries", extra={"given_up": self.given_up})

    def begin_stop(self) -> None:
        """From now on the grace counts."""
        if self._ends is None:
            self._ends = asyncio.get_running_loop().time() + self._grace_seconds

    def give_up(self, context: Context, source: str, id: str, reason: str) -> None:
        """Count and log an event that the backend may never have seen.

        Args:
            source: The handler's source, such as ``forward.orders``.
            id: The id with which the event was posted.
            reason: Why it is given up, without what was sent.
        """
        self.given_up += 1
        where = {"handler": source, "hub": context.hub, "event": context.event}
        more = {"connection": context.connection_id, "webhook_id": id, "reason": reason}
        _LOG.warning("connection event given up", extra=where | more)

    def hurry(self, seconds: float) -> None:
        """From now on, wait for no delivery longer than so many ``seconds``. It goes on in the background.

        The service is about to end. It would wait for the answer to an event whose backend is not there.
        """
        self._longest_wait = seconds
        ends = asyncio.get_running_loop().time() + seconds
        for wait in self._waits:
            if not wait.expired() and (when := wait.when()) is not None:
                wait.reschedule(min(when, ends))

    async def deliver(self, delivery: Awaitable[None], seconds: float, end_late: EndLate) -> None:
        """Wait for the delivery, and raise what it raises.

        After ``seconds`` it goes on in the background, and ``end_late`` gets what it raises.
        """
        task = asyncio.create_task(self._follow(delivery, end_late))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await self._wait_for(task, min(seconds, self._longest_wait))
        finally:
            if not task.done():
                self._late.add(task)
                task.add_done_callback(self._late.discard)
        if task.done():
            task.result()

    async def _wait_for(self, task: asyncio.Task[None], seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds) as wait:
                self._waits.add(wait)
                try:
                    await asyncio.wait({task})
                finally:
                    self._waits.discard(wait)

    async def _follow(self, delivery: Awaitable[None], end_late: EndLate) -> None:
        try:
            await delivery
        except Exception as error:
            if asyncio.current_task() not in self._late:
                raise
            await end_late(error)
