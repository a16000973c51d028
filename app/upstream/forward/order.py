"""Events of one connection, one after the other; those of others do not wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


class TooManyWaiting(Exception):
    """So many events of one connection wait already that another one is not taken."""


@dataclass(slots=True)
class _Line:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)  # wakes those who wait in the order in which they came
    length: int = 0


class Order:
    """One line for each connection that has an event under way; it is forgotten when nobody stands in it."""

    def __init__(self, longest: int = 64) -> None:
        self._longest = longest
        self._lines: dict[str, _Line] = {}

    def __len__(self) -> int:
        return len(self._lines)

    @asynccontextmanager
    async def turn(self, connection_id: str, deadline: float) -> AsyncIterator[None]:
        """Wait for the turn until ``deadline`` (the event loop's clock), and have it while the block runs.

        Raises ``TimeoutError`` and ``TooManyWaiting``.
        """
        line = self._lines.setdefault(connection_id, _Line())
        if line.length >= self._longest:
            raise TooManyWaiting
        line.length += 1
        try:
            async with asyncio.timeout_at(deadline):
                await line.lock.acquire()
            try:
                yield
            finally:
                line.lock.release()
        finally:
            line.length -= 1
            if line.length == 0:
                del self._lines[connection_id]
