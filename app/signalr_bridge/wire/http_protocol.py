"""HTTP/1.1 on one connection, with bounds: requests in, answers out in their order, and peers that stall let go."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any, cast

from uvicorn import Config
from uvicorn.server import ServerState

from signalr_bridge.errors import InvalidHeader, Overloaded
from signalr_bridge.wire.asgi import AsgiCycle, build_scope
from signalr_bridge.wire.connection_limit import ConnectionLimit, Room
from signalr_bridge.wire.exchange import BROKEN, Answer, IncomingRequest, write_answer, write_refusal
from signalr_bridge.wire.request_reader import ReceivedRequest, RequestReader
from signalr_bridge.wire.timeouts import ConnectionTimeouts

MOST_PIPELINED = 8
"""How many requests may wait behind the one that is being answered. Further ones are read later."""

# So many bytes are parsed at once. A request may be 20 bytes long, and to parse it costs a hundred times as much.
_PIECE = 16_384

ALWAYS_ANSWERED = "/health/"
"""What paths begin with that are answered by the application also where there are too many connections."""

_TOO_MANY = Overloaded("Too many connections are open; try again.", headers={"Retry-After": "1"})
_LOG = logging.getLogger("uvicorn.error")  # as for ASGI applications


class ListenerState(ServerState):
    """What all connections of a listener have in common, and whether it is about to stop."""

    def __init__(self) -> None:
        super().__init__()
        self.is_draining = False
        """Whether an answer ends its connection. Requests are still taken."""
        self.quiet_seconds = 0.0
        """How long nothing may have come on a connection that ``BoundedProtocol.shutdown`` ends."""
        self.limit: ConnectionLimit | None = None
        """Counts the connections. None counts none."""


Begin = Callable[[IncomingRequest], Coroutine[Any, Any, Answer] | None]


class BoundedProtocol(asyncio.Protocol):
    """One connection with HTTP/1.1. uvicorn makes one for each connection, and ends all of them when it stops.

    A request is handed to the application's ``begin`` where it has one (``DirectApp``), and otherwise served by ASGI.
    One request is answered at a time. Those that have come behind it wait.

    Bytes that are not HTTP are answered with a problem. Idle, slow and stalled peers are disconnected. The methods
    without a docstring are those of asyncio.

    Args:
        config: The server's configuration, with the application.
        server_state: What all connections of the listener have in common.
        app_state: What the application's lifespan has left for its requests.
        _loop: The event loop. uvicorn names the parameter so.
    """

    __slots__ = (
        "_app",
        "_app_state",
        "_begin",
        "_context",
        "_current",
        "_dated",
        "_first_lines",
        "_idle_seconds",
        "_is_paused",
        "_is_refused",
        "_loop",
        "_reader",
        "_refusal",
        "_server_state",
        "_timeouts",
        "_waiting",
        "_writable",
        "is_full",
        "peer",
        "pipeline",
        "transport",
    )

    def __init__(
        self,
        config: Config,
        server_state: ListenerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        self._app = config.loaded_app
        self._begin: Begin | None = getattr(self._app, "begin", None)
        self._app_state = app_state
        self._idle_seconds = config.timeout_keep_alive
        self._server_state = server_state
        self._loop = _loop or asyncio.get_running_loop()
        self._context = copy_context()
        self._reader = RequestReader(self)
        self._waiting = b""  # what has come, and is parsed when fewer requests wait
        self._current: ReceivedRequest | None = None  # the one that is being answered
        self._refusal = b""  # what goes out behind the last answer
        self._is_paused = False
        self._is_refused = False  # there are too many connections
        self.is_full = False
        """Whether the client accepts no further bytes for now."""
        self._writable: asyncio.Event | None = None
        self._dated: list[tuple[bytes, bytes]] | None = None
        self._first_lines = b""
        self.pipeline: list[ReceivedRequest] = []
        """The requests that wait for their turn."""

    # -- the connection --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are none by their class
        self.peer = _read_address(transport.get_extra_info("peername"))
        """Address and port of whoever is connected. None where there is none."""
        self._timeouts = ConnectionTimeouts(self._loop, self.transport, self._idle_seconds)
        # One that is new is idle, too. Clients keep connections in hand that they have opened and did not need.
        self._timeouts.expect_request()
        limit = self._server_state.limit
        room = Room.FREE if limit is None else limit.add(self, self._loop.time())
        self._is_refused = room is Room.EXTRA
        if room is Room.NONE:
            self.transport.abort()
        self._server_state.connections.add(cast(Any, self))  # uvicorn names its own protocols

    def connection_lost(self, exc: Exception | None) -> None:
        self._server_state.connections.discard(cast(Any, self))
        if self._server_state.limit is not None:
            self._server_state.limit.remove(self)
        self._timeouts.end()
        for request in (self._current, self._reader.request):
            if request is not None and not request.is_answered:
                request.is_disconnected = True
                if request.change is not None:
                    request.change.set()
        self._waiting, self._refusal = b"", b""
        self.pipeline.clear()
        self.resume_writing()
        if exc is None:
            self.transport.close()
        self._reader.end()

    def pause_writing(self) -> None:
        self.is_full = True
        self._timeouts.expect_taking()

    def resume_writing(self) -> None:
        self.is_full = False
        if self._writable is not None:
            self._writable.set()
        if not self.transport.is_closing():
            self._timeouts.all_is_taken()

    def shutdown(self) -> None:
        """End the connection if nobody waits for an answer on it. The server stops, and says so until all have ended.

        A connection that owes answers ends behind the last one of them. One on which a request has begun to come, or
        may be on its way, is left for now. Otherwise a client's request would be lost that crosses the end.
        """
        if self._current is None and not self._waiting and self._reader.is_between_requests:
            self._timeouts.close_if_quiet(self._server_state.quiet_seconds)

    def quiet_since(self) -> float | None:
        """Since when its client lets us wait: for a request, or for a body that nobody needs. Else None.

        So whoever announces a body and sends none keeps no place, also not behind an answer that did not wait for it.
        """
        if self.transport.is_closing():
            return None
        return self._timeouts.quiet_since if self._current is None else self._current.awaited_since

    def close(self) -> None:
        """End the connection. The server needs its place."""
        self._timeouts.close()

    # -- what comes ------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._timeouts.idle_since = None
        if self._waiting or len(data) > _PIECE or len(self.pipeline) >= MOST_PIPELINED:
            self._waiting += data
            self._read_waiting()
        else:
            self._read(data)

    def _read_waiting(self) -> None:
        data, position = self._waiting, 0
        while position < len(data) and not self._reader.has_ended and len(self.pipeline) < MOST_PIPELINED:
            self._read(data[position : position + _PIECE])
            position += _PIECE
        self._waiting = b"" if self._reader.has_ended else data[position:]
        if self._waiting:
            self.pause_reading()

    def _read(self, piece: bytes) -> None:
        reader = self._reader
        try:
            reader.feed(piece)
        except InvalidHeader as error:
            self._refuse(error)
        else:
            if self._current is None or reader.is_in_head:
                self._timeouts.expect_head()

    def head_has_come(self, request: ReceivedRequest) -> None:
        """A request has begun. It is answered now, or in its turn."""
        self._timeouts.head_since = None
        if self._is_refused and not request.path.startswith(ALWAYS_ANSWERED):
            self._reader.has_ended = True
            self._write_and_close(write_refusal(_TOO_MANY))
        elif self._current is None:
            self._start(request)
        else:
            self.pause_reading()
            self.pipeline.append(request)

    def _refuse(self, error: InvalidHeader) -> None:
        """Answer with a problem and end the connection, because the beginning of the next request cannot be known.

        Answers that are owed come before. Behind a whole request no problem is told, and its answer ends the
        connection.
        """
        last = self._reader.request
        if last is None:
            self._write_and_close(write_refusal(error))
        elif self._current is None:  # it has been answered, and its body was dropped
            self._timeouts.close()
        elif last.is_whole:
            last.keep_alive = False
        elif last is self._current:
            self._write_and_close(b"" if last.has_begun else write_refusal(error))
        else:
            if last in self.pipeline:
                self.pipeline.remove(last)
            self._refusal = write_refusal(error)

    def _write_and_close(self, data: bytes) -> None:
        self.transport.write(data)
        self._timeouts.close()

    def pause_reading(self) -> None:
        """Let the client wait with further bytes."""
        self._is_paused = True
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on to read, where that was paused."""
        self._is_paused = False
        self.transport.resume_reading()

    # -- what goes out ---------------------------------------------------------------------------------------------

    def _start(self, request: ReceivedRequest) -> None:
        self._current = request
        self._timeouts.is_answering = True
        # In a context of its own: what one request has set must not reach the next one.
        request.task = task = self._loop.create_task(self._answer(request), context=self._context.copy())
        self._server_state.tasks.add(task)

    async def _answer(self, request: ReceivedRequest) -> None:
        """Answer a request, in a task of its own. Whatever the application raises is logged and answered."""
        try:
            answering = None if self._begin is None else self._begin(request)
            if answering is None:
                await self._answer_by_asgi(request)
                return
            answer = await answering
            if self.is_full:
                await self.until_taken(request)
            self._write(request, answer)
        except BaseException as error:
            _LOG.error("Exception in ASGI application\n", exc_info=error)
            self.fail(request)
        finally:
            self._server_state.tasks.discard(request.task)

    async def _answer_by_asgi(self, request: ReceivedRequest) -> None:
        transport = self.transport
        scope = build_scope(
            request,
            scheme="https" if transport.get_extra_info("sslcontext") else "http",
            server=_read_address(transport.get_extra_info("sockname")),
            state=self._app_state,
        )
        await AsgiCycle(request, self, transport, self._loop).run(self._app, scope)

    def _write(self, request: ReceivedRequest, answer: Answer) -> None:
        if request.is_disconnected:
            return
        self.settle(request)
        data, request.keep_alive = write_answer(
            answer, self.first_lines(), request.keep_alive, request.method == "HEAD"
        )
        if not self.transport.is_closing():
            self.transport.write(data)
        self.finish(request)

    def settle(self, request: ReceivedRequest) -> None:
        """Decide whether the connection is kept behind the answer, which goes out now.

        While the listener drains, it ends behind the last request that has come. One whose body still comes is not the
        last: the client would find its connection reset before it reads the answer.
        """
        request.give_up_body()
        if self._is_refused:
            request.keep_alive = False
        elif self._server_state.is_draining and request.keep_alive:
            reader = self._reader
            is_last = request is reader.request and request.is_whole and not reader.is_in_head
            request.keep_alive = not is_last or bool(self._waiting)

    def fail(self, request: ReceivedRequest) -> None:
        """Answer that the application could not. An answer that has begun breaks off with the connection."""
        if request is self._current and request.has_begun:
            self._timeouts.close()
        elif request is self._current:
            self._write(request, BROKEN)

    def first_lines(self) -> bytes:
        """The header lines in front of those of each answer. The server has new ones each second."""
        headers = self._server_state.default_headers
        if headers is not self._dated:
            self._dated = headers
            self._first_lines = b"".join(b"%s: %s\r\n" % header for header in headers)
        return self._first_lines

    async def until_taken(self, request: ReceivedRequest) -> None:
        """Wait while the client accepts no further bytes."""
        while self.is_full and not request.is_disconnected:
            if self._writable is None:
                self._writable = asyncio.Event()
            self._writable.clear()
            await self._writable.wait()

    def send_continue(self) -> None:
        """Tell the client that its body is wanted."""
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def finish(self, request: ReceivedRequest) -> None:
        """All of the answer has been written. The next request is answered, or waited for."""
        self._server_state.total_requests += 1
        request.is_answered = True
        if request.change is not None:
            request.change.set()
        self._current = None
        self._timeouts.is_answering = False
        if request is self._reader.request and request.is_whole:
            self._reader.request = None
        if not request.keep_alive or self.transport.is_closing():
            self._timeouts.close()
            return
        if self._is_paused:
            self.resume_reading()
        if self.pipeline:
            self._start(self.pipeline.pop(0))
        elif self._refusal:
            self._write_and_close(self._refusal)
            return
        else:
            self._timeouts.expect_request()
        if self._waiting:
            self._timeouts.idle_since = None
            self._read_waiting()


def _read_address(info: object) -> tuple[str, int] | None:
    """Address and port of one end of a connection. A Unix socket has none, and IPv6 has more than these."""
    return (str(info[0]), int(info[1])) if isinstance(info, tuple) and len(info) >= 2 else None
