"""The HTTP client for all calls: kept connections, bounded reads, and errors that say whether the request went out.

It sends no cookies, follows no redirects and unpacks nothing. Each origin has a bounded number of connections, and
requests that find none free wait for one.
"""

import asyncio
import re
import ssl
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Self

from signalr_bridge.runtime import RUNTIME
from signalr_bridge.tracing import TRACING, UNNAMED, Called, drop_trace
from signalr_bridge.wire.client_protocol import Connection, Exchange
from signalr_bridge.wire.dialer import Dialer, Origin, read_origin
from signalr_bridge.wire.exchange import (
    BadResponse,
    CallFailed,
    ConnectTimedOut,
    NoResponse,
    NotSent,
    PoolExhausted,
    Response,
    ResponseTooLarge,
    TimedOut,
    end_span,
    read_retry_after,
)
from signalr_bridge.wire.proxies import Proxies, write_basic
from signalr_bridge.wire.timeouts import Timeout, TimeoutWheel

__all__ = [
    "BadResponse",
    "CallFailed",
    "Client",
    "ClientOptions",
    "ConnectTimedOut",
    "NoResponse",
    "NotSent",
    "Pool",
    "PoolExhausted",
    "Response",
    "ResponseTooLarge",
    "TimedOut",
    "read_retry_after",
    "render_headers",
]

_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_TARGET = re.compile(r"/[!-~]*")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_UNFIT = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# The client writes these itself: they say where a request ends.
_OUR_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"})

# A request of these methods without a body says nothing of its length.
_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """How a client differs from others.

    Args:
        idle_seconds: How long an idle connection is kept when the server does not say how long it keeps it. This must
            be less than the server's own time. Otherwise a request is lost when the server closes the connection at the
            same moment.
        dns_seconds: How long the addresses of a name are remembered.
        headers: Headers of every request.
        tls: The certificates that are trusted, instead of those that this machine trusts.
        connections: The most connections to one origin.
        waiting: The most requests that wait for a connection to one origin.
        proxies: Which https origins are called through a proxy. None calls all of them directly.
    """

    idle_seconds: float = 15.0
    dns_seconds: float = 10.0
    headers: Mapping[str, str] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None
    connections: int = 64
    waiting: int = 10_000
    proxies: Proxies | None = None


