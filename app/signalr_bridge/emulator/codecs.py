"""The hub protocols that clients may speak, ``json`` and ``messagepack``, each by the name in a client's handshake."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol, TypeAlias

from signalr_bridge.errors import MalformedMessage
from signalr_bridge.protocol import hub_json, hub_messagepack, upstream_event
from signalr_bridge.protocol.hub_message import HubMessage, Invocation

Frame: TypeAlias = dict[str, Any]
"""One WebSocket message for a client, as ASGI sends it. Encoded once and shared by all who get it."""

VERSION = 1
"""The version of the hub protocols; 2 would be stateful reconnect, which is not offered."""


class Codec(Protocol):
    """One hub protocol. What reads raises ``MalformedMessage``."""

    @property
    def name(self) -> str: ...

    @property
    def content_type(self) -> str:
        """Of the upstream's requests."""

    def frame(self, data: bytes) -> Frame:
        """Text or binary."""

    def write(self, message: HubMessage) -> Frame: ...

    def split(self, data: bytes) -> tuple[list[bytes], bytes]:
        """The complete messages, without what frames them, and what is left over."""

    def read(self, record: bytes) -> HubMessage | None:
        """None for an unknown type, which is to be ignored."""

    def write_body(self, invocation: Invocation) -> bytes:
        """The upstream request's body, which has no framing. ``MalformedMessage`` when it is nested too deeply."""

    def frame_answer(self, body: bytes) -> Frame:
        """An upstream's framed answer for the client, as it is, once it is known to be messages."""


class JsonCodec:
    """Text frames of JSON records, each ended by 0x1E."""

    name = "json"
    content_type = upstream_event.JSON

    def frame(self, data: bytes) -> Frame:
        return text_frame(data)

    def write(self, message: HubMessage) -> Frame:
        return text_frame(hub_json.write_message(message))

    def split(self, data: bytes) -> tuple[list[bytes], bytes]:
        return hub_json.split_records(data)

    def read(self, record: bytes) -> HubMessage | None:
        return hub_json.read_message(record)

    def write_body(self, invocation: Invocation) -> bytes:
        try:
            return upstream_event.write_invocation(invocation)
        except RecursionError:
            raise _too_deep() from None

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


class MessagePackCodec:
    """Binary frames of MessagePack arrays, each behind its length."""

    name = "messagepack"
    content_type = upstream_event.MESSAGEPACK

    def frame(self, data: bytes) -> Frame:
        return {"type": "websocket.send", "bytes": data}

    def write(self, message: HubMessage) -> Frame:
        try:
            return self.frame(hub_messagepack.write_message(message))
        except OverflowError:
            assert isinstance(message, Invocation)  # nothing else carries what came as JSON
            fitting = replace(message, arguments=hub_messagepack.fit_integers(message.arguments))
            return self.frame(hub_messagepack.write_message(fitting))

    def split(self, data: bytes) -> tuple[list[bytes], bytes]:
        return hub_messagepack.split_frames(data)

    def read(self, record: bytes) -> HubMessage | None:
        return hub_messagepack.read_message(record)

    def write_body(self, invocation: Invocation) -> bytes:
        try:
            return upstream_event.write_messagepack_invocation(invocation)
        except RecursionError:
            raise _too_deep() from None

    def frame_answer(self, body: bytes) -> Frame:
        records, rest = hub_messagepack.split_frames(body)
        for record in records:
            hub_messagepack.read_message(record)
        if rest:
            raise MalformedMessage("The answer ends within a message.")
        return self.frame(body)


def text_frame(data: bytes) -> Frame:
    return {"type": "websocket.send", "text": data.decode()}


def _too_deep() -> MalformedMessage:
    return MalformedMessage("A message is nested too deeply.")


CODECS: Mapping[str, Codec] = {codec.name: codec for codec in (JsonCodec(), MessagePackCodec())}
"""By the name a client says in its handshake, in lower case."""
