"""What a route reads from a request: names in the path, query, headers, body, deadline, and parts.

Paths are matched as they were sent, so that ``a%2Fb`` is one name.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from signalr_bridge.errors import (
    BodyTooLarge,
    InvalidHeader,
    InvalidName,
    InvalidQuery,
    MalformedJson,
    UnsupportedMediaType,
)
from signalr_bridge.protocol.names import (
    check_connection_id,
    check_group,
    check_user_id,
    read_hub_segment,
    unescape_segment,
)
from signalr_bridge.web.callers import Caller, Right
from signalr_bridge.web.guards import ListenerKind
from signalr_bridge.web.shares import Flight
from signalr_bridge.wire.exchange import Disconnected, IncomingRequest

JSON = "application/json"
BODY_SECONDS = 30.0
"""How long a body may take to come. Its bytes count against those of others meanwhile."""

Part = TypeVar("Part")

_CHECKS: Mapping[str, Callable[[str], str]] = {
    "groupName": check_group,
    "userId": check_user_id,
    "connectionId": check_connection_id,
}
MOUNTED = "signalr_bridge.mounted"
"""Stands in the scope of a request that another application has handed to the bridge, which is mounted there."""
NAMES = frozenset({"hub", *_CHECKS})
"""The parameters that paths may have."""

_SECONDS = re.compile(r"[0-9]{1,3}(\.[0-9]{1,20})?")  # a double has up to 17 digits
_MOST_PARAMETERS = 1000  # more names to leave out than the service's own URL holds
_BLANKS = b" \t\n\r\x0b\x0c"
"""What ``bytes.strip`` takes away."""
_NO_VALUES: Mapping[str, list[str]] = {}


class Request:
    """A request and the facts of it, each of which is worked out once.

    Args:
        incoming: The request as it came.
        parts: The parts of the application.
        listener: The kind of listener that it came through.
        segments: The segments of its path by the parameters that stand there, as they came.
    """

    __slots__ = (
        "_by_name",
        "_hub",
        "_is_repeated",
        "_segments",
        "answer_headers",
        "asgi",
        "caller",
        "crosses_origin",
        "deadline",
        "flight",
        "id",
        "incoming",
        "listener",
        "method",
        "names",
        "part",
        "path",
        "recheck",
        "rights",
        "status",
        "values",
    )

    def __init__(
        self,
        incoming: IncomingRequest,
        parts: "PartsByType",
        listener: ListenerKind,
        segments: Mapping[str, str],
    ) -> None:
        self.incoming = incoming
        self.method, self.path = incoming.method, incoming.path
        self.id = ""
        """The id of the request, which stands in the answer and in the log."""
        self.status = 0
        """The status of the answer. 0 until one has begun."""
        self.listener = listener
        self.part = parts.find
        """The part of the application of a class. Raises ``LookupError`` when there is none."""
        self._segments = segments
        self._by_name = dict(incoming.headers)
        self._is_repeated = len(self._by_name) != len(incoming.headers)
        self._hub: str | None = None
        self.names: dict[str, str] = {}
        """The names in the path but the hub's, unescaped and checked, once ``read_names`` has been called."""
        self.values: Mapping[str, list[str]] = _NO_VALUES
        """The values of the query by parameter, where the route says which parameters there are."""
        self.rights: frozenset[Right] = frozenset()
        """The rights of the route, of which a caller needs one."""
        self.caller: Caller | None = None
        """The backend that calls. None for everybody else."""
        self.crosses_origin = False
        """Whether it comes from a page of another origin that may negotiate in development, and nothing else."""
        self.deadline: float | None = None
        """The seconds until the caller gives up. None when the caller did not say."""
        self.answer_headers: list[tuple[bytes, bytes]] = []
        """Header lines that every answer to this request gets."""
        self.asgi: tuple[Scope, Receive, Send] | None = None
        """Where the request came from by ASGI. None where it did not."""
        self.flight: Flight | None = None
        """What it takes of its share. None where nothing is counted."""
        self.recheck: Callable[[Request], Awaitable[None]] | None = None
        """Checks the caller again when the body has come late, because its right may have gone meanwhile."""

    def header(self, name: bytes) -> str | None:
        """The first value of a header, whose name is in lower case. None when it is absent."""
        value = next(self._lines(name), None) if self._is_repeated else self._by_name.get(name)
        return None if value is None else value.decode("latin-1")

    def last_header(self, name: bytes) -> bytes | None:
        """The last value of a header as it came. None when it is absent."""
        return self._by_name.get(name)

    def headers_of(self, name: bytes) -> list[str]:
        """All values of a header, whose name is in lower case."""
        if name not in self._by_name:
            return []
        return [value.decode("latin-1") for value in self._lines(name)]

    def _lines(self, name: bytes) -> Iterator[bytes]:
        return (value for key, value in self.incoming.headers if key == name)

    @property
    def host_scope(self) -> Scope | None:
        """The scope of the application in which the bridge is mounted. None where it is not mounted."""
        return None if self.asgi is None or MOUNTED not in self.asgi[0] else self.asgi[0]

    def require_caller(self) -> Caller:
        """The caller of a route that only callers may call."""
        assert self.caller is not None, "the route is for callers, and the front has asked who calls"
        return self.caller

    @property
    def hub_segment(self) -> str | None:
        """The hub in the path as it came. None when the path names no hub."""
        return self._segments.get("hub")

    @property
    def hub(self) -> str:
        """The hub in the path, in lower case. It is unescaped and checked once. Raises ``InvalidName``."""
        if self._hub is None:
            self._hub = read_hub_segment(self._segments["hub"])
        return self._hub

    def read_names(self) -> None:
        """Sets ``names``. Raises ``InvalidName``, also for the hub."""
        for name, segment in self._segments.items():
            if not segment:
                raise InvalidName("A path segment is empty.")
            if name == "hub":
                _ = self.hub
            else:
                self.names[name] = _CHECKS[name](unescape_segment(segment))

    def read_query(self, known: Iterable[str]) -> None:
        """Sets ``values``. Raises ``InvalidQuery`` for a parameter that is not ``known``."""
        if self.incoming.query:
            self.values = read_query(self.incoming.query, known)

    def one_of(self, name: str) -> str | None:
        """The value of a query parameter, or None. Raises ``InvalidQuery`` when it is repeated."""
        found = self.values.get(name, ())
        if len(found) > 1:
            raise InvalidQuery(f"The query has {name} more than once.")
        return found[0] if found else None

    def read_deadline(self) -> None:
        """Sets ``deadline``, in seconds from 0.1 to 100. Raises ``InvalidHeader``."""
        text = self.header(b"x-request-timeout")
        if text is None:
            return
        if not _SECONDS.fullmatch(text) or not 0.1 <= float(text) <= 100:
            raise InvalidHeader("X-Request-Timeout is a number of seconds from 0.1 to 100.")
        self.deadline = float(text)

    def media_type(self) -> str:
        """The media type in lower case, without its parameters. It is empty when there is none."""
        given = self.header(b"content-type") or ""
        return given if given == JSON else given.partition(";")[0].strip().lower()

    def require_media_type(self, *accepted: str) -> str:
        """The request's media type, which is one of ``accepted``.

        Raises ``UnsupportedMediaType`` for another one, and for a body with a Content-Encoding.
        """
        given = self.media_type()
        if given not in accepted:
            raise UnsupportedMediaType(f"Send the body with the header 'Content-Type: {accepted[0]}'.")
        encoding = self.header(b"content-encoding")
        if encoding is not None and encoding.strip().lower() not in {"", "identity"}:
            raise UnsupportedMediaType("Send the body without a Content-Encoding.")
        return given

    async def read_body(self, limit: int, seconds: float = BODY_SECONDS, *, drops_blanks: bool = False) -> bytes:
        """The body. Once it is there, the request takes its place in flight.

        Args:
            limit: How many bytes it may have.
            seconds: How long it may take to come.
            drops_blanks: Whether no more than ``{}`` is wanted. Then white space is dropped as it comes, and anything
                else ends the reading, so that nothing counts that anybody may send.

        Raises:
            BodyTooLarge: It is larger. This is raised as soon as that is known.
            MalformedJson: It has not come to its end in time, or is more than is wanted.
            InvalidHeader: Its length is malformed.
            Overloaded: Too many requests are in flight, or too many bytes of their bodies.
            Unauthenticated, Forbidden: The caller's key or right has gone while the body came.
        """
        declared = self.header(b"content-length")
        if declared is not None and not (declared.isascii() and declared.isdigit()):
            raise InvalidHeader("The Content-Length is no number.")
        body, flight = self.incoming.whole_body(), self.flight
        if body is None and (declared is None or int(declared) <= limit):
            length = 0 if declared is None or drops_blanks else int(declared)
            body = await self._receive(limit, seconds, length, drops_blanks=drops_blanks)
            if self.recheck is not None:
                await self.recheck(self)
        elif body is None or len(body) > limit:
            raise self._too_large(limit)
        elif flight is not None and not drops_blanks:
            flight.begin(len(body))
            return body
        if flight is not None:
            flight.begin()
        return body

    async def _receive(self, limit: int, seconds: float, length: int, *, drops_blanks: bool) -> bytes:
        """The body piece by piece. A body whose ``length`` is known counts whole from its first byte on.

        Otherwise many large bodies that come side by side would all be given up before one of them is there.
        """
        self.incoming.is_dispensable = drops_blanks
        body, size = bytearray(), 0  # and not a list, in which each small piece would take many times its size
        try:
            async with asyncio.timeout(seconds):
                while piece := await self.incoming.next_piece():
                    size += len(piece)
                    if size > limit:
                        raise self._too_large(limit)
                    body += piece.translate(None, _BLANKS) if drops_blanks else piece
                    if not drops_blanks and self.flight is not None and self.flight.body_bytes < max(size, length):
                        self.flight.add_bytes(max(size, length) - self.flight.body_bytes)
                    elif drops_blanks and len(body) > len(b"{}"):
                        raise MalformedJson("Send no body.")
        except (TimeoutError, Disconnected):
            raise MalformedJson("The body did not come to its end in time.", headers={"Connection": "close"}) from None
        return bytes(body)

    def _too_large(self, limit: int) -> BodyTooLarge:
        """The error, after which the rest of the body is still taken and dropped.

        Many clients do not read an answer before they have sent everything, and would find their connection reset. A
        client with ``Expect`` waits and will not send the body, so its connection is closed.
        """
        headers = {} if self.header(b"expect") is None else {"Connection": "close"}
        return BodyTooLarge(f"The body may have {limit:,} bytes.", headers=headers)


