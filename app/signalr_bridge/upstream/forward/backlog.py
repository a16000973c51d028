"""Connection events that a backend has not taken yet: they go on here after the service has been answered."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from signalr_bridge.upstream.context import Context
from signalr_bridge.upstream.forward.order import Order

_LOG = logging.getLogger("signalr_bridge.upstream")

EndLate = Callable[[Exception], Awaitable[None]]
"""What is done about an event that failed, or was refused, when nobody waits for it any more."""


class Backlog:
    """In memory only: what is left when the ``async with`` block ends is given up, which is counted and logged.

    ``order`` is that of all events for backends; it outlives the rules, so that new ones do not overtake the old.
    """

    def __init__(self, order: Order | None = None) -> None:
        self.order = Order() if order is None else order  # one that is empty is as good as false
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