class Pool:
    """The connections to one origin, and the requests that wait for one.

    Args:
        origin: Where the connections lead.
        options: Those of the client.
        wheel: The client's time-outs.
        loop: The running event loop.
    """

    def __init__(
        self, origin: Origin, options: ClientOptions, wheel: TimeoutWheel, loop: asyncio.AbstractEventLoop
    ) -> None:
        proxies = options.proxies if origin.is_secure else None
        proxy = None if proxies is None else proxies.find(origin.host, origin.port)
        self.head = f" HTTP/1.1\r\nHost: {origin.authority}\r\n".encode() + render_headers(options.headers)
        """What follows the target in each request."""
        self._dialer = Dialer(origin, options.tls, options.dns_seconds, proxy)
        self._options, self._wheel, self._loop = options, wheel, loop
        self._idle: list[Connection] = []  # the one that was used last stands last
        self._open: set[Connection] = set()  # those that may be used, idle or not
        self._alive: set[Connection] = set()  # and those that have not ended yet
        self._all_lost = asyncio.Event()
        self._dials: set[asyncio.Task[None]] = set()
        self._waiting: OrderedDict[Exchange, None] = OrderedDict()
        self._sweep: Timeout | None = None

    @property
    def is_unused(self) -> bool:
        """Whether there is neither a connection nor a request."""
        return not (self._alive or self._dials or self._waiting)

    def begin(self, exchange: Exchange, seconds: float) -> None:
        """Send a request at once if a connection is free, and otherwise as soon as one is."""
        self._wheel.start(exchange, self._loop.time() + seconds)
        idle, now = self._idle, RUNTIME.clock()  # the loop's own clock may stand still
        while idle:
            connection = idle.pop()
            if connection.is_usable(now):
                connection.send(exchange)
                return
            connection.close()
        self._wait(exchange)

    def release(self, connection: Connection) -> None:
        """Give a free connection to the request that has waited longest, or keep it."""
        while self._waiting:
            exchange, _ = self._waiting.popitem(last=False)
            if not exchange.future.done():
                connection.send(exchange)
                return
            exchange.stop()  # the caller has gone
        now = RUNTIME.clock()
        seconds = connection.rest(now, self._options.idle_seconds)
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = self._wheel.add(seconds, self._close_idle)

    def remove(self, connection: Connection) -> None:
        """Forget a connection that is ending, and open another one where a request waits for it."""
        if connection not in self._open:
            return
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._dial()

    def gain(self, connection: Connection) -> None:
        """The connection has been made."""
        self._alive.add(connection)
        self._all_lost.clear()

    def lose(self, connection: Connection) -> None:
        """The connection has ended."""
        self._alive.discard(connection)
        if not self._alive:
            self._all_lost.set()

    def give_up(self, exchange: Exchange) -> None:
        """End a request whose time is over, and which has not been sent."""
        self._waiting.pop(exchange, None)
        is_full = len(self._open) >= self._options.connections
        exchange.fail(PoolExhausted("PoolExhausted") if is_full else ConnectTimedOut("ConnectTimeout"))

    def start_timeout(self, exchange: Exchange, seconds: float) -> None:
        """Let the exchange expire in so many seconds."""
        self._wheel.start(exchange, self._loop.time() + seconds)

    def _wait(self, exchange: Exchange) -> None:
        if len(self._waiting) >= self._options.waiting:
            exchange.fail(PoolExhausted("PoolExhausted"))
            return
        self._waiting[exchange] = None
        exchange.future.add_done_callback(lambda _: self._leave(exchange))
        self._dial()

    def _leave(self, exchange: Exchange) -> None:
        """The caller has gone, or has been answered."""
        if self._waiting.pop(exchange, exchange) is None:
            exchange.stop()

    def _dial(self) -> None:
        """Open a connection for each request that waits, as far as there may be so many."""
        while len(self._dials) < min(len(self._waiting), self._options.connections - len(self._open)):
            task = self._loop.create_task(self._connect())
            self._dials.add(task)

    async def _connect(self) -> None:
        try:
            connection = await self._dialer.connect(lambda: Connection(self))
            if connection.is_closing:
                raise NotSent("ConnectionClosed")
        except Exception as error:  # also one that no network raises, such as too many threads: nothing went out
            self._forget_dial()
            failure = error if isinstance(error, NotSent) else NotSent(type(error).__name__)
            if self._waiting and not isinstance(failure, ConnectTimedOut):  # then each ends at its own time
                self._waiting.popitem(last=False)[0].fail(failure)
            self._dial()
        else:
            self._forget_dial()
            self._open.add(connection)
            self.release(connection)

    def _forget_dial(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._dials.discard(task)

    def _close_idle(self) -> None:
        """Close the connections that have been idle for too long."""
        now = RUNTIME.clock()
        for connection in [one for one in self._idle if one.idle_until <= now]:
            connection.close()
        left = min((one.idle_until for one in self._idle), default=None)
        self._sweep = None if left is None else self._wheel.add(left - now, self._close_idle)

    async def close(self) -> None:
        """End everything, and wait until it has ended."""
        if self._sweep is not None:
            self._sweep.stop()
        for exchange in tuple(self._waiting):
            exchange.fail(NotSent("ClientClosed"))
        self._waiting.clear()
        for task in self._dials:
            task.cancel()
        await asyncio.gather(*self._dials, return_exceptions=True)
        for connection in tuple(self._alive):
            connection.fail(NoResponse("ClientClosed"))
        if self._alive:
            await self._all_lost.wait()


class Client:
    """Makes requests between ``open`` and ``close``, or inside an ``async with`` block. It may be opened again."""

    def __init__(self, options: ClientOptions) -> None:
        self._options = options
        self._pools: dict[str, Pool] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wheel: TimeoutWheel | None = None

    @property
    def is_open(self) -> bool:
        """Whether requests can be made."""
        return self._loop is not None

    def open(self) -> None:
        """Begin to keep connections. It needs a running event loop. It does nothing when the client is open."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._wheel = TimeoutWheel(self._loop)

    async def close(self) -> None:
        """End all connections. It does nothing when the client is closed."""
        wheel, self._loop, self._wheel = self._wheel, None, None
        while self._pools:
            await self._pools.popitem()[1].close()
        if wheel is not None:
            wheel.close()

    async def __aenter__(self) -> Self:
        self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def begin(
        self,
        method: str,
        origin: str,
        target: str,
        headers: bytes,
        body: bytes | None = None,
        *,
        seconds: float,
        largest: int | None,
        called: Called = UNNAMED,
    ) -> asyncio.Future[Response]:
        """Begin a request. If a connection is free, all of it has been written when this returns.

        The future raises ``NotSent``, ``NoResponse`` and ``BadResponse``. It may be cancelled or left alone.

        Args:
            method: The HTTP method, in capitals.
            origin: Scheme, host and port, such as ``https://example.net:8443``.
            target: Path and query, completely escaped. They go out as they are.
            headers: What ``render_headers`` gives. It stands behind the headers of the options.
            body: The body, if there is one.
            seconds: How long connecting, the request and the whole response may take together.
            largest: How many bytes the body of the response may have. None means that it is not wanted. Then the future
                is set as soon as the head has come.
            called: What the span of the call says.

        Raises:
            ValueError: For a method or target that HTTP cannot carry. Nothing was sent.
            RuntimeError: The client is not open.
        """
        loop = self._loop
        if loop is None:
            raise RuntimeError("the HTTP client is not open")
        future: asyncio.Future[Response] = loop.create_future()
        pool = self._pools.get(origin)
        if pool is None:
            try:
                pool = self._add_pool(origin)
            except NotSent as error:
                future.set_exception(error)
                future.exception()
                return future
        if (tracer := TRACING.tracer) is not None:
            span = tracer.begin_call(method, origin, called)
            future.add_done_callback(partial(end_span, span, called))
            headers += b"traceparent: %b\r\n" % span.traceparent.encode()
        payload = _write_request(method, target, pool.head, headers, body)
        pool.begin(Exchange(pool, future, payload, method == "HEAD", largest), seconds)
        return future

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        seconds: float,
        largest: int | None,
        called: Called = UNNAMED,
    ) -> Response:
        """The response to one request. It is ``begin`` for a whole URL and for headers that have not been rendered.

        Raises:
            NotSent, NoResponse, BadResponse: As they say.
            ValueError: For a header or URL that HTTP cannot carry. Nothing was sent.
        """
        origin, target, credentials = _split_url(url)
        if TRACING.tracer is not None:
            headers = drop_trace(headers)
        lines = render_headers({**credentials, **headers})
        return await self.begin(method, origin, target, lines, body, seconds=seconds, largest=largest, called=called)

    def _add_pool(self, text: str) -> Pool:
        assert self._loop is not None
        assert self._wheel is not None
        for name in [name for name, pool in self._pools.items() if pool.is_unused]:
            del self._pools[name]
        pool = self._pools[text] = Pool(read_origin(text), self._options, self._wheel, self._loop)
        return pool


def _write_request(method: str, target: str, head: bytes, headers: bytes, body: bytes | None) -> bytes:
    if not _TARGET.fullmatch(target):
        raise ValueError("a target that HTTP cannot carry")
    if method not in _METHODS:
        raise ValueError("a method that HTTP cannot carry")
    line = f"{method} {target}".encode()
    if body is None:
        length = b"\r\n" if method in _WITHOUT_BODY else b"Content-Length: 0\r\n\r\n"
        return b"%b%b%b%b" % (line, head, headers, length)
    return b"%b%b%bContent-Length: %d\r\n\r\n%b" % (line, head, headers, len(body), body)


def render_headers(headers: Mapping[str, str]) -> bytes:
    """The header lines of a request, as ``begin`` takes them.

    Raises ``ValueError`` for a header that HTTP cannot carry, or that the client writes itself. The text holds neither
    its name nor its value.
    """
    lines = []
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or _UNFIT.search(value) or name.lower() in _OUR_HEADERS:
            raise ValueError("a header that HTTP cannot carry")
        lines.append(f"{name}: {value}\r\n")
    try:
        return "".join(lines).encode()
    except UnicodeEncodeError:  # its text holds the value
        raise ValueError("a header that HTTP cannot carry") from None


def _split_url(url: str) -> tuple[str, str, dict[str, str]]:
    """The origin, the target, and the header for a name and password in the URL. A fragment is left out."""
    scheme, _, rest = url.partition("#")[0].partition("://")
    end = next((index for index, character in enumerate(rest) if character in "/?"), len(rest))
    userinfo, found, authority = rest[:end].rpartition("@")
    target = rest[end:] if rest[end:].startswith("/") else f"/{rest[end:]}"
    return f"{scheme}://{authority}", target, {"Authorization": write_basic(userinfo)} if found else {}