def read_query(query: bytes, known: Iterable[str]) -> dict[str, list[str]]:
    """The query's values by name. Raises ``InvalidQuery`` for a parameter that is not ``known``."""
    if query.count(b"&") > _MOST_PARAMETERS:
        raise InvalidQuery(f"The query has more than {_MOST_PARAMETERS:,} parameters.")
    try:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, errors="strict", encoding="utf-8")
    except ValueError:
        raise InvalidQuery("The query is not percent-encoded UTF-8.") from None
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    known = list(known)
    if any(name not in known for name in values):
        expected = f"it takes {', '.join(known)}" if known else "it takes none"
        raise InvalidQuery(f"The query has a parameter that this route does not know; {expected}.")
    return values


@dataclass(frozen=True, slots=True)
class PartsByType:
    """The base of a dataclass whose fields are parts, each of another class. It finds a part by its class."""

    _by_type: dict[type[Any], Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        parts = [getattr(self, one.name) for one in fields(self) if one.init]
        object.__setattr__(self, "_by_type", {type(one): one for one in parts})

    def find(self, kind: type[Part]) -> Part:
        """The part of this class. Raises ``LookupError`` when there is none."""
        try:
            found: Part = self._by_type[kind]
        except KeyError:
            raise LookupError(f"there is no part of the type {kind.__name__}") from None
        return found
