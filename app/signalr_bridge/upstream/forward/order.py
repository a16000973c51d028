"""Events of one connection, one after the other; those of others do not wait. No line grows without bound."""

import asyncio
from collections import deque
from collections.abc import Hashable
from types import TracebackType
from typing import Self

from signalr_bridge.errors import Overloaded

LONGEST_LINE = 64
"""How many events of one connection may wait for a backend, the one under way included."""
MOST_EVENTS = 10_000
"""How many of all connections together."""


class Place:
    """An event's place in its line, left when the ``with`` block ends."""

    def __init__(self, order: "Order", key: Hashable) -> None:
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


class Order:
    """One line for each key (a connection at a backend); it is forgotten when nobody stands in it."""

    def __init__(self, longest: int = LONGEST_LINE, most: int = MOST_EVENTS) -> None:
        self._longest, self._most = longest, most
        self._events = 0
        self._lines: dict[Hashable, deque[Place]] = {}

    def __len__(self) -> int:
        return self._events

    def enter(self, key: Hashable) -> Place:
        """The last place of the key's line, taken at once. Raises ``Overloaded``."""
        line = self._lines.get(key, deque())
        if len(line) >= self._longest:
            raise Overloaded("Too many events of this connection wait for their backend.")
        if self._events >= self._most:
            raise Overloaded("Too many events wait for their backends.")
        place = Place(self, key)
        self._lines.setdefault(key, line).append(place)
        self._events += 1
        if len(line) == 1:
            place.call()
        return place

    def leave(self, key: Hashable, place: Place) -> None:
        """Done or given up; the next one's turn comes when nobody is left before it."""
        line = self._lines[key]
        line.remove(place)
        self._events -= 1
        if line:
            line[0].call()
        else:
            del self._lines[key]
