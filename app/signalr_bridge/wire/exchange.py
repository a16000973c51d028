"""HTTP exchanges as values: a request that has come and the answer to it, and the response to a call of ours."""

import asyncio
import re
import secrets
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Protocol

import msgspec

from signalr_bridge.errors import BridgeError
from signalr_bridge.protocol.problem import MEDIA_TYPE, problem_headers, write_problem
from signalr_bridge.runtime import RUNTIME
from signalr_bridge.tracing import Called, Span

HeaderLines = Sequence[tuple[bytes, bytes]]
"""Header lines as they came or as they go out, with names in lower case."""


class IncomingRequest:
    """A request whose head has come. Its body may still be on its way.

    Args:
        method: As it came, such as ``POST``.
        path: The path as it came, still escaped, without the query. Each byte is one character.
        query: What stands behind the question mark, as it came. Empty without one.
        headers: The header lines, with names in lower case.
        peer: Address and port of whoever is connected. None where there is none, as with a Unix socket.
    """

    __slots__ = ("headers", "is_dispensable", "method", "path", "peer", "query")

    def __init__(
        self, method: str, path: str, query: bytes, headers: HeaderLines, peer: tuple[str, int] | None
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.peer = peer
        self.is_dispensable = False
        """Whether the connection may be ended while the body is waited for. It is an anonymous client's."""

    def whole_body(self) -> bytes | None:
        """The body, when all of it has come and none was taken. None means that ``next_piece`` must be asked."""
        raise NotImplementedError

    async def next_piece(self) -> bytes:
        """The next bytes of the body. They are empty at its end.

        To ask for them sends ``100 Continue`` to a client that waits for it. Raises ``Disconnected``.
        """
        raise NotImplementedError


class Disconnected(Exception):
    """The connection has ended before the whole body had come."""


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A whole answer.

    Args:
        status: The HTTP status.
        headers: The header lines in the order in which they go out, with ``content-length`` and ``content-type`` where
            there is a body. The server adds ``date`` in front, and ``connection`` behind.
        body: The body. It may hold a client's token, so ``repr`` leaves it out.
    """

    status: int
    headers: Sequence[tuple[bytes, bytes]] = ()
    body: bytes = b""

    def __repr__(self) -> str:
        return f"Answer({self.status}, {len(self.body)} bytes)"


class DirectApp(Protocol):
    """An application that answers requests without ASGI. What it leaves out is served by ASGI."""

    def begin(self, request: IncomingRequest) -> Coroutine[Any, Any, Answer] | None:
        """The answer, to be awaited in a task of its own. None means that the request is served by ASGI."""
        ...


def make_answer(
    status: int, body: bytes = b"", media_type: str | None = None, headers: Sequence[tuple[bytes, bytes]] = ()
) -> Answer:
    """An answer with the headers that its body needs, behind ``headers``. A 204 has no length."""
    lines = [*headers]
    if status != HTTPStatus.NO_CONTENT:
        lines.append((b"content-length", b"%d" % len(body)))
    if media_type is not None:
        lines.append((b"content-type", media_type.encode("latin-1")))
    return Answer(status, lines, body)


HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""The headers that belong to one connection, and that nobody passes on.

Source: https://www.rfc-editor.org/rfc/rfc9110.html#section-7.6.1.
"""

CLOSE = b"connection: close\r\n"
"""The line that ends a connection."""

WITHOUT_BODY = frozenset({204, 304})
"""Statuses whose answers have neither a body nor a length.

Source: https://www.rfc-editor.org/rfc/rfc9110.html#section-6.4.1.
"""

_PHRASES = {one.value: one.phrase for one in HTTPStatus}
STATUS_LINES = {status: f"HTTP/1.1 {status} {_PHRASES.get(status, '')}\r\n".encode() for status in range(100, 600)}
"""The first line of an answer by its status."""

BROKEN = Answer(
    500,
    ((b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"21"), (b"connection", b"close")),
    b"Internal Server Error",
)
"""The answer in place of one that an application could not make. It ends the connection."""

_END = b"\r\n"
_ENDS = b"\r\n\0"  # what one reader or another takes for the end of a line
_CLOSE_AND_END = CLOSE + _END


def asks_to_close(value: bytes) -> bool:
    """Whether the value of a ``connection`` header ends the connection."""
    return b"close" in [token.strip() for token in value.lower().split(b",")]


def write_answer(answer: Answer, first_lines: bytes, keep_alive: bool, is_head: bool) -> tuple[bytes, bool]:
    """The bytes of a whole answer, and whether the connection is kept behind it.

    Args:
        answer: The answer.
        first_lines: The header lines in front of its own.
        keep_alive: Whether the connection may be kept. Otherwise a line says that it ends.
        is_head: Whether the request was a HEAD. Then no body is written, because it would count as the next answer.

    Raises:
        ValueError: A header holds a line break or a NUL, or the answer's length is not that of its body.
    """
    parts: list[bytes] = []
    length, end = -1, _END if keep_alive else _CLOSE_AND_END
    for name, value in answer.headers:
        parts += (name, b": ", value, _END)
        if name == b"content-length":
            length = int(value)
        elif name == b"connection" and asks_to_close(value):
            keep_alive, end = False, _END
    lines = b"".join(parts)
    if len(lines.translate(None, _ENDS)) != len(lines) - len(_END) * len(answer.headers):
        raise ValueError("A header of the answer holds a line break or a NUL.")
    if is_head:
        return b"".join((STATUS_LINES[answer.status], first_lines, lines, end)), keep_alive
    if length != len(answer.body) and (answer.body or answer.status not in WITHOUT_BODY):
        raise ValueError("The answer's Content-Length is not the length of its body.")
    return b"".join((STATUS_LINES[answer.status], first_lines, lines, end, answer.body)), keep_alive


def write_refusal(error: BridgeError) -> bytes:
    """A whole answer to bytes that are not a request, with an id of its own. It ends the connection."""
    request_id = secrets.token_hex(16)
    body = write_problem(error, request_id)
    headers = problem_headers(error) | {
        "Content-Length": str(len(body)),
        "Content-Type": MEDIA_TYPE,
        "X-Request-Id": request_id,
        "Connection": "close",
    }
    lines = "".join(f"{name.lower()}: {value}\r\n" for name, value in headers.items())
    return b"%s%s\r\n%s" % (STATUS_LINES[error.status], lines.encode("latin-1"), body)


class ResponseHeaders(Mapping[str, str]):
    """The header lines of a response. A name is found in any case, and of repeated lines the first one is."""

    __slots__ = ("_lines",)

    def __init__(self, lines: list[tuple[bytes, bytes]]) -> None:
        self._lines = lines

    def __getitem__(self, name: str) -> str:
        wanted = name.lower().encode("latin-1", "replace")
        for found, value in self._lines:
            if found.lower() == wanted:
                return value.decode("latin-1").strip(" \t")
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.decode("latin-1").lower() for name, _ in self._lines))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Response(msgspec.Struct, frozen=True, gc=False):
    """A response. ``repr`` shows neither header lines nor the body, which may hold a secret.

    Args:
        status: The HTTP status, from 200 on.
        lines: The header lines as they came. Trailers are not among them.
        body: The body. It is empty where it was not wanted.
    """

    status: int
    lines: list[tuple[bytes, bytes]]
    body: bytes = b""

    @property
    def headers(self) -> ResponseHeaders:
        """The header lines by their names."""
        return ResponseHeaders(self.lines)

    def __repr__(self) -> str:
        return f"Response({self.status}, {len(self.body)} bytes)"


