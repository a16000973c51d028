"""What a route reads from a request: names in the path, query, headers, body, deadline, and parts of the application.

Paths are matched as they were sent, so that ``a%2Fb`` is one name.
"""

import asyncio
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from starlette.types import Receive, Scope, Send

from signalr_bridge.errors import (
    BodyTooLarge,
    BridgeError,
    Fault,
    InvalidHeader,
    InvalidItem,
    InvalidName,
    InvalidQuery,
    MalformedJson,
    UnknownProperty,
    UnsupportedMediaType,
)
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.names import (
    check_connection_id,
    check_group,
    check_user_id,
    read_hub_segment,
    unescape_segment,
)
from signalr_bridge.web.callers import Caller, Right
from signalr_bridge.web.guards import ListenerKind
from signalr_bridge.wire.exchange import Disconnected, IncomingRequest

JSON = "application/json"
BODY_SECONDS = 30.0
"""How long a body may take to come. The limit exists because a request in flight keeps others out."""

MOST_FAULTS = 1000
"""So many faults are told at most, because an answer must not be many times as large as what was sent."""

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

_SECONDS = re.compile(r"[0-9]{1,3}(\.[0-9]{1,6})?")
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
        "id",
        "incoming",
        "listener",
        "method",
        "names",
        "part",
        "path",
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

    async def read_body(self, limit: int, seconds: float = BODY_SECONDS) -> bytes:
        """The body.

        Args:
            limit: How many bytes it may have.
            seconds: How long it may take to come.

        Raises:
            BodyTooLarge: It is larger. This is raised as soon as that is known.
            MalformedJson: It has not come to its end in time.
            InvalidHeader: Its length is malformed.
        """
        declared = self.header(b"content-length")
        if declared is not None and not (declared.isascii() and declared.isdigit()):
            raise InvalidHeader("The Content-Length is no number.")
        body = self.incoming.whole_body()
        if body is not None and len(body) <= limit:
            return body
        if body is not None or (declared is not None and int(declared) > limit):
            raise self._too_large(limit)
        try:
            async with asyncio.timeout(seconds):
                return await self._read_pieces(limit)
        except (TimeoutError, Disconnected):
            raise MalformedJson("The body did not come to its end in time.", headers={"Connection": "close"}) from None

    async def _read_pieces(self, limit: int) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while piece := await self.incoming.next_piece():
            size += len(piece)
            if size > limit:
                raise self._too_large(limit)
            pieces.append(piece)
        return b"".join(pieces)

    def _too_large(self, limit: int) -> BodyTooLarge:
        """The error, after which the rest of the body is still taken and dropped.

        Many clients do not read an answer before they have sent everything, and would find their connection reset. A
        client with ``Expect`` waits and will not send the body, so its connection is closed.
        """
        headers = {} if self.header(b"expect") is None else {"Connection": "close"}
        return BodyTooLarge(f"The body may have {limit:,} bytes.", headers=headers)


def read_query(query: bytes, known: Iterable[str]) -> dict[str, list[str]]:
    """The query's values by name. Raises ``InvalidQuery`` for a parameter that is not ``known``."""
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


@lru_cache(maxsize=64)
def _decoder(expected: Any) -> msgspec.json.Decoder[Any]:
    """The decoder of a type. To make one for each value costs many times what the decoding does."""
    return msgspec.json.Decoder(expected)


class ObjectReader:
    """Reads the properties of a JSON object, whose names are found in any case, and collects faults.

    A property whose value is null counts as absent.

    Args:
        text: The object.
        pointer: The JSON pointer to it, with which the pointers in faults begin.

    Raises:
        MalformedJson: The text is not a JSON object.
        InvalidItem: A property stands there twice.
    """

    def __init__(self, text: bytes, pointer: str) -> None:
        self._pointer = pointer
        self._faults: list[Fault] = []
        self._given: dict[str, tuple[str, bytes]] = {}
        try:
            members = json_text.members(text)
        except json_text.DuplicateMember as error:
            members = {}
            self.fault(pointer_part(error.name), InvalidItem, "This property stands there more than once.")
            self.raise_faults()
        for name, value in members.items():
            spelled = name.lower()
            if spelled in self._given:
                detail = "This property stands there more than once, in two spellings."
                self.fault(pointer_part(name), InvalidItem, detail)
            if value != b"null":
                self._given[spelled] = (name, value)

    def fault(self, name: str, kind: type[BridgeError], detail: str) -> None:
        """Note a fault of the property ``name``, or of the object itself when the name is empty."""
        if len(self._faults) < MOST_FAULTS:
            self._faults.append(Fault(f"{self._pointer}/{name}" if name else self._pointer, kind, detail))

    def raise_faults(self) -> None:
        """Raise ``InvalidItem`` with all faults, if there are any."""
        if self._faults:
            raise InvalidItem(list(dict.fromkeys(self._faults)))

    def has(self, name: str) -> bool:
        """Whether the property is there."""
        return name.lower() in self._given

    def refuse_unknown(self, known: Collection[str]) -> None:
        """Note a fault for each property that is not ``known``."""
        if all(name in known for name, _ in self._given.values()):  # the usual case
            return
        lowered = {name.lower() for name in known}
        for spelled, (name, _) in self._given.items():
            if len(self._faults) >= MOST_FAULTS:
                return
            if spelled not in lowered:
                self.fault(pointer_part(name), UnknownProperty, f"The property '{printable(name)}' is not known here.")

    def raw(self, name: str) -> bytes | None:
        """The property as JSON text, or None when it is absent."""
        found = self._given.get(name.lower())
        return None if found is None else found[1]

    def value(self, name: str, expected: Any, kind: str) -> Any:
        """The property, or None when it is absent. A value of another type is a fault, and None, too.

        Args:
            name: The property.
            expected: The type of its value.
            kind: This type in words, for the text of the fault.
        """
        text = self.raw(name)
        if text is None:
            return None
        try:
            return _decoder(expected).decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.fault(name, InvalidItem, f"This is not {kind}.")
            return None


def printable(name: str) -> str:
    """The first printable ASCII characters of a name in a request, 64 at most."""
    return "".join(one for one in name[:64] if one.isascii() and one.isprintable())


def pointer_part(name: str) -> str:
    """A name in a request as one part of a JSON pointer, cut as ``printable`` does."""
    return printable(name).replace("~", "~0").replace("/", "~1")


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
