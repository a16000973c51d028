"""A request on its way in: its head has come, and its body is collected until the application asks for it."""

import asyncio
from typing import Protocol

from signalr_bridge.wire.exchange import Disconnected, HeaderLines, IncomingRequest

HIGH_WATER = 65_536
"""Nothing further is read from the connection while more bytes of a body than this wait for the application."""


class Source(Protocol):
    """The connection that a request comes from."""

    def send_continue(self) -> None:
        """Tell the client that its body is wanted."""

    def resume_reading(self) -> None:
        """Go on to read what has been held back."""


class ReceivedRequest(IncomingRequest):
    """One request, from the end of its head to the end of its answer.

    Args:
        source: The connection.
        method: As for ``IncomingRequest``.
        path: As for ``IncomingRequest``.
        query: As for ``IncomingRequest``.
        headers: As for ``IncomingRequest``.
        peer: As for ``IncomingRequest``.
        version: The HTTP version, such as ``1.1``.
        keep_alive: Whether the client wants to keep the connection.
        expects_continue: Whether it waits for ``100 Continue`` before it sends the body.
    """

    __slots__ = (
        "_body",
        "_change",
        "_source",
        "_was_taken",
        "expects_continue",
        "has_begun",
        "is_answered",
        "is_disconnected",
        "is_whole",
        "keep_alive",
        "task",
        "version",
    )

    def __init__(
        self,
        source: Source,
        method: str,
        path: str,
        query: bytes,
        headers: HeaderLines,
        peer: tuple[str, int] | None,
        version: str,
        keep_alive: bool,
        expects_continue: bool,
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.peer = peer
        self.version = version
        self.keep_alive = keep_alive
        self.task: asyncio.Task[None] | None = None
        """What answers it. None while earlier requests are answered."""
        self.is_whole = False
        """Whether all of it has come."""
        self.has_begun = False
        """Whether the head of its answer has been made."""
        self.is_answered = False
        """Whether all of its answer has been written."""
        self.is_disconnected = False
        """Whether the connection has ended before."""
        self._source = source
        self.expects_continue = expects_continue
        self._body: bytes | bytearray = b""
        self._was_taken = False
        self._change: asyncio.Event | None = None

    def add(self, piece: bytes) -> bool:
        """Keep the next bytes of the body. Return whether too many wait to read on."""
        if not self._body:
            self._body = piece
        else:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += piece
        self.has_changed()
        return len(self._body) > HIGH_WATER

    def has_changed(self) -> None:
        """Wake whoever waits for bytes, or for the end of the body, of the answer or of the connection."""
        if self._change is not None:
            self._change.set()

    async def change(self) -> None:
        """Wait for the next call of ``has_changed``."""
        if self._change is None:
            self._change = asyncio.Event()
        self._change.clear()
        await self._change.wait()

    def want_body(self) -> None:
        """Let the body come."""
        if self.expects_continue:
            self.expects_continue = False
            self._source.send_continue()
        if not (self.is_whole or self.is_answered or self.is_disconnected):
            self._source.resume_reading()

    def take(self) -> bytes:
        """The bytes of the body that have come and were not taken. They may be none."""
        body, self._body, self._was_taken = self._body, b"", True
        return bytes(body)

    @property
    def has_bytes(self) -> bool:
        """Whether bytes of the body wait to be taken."""
        return bool(self._body)

    def whole_body(self) -> bytes | None:
        if not self.is_whole or self._was_taken or self.expects_continue:
            return None
        if isinstance(self._body, bytearray):
            self._body = bytes(self._body)
        return self._body

    async def next_piece(self) -> bytes:
        self.want_body()
        while not (self._body or self.is_whole):
            if self.is_disconnected:
                raise Disconnected
            await self.change()
        return self.take()
