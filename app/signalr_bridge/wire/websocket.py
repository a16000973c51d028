"""A server with WebSockets that take whole frames and can be cut, beside other servers in one event loop."""

import asyncio
import logging
import socket
from collections.abc import Sequence
from typing import Any, cast

from starlette.types import ASGIApp
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from signalr_bridge.wire.connection_limit import ConnectionLimit, Room
from signalr_bridge.wire.http_protocol import ListenerState
from signalr_bridge.wire.server import KEEP_ALIVE_SECONDS, Server

CONNECTION = "wire.connection"
"""Under this name the ``state`` of a WebSocket's scope holds its ``FrameSocket``."""

_CUT_SECONDS = 1.0

_LOG = logging.getLogger(f"{__name__}.uvicorn")
_LOG.setLevel(logging.WARNING)  # uvicorn would log URLs at level INFO, access tokens included


class CountedHttp(HttpToolsProtocol):
    """uvicorn's HTTP on one connection, which a bound on connections counts. A WebSocket takes its place."""

    def __init__(self, config: Config, server_state: ListenerState, *arguments: Any, **named: Any) -> None:
        super().__init__(config, server_state, *arguments, **named)
        self._limit = server_state.limit
        self._answered_at = 0.0
        self._owes_answer = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self._answered_at = self.loop.time()
        if self._limit is not None and self._limit.add(self, self._answered_at) is not Room.FREE:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._give_place_back()

    def on_headers_complete(self) -> None:
        self._owes_answer = True
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        self._answered_at, self._owes_answer = self.loop.time(), bool(self.pipeline)
        super().on_response_complete()

    def handle_websocket_upgrade(self) -> None:
        self._give_place_back()
        super().handle_websocket_upgrade()

    def quiet_since(self) -> float | None:
        """Since when it waits for a request. None while it owes an answer, or ends."""
        return None if self._owes_answer or self.transport.is_closing() else self._answered_at

    def close(self) -> None:
        """End the connection. The server needs its place."""
        self.transport.close()

    def _give_place_back(self) -> None:
        if self._limit is not None:
            self._limit.remove(self)


class FrameSocket(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket. Once it is accepted, the application may write whole frames past ASGI, and may cut it.

    A frame that goes to many clients is made once, and a client that takes its bytes costs no task and no queue. A
    client that does not read is cut, because it would not see a close.
    """

    def __init__(self, config: Config, server_state: ListenerState, *arguments: Any, **named: Any) -> None:
        super().__init__(config, server_state, *arguments, **named)
        self._limit = server_state.limit
        self.logger = self.conn.logger = _LOG
        self.close_timeout = 5.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._limit is not None:
            self._limit.add(self, self.loop.time())

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._limit is not None:
            self._limit.remove(self)

    def quiet_since(self) -> None:
        """None, because a WebSocket is never idle. Its client may wait for messages for as long as it likes."""

    def close(self) -> None:
        """Cut the connection."""
        self.abort()

    def try_write(self, frame: bytes) -> bool:
        """Write a frame, unless the client is behind or has gone. It never waits.

        Args:
            frame: As ``protocol/websocket_frame.py`` makes them.

        Returns:
            Whether it was written.
        """
        if not self.writable.is_set() or self._is_ending():
            return False
        self.transport.write(frame)
        return True

    async def write(self, frame: bytes) -> None:
        """Write a frame as soon as the client takes its bytes. Raises ``ConnectionError`` when it has gone."""
        await self.writable.wait()
        if self._is_ending():
            raise ConnectionResetError("the client has gone")
        self.transport.write(frame)

    def abort(self) -> None:
        """Cut the connection. Bytes that wait for the client are lost."""
        self.transport.abort()

    def _is_ending(self) -> bool:
        """Whether a close frame was sent, behind which nothing may come, or nobody is there any more."""
        return self.close_sent or self.transport.is_closing()

    async def run_asgi(self) -> None:
        self.scope["state"][CONNECTION] = self
        await super().run_asgi()

    async def send(self, message: Any) -> None:  # uvicorn has no public name for the type of a message
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True  # it was refused with a status, which uvicorn would log as an error


class WebSocketServer(Server):
    """Serves HTTP by uvicorn's own protocol, and WebSockets as ``FrameSocket``. It always comes to an end.

    Args:
        app: What is served. It gets no lifespan events.
        sockets: The sockets, which are listening already.
        limit: Counts the connections. None counts none.
    """

    def __init__(self, app: ASGIApp, sockets: Sequence[socket.socket], limit: ConnectionLimit | None = None) -> None:
        super().__init__(
            app,
            sockets,
            http=CountedHttp,
            ws=FrameSocket,
            ws_ping_interval=None,
            ws_per_message_deflate=False,
            lifespan="off",
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        self.server_state: ListenerState = ListenerState()
        self.server_state.limit = limit
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return once requests are answered."""
        self._serving = asyncio.create_task(self.serve(self._sockets))
        await self.ready.wait()

    async def stop(self) -> None:
        """Take no more requests, and cut what does not end by itself within a second."""
        if self._serving is None:
            return
        self.should_exit = True
        await asyncio.wait([self._serving], timeout=_CUT_SECONDS)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await self._serving
