"""One connection of the HTTP client: a request goes out in one write, and the answer to it sets a future."""

import asyncio
import selectors
from typing import Protocol, cast

import httptools

from signalr_bridge.wire.exchange import (
    BadResponse,
    CallFailed,
    NoResponse,
    Response,
    ResponseHeaders,
    ResponseTooLarge,
    TimedOut,
    read_keep_alive,
)
from signalr_bridge.wire.timeouts import Timeout

LONGEST_HEAD = 65_536
"""How many bytes a head may have. It holds for everything that is not a body, such as the sizes of chunks."""

MOST_INTERIM = 16
"""How many answers of the kind 1xx may come before the answer."""

LARGEST_DROPPED = 65_536
"""How many bytes of a body that nobody wants are read, so that the connection can be kept."""

DROP_SECONDS = 1.0
"""For how long such a body is waited for."""

KEEP_ALIVE_MARGIN = 1.0
"""How many seconds before its peer may close it a connection is given up. A request may be on its way for so long."""

LONGEST_IDLE = 60.0
"""For how many seconds an idle connection is kept at most, whatever its peer says. What lies between may forget it."""

QUIET_SECONDS = 0.5
"""A connection that was idle for longer is looked at before it is used: its peer may just have closed it."""

# A selector that needs no descriptor of its own.
_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)

# So many bytes are parsed at once, until the head has come.
_PIECE = 4096


class Exchange(Timeout):
    """One request, the future of its response, and the time that both have.

    Args:
        owner: What keeps the connections.
        future: What the caller waits for. The caller may cancel it.
        payload: The whole request, head and body.
        is_head: Whether the method is ``HEAD``, so that the response has no body.
        largest: How many bytes the body may have. None means that it is not wanted.
    """

    __slots__ = ("_owner", "connection", "future", "is_head", "largest", "payload")

    def __init__(
        self, owner: "Owner", future: asyncio.Future[Response], payload: bytes, is_head: bool, largest: int | None
    ) -> None:
        self._owner = owner
        self.future = future
        self.payload = payload
        self.is_head = is_head
        self.largest = largest
        self.connection: Connection | None = None
        """Where the request was sent."""

    def expire(self) -> None:
        """Its time is over."""
        if self.connection is None:
            self._owner.give_up(self)
        else:
            self.connection.expire(self)

    def fail(self, error: CallFailed) -> None:
        """End with an error, unless the caller has been answered or has gone."""
        self.stop()
        if not self.future.done():
            self.future.set_exception(error)
            self.future.exception()  # asyncio logs an error that nobody has looked at, and the caller may have gone


class Owner(Protocol):
    """What keeps the connections to one origin."""

    def release(self, connection: "Connection") -> None:
        """Take back a connection that is free."""

    def remove(self, connection: "Connection") -> None:
        """Forget a connection that is ending. It may be told more than once."""

    def gain(self, connection: "Connection") -> None:
        """The connection has been made."""

    def lose(self, connection: "Connection") -> None:
        """The connection has ended."""

    def give_up(self, exchange: Exchange) -> None:
        """The time of a request is over, which has not been sent."""

    def start_timeout(self, exchange: Exchange, seconds: float) -> None:
        """Let the exchange expire in so many seconds."""


