"""The hub protocol ``json``: messages as JSON objects, each ended by the byte 0x1E, and the handshake before them.

Source: ``docs/protocol/service-emulation.md`` 4.1 and 4.3. Absent members are left out, never null, because clients
fail on null. What is read keeps the JSON text of arguments, items and results (``msgspec.Raw``), so that numbers stay
as they were written.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from signalr_bridge.errors import MalformedJson, MalformedMessage
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.hub_message import (
    CancelInvocation,
    Close,
    Completion,
    HubMessage,
    Invocation,
    Ping,
    StreamInvocation,
    StreamItem,
)

RECORD_SEPARATOR = b"\x1e"


@dataclass(frozen=True, slots=True)
class Handshake:
    """A client's first record: the hub protocol it speaks."""

    protocol: str
    version: int


def split_records(data: bytes) -> tuple[list[bytes], bytes]:
    """The complete records, without their separators, and the incomplete rest."""
    *records, rest = data.split(RECORD_SEPARATOR)
    return records, rest


def write_handshake_request(handshake: Handshake) -> bytes:
    """The client's first record, with its separator."""
    return json_text.encode({"protocol": handshake.protocol, "version": handshake.version}) + RECORD_SEPARATOR


def read_handshake_request(record: bytes) -> Handshake:
    """The handshake in a record, given without its separator. Raises ``MalformedMessage``."""
    members = decode_object(record)
    protocol, version = members.get("protocol"), members.get("version")
    if not isinstance(protocol, str) or type(version) is not int:  # a bool is an int
        raise MalformedMessage("The handshake names no protocol and version.")
    return Handshake(protocol, version)


def write_handshake_response(error: str | None = None) -> bytes:
    """The answer to a handshake, with its separator. Without an error the handshake is accepted."""
    return json_text.encode({} if error is None else {"error": error}) + RECORD_SEPARATOR


def write_message(message: HubMessage) -> bytes:
    """The complete record with its separator. Arguments and results may be ``msgspec.Raw`` JSON."""
    return json_text.encode(_to_members(message)) + RECORD_SEPARATOR


def write_completion(message: Completion) -> bytes:
    """The complete record of a completion, with its separator."""
    return json_text.encode(_write_completion(message)) + RECORD_SEPARATOR


def _to_members(message: HubMessage) -> dict[str, Any]:
    match message:
        case Invocation():
            return _write_invocation(message)
        case StreamItem():
            return {"type": 2, "invocationId": message.invocation_id, "item": message.item}
        case Completion():
            return _write_completion(message)
        case StreamInvocation():
            known = {"type": 4, "invocationId": message.invocation_id, "target": message.target}
            return known | {"arguments": message.arguments}
        case CancelInvocation():
            return {"type": 5, "invocationId": message.invocation_id}
        case Ping():
            return {"type": 6}
        case Close():
            error = {} if message.error is None else {"error": message.error}
            return {"type": 7} | error | ({"allowReconnect": True} if message.allow_reconnect else {})


def _write_invocation(message: Invocation) -> dict[str, Any]:
    members: dict[str, Any] = {"type": 1}
    if message.headers:
        members["headers"] = message.headers
    if message.invocation_id is not None:
        members["invocationId"] = message.invocation_id
    members |= {"target": message.target, "arguments": message.arguments}
    if message.stream_ids:
        members["streamIds"] = message.stream_ids
    return members


def _write_completion(message: Completion) -> dict[str, Any]:
    members: dict[str, Any] = {"type": 3, "invocationId": message.invocation_id}
    if message.error is not None:
        members["error"] = message.error
    elif message.has_result:
        members["result"] = message.result
    return members


def read_message(record: bytes) -> HubMessage | None:
    """The message in a record, given without its separator. None for an unknown type, which is to be ignored.

    A half character that stands alone is read as U+FFFD. Raises ``MalformedMessage``.
    """
    members = _read_members(json_text.mend_half_characters(record))
    kind = members.get("type")
    if type(kind) is not int:  # True would pass for 1
        raise MalformedMessage("Missing required property 'type'.")
    match kind:
        case 1:
            return read_invocation(members)
        case 2:
            return StreamItem(_text(members, "invocationId"), members.get("item"))
        case 3:
            return _read_completion(members)
        case 4:
            return StreamInvocation(_text(members, "target"), _arguments(members), _text(members, "invocationId"))
        case 5:
            return CancelInvocation(_text(members, "invocationId"))
        case 6:
            return Ping()
        case 7:
            return Close(_optional_text(members, "error"), members.get("allowReconnect") is True)
    return None


def read_invocation(members: dict[str, Any]) -> Invocation:
    """An invocation from its members by their exact names. Raises ``MalformedMessage``."""
    headers = {} if members.get("headers") is None else members["headers"]
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise MalformedMessage("The property 'headers' is no object of strings.")
    streams = [] if members.get("streamIds") is None else members["streamIds"]
    if not isinstance(streams, list) or not all(isinstance(one, str) for one in streams):
        raise MalformedMessage("The property 'streamIds' is no array of strings.")
    return Invocation(
        target=_text(members, "target"),
        arguments=_arguments(members),
        invocation_id=_optional_text(members, "invocationId") or None,
        headers=headers,
        stream_ids=streams,
    )


def _read_completion(members: dict[str, Any]) -> Completion:
    error = _optional_text(members, "error")
    has_result = "result" in members
    if error is not None and has_result:
        raise MalformedMessage("A completion has a result and an error.")
    return Completion(_text(members, "invocationId"), members.get("result"), error, has_result)


_MEMBERS = {"type", "target", "invocationId", "headers", "streamIds", "error", "allowReconnect"}


def _read_members(record: bytes) -> dict[str, Any]:
    """The members that messages have. Those that hold payloads are JSON text. Raises ``MalformedMessage``."""
    try:
        found = json_text.raw_members(record)
    except MalformedJson:
        decode_object(record)  # it says what is wrong
        raise MalformedMessage("Error reading JSON.") from None
    return {name: read_member(name, text) for name, text in found.items()}


def read_member(name: str, text: msgspec.Raw) -> Any:
    """The value of a member. Payloads, and what no message has, stay JSON text. Raises ``MalformedMessage``."""
    try:
        if name in _MEMBERS or (name == "arguments" and not json_text.is_array(text)):
            return json_text.decode(text)
        json_text.check(text)
    except MalformedJson:
        raise MalformedMessage("Error reading JSON.") from None
    return text


def decode_object(record: bytes) -> dict[str, Any]:
    """The members of a record. Raises ``MalformedMessage`` when it is not a JSON object."""
    try:
        members = json_text.decode(record)
    except MalformedJson:
        raise MalformedMessage("Error reading JSON.") from None
    if not isinstance(members, dict):
        raise MalformedMessage("A message is a JSON object.")
    return members


def _text(members: dict[str, Any], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str):
        raise MalformedMessage(f"Missing required property '{name}'.")
    return value


def _optional_text(members: dict[str, Any], name: str) -> str | None:
    value = members.get(name)
    if value is not None and not isinstance(value, str):
        raise MalformedMessage(f"The property '{name}' is no string.")
    return value


def _arguments(members: dict[str, Any]) -> Any:
    value = members.get("arguments")
    if not isinstance(value, list | msgspec.Raw):
        raise MalformedMessage("Missing required property 'arguments'.")
    return value
