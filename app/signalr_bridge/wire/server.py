"""Servers on uvicorn. A server ends when it is told to."""

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from signalr_bridge.errors import BridgeError
from signalr_bridge.wire.connection_limit import ConnectionLimit
from signalr_bridge.wire.http_protocol import BoundedProtocol, ListenerState
from signalr_bridge.wire.sockets import BACKLOG

KEEP_ALIVE_SECONDS = 120.0
"""How long a server keeps a connection without a request. It is longer than proxies and clients commonly keep theirs.

Whoever closes first decides. A client whose request crosses the server's end of the connection loses it.
"""

_CUT_SECONDS = 1  # for what was cancelled to end
_POLL_SECONDS = 0.05
_QUIET_SECONDS = 1.0  # a request that a client has written arrives within it
_LOG = logging.getLogger("signalr_bridge.server")


STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""The signals that ask a process to stop."""


def on_signals(numbers: Iterable[signal.Signals], call: Callable[[], None]) -> None:
    """Let the running event loop call ``call`` at each of these signals."""
    loop = asyncio.get_running_loop()
    for number in numbers:
        loop.add_signal_handler(number, call)


class Server(uvicorn.Server):
    """uvicorn beside other servers in one event loop. It leaves signals alone, and says when it is ready.

    Args:
        app: What is served.
        sockets: The sockets, which are listening already. The server closes them.
        options: The options of ``uvicorn.Config`` in which one server differs from another.
    """

    def __init__(self, app: ASGIApp, sockets: Sequence[socket.socket], **options: Any) -> None:
        self._sockets = list(sockets)
        self.ready = asyncio.Event()
        """Set once requests are answered."""
        super().__init__(
            uvicorn.Config(app, log_config=None, access_log=False, proxy_headers=False, server_header=False, **options)
        )

    @property
    def port(self) -> int:
        """The port of the first socket. It is 0 for a Unix socket."""
        first = self._sockets[0]
        return 0 if first.family is socket.AF_UNIX else int(first.getsockname()[1])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class LifespanWatch:
    """An application whose lifespan can be cancelled, and whose error at the start is kept for the server to raise.

    Args:
        app: The application.

    Attributes:
        begin: The application's own ``begin``, if it has one.
        error: What the start failed for, where that was raised on purpose.
        is_cancelled: Whether ``cancel`` was called.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.begin = getattr(app, "begin", None)
        self.error: BridgeError | None = None
        self.is_cancelled = False
        self._task: asyncio.Task[Any] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        self._task = asyncio.current_task()
        try:
            await self._app(scope, receive, partial(self._send, send))
        except BridgeError as error:
            self.error = error
            raise

    async def _send(self, send: Send, message: Message) -> None:
        """Leave out the stack of what was raised on purpose or cancelled. uvicorn would log it."""
        if message["type"].endswith(".failed") and isinstance(sys.exc_info()[1], BridgeError | asyncio.CancelledError):
            message = {"type": message["type"]}
        await send(message)

    def cancel(self) -> None:
        """Cancel the lifespan's start or end, which may wait for an author's code."""
        self.is_cancelled = True
        if self._task is not None:
            self._task.cancel()


