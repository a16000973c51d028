"""Requests out of a connection's bytes: their heads, checked, and their bodies, kept until they are asked for."""

import asyncio
from typing import Protocol

import httptools

from signalr_bridge.errors import InvalidHeader
from signalr_bridge.wire.exchange import Disconnected, HeaderLines, IncomingRequest

HIGH_WATER = 65_536
"""Nothing further is read from the connection while more bytes of a body than this wait for the application."""

LONGEST_HEAD = 65_536
"""How many bytes the request line and the headers may have together. It holds for everything that is not a body."""

_OF_A_BODY = frozenset({b"content-length", b"transfer-encoding"})


class Connection(Protocol):
    """The connection that requests come from."""

    peer: tuple[str, int] | None
    """Address and port of whoever is connected. None where there is none."""

    def head_has_come(self, request: "ReceivedRequest") -> None:
        """A request has begun. Its body is on its way."""

    def send_continue(self) -> None:
        """Tell the client that its body is wanted."""

    def pause_reading(self) -> None:
        """Let the client wait with further bytes."""

    def resume_reading(self) -> None:
        """Go on to read, where that was paused."""


class ReceivedRequest(IncomingRequest):
    """One request, from the end of its head to the end of its answer.

    Args:
        connection: The connection.
        method: As for ``IncomingRequest``.
        path: As for ``IncomingRequest``.
        query: As for ``IncomingRequest``.
        headers: As for ``IncomingRequest``.
        version: The HTTP version, such as ``1.1``.
        keep_alive: Whether the client wants to keep the connection.
        expects_continue: Whether it waits for ``100 Continue`` before it sends the body.
    """

    __slots__ = (
        "_body",
        "_connection",
        "_was_taken",
        "awaited_since",
        "change",
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
        connection: Connection,
        method: str,
        path: str,
        query: bytes,
        headers: HeaderLines,
        version: str,
        keep_alive: bool,
        expects_continue: bool,
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.peer = connection.peer
        self.is_dispensable = False
        self.version = version
        self.keep_alive = keep_alive
        self.expects_continue = expects_continue
        self.task: asyncio.Task[None] | None = None
        """What answers it. None while earlier requests are answered."""
        self.is_whole = False
        """Whether all of it has come."""
        self.has_begun = False
        """Whether the head of its answer has been made. An answer that goes out whole has no such time."""
        self.is_answered = False
        """Whether all of its answer has been written."""
        self.is_disconnected = False
        """Whether the connection has ended before."""
        self._connection = connection
        self._body: bytes | bytearray = b""
        self._was_taken = False
        self.awaited_since: float | None = None
        """Since when, by the event loop's clock, bytes of a body are waited for that is dispensable. Else None."""
        self.change: asyncio.Event | None = None
        """Set when bytes come, or the end of the body, of the answer or of the connection. None where nobody waits."""

    @property
    def has_bytes(self) -> bool:
        """Whether bytes of the body wait to be taken."""
        return bool(self._body)

    def add(self, piece: bytes) -> bool:
        """Keep the next bytes of the body. Return whether too many wait for any more to be read."""
        if not self._body:
            self._body = piece
        else:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += piece
        if self.change is not None:
            self.change.set()
        return len(self._body) > HIGH_WATER

    def take(self) -> bytes:
        """The bytes of the body that have come and were not taken. They may be none."""
        body, self._body, self._was_taken = self._body, b"", True
        return bytes(body)

    async def until_change(self) -> None:
        """Wait until something of the request has changed."""
        if self.change is None:
            self.change = asyncio.Event()
        self.change.clear()
        await self.change.wait()

    def want_body(self) -> None:
        """Let the body come."""
        if self.expects_continue:
            self.expects_continue = False
            self._connection.send_continue()
        if not (self.is_answered or self.is_disconnected):
            self._connection.resume_reading()

    def give_up_body(self) -> None:
        """The answer goes out. A client that was not told to send its body may leave it out, and the connection ends.

        Otherwise the next request would be taken for the body.
        """
        if self.expects_continue and not self.is_whole:
            self.keep_alive = False

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
            if self.is_dispensable:
                self.awaited_since = asyncio.get_running_loop().time()
            await self.until_change()
        self.awaited_since = None
        return self.take()


class RequestReader:
    """Reads the requests of one connection.

    Trailers, which are headers behind a body, are dropped. Proxies remove headers that only they may write, but they do
    not check trailers. The methods without a docstring are those of httptools.

    Args:
        connection: What is told of each request.
    """

    __slots__ = (
        "_connection",
        "_expects_continue",
        "_headers",
        "_hosts",
        "_is_head_repeated",
        "_parser",
        "_successor",
        "_unread",
        "_url",
        "has_ended",
        "request",
    )

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._parser = httptools.HttpRequestParser(self)
        self._successor: httptools.HttpRequestParser | None = None  # reads what comes behind a declined upgrade
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] | None = None  # a list from a head's first byte to its end
        self._hosts = 0
        self._expects_continue = self._is_head_repeated = False
        self._unread = 0  # bytes since the last one of a body, or of a whole head
        self.has_ended = False
        """Whether nothing further is read."""
        self.request: ReceivedRequest | None = None
        """The request that came last. None once all of it has come and it is answered."""

    @property
    def is_in_head(self) -> bool:
        """Whether a head has begun to come, and not all of it has."""
        return self._headers is not None

    @property
    def is_between_requests(self) -> bool:
        """Whether every request that has begun to come has come as a whole, and is answered."""
        return self.request is None and self._headers is None

    def end(self) -> None:
        """The connection has ended. Nothing refers to it any longer."""
        self.has_ended = True
        del self._parser, self._connection

    def feed(self, data: bytes) -> None:
        """Read the next bytes.

        Raises:
            InvalidHeader: They make no request. Nothing further is read.
        """
        if self.has_ended:
            return
        self._unread += len(data)
        while data and not self.has_ended:
            try:
                self._parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                if self._successor is None:
                    self.has_ended = True  # behind a CONNECT nothing is meant for us
                else:
                    self._parser, self._successor = self._successor, None
            except httptools.HttpParserError as error:
                self.has_ended = True
                if isinstance(error.__context__, InvalidHeader):
                    raise error.__context__ from None
                raise InvalidHeader("This is no HTTP request: The bytes make no request.") from None
        if self._unread > LONGEST_HEAD:
            self.has_ended = True
            raise InvalidHeader("This is no HTTP request: The headers are too large.")

    def on_message_begin(self) -> None:
        if not self._is_head_repeated:
            self._headers, self._hosts, self._expects_continue = [], 0, False

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        headers = self._headers
        if headers is None:
            return
        name = name.lower()
        if name == b"host":
            self._hosts += 1
        elif name == b"expect" and value.lower() == b"100-continue":
            self._expects_continue = True
        headers.append((name, value))

    def on_headers_complete(self) -> None:
        url, headers, self._url, self._headers = self._url, self._headers, b"", None
        if headers is None:
            self._is_head_repeated = False
            return
        self._unread = 0
        connection, parser = self._connection, self._parser
        version = parser.get_http_version()
        if self._hosts != 1 and (self._hosts or version == "1.1"):
            raise InvalidHeader("A request has one Host header.")
        method = parser.get_method().decode()
        path, query = split_target(url) if method != "CONNECT" else split_tunnel(url)
        keep_alive = version != "1.0" and method != "CONNECT" and parser.should_keep_alive()
        before = self.request
        self.request = request = ReceivedRequest(
            connection, method, path, query, headers, version, keep_alive, self._expects_continue
        )
        if parser.should_upgrade() and method != "CONNECT":
            try:
                self._decline_upgrade(request)
            except httptools.HttpParserError:  # the parser does not look at the body of a request with an upgrade
                self.request = before
                raise InvalidHeader("This is no HTTP request: The length of the body cannot be known.") from None
        connection.head_has_come(request)

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        request = self.request
        if request is not None and not request.is_answered and request.add(body):
            self._connection.pause_reading()

    def on_message_complete(self) -> None:
        self._unread = 0
        request = self.request
        if request is not None and self._successor is None:  # a parser ends a request with an upgrade before its body
            request.is_whole = True
            if request.change is not None:
                request.change.set()
            if request.is_answered:
                self.request = None

    def _decline_upgrade(self, request: ReceivedRequest) -> None:
        """Let a request that asks for another protocol be read and answered like any other one.

        Java's own client, for one, asks with each request whether it may speak HTTP/2. The parser takes all further
        bytes for the other protocol. So another one is told how long the body is, and goes on behind the head.
        Source: https://www.rfc-editor.org/rfc/rfc9110.html#section-7.8.
        """
        head = [b"POST / HTTP/1.1"]
        head += [b"%s: %s" % header for header in request.headers if header[0] in _OF_A_BODY]
        successor = httptools.HttpRequestParser(self)
        self._is_head_repeated = True
        successor.feed_data(b"\r\n".join([*head, b"", b""]))
        self._successor = successor


def split_tunnel(target: bytes) -> tuple[str, bytes]:
    """The path and the query of the target of a CONNECT. The path is empty where the target is a host, as it should."""
    try:
        return split_target(target)
    except InvalidHeader:
        return "", b""


def split_target(target: bytes) -> tuple[str, bytes]:
    """The path and the query of a request's target, as they came.

    Raises:
        InvalidHeader: The target has no path.
    """
    if target[:1] == b"/" and 35 not in target:  # most have no fragment, whose mark this is
        path, _, query = target.partition(b"?")
        return path.decode("ascii"), query
    try:
        url = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError:
        url = None
    if url is None or url.path is None:
        raise InvalidHeader("This is no HTTP request: The bytes make no request.")
    return url.path.decode("ascii"), url.query or b""