_KEEP_ALIVE = b"keep-alive"
_TIMEOUT = re.compile(rb"(?:^|[\s,;])timeout\s*=\s*([0-9]{1,9})", re.IGNORECASE)
_LONGEST_WAIT = float(2**31)


def read_keep_alive(lines: HeaderLines) -> float | None:
    """For how many seconds the peer keeps the connection while it is idle. None when its header lines do not say.

    Source: https://www.rfc-editor.org/rfc/rfc2068#section-19.7.1.1.
    """
    for name, value in lines:
        if len(name) == len(_KEEP_ALIVE) and name.lower() == _KEEP_ALIVE:
            found = _TIMEOUT.search(value)
            return None if found is None else float(found[1])
    return None


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that a ``Retry-After`` asks for, at most 2^31. None without one that can be read.

    A date is compared with the ``Date`` of the same answer, if there is one, so that our clock does not matter.

    Source: https://www.rfc-editor.org/rfc/rfc9110.html#section-10.2.3.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _LONGEST_WAIT)
    moment, now = _read_date(text), _read_date(headers.get("Date", ""))
    if moment is None:
        return None
    return min(max(moment - (RUNTIME.wall_clock() if now is None else now), 0.0), _LONGEST_WAIT)


def _read_date(text: str) -> float | None:
    """Seconds since 1970. Source: https://www.rfc-editor.org/rfc/rfc9110.html#section-5.6.7."""
    try:
        found = parsedate_to_datetime(text)
        return found.replace(tzinfo=found.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        return None


class CallFailed(Exception):
    """A call got no response that can be used.

    The text is the kind of failure, in one word. It never holds the URL, which may hold a key.
    """

    response: Response | None = None
    """The head of the response, when it had come."""


class NotSent(CallFailed):
    """Nothing of the request went out. There was no such host, connection, TLS or valid URL, or not in time."""


class ConnectTimedOut(NotSent):
    """No connection could be made until the request's time was over."""


class PoolExhausted(NotSent):
    """All connections that may be open at once were busy until the request's time was over, or too many waited."""


class NoResponse(CallFailed):
    """The request may have been received. The connection broke, or the response did not come, or not all of it."""


class TimedOut(NoResponse):
    """The response did not come in time, after the request had been written."""


class BadResponse(CallFailed):
    """What came is not an HTTP response, or not one that is taken."""


class ResponseTooLarge(BadResponse):
    """The body has more bytes than its reader takes."""


def end_span(span: Span, called: Called, future: asyncio.Future[Response]) -> None:
    """Say in the span of a call how the call has ended, and end the span."""
    if future.cancelled():
        span.end(0, "cancelled")
        return
    error = future.exception()
    found = future.result() if error is None else error.response if isinstance(error, CallFailed) else None
    failure = None if error is None else type(error).__name__
    if called.judge is not None:
        outcome, is_fine = called.judge(future)
        span.note("signalr.outcome", outcome)
        failure = "" if is_fine else failure or outcome
    span.end(0 if found is None else found.status, failure)
