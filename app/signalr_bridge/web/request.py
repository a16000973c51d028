"""What routes read from a request: names in paths and queries, bodies, deadlines, and parts of the application.

Paths are matched as they were sent, so that ``a%2Fb`` is one name.
"""

import asyncio
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from fastapi import Depends, Request
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import ClientDisconnect

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
from signalr_bridge.protocol.names import check_connection_id, check_group, check_hub, check_user_id, unescape_segment

JSON = "application/json"
BODY_SECONDS = 30.0
"""How long a body may take to come. The limit exists because a request in flight keeps others out."""

MOST_FAULTS = 1000
"""So many faults are told at most, because an answer must not be many times as large as what was sent."""

Part = TypeVar("Part")

_TEXT = {"type": "string"}
_NAME = {"type": "string", "minLength": 1, "maxLength": 1024}
_SCHEMAS = {"hub": {"type": "string", "pattern": r"^[A-Za-z][A-Za-z0-9_`,.\[\]]{0,127}$"}}
_CHECKS = {"groupName": check_group, "userId": check_user_id, "connectionId": check_connection_id}
_SECONDS = re.compile(r"[0-9]{1,3}(\.[0-9]{1,6})?")


class SegmentConvertor(Convertor[str]):
    """One path segment as it came. It may be empty, so that an empty name is refused and finds no other route."""

    regex = "[^/]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("segment", SegmentConvertor())


async def read_path(request: Request) -> dict[str, str]:
    """The names in the path by parameter, unescaped and checked. Raises ``InvalidName``."""
    return {name: _read_segment(request, name, segment) for name, segment in request.path_params.items()}


def _read_segment(request: Request, name: str, segment: str) -> str:
    if not segment:
        raise InvalidName("A path segment is empty.")
    return read_hub(request, segment) if name == "hub" else _CHECKS[name](unescape_segment(segment))


def read_hub(request: Request, segment: str) -> str:
    """The hub in the request's path, in lower case. It is unescaped and checked once. Raises ``InvalidName``."""
    if (hub := request.scope.get("hub")) is None:
        hub = request.scope["hub"] = check_hub(unescape_segment(segment))
    return str(hub)


PathNames = Annotated[dict[str, str], Depends(read_path)]


def describe_path(path: str) -> dict[str, Any]:
    """A path's parameters for its OpenAPI operation."""
    names = re.findall(r"\{(\w+)", path)
    return {
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": _SCHEMAS.get(name, _NAME)} for name in names
        ]
    }


def describe_query(*names: str) -> list[dict[str, Any]]:
    """Optional query parameters for an OpenAPI operation."""
    return [{"name": name, "in": "query", "required": False, "schema": _TEXT} for name in names]


def read_query(request: Request, known: Iterable[str]) -> dict[str, list[str]]:
    """The query's values by name. Raises ``InvalidQuery`` for a parameter that is not ``known``."""
    text = request.scope["query_string"].decode("latin-1")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", encoding="utf-8")
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


def one_of(values: dict[str, list[str]], name: str) -> str | None:
    """The value of a parameter, or None. Raises ``InvalidQuery`` when it is repeated."""
    found = values.get(name, [])
    if len(found) > 1:
        raise InvalidQuery(f"The query has {name} more than once.")
    return found[0] if found else None


def media_type(request: Request) -> str:
    """The media type in lower case, without its parameters. It is empty when there is none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def require_media_type(request: Request, *accepted: str) -> str:
    """The request's media type, which is one of ``accepted``.

    Raises ``UnsupportedMediaType`` for another one, and for a body with a Content-Encoding.
    """
    given = media_type(request)
    if given not in accepted:
        raise UnsupportedMediaType(f"Send the body with the header 'Content-Type: {accepted[0]}'.")
    if request.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        raise UnsupportedMediaType("Send the body without a Content-Encoding.")
    return given


async def read_body(request: Request, limit: int, seconds: float = BODY_SECONDS) -> bytes:
    """The body.

    Args:
        request: The request.
        limit: How many bytes it may have.
        seconds: How long it may take to come.

    Raises:
        BodyTooLarge: It is larger. This is raised as soon as that is known.
        MalformedJson: It has not come to its end in time.
        InvalidHeader: Its length is malformed.
    """
    declared = request.headers.get("content-length")
    if declared is not None and not (declared.isascii() and declared.isdigit()):
        raise InvalidHeader("The Content-Length is no number.")
    if declared is not None and int(declared) > limit:
        raise _too_large(request, limit)
    try:
        async with asyncio.timeout(seconds):
            return await _read_chunks(request, limit)
    except (TimeoutError, ClientDisconnect):
        raise MalformedJson("The body did not come to its end in time.", headers={"Connection": "close"}) from None


async def _read_chunks(request: Request, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(request, limit)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(request: Request, limit: int) -> BodyTooLarge:
    """The error, after which the rest of the body is still taken and dropped.

    Many clients do not read an answer before they have sent everything, and would find their connection reset. A client
    with ``Expect`` waits and will not send the body, so its connection is closed.
    """
    headers = {"Connection": "close"} if "expect" in request.headers else {}
    return BodyTooLarge(f"The body may have {limit:,} bytes.", headers=headers)


async def read_deadline(request: Request) -> float | None:
    """The caller's time limit, in seconds from 0.1 to 100. None without the header. Raises ``InvalidHeader``."""
    text = request.headers.get("x-request-timeout")
    if text is None:
        return None
    if not _SECONDS.fullmatch(text) or not 0.1 <= float(text) <= 100:
        raise InvalidHeader("X-Request-Timeout is a number of seconds from 0.1 to 100.")
    return float(text)


Deadline = Annotated[float | None, Depends(read_deadline)]


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


def find_part(request: Request, kind: type[Part]) -> Part:
    """The part of this class in ``app.state.parts``. Raises ``LookupError`` when there is none."""
    parts: PartsByType = request.app.state.parts
    return parts.find(kind)


def part(kind: type[Any]) -> Any:
    """The dependency on the part of this type, for ``Annotated[Sender, part(Sender)]``."""

    async def find(request: Request) -> Any:
        return find_part(request, kind)

    return Depends(find)