class Connection(asyncio.Protocol):
    """One connection with HTTP/1.1, on which one request at a time is made.

    The methods without a docstring are those of asyncio and httptools.
    """

    __slots__ = (
        "_announced",
        "_announces",
        "_body",
        "_exchange",
        "_idle_since",
        "_interim",
        "_is_complete",
        "_is_spoilt",
        "_keeps",
        "_lines",
        "_owner",
        "_parser",
        "_size",
        "_status",
        "_transport",
        "_unread",
        "idle_until",
    )

    _transport: asyncio.Transport

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._parser = httptools.HttpResponseParser(self)
        self._exchange: Exchange | None = None
        self._is_spoilt = False  # it must not be used again
        self._idle_since = self.idle_until = 0.0
        """Until when the connection may be used that is free, in monotonic seconds."""
        self._announced: float | None = None  # for how many seconds the peer keeps an idle connection
        self._announces = True  # whether the peer says that. One that does not in its first answer never does
        self._expect_answer()

    def _expect_answer(self) -> None:
        self._lines: list[tuple[bytes, bytes]] = []
        self._status = 0  # until the head has come
        self._body: bytes | bytearray = b""
        self._size = self._unread = self._interim = 0
        self._is_complete = self._keeps = False

    @property
    def is_closing(self) -> bool:
        """Whether nothing can be written any more."""
        return self._is_spoilt or self._transport.is_closing()

    def rest(self, now: float, seconds: float) -> float:
        """Begin to be idle. Gives for how many seconds: less than the peer keeps it, or ``seconds`` if it does not say.

        ``now`` is a time of the monotonic clock.
        """
        if self._announced is not None:
            seconds = min(max(self._announced - KEEP_ALIVE_MARGIN, 0.0), LONGEST_IDLE)
        self._idle_since, self.idle_until = now, now + seconds
        return seconds

    def is_usable(self, now: float) -> bool:
        """Whether a request may be sent on it. ``now`` is a time of the monotonic clock."""
        if now >= self.idle_until or self.is_closing:
            return False
        return now - self._idle_since < QUIET_SECONDS or not self._is_readable()

    def _is_readable(self) -> bool:
        """Whether something has come that the event loop has not looked at: the end, as nothing else is expected."""
        with _Selector() as selector:
            selector.register(self._transport.get_extra_info("socket").fileno(), selectors.EVENT_READ)
            return bool(selector.select(0))

    def send(self, exchange: Exchange) -> None:
        """Write the request of an exchange. The connection is free."""
        self._exchange = exchange
        exchange.connection = self
        self._transport.write(exchange.payload)
        exchange.payload = b""

    def expire(self, exchange: Exchange) -> None:
        """The time of an exchange is over."""
        if self._exchange is exchange:
            self.fail(TimedOut("Timeout"))

    def fail(self, error: CallFailed) -> None:
        """End the connection, and the exchange on it with an error."""
        exchange, self._exchange = self._exchange, None
        self.end()
        if exchange is not None:
            error.response = Response(self._status, self._lines) if self._status else None
            exchange.fail(error)

    def end(self) -> None:
        """End the connection without waiting for anything."""
        self._is_spoilt = True
        self._owner.remove(self)
        self._transport.abort()

    def close(self) -> None:
        """End the connection, which is free, in the way that TLS wants it."""
        self._is_spoilt = True
        self._owner.remove(self)
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._owner.gain(self)

    def data_received(self, data: bytes) -> None:
        if self._exchange is None:  # nobody asked for it
            self.end()
            return
        if len(data) > _PIECE and not self._status:
            self._feed_pieces(data)
        else:
            self._feed(data)
        if self._is_complete:
            self._finish()
        elif self._exchange is not None:
            self._wait_for_more()

    def _feed(self, data: bytes) -> None:
        self._unread += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._is_spoilt = True

    def _feed_pieces(self, data: bytes) -> None:
        """Feed little, until it is known where the head ends. A head may be large, and it is read at its end."""
        position = 0
        while position < len(data) and not self._status and not self._is_spoilt and self._unread <= LONGEST_HEAD:
            self._feed(data[position : position + _PIECE])
            position += _PIECE
        if self._status and not self._is_spoilt and position < len(data):
            self._feed(data[position:])

    def eof_received(self) -> None:
        self._lose()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(exc)
        self._owner.lose(self)

    def on_message_begin(self) -> None:
        if self._is_complete:  # a second answer
            self._is_spoilt = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._status:  # or it is a trailer, or in a second answer
            self._lines.append((name, value))

    def on_headers_complete(self) -> None:
        exchange = self._exchange
        if exchange is None or self._is_complete:
            return
        self._unread = 0
        status = self._parser.get_status_code()
        if status < 200:
            self._skip(status)
            return
        self._status = status
        self._keeps = self._parser.should_keep_alive()
        self._is_complete = exchange.is_head

    def on_chunk_header(self) -> None:
        if self._size or self._is_complete:
            return
        coding = ResponseHeaders(self._lines).get("Transfer-Encoding", "")
        if coding.lower() != "chunked":  # another coding is around the body, and nobody removes it
            self.fail(BadResponse("BadResponse"))

    def on_body(self, body: bytes) -> None:
        exchange = self._exchange
        if exchange is None or self._is_complete or not self._status:
            self._is_spoilt = True
            return
        self._unread = 0
        self._size += len(body)
        if exchange.largest is None:
            return
        if self._size > exchange.largest:
            self.fail(ResponseTooLarge("ResponseTooLarge"))
        elif self._body:
            self._append(body)
        else:
            self._body = body

    def on_message_complete(self) -> None:
        if self._status:
            self._is_complete = True
        else:
            self._lines.clear()  # an interim answer has ended

    def _append(self, body: bytes) -> None:
        if isinstance(self._body, bytes):
            self._body = bytearray(self._body)
        self._body += body

    def _skip(self, status: int) -> None:
        """An interim answer has come. Source: https://www.rfc-editor.org/rfc/rfc9110.html#section-15.2."""
        self._interim += 1
        if (status <= 101 and status != 100) or self._interim > MOST_INTERIM:
            self.fail(BadResponse("BadResponse"))

    def _finish(self) -> None:
        """The whole answer has come."""
        exchange = self._exchange
        if exchange is None:
            return
        self._exchange = None
        exchange.stop()
        if not exchange.future.done():
            exchange.future.set_result(Response(self._status, self._lines, bytes(self._body)))
        if exchange.is_head:
            self._parser = httptools.HttpResponseParser(self)  # the former one waits for a body
        if self._announces:
            self._announced = read_keep_alive(self._lines)
            self._announces = self._announced is not None
        is_free = self._keeps and not self.is_closing and not self._transport.get_write_buffer_size()
        self._expect_answer()
        if is_free:
            self._owner.release(self)
        else:
            self.end()

    def _wait_for_more(self) -> None:
        """Not all of the answer has come yet."""
        exchange = cast(Exchange, self._exchange)
        if self._is_spoilt or self._unread > LONGEST_HEAD:
            self.fail(BadResponse("BadResponse"))
        elif not self._status:
            return
        elif exchange.largest is None:
            self._drop(exchange)
        elif exchange.future.done():  # the caller has gone
            self.fail(NoResponse("Cancelled"))
        elif self._size == 0 and (self._length() or 0) > exchange.largest:
            self.fail(ResponseTooLarge("ResponseTooLarge"))

    def _drop(self, exchange: Exchange) -> None:
        """Answer the caller, and read the rest of the body, so that the connection can be kept."""
        if not exchange.future.done():
            exchange.future.set_result(Response(self._status, self._lines))
            exchange.stop()
            self._owner.start_timeout(exchange, DROP_SECONDS)
        if not self._keeps or max(self._length() or 0, self._size) > LARGEST_DROPPED:
            self.fail(NoResponse("Cancelled"))  # the caller has been answered already

    def _length(self) -> int | None:
        """The ``Content-Length``, if there is one. The parser has checked it."""
        text = ResponseHeaders(self._lines).get("Content-Length")
        return None if text is None else int(text)

    def _lose(self, error: Exception | None = None) -> None:
        """The peer sends nothing any more."""
        if self._exchange is None:
            self.end()
        elif error is None and self._status and self._ends_with_connection():
            self._finish()
        else:
            self.fail(NoResponse("ConnectionClosed" if error is None else "ConnectionReset"))

    def _ends_with_connection(self) -> bool:
        headers = ResponseHeaders(self._lines)
        return "Content-Length" not in headers and "Transfer-Encoding" not in headers
