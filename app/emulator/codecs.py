"""The hub protocols that clients may speak: today ``json`` only; another one joins ``CODECS``."""

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

from app.errors import MalformedMessage
from app.protocol import hub_json, upstream_event
from app.protocol.hub_message import HubMessage, Invocation

Frame: TypeAlias = dict[str, Any]
"""One WebSocket message for a client, as ASGI sends it. Encoded once and shared by all who get it."""

VERSION = 1
"""The version of the hub protocols; 2 would be stateful reconnect, which is not offered."""


class Codec(Protocol):
    """One hub protocol. ``read`` and ``frame_answer`` raise ``MalformedMessage``."""

    @property
    def name(self) -> str: ...

    @property
    def content_type(self) -> str:
        """Of the upstream's requests."""

    def write(self, message: HubMessage) -> Frame: ...

    def split(self, data: bytes) -> tuple[list[bytes], bytes]:
        """The complete records and what is left over."""

    def read(self, record: bytes) -> HubMessage | None:
        """None for an unknown type, which is to be ignored."""

    def write_body(self, invocation: Invocation) -> bytes:
        """The upstream request's body, which has no framing."""

    def frame_answer(self, body: bytes) -> Frame:
        """An upstream's framed answer for the client, as it is, once it is known to be messages."""


class JsonCodec:
    """Text frames of JSON records, each ended by 0x1E."""

    name = "json"
    content_type = upstream_event.JSON

    def write(self, message: HubMessage) -> Frame:
        return text_frame(hub_json.write_message(message))

    def split(self, data: bytes) -> tuple[list[bytes], bytes]:
        return hub_json.split_records(data)

    def read(self, record: bytes) -> HubMessage | None:
        return hub_json.read_message(record)

    def write_body(self, invocation: Invocation) -> bytes:
        return upstream_event.write_invocation(invocation)

    def frame_answer(self, body: bytes) -> Frame:
        # An unterminated record makes the JavaScript client drop its connection; that defect alone is repaired.
        framed = body if body.endswith(hub_json.RECORD_SEPARATOR) else body + hub_json.RECORD_SEPARATOR
        records, _ = hub_json.split_records(framed)
        for record in records:
            hub_json.read_message(record)
        try:
            return text_frame(framed)
        except UnicodeDecodeError:
            raise MalformedMessage("The answer is not UTF-8.") from None


def text_frame(data: bytes) -> Frame:
    return {"type": "websocket.send", "text": data.decode()}


CODECS: Mapping[str, Codec] = {"json": JsonCodec()}
"""By the name a client says in its handshake, in lower case."""
