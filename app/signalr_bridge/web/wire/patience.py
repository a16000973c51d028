"""How long a peer is waited for: until it has sent a whole head, and while it takes nothing of what is sent to it."""

import asyncio
from collections.abc import Callable

HEAD_SECONDS = 30.0
"""How long a connection may stay open without a whole head: the first one, or one that has begun."""

WRITE_SECONDS = 30.0
"""How long a peer may take nothing of what is sent to it."""


class Patience:
    """That of one connection. ``is_answering``: an answer is under way, which no head that is slow cuts off."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, is_answering: Callable[[], bool]
    ) -> None:
        self._loop = loop
        self._transport = transport
        self._is_answering = is_answering
        self._for_head: asyncio.TimerHandle | None = None
        self._for_taking: asyncio.TimerHandle | None = None

    def expect_head(self) -> None:
        """Something must come; what has been expected for a while is not expected anew."""
        if self._for_head is None:
            self._for_head = self._loop.call_later(HEAD_SECONDS, self._end_without_head)

    def head_has_come(self) -> None:
        if self._for_head is not None:
            self._for_head.cancel()
            self._for_head = None

    def _end_without_head(self) -> None:
        self._for_head = None
        if self._is_answering():
            self.expect_head()
        else:
            self.close()

    def close(self) -> None:
        """End the connection when all has been taken."""
        self._transport.close()
        self.expect_taking()

    def expect_taking(self) -> None:
        """Some of what waits to be sent must be taken; a peer that is slow takes some every time."""
        if self._for_taking is None:
            left = self._transport.get_write_buffer_size()
            self._for_taking = self._loop.call_later(WRITE_SECONDS, self._abort_if_stalled, left)

    def all_is_taken(self) -> None:
        if self._for_taking is not None:
            self._for_taking.cancel()
            self._for_taking = None

    def _abort_if_stalled(self, left: int) -> None:
        self._for_taking = None
        if self._transport.get_write_buffer_size() < left:
            self.expect_taking()
        else:
            self._transport.abort()

    def end(self) -> None:
        """The connection has gone."""
        self.head_has_come()
        self.all_is_taken()
