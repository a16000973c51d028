"""The codecs of the hub protocols that clients may speak, ``json`` and ``messagepack``."""

from collections.abc import Mapping
from typing import Protocol, TypeAlias

import msgspec
from msgspec import structs

from signalr_bridge.errors import MalformedJson, MalformedMessage, UnheldValue
from signalr_bridge.protocol import hub_json, hub_messagepack, json_text, upstream_event, websocket_frame
from signalr_bridge.protocol.hub_message import UNHELD, HubMessage, Invocation

Frame: TypeAlias = bytes
"""One WebSocket frame for a client, header included. It is made once and shared by all receivers."""

VERSION = 1
"""The version of the hub protocols. 2 would be stateful reconnect, which is not offered."""


class ClientCodec(Protocol):
    """One hub protocol. The methods that read raise ``MalformedMessage``."""

    @property
    def name(self) -> str:
        """The name of the protocol in a client's handshake."""

    @property
    def content_type(self) -> str:
        """The media type of the requests to the upstream."""

    def frame(self, data: bytes) -> Frame:
        """The bytes as a text or binary frame."""

    def write(self, message: HubMessage) -> Frame:
        """The message as a frame. Raises ``MalformedJson`` or ``RecursionError`` for too much nesting."""

    def split(self, data: bytes) -> tuple[list[bytes], bytes]:
        """The complete messages, without their framing, and the incomplete rest."""

    def read(self, record: bytes) -> HubMessage | None:
        """The message in a record. None for an unknown type, which is to be ignored."""

    def write_body(self, invocation: Invocation) -> bytes:
        """The body of the upstream's request, without framing. Raises ``UnheldValue`` for too much nesting."""

    def frame_answer(self, body: bytes) -> Frame:
        """The upstream's framed answer for the client, unchanged. Raises ``MalformedMessage``."""


class JsonCodec:
    """Text frames of JSON records, each ended by 0x1E."""

    name = "json"
    content_type = upstream_event.JSON

    def frame(self, data: bytes) -> Frame:
        return websocket_frame.write_text(data)

    def write(self, message: HubMessage) -> Frame:
        return websocket_frame.write_text(hub_json.write_message(message))

    def split(self, data: bytes) -> tuple[list[bytes], bytes]:
        return hub_json.split_records(data)

    def read(self, record: bytes) -> HubMessage | None:
        return hub_json.read_message(record)

    def write_body(self, invocation: Invocation) -> bytes:
        assert isinstance(invocation.arguments, msgspec.Raw)  # for it was read from JSON
        try:
            text = msgspec.Raw(json_text.compact(bytes(invocation.arguments)))  # as the service writes it
        except MalformedJson:
            raise UnheldValue(UNHELD) from None
        return upstream_event.write_invocation(structs.replace(invocation, arguments=text))

    def frame_answer(self, body: bytes) -> Frame:
        # An unterminated record makes the JavaScript client drop its connection. No other defect is repaired.
        framed = body if body.endswith(hub_json.RECORD_SEPARATOR) else body + hub_json.RECORD_SEPARATOR
        records, _ = hub_json.split_records(framed)
        for record in records:
            hub_json.read_message(record)
        try:
            return websocket_frame.write_text(framed)
        except UnicodeDecodeError:
            raise MalformedMessage("The answer is not UTF-8.") from None


class MessagePackCodec:
    """Binary frames of MessagePack arrays, each behind its length."""

    name = "messagepack"
    content_type = upstream_event.MESSAGEPACK

    def frame(self, data: bytes) -> Frame:
        return websocket_frame.write_binary(data)

    def write(self, message: HubMessage) -> Frame:
        return self.frame(hub_messagepack.write_message(message))

    def split(self, data: bytes) -> tuple[list[bytes], bytes]:
        return hub_messagepack.split_frames(data)

    def read(self, record: bytes) -> HubMessage | None:
        return hub_messagepack.read_message(record)

    def write_body(self, invocation: Invocation) -> bytes:
        try:
            return upstream_event.write_messagepack_invocation(invocation)
        except RecursionError:
            raise UnheldValue(UNHELD) from None

    def frame_answer(self, body: bytes) -> Frame:
        records, rest = hub_messagepack.split_frames(body)
        for record in records:
            hub_messagepack.read_message(record)
        if rest:
            raise MalformedMessage("The answer ends within a message.")
        return self.frame(body)


CODECS: Mapping[str, ClientCodec] = {codec.name: codec for codec in (JsonCodec(), MessagePackCodec())}
"""The codecs by the name of their hub protocol in a client's handshake, in lower case."""
