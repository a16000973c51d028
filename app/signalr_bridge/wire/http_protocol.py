"""HTTP/1.1 on one connection by uvicorn, to which this adds bounds, declined upgrades, and answers that arrive."""

import asyncio
import secrets
from collections.abc import Callable
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from signalr_bridge.errors import BridgeError, InvalidHeader
from signalr_bridge.protocol.problem import MEDIA_TYPE, problem_headers, write_problem

HEAD_SECONDS = 30.0
"""How long a connection may stay open without a whole head. It holds for the first head, and for one that has begun."""

WRITE_SECONDS = 30.0
"""How long a peer may accept none of the bytes that are sent to it."""

LONGEST_HEAD = 65_536
"""How many bytes the request line and the headers may have together. It holds for everything that is not a body."""

MOST_PIPELINED = 8
"""How many requests may wait behind the one that is being answered. Further ones are read later."""

# So many bytes are parsed at once. A request may be 20 bytes long, and to parse it costs a hundred times as much.
_PIECE = 16_384
_OF_A_BODY = frozenset({b"content-length", b"transfer-encoding"})


class ConnectionTimeouts:
    """The time-outs of one connection: idle and stalled peers are disconnected.

    Args:
        loop: The loop whose timers are used.
        transport: The connection.
        is_answering: Says whether an answer is being sent. A slow head does not cut it off.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, is_answering: Callable[[], bool]
    ) -> None:
        self._loop = loop
        self._transport = transport
        self._is_answering = is_answering
        self._for_head: asyncio.TimerHandle | None = None
        self._for_taking: asyncio.TimerHandle | None = None

    def expect_head(self) -> None:
        """A head must arrive in time. Where one is expected already, its time does not begin anew."""
        if self._for_head is None:
            self._for_head = self._loop.call_later(HEAD_SECONDS, self._end_without_head)

    def head_has_come(self) -> None:
        """The head has arrived, and its time is not measured any longer."""
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
        """End the connection once the peer has accepted all bytes, or has stalled."""
        self._transport.close()
        self.expect_taking()

    def expect_taking(self) -> None:
        """The peer must accept some of the waiting bytes in time. A slow peer accepts some each time."""
        if self._for_taking is None:
            left = self._transport.get_write_buffer_size()
            self._for_taking = self._loop.call_later(WRITE_SECONDS, self._abort_if_stalled, left)

    def all_is_taken(self) -> None:
        """The peer has accepted enough bytes, and its time is not measured any longer."""
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
        """The connection has ended."""
        self.head_has_come()
        self.all_is_taken()


def _write_refusal(error: BridgeError, request_id: str) -> bytes:
    """A whole answer, head and body. The connection ends after it."""
    body = write_problem(error, request_id)
    headers = problem_headers(error) | {
        "Content-Length": str(len(body)),
        "Content-Type": MEDIA_TYPE,
        "X-Request-Id": request_id,
        "Connection": "close",
    }
    lines = "".join(f"{name.lower()}: {value}\r\n" for name, value in headers.items())
    return b"%s%s\r\n%s" % (STATUS_LINE[error.status], lines.encode("latin-1"), body)


class BoundedProtocol(HttpToolsProtocol):
    """One connection with HTTP/1.1, and the bounds that uvicorn's own protocol does not have.

    A head must end soon. Trailers, which are headers behind a body, are dropped. Proxies remove headers that only they
    may write, but they do not check trailers. Bytes that are not HTTP are answered with a problem. Idle and stalled
    peers are disconnected. The methods without a docstring are those of uvicorn and httptools.
    """

    _timeouts: ConnectionTimeouts
    _head_is_over = False
    _head_is_repeated = False
    _hears_nothing = False
    _waiting = b""  # what has come, and is parsed when fewer requests wait
    _unread = 0
    _answered: Any = None  # the cycle that is being answered, or was answered last

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self._timeouts = ConnectionTimeouts(self.loop, self.transport, self._is_answering)
        self._timeouts.expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timeouts.end()
        if self._answered is not None and not self._answered.response_complete:
            self._answered.disconnected = True  # uvicorn tells only the one that came last
            self._answered.message_event.set()
        self._waiting = b""
        self.pipeline.clear()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._timeouts.expect_taking()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._timeouts.all_is_taken()

    def timeout_keep_alive_handler(self) -> None:
        self._timeouts.close()

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self._waiting += data
        self._read_waiting()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._timeouts.expect_taking()
        elif self._waiting:
            self._unset_keepalive_if_required()
            self._read_waiting()

    def _read_waiting(self) -> None:
        data, position = self._waiting, 0
        while position < len(data) and not self._hears_nothing and len(self.pipeline) < MOST_PIPELINED:
            self._read(data[position : position + _PIECE])
            position += _PIECE
        self._waiting = b"" if self._hears_nothing else data[position:]
        if self._waiting:
            self.flow.pause_reading()

    def _read(self, piece: bytes) -> None:
        self._unread += len(piece)
        self._parse(piece)
        if self.transport.is_closing():
            return
        if self._unread > LONGEST_HEAD:
            self.send_400_response("The headers are too large.")
        elif not self._head_is_over or not self._is_answering():  # or a body comes that is not read any more
            self._timeouts.expect_head()

    def _parse(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
                data = b""
            except httptools.HttpParserUpgrade as upgrade:
                data = self._decline_upgrade(data[upgrade.args[0] :])
            except httptools.HttpParserError:
                data = b""
                self.send_400_response("The bytes make no request.")

    def send_400_response(self, msg: str) -> None:
        """Answer with a problem, in place of uvicorn's plain text, and close the connection.

        It is closed because the beginning of the next request cannot be known. If a whole request is being answered,
        that answer goes out in place of the problem, and the connection ends with it.
        """
        self._hears_nothing = True
        cycle: Any = self.cycle
        if self._is_answering() and not cycle.more_body:
            cycle.keep_alive = False
            return
        self.transport.write(_write_refusal(InvalidHeader(f"This is no HTTP request: {msg}"), secrets.token_hex(16)))
        self._timeouts.close()

    def _is_answering(self) -> bool:
        cycle: Any = self.cycle  # None before the first head, whatever uvicorn's annotation says
        return cycle is not None and not cycle.response_complete

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def on_message_begin(self) -> None:
        if not self._head_is_repeated:
            self._head_is_over = False
            super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self._head_is_repeated:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._head_is_over:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._head_is_repeated:
            self._head_is_repeated = False
            return
        self._head_is_over, self._unread = True, 0
        self._timeouts.head_has_come()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unread = 0
        if not self.parser.should_upgrade():  # the parser ends such a request early, and it may have a body
            super().on_message_complete()

    def _decline_upgrade(self, rest: bytes) -> bytes:
        """Answer a request that asks for another protocol like any other one.

        Java's own client, for one, asks with each request whether it may speak HTTP/2. The parser takes all further
        bytes for the other protocol. So a new parser is told how long the body is, and goes on.
        Source: https://www.rfc-editor.org/rfc/rfc9110.html#section-7.8.

        Args:
            rest: The bytes that have come behind the head.

        Returns:
            The bytes that the new parser reads.
        """
        if self.parser.get_method() == b"CONNECT":
            self._hears_nothing = True  # what follows is not meant for us
            self.cycle.keep_alive = False
            super().on_message_complete()
            return b""
        head = [b"POST / HTTP/" + self.parser.get_http_version().encode()]
        head += [b"%s: %s" % header for header in self.headers if header[0] in _OF_A_BODY]
        self.parser = httptools.HttpRequestParser(self)
        self._head_is_repeated = True
        self.parser.feed_data(b"\r\n".join([*head, b"", b""]))
        return rest
