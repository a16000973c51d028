"""The bodies of messages by REST: a message as JSON or MessagePack, or finished frames for each hub protocol.

Source: ``docs/protocol/rest-and-management.md`` 5.1 and 10.6.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request

from signalr_bridge.emulator.codecs import CODECS, Frame
from signalr_bridge.emulator.hubs import Member, send
from signalr_bridge.errors import MalformedJson, MalformedMessage
from signalr_bridge.protocol import json_text, messagepack
from signalr_bridge.protocol.hub_message import Invocation, Payload
from signalr_bridge.protocol.payload import read_packed
from signalr_bridge.protocol.rest import EVERY_PROTOCOL, JSON, MESSAGEPACK

LARGEST_BODY = 1024 * 1024
_NULL = msgspec.Raw(b"null")


class BadRequest(Exception):
    """A parameter is wrong. ``detail`` says how."""

    def __init__(self, parameter: str, detail: str) -> None:
        super().__init__(detail)
        self.parameter, self.detail = parameter, detail


class BodyRefused(Exception):
    """A body is too large (413), or its media type is not supported (415)."""

    def __init__(self, status: int, title: str) -> None:
        super().__init__(title)
        self.status, self.title = status, title


async def read_message(request: Request) -> Invocation | dict[str, Frame]:
    """A message, or finished frames by hub protocol. Raises ``BadRequest`` and ``BodyRefused``."""
    given = request.headers.get("content-type")
    body = await _read_body(request)
    kind = None if given is None else given.partition(";")[0].strip().lower()
    if (kind is None and body) or (kind is not None and kind not in {JSON, MESSAGEPACK, EVERY_PROTOCOL}):
        raise BodyRefused(415, "Unsupported Media Type")
    if body is None:
        raise BodyRefused(413, "Payload Too Large")
    if kind == EVERY_PROTOCOL:
        return _read_frames(body)
    return read_packed_payload(body) if kind == MESSAGEPACK else read_payload(body)


async def _read_body(request: Request) -> bytes | None:
    """The body. None when it is too large. It is read to its end even then, so that the client sees the answer."""
    body, size = bytearray(), 0
    async for piece in request.stream():
        size += len(piece)
        if size <= LARGEST_BODY:
            body += piece
    return bytes(body) if size <= LARGEST_BODY else None


def read_payload(body: bytes) -> Invocation:
    """The message in a JSON body. Names of members may be in any case. Raises ``BadRequest``.

    Its arguments are ``msgspec.Raw``, so that numbers reach JSON clients as they were written.
    """
    if not body.strip() or body.strip() == b"null":
        raise BadRequest("message", "Message in request body is required.")
    try:
        if json_text.first_character(body) != b"{":
            json_text.decode(body)
            raise BadRequest("message", "The message is not a JSON object.")
        members = {name.lower(): _check(text) for name, text in json_text.raw_members(body).items()}
        target = json_text.decode(members.get("target", _NULL))
    except MalformedJson as exc:
        raise BadRequest("message", exc.detail) from None
    arguments = members.get("arguments", _NULL)
    return _make_message(target, [] if arguments == _NULL else arguments, json_text.is_array(arguments))


def _check(text: msgspec.Raw) -> msgspec.Raw:
    try:
        json_text.decode_widely(text)
    except RecursionError:
        raise MalformedJson("The message is nested too deeply.") from None
    return text


def read_packed_payload(body: bytes) -> Invocation:
    """The message in a MessagePack body, which has the same members. Raises ``BadRequest``."""
    try:
        payload = messagepack.decode(body)
    except MalformedMessage as exc:
        raise BadRequest("message", exc.detail) from None
    if not isinstance(payload, dict):
        raise BadRequest("message", "The message is not a MessagePack map.")
    members = {str(name).lower(): value for name, value in payload.items()}
    arguments = members.get("arguments")
    return _make_message(members.get("target"), arguments or [], isinstance(arguments, list))


def _make_message(target: Any, arguments: Payload, is_list: bool) -> Invocation:
    if not isinstance(target, str) or not target:
        raise BadRequest("Target", "The Target field is required.")
    if arguments != [] and not is_list:
        raise BadRequest("Arguments", "The Arguments field is not an array.")
    return Invocation(target, arguments)


def _read_frames(body: bytes) -> dict[str, Frame]:
    try:
        return {name: CODECS[name].frame(data) for name, data in read_packed(body).items() if name in CODECS}
    except (MalformedMessage, UnicodeDecodeError):
        raise BadRequest("message", "The body is no map of finished messages by hub protocol.") from None


def too_deep() -> BadRequest:
    """The error for a message that is nested too deeply."""
    return BadRequest("message", "The message is nested too deeply.")


def deliver(members: Iterable[Member], message: Invocation | Mapping[str, Frame]) -> None:
    """Delivers a message or finished frames. Raises ``BadRequest`` for a message that is nested too deeply.

    A client whose protocol is missing among finished frames gets nothing.
    """
    if isinstance(message, Invocation):
        try:
            send(members, message)
        except (MalformedJson, RecursionError):
            raise too_deep() from None
        return
    for member in members:
        frame = message.get(member.codec.name)
        if frame is not None:
            member.deliver(frame)