class Listener(Server):
    """Serves ``app`` on its sockets by the bounded HTTP protocol, without WebSockets.

    It stops in three steps. First it drains: each answer ends its connection, and requests are still taken. Then the
    socket is closed, and idle connections with it. Then calls in flight have the grace to end, and are cancelled.

    Args:
        app: What is served.
        sock: The socket, which is listening already, or several.
        grace_seconds: How long calls in flight may take to end when it stops.
        drain_seconds: How long requests are still taken when it is told to stop.
        keep_alive_seconds: How long a connection is kept without a request.
        end_streams: Called when the socket is closed, to end answers that would never end by themselves.
        owns_lifespan: Whether it runs the application's lifespan. One of several listeners must do that.
        limit: Counts the connections of all listeners. None counts none.
    """

    def __init__(
        self,
        app: ASGIApp,
        sock: socket.socket | Sequence[socket.socket],
        *,
        grace_seconds: float,
        drain_seconds: float = 0,
        keep_alive_seconds: float = KEEP_ALIVE_SECONDS,
        end_streams: Callable[[], None] | None = None,
        owns_lifespan: bool = True,
        limit: ConnectionLimit | None = None,
    ) -> None:
        self._lifespan_watch = LifespanWatch(app)
        super().__init__(
            self._lifespan_watch,
            [sock] if isinstance(sock, socket.socket) else sock,
            http=BoundedProtocol,
            ws="none",
            lifespan="on" if owns_lifespan else "off",
            timeout_keep_alive=keep_alive_seconds,
            timeout_graceful_shutdown=_CUT_SECONDS,
        )
        self.server_state: ListenerState = ListenerState()
        self.server_state.limit = limit
        self.server_state.quiet_seconds = min(drain_seconds, _QUIET_SECONDS)
        self._grace_seconds, self._drain_seconds = grace_seconds, drain_seconds
        self._ended = asyncio.Event()
        self._end_streams = end_streams
        self._beside: Sequence[Listener] = ()
        self._calls_have_ended = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve. Raises the ``BridgeError`` by which the application's lifespan failed at its start."""
        try:
            await super().startup(sockets)
        except SystemExit:  # uvicorn's own, when a lifespan did not start
            if self._lifespan_watch.error is not None:
                raise self._lifespan_watch.error from None
            if not self._lifespan_watch.is_cancelled:
                raise
            self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._end_streams is not None:
            self._end_streams()
        # The other listeners' calls use what the application's lifespan closes, which uvicorn ends last.
        await asyncio.gather(self._end_calls(), *(one.stop() for one in self._beside))
        self._calls_have_ended = True
        if self.force_exit:  # then uvicorn leaves the lifespan's end out
            self._lifespan_watch.cancel()
        await super().shutdown(sockets)

    async def _end_calls(self) -> None:
        """Close the socket, wait for the connections to end, and cut them at the end of the grace."""
        self.drain()
        await self._close_sockets()
        await _pause()  # what has arrived is read
        loop = asyncio.get_running_loop()
        ends = loop.time() + self._grace_seconds
        while self._has_calls() and loop.time() < ends and not self.force_exit:
            await _pause()
        if self._has_calls():
            await self._cancel_calls(_POLL_SECONDS if self.force_exit else _CUT_SECONDS)
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    def _has_calls(self) -> bool:
        """Whether a connection is still needed, or a call goes on. Connections that are not needed are closed."""
        for connection in list(self.server_state.connections):
            connection.shutdown()
        return bool(self.server_state.connections or self.server_state.tasks)

    async def _cancel_calls(self, seconds: float) -> None:
        """Cancel the calls that outlast the grace. Each is answered, for which there are so many ``seconds``."""
        if calls := list(self.server_state.tasks):
            _LOG.warning("calls did not end in time and are cancelled", extra={"count": len(calls)})
            for call in calls:
                call.cancel()
            await asyncio.wait(calls, timeout=seconds)
            await _pause()  # what was written goes out

    async def _close_sockets(self) -> None:
        """Close the listening sockets. A connection that waits to be accepted is served, and is not reset.

        The sockets stay open by their copies until the event loop has stopped to accept on them.
        """
        loop = asyncio.get_running_loop()
        copies: list[socket.socket] = []
        with suppress(OSError):  # there is no descriptor left, and then those that wait are reset
            copies += [one.dup() for one in self._sockets]
        for server in self.servers:
            server.close()
        for sock in self._sockets:
            sock.close()
        await asyncio.sleep(0)
        accepted: list[socket.socket] = []
        for copy in copies:
            with copy:
                accepted += _accept_waiting(copy)
        for connection in accepted:
            await loop.connect_accepted_socket(self._make_protocol, connection)

    def _make_protocol(self) -> BoundedProtocol:
        return BoundedProtocol(self.config, self.server_state, self.lifespan.state)

    def drain(self) -> None:
        """From now on each answer ends its connection. Requests are still taken."""
        self.server_state.is_draining = True

    async def serve_beside(self, other: "Listener") -> None:
        """Serve until ``stop``, beginning when ``other`` is ready."""
        await other.ready.wait()
        try:
            await self.serve(self._sockets)
        finally:
            self._ended.set()

    async def stop(self) -> None:
        """End ``serve_beside``. Return when the calls in flight have been answered."""
        self.should_exit = True
        await self._ended.wait()

    async def run_until_stopped(
        self,
        *,
        beside: Sequence["Listener"] = (),
        begin_drain: Callable[[], None] | None = None,
        before: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Serve until SIGINT or SIGTERM. A second signal ends at once, and so does the first one before it is ready.

        Args:
            beside: Further listeners, which drain and stop together with this one. They run ``serve_beside`` it.
            begin_drain: Called at the first signal.
            before: Awaited after the drain, while requests are still answered.
        """
        self._beside = beside
        stopped = asyncio.Event()
        on_signals(STOP_SIGNALS, partial(self._stop, stopped))
        stopping = asyncio.create_task(self._end_when(stopped, begin_drain, before))
        try:
            await self.serve(self._sockets)
        finally:
            stopping.cancel()

    async def _end_when(
        self,
        stopped: asyncio.Event,
        begin_drain: Callable[[], None] | None,
        before: Callable[[], Awaitable[None]] | None,
    ) -> None:
        await stopped.wait()
        try:
            for one in (self, *self._beside):
                one.drain()
            if begin_drain is not None:
                begin_drain()
            await asyncio.sleep(self._drain_seconds)
            if before is not None:
                await before()
        finally:
            self.should_exit = True

    def _stop(self, stopped: asyncio.Event) -> None:
        for one in (self, *self._beside):
            one.should_exit = one.force_exit = stopped.is_set()
        # Calls in flight use what the lifespan closes. So it ends behind them also where it has to end at once.
        if not self.ready.is_set() or (stopped.is_set() and self._calls_have_ended):
            self._lifespan_watch.cancel()
        stopped.set()


async def _pause() -> None:
    await asyncio.sleep(_POLL_SECONDS)


def _accept_waiting(sock: socket.socket) -> list[socket.socket]:
    """The connections that wait to be accepted."""
    accepted: list[socket.socket] = []
    with suppress(OSError):  # there is none any more, or no descriptor for it
        while len(accepted) < BACKLOG:
            connection, _ = sock.accept()
            connection.setblocking(False)
            accepted.append(connection)
    return accepted
