"""The checks of an upstream call: its media type, its length, its routing headers, and a body that parses."""

from collections.abc import Callable
from typing import TypeVar

from signalr_bridge.errors import BodyTooLarge, InvalidHeader, MalformedJson, MalformedMessage, UnsupportedMediaType
from signalr_bridge.protocol import upstream_event
from signalr_bridge.protocol.names import check_connection_id, check_hub
from signalr_bridge.protocol.upstream_event import EventHeaders
from signalr_bridge.upstream.codecs import CODECS
from signalr_bridge.upstream.trust import HeaderLines

Message = TypeVar("Message")


def read_media_type(lines: HeaderLines) -> str:
    given = _read_header(lines, b"content-type").partition(";")[0].strip().lower()
    if given not in CODECS:
        raise UnsupportedMediaType(f"Send the header 'Content-Type: {' or '.join(CODECS)}'.")
    if _read_header(lines, b"content-encoding").lower() not in {"", "identity"}:
        raise UnsupportedMediaType("Send the body without a Content-Encoding.")
    return given


def _read_header(lines: HeaderLines, wanted: bytes) -> str:
    return next((upstream_event.decode_header(value) for name, value in lines if name == wanted), "")


def check_length(lines: HeaderLines, most_bytes: int) -> None:
    declared = _read_header(lines, b"content-length")
    if declared.isdecimal() and (len(declared) > 18 or int(declared) > most_bytes):
        raise BodyTooLarge(f"The body may have {most_bytes:,} bytes.", headers={"Connection": "close"})


def check_headers(headers: EventHeaders) -> None:
    needed = {"Hub": headers.hub, "Category": headers.category, "Event": headers.event}
    for name, value in (needed | {"Connection-Id": headers.connection_id}).items():
        if not value:
            raise InvalidHeader(f"The header X-ASRS-{name} is missing or empty.")
    check_hub(headers.hub)
    check_connection_id(headers.connection_id)


def parse(read: Callable[[bytes], Message], body: bytes) -> Message:
    try:
        return read(body)
    except MalformedMessage as error:
        raise MalformedJson(error.detail) from None
