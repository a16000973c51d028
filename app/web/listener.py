"""Listening: a socket or a clear error, and uvicorn set up as measured; it ends when told to, not by its signals."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from app.errors import SettingsError


def bind(host: str, port: int, setting: str) -> socket.socket:
    """A listening socket; port 0 takes a free one. ``SettingsError`` names ``setting`` when it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = (error.strerror or "it cannot be used").lower()
        raise SettingsError(f"Cannot listen on {host} port {port} ({reason}): choose another by {setting}.") from None


class Listener(uvicorn.Server):
    """Serves ``app`` on ``sock``; ``grace_seconds`` is how long calls in flight may take to end at a stop."""

    def __init__(self, app: ASGIApp, sock: socket.socket, *, grace_seconds: float) -> None:
        self._socket = sock
        super().__init__(
            uvicorn.Config(
                app,
                http="httptools",
                ws="none",
                lifespan="on",
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

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def run_until_stopped(self) -> None:
        """Serve until ``should_exit``, which the first SIGINT or SIGTERM sets; the second does not wait any longer."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop)
        await self.serve(sockets=[self._socket])

    def _stop(self) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True
