"""Listening: a socket or a clear error, and uvicorn set up as measured; it ends when told to, not by its signals."""

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from signalr_bridge.errors import SettingsError
from signalr_bridge.wire.http_protocol import BoundedProtocol


def bind(host: str, port: int, setting: str) -> socket.socket:
    """A listening socket; port 0 takes a free one. ``SettingsError`` names ``setting`` when it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else "it cannot be used"
        raise SettingsError(f"Cannot listen on {host} port {port} ({reason}): choose another by {setting}.") from None


class Listener(uvicorn.Server):
    """Serves ``app`` on ``sock``; ``grace_seconds`` is how long calls in flight may take to end at a stop.

    ``end_streams`` is called when it stops, for answers that would never end by themselves. Of several listeners for
    one application a single one owns its lifespan.
    """

    def __init__(
        self,
        app: ASGIApp,
        sock: socket.socket,
        *,
        grace_seconds: float,
        end_streams: Callable[[], None] | None = None,
        owns_lifespan: bool = True,
    ) -> None:
        self._socket = sock
        self._ended = asyncio.Event()
        self._end_streams = end_streams
        self.ready = asyncio.Event()
        """Set once requests are answered."""
        super().__init__(
            uvicorn.Config(
                app,
                http=BoundedProtocol,
                ws="none",
                lifespan="on" if owns_lifespan else "off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=max(1, round(grace_seconds)),
            )
        )

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._end_streams is not None:
            self._end_streams()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def serve_beside(self, other: "Listener") -> None:
        """Serve once ``other`` does, until ``stop``."""
        await other.ready.wait()
        try:
            await self.serve(sockets=[self._socket])
        finally:
            self._ended.set()

    async def stop(self) -> None:
        """End what ``serve_beside`` has begun, when the calls in flight have been answered."""
        self.should_exit = True
        await self._ended.wait()

    async def run_until_stopped(self, before: Callable[[], Awaitable[None]] | None = None) -> None:
        """Serve until SIGINT or SIGTERM; then do ``before``, still serving, and end. A second signal ends at once."""
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop, stopped)
        stopping = loop.create_task(self._end_when(stopped, before))
        try:
            await self.serve(sockets=[self._socket])
        finally:
            stopping.cancel()

    async def _end_when(self, stopped: asyncio.Event, before: Callable[[], Awaitable[None]] | None) -> None:
        await stopped.wait()
        try:
            if before is not None:
                await before()
        finally:
            self.should_exit = True

    def _stop(self, stopped: asyncio.Event) -> None:
        self.should_exit = self.force_exit = stopped.is_set()
        stopped.set()
