"""Events of one connection, one after the other; those of others do not wait. No line grows without bound."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from types import TracebackType
from typing import Self

from signalr_bridge.errors import Overloaded
from signalr_bridge.upstream.context import Context

LONGEST_LINE = 64
"""How many events of one connection may wait for a backend, the one under way included."""
MOST_EVENTS = 10_000
"""How many of all connections together."""


class Slot:
    """An event's slot in its line, left when the ``with`` block ends."""

    def __init__(self, order: "PerConnectionQueue", key: Hashable) -> None:
        self._order, self._key = order, key
        self._turn = asyncio.Event()

    def call(self) -> None:
        """Its turn has come."""
        self._turn.set()

    async def wait(self, deadline: float | None = None) -> None:
        """Until it is this event's turn. ``TimeoutError`` at ``deadline``, a moment of the event loop's clock."""
        if not self._turn.is_set():
            async with asyncio.timeout_at(deadline):
                await self._turn.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._order.leave(self._key, self)


class PerConnectionQueue:
    """One line for each key (a connection at a backend); it is forgotten when nobody stands in it."""

    def __init__(self, longest: int = LONGEST_LINE, most: int = MOST_EVENTS) -> None:
        self._longest, self._most = longest, most
        self._events = 0
        self._lines: dict[Hashable, deque[Slot]] = {}

    def __len__(self) -> int:
        return self._events

    def enter(self, key: Hashable) -> Slot:
        """The last slot of the key's line, taken at once. Raises ``Overloaded``."""
        line = self._lines.get(key, deque())
        if len(line) >= self._longest:
            raise Overloaded("Too many events of this connection wait for their backend.")
        if self._events >= self._most:
            raise Overloaded("Too many events wait for their backends.")
        slot = Slot(self, key)
        self._lines.setdefault(key, line).append(slot)
        self._events += 1
        if len(line) == 1:
            slot.call()
        return slot

    def leave(self, key: Hashable, slot: Slot) -> None:
        """Done or given up; the next one's turn comes when nobody is left before it."""
        line = self._lines[key]
        line.remove(slot)
        self._events -= 1
        if line:
            line[0].call()
        else:
            del self._lines[key]


_LOG = logging.getLogger("signalr_bridge.upstream")

EndLate = Callable[[Exception], Awaitable[None]]
"""What is done about an event that failed, or was refused, when nobody waits for it any more."""


class Backlog:
    """In memory only: what is left when the ``async with`` block ends is given up, which is counted and logged.

    ``order`` is that of all events for backends; it outlives the rules, so that new ones do not overtake the old.
    """

    def __init__(self, order: PerConnectionQueue | None = None) -> None:
        self.order = PerConnectionQueue() if order is None else order  # one that is empty is as good as false
        self.given_up = 0
        self._late: set[asyncio.Task[None]] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """How many events go on although the service has been answered."""
        return len(self._late)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError, Exception):
                await task
        level = logging.WARNING if self.given_up else logging.INFO
        _LOG.log(level, "no more tries", extra={"given_up": self.given_up})

    def give_up(self, context: Context, source: str, id: str, why: str) -> None:
        """Take note of an event that the backend may never have seen."""
        self.given_up += 1
        where = {"handler": source, "hub": context.hub, "event_name": context.event}
        more = {"connection_id": context.connection_id, "webhook_id": id, "why": why}
        _LOG.warning("connection event given up", extra=where | more)

    async def see_off(self, delivery: Awaitable[None], seconds: float, end_late: EndLate) -> None:
        """Wait for the delivery, and raise what it raises; after ``seconds`` it goes on by itself."""
        task = asyncio.create_task(self._follow(delivery, end_late))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await asyncio.wait({task}, timeout=seconds)
        finally:
            if not task.done():
                self._late.add(task)
                task.add_done_callback(self._late.discard)
        if task.done():
            task.result()

    async def _follow(self, delivery: Awaitable[None], end_late: EndLate) -> None:
        try:
            await delivery
        except Exception as error:
            if asyncio.current_task() not in self._late:
                raise
            await end_late(error)
