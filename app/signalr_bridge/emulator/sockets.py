"""The WebSocket of a client: a bounded queue of outgoing frames, an orderly end, and a forced end."""

import asyncio
import logging
from typing import Protocol

from starlette.types import Receive, Send

from signalr_bridge.emulator.codecs import Frame

_LOG = logging.getLogger(__name__)


class FrameWriter(Protocol):
    """What takes the frames of one client: ``wire/websocket.py`` has it."""

    def try_write(self, frame: Frame) -> bool:
        """Writes a frame, unless the client is behind or has gone. It never waits. Returns whether it was written."""

    async def write(self, frame: Frame) -> None:
        """Writes a frame as soon as the client takes its bytes. Raises ``ConnectionError`` when it has gone."""

    def abort(self) -> None:
        """Cuts the connection."""


class ClientSocket:
    """A WebSocket that takes frames inside ``async with``. Leaving it ends the WebSocket.

    A frame is written at once while the client keeps up. Else it waits in the queue behind those that came before it.

    Args:
        receive: The ASGI callable.
        send: The ASGI callable.
        connection: Takes the frames.
        outgoing_limit: How many frames may wait.
        grace_seconds: How long a client may take to close by itself.
        send_seconds: How long one frame may take.
    """

    def __init__(
        self,
        receive: Receive,
        send: Send,
        connection: FrameWriter,
        *,
        outgoing_limit: int,
        grace_seconds: float,
        send_seconds: float,
    ) -> None:
        self.failure: str | None = None
        self._receive, self._send, self._connection = receive, send, connection
        self._grace_seconds, self._send_seconds = grace_seconds, send_seconds
        self._outgoing: asyncio.Queue[Frame | None] = asyncio.Queue(outgoing_limit)
        self._ending = self._gone = False
        self._keeps_up = True
        """Whether no frame waits, neither in the queue nor for its turn to be written."""

    async def __aenter__(self) -> "ClientSocket":
        self._writer = asyncio.create_task(self._write_all())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._gone:
            self._writer.cancel()
        self.end()
        await asyncio.wait([self._writer])

    async def receive(self) -> bytes | None:
        """The next message, from a text or a binary frame. None when the client has disconnected."""
        message = await self._receive()
        if message["type"] != "websocket.receive":
            self._gone = True
            return None
        text: str | None = message.get("text")
        data: bytes = message["bytes"] if text is None else text.encode()
        return data

    def deliver(self, frame: Frame) -> None:
        """Writes a frame, or puts it into the queue, without waiting. When the queue is full, the client is dropped."""
        if self._ending or self._gone or (self._keeps_up and self._connection.try_write(frame)):
            return
        self._put(frame)

    def end(self, farewell: Frame | None = None) -> None:
        """Ends the outgoing frames. After a farewell the client may close by itself for a short time."""
        if self._ending:
            return
        if farewell is None:
            self._grace_seconds = 0
        else:
            self._put(farewell)
        self._put(None)
        self._ending = True

    def drop(self, failure: str) -> None:
        """Cuts the connection."""
        if not self._gone:
            self.failure, self._ending, self._gone = failure, True, True
            self._connection.abort()

    def _put(self, frame: Frame | None) -> None:
        self._keeps_up = False
        try:
            self._outgoing.put_nowait(frame)
        except asyncio.QueueFull:
            _LOG.warning("A client was dropped: %d messages wait for it.", self._outgoing.qsize())
            self.drop("The client did not read its messages.")

    async def _write_all(self) -> None:
        try:
            while (frame := await self._outgoing.get()) is not None:
                async with asyncio.timeout(self._send_seconds):
                    await self._connection.write(frame)
                self._keeps_up = self._outgoing.empty()
            await asyncio.sleep(self._grace_seconds)
            async with asyncio.timeout(self._send_seconds):
                await self._send({"type": "websocket.close", "code": 1000})
        except TimeoutError:
            _LOG.warning("A client was dropped: it took no data for %g s.", self._send_seconds)
            self.drop("The client did not read its messages.")
        except OSError:
            pass  # it has disconnected, which the reader notices as well
