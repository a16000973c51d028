"""A server with WebSockets that can be cut, beside other servers in one event loop."""

import asyncio
import logging
import socket
from collections.abc import Sequence
from typing import Any

from starlette.types import ASGIApp
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from signalr_bridge.wire.server import Server

ABORT = "wire.abort"
"""Under this name a WebSocket's ``state`` holds the function that cuts its connection."""

_CUT_SECONDS = 1.0

_LOG = logging.getLogger(f"{__name__}.uvicorn")
_LOG.setLevel(logging.WARNING)  # uvicorn would log URLs at level INFO, access tokens included


class AbortableWebSocket(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket that the application can cut, because a client that does not read would not see a close."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.logger = self.conn.logger = _LOG
        self.close_timeout = 5.0

    async def run_asgi(self) -> None:
        self.scope["state"][ABORT] = self.transport.abort
        await super().run_asgi()

    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True  # it was refused with a status, which uvicorn would log as an error


class WebSocketServer(Server):
    """Serves HTTP by uvicorn's own protocol, and WebSockets that can be cut. It always comes to an end.

    Args:
        app: What is served. It gets no lifespan events.
        sockets: The sockets, which are listening already.
    """

    def __init__(self, app: ASGIApp, sockets: Sequence[socket.socket]) -> None:
        super().__init__(
            app, sockets, ws=AbortableWebSocket, ws_ping_interval=None, ws_per_message_deflate=False, lifespan="off"
        )
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
