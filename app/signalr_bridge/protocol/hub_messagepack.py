"""The hub protocol ``messagepack``: messages as MessagePack arrays, each behind its length in bytes.

Source: ``docs/protocol/service-emulation.md`` 4.4. The handshake before it is that of ``hub_json``. What values are in
Python is said in ``messagepack``. An invocation whose arguments cannot be held is read without them, see its ``fault``.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import structs

from signalr_bridge.errors import MalformedJson, MalformedMessage, UnheldValue
from signalr_bridge.protocol import json_text, messagepack
from signalr_bridge.protocol.hub_message import (
    UNHELD,
    CancelInvocation,
    Close,
    Completion,
    HubMessage,
    Invocation,
    Payload,
    Ping,
    StreamInvocation,
    StreamItem,
)

LARGEST_LENGTH = 0x7FFFFFFF
_LONGEST_PREFIX = 5

_ERROR, _VOID, _RESULT = 1, 2, 3
"""Kinds of completions."""


def _encode_foreign(value: Any) -> Any:
    if isinstance(value, float):  # one of a kind of its own
        return float(value)
    raise TypeError(f"MessagePack has no {type(value).__name__}")


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_encode_foreign)


def name_keys(value: Payload) -> Payload:
    """The value with every key as text or a number, texts as in JSON.

    A JavaScript client closes its connection when it gets other keys.
    """
    if isinstance(value, dict):
        return {one if _is_name(one) else json_text.name_of(one): name_keys(inner) for one, inner in value.items()}
    return [name_keys(one) for one in value] if isinstance(value, list | tuple) else value


def _is_name(key: Any) -> bool:
    return isinstance(key, str | int | float) and not isinstance(key, bool)


def write_frame(body: bytes) -> bytes:
    """The body behind its length: 7 bits a byte, the least significant first. The high bit says that more follow."""
    prefix, length = bytearray(), len(body)
    while length > 0x7F:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    prefix.append(length)
    return bytes(prefix) + body


def split_frames(data: bytes) -> tuple[list[bytes], bytes]:
    """The complete messages, without their lengths, and the incomplete rest. Raises ``MalformedMessage``."""
    frames: list[bytes] = []
    position = 0
    while (read := _read_length(data, position)) is not None:
        begin, length = read
        if begin + length > len(data):
            break
        frames.append(data[begin : begin + length])
        position = begin + length
    return frames, data[position:]


def _read_length(data: bytes, position: int) -> tuple[int, int] | None:
    """Where the body begins and how many bytes it has. None when the prefix is not complete."""
    length = 0
    prefix = data[position : position + _LONGEST_PREFIX]
    for index, byte in enumerate(prefix):
        length |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            if length > LARGEST_LENGTH:
                break
            return position + index + 1, length
    else:
        if len(prefix) < _LONGEST_PREFIX:
            return None
    raise MalformedMessage("A message says that it has more than 2 GiB.")


def write_message(message: HubMessage) -> bytes:
    """The complete frame. Payloads may be ``msgspec.Raw`` JSON, which is converted. Of arguments see ``from_json``.

    Raises the errors of msgspec for a value that MessagePack cannot hold, such as an integer of more than 64 bits, and
    ``MalformedJson``.
    """
    return write_frame(write_body(message))


def write_body(message: HubMessage) -> bytes:
    """The message without its length, as it goes upstream."""
    return _ENCODER.encode(_to_items(message))


def _to_items(message: HubMessage) -> list[Any]:
    match message:
        case Invocation(target, arguments, invocation_id, headers, stream_ids):
            return [1, headers, invocation_id, target, _to_values(arguments), stream_ids]
        case StreamItem(invocation_id, item):
            return [2, {}, invocation_id, _to_values(item)]
        case Completion():
            return [3, {}, message.invocation_id, *_write_ending(message)]
        case StreamInvocation(target, arguments, invocation_id):
            return [4, {}, invocation_id, target, _to_values(arguments), []]
        case CancelInvocation(invocation_id):
            return [5, {}, invocation_id]
        case Ping():
            return [6]
        case Close(error, allow_reconnect):
            return [7, error, allow_reconnect]


def _write_ending(message: Completion) -> list[Any]:
    if message.error is not None:
        return [_ERROR, message.error]
    if not message.has_result:
        return [_VOID]
    is_json = isinstance(message.result, msgspec.Raw)
    return [_RESULT, json_text.decode(message.result) if is_json else message.result]


def _to_values(payload: Payload) -> Payload:
    return from_json(payload) if isinstance(payload, msgspec.Raw) else payload


def from_json(text: bytes | msgspec.Raw) -> Any:
    """The value of a JSON text as MessagePack can hold it.

    Integers of more than 64 bits become the nearest float, and numbers that no float reaches become infinity, as
    JavaScript makes of such JSON. Raises ``MalformedJson``, also for nesting that is too deep.
    """
    try:
        return fit_integers(json_text.decode_widely(text))
    except RecursionError:
        raise MalformedJson("The values are nested too deeply.") from None


def read_message(body: bytes) -> HubMessage | None:
    """The message in a body, given without its length. None for an unknown type, which is to be ignored.

    Raises ``MalformedMessage``. Items beyond those that a message has are ignored, bytes behind the array are not. With
    a value that cannot be held, an invocation has a ``fault``, a completion is an error, and a stream is ignored.
    """
    try:
        items = _decode_array(body)
    except UnheldValue:
        return _read_unheld(body)
    return _read_items(items)


def read_invocation(body: bytes) -> Invocation:
    """An invocation that came upstream. Items behind its streams are ignored. Raises ``MalformedMessage``."""
    try:
        items = _decode_array(body)
    except UnheldValue:
        message = _read_unheld(body)
    else:
        message = _read_items(items if _has_streams(items) else items[:5])
    if not isinstance(message, Invocation):
        raise MalformedMessage("The body is no invocation (type 1).")
    return message


def _has_streams(items: Sequence[Any]) -> bool:
    """Whether ids of streams stand behind the arguments. What else may stand there is ignored."""
    if len(items) < 6 or not isinstance(items[5], list):
        return False
    return all(isinstance(one, str) for one in items[5])


def _read_unheld(body: bytes) -> HubMessage | None:
    """What is left of a message without the values that cannot be held. Raises ``MalformedMessage``."""
    parts = messagepack.split(body, 4)
    match messagepack.decode(parts[0]) if parts else None:
        case 1:
            message = _read_items([*map(messagepack.decode, parts), []])
            return structs.replace(message, fault=UNHELD) if isinstance(message, Invocation) else message
        case 3:
            return Completion(_text([*map(messagepack.decode, parts[:3])], 2, "invocationId"), error=UNHELD)
    return None


def _read_items(items: Sequence[Any]) -> HubMessage | None:
    kind = items[0]
    if type(kind) is not int:  # True would pass for 1
        raise MalformedMessage("The message's first item is no type.")
    if kind in range(1, 6):
        _check_headers(_item(items, 1, "headers"))
    match kind:
        case 1:
            return Invocation(
                target=_text(items, 3, "target"),
                arguments=_arguments(items),
                invocation_id=_optional_text(items, 2, "invocationId") or None,
                headers=items[1] or {},
                stream_ids=_read_stream_ids(items),
            )
        case 2:
            return StreamItem(_text(items, 2, "invocationId"), _item(items, 3, "item"))
        case 3:
            return _read_completion(items)
        case 4:
            return StreamInvocation(_text(items, 3, "target"), _arguments(items), _text(items, 2, "invocationId"))
        case 5:
            return CancelInvocation(_text(items, 2, "invocationId"))
        case 6:
            return Ping()
        case 7:
            return Close(_optional_text(items, 1, "error"), len(items) > 2 and items[2] is True)
    return None


def _read_completion(items: Sequence[Any]) -> Completion:
    invocation_id, kind = _text(items, 2, "invocationId"), _item(items, 3, "kind of result")
    if type(kind) is not int or kind not in {_ERROR, _VOID, _RESULT}:
        raise MalformedMessage("The kind of result is unknown.")
    if kind == _ERROR:
        return Completion(invocation_id, error=_text(items, 4, "error"))
    if kind == _VOID:
        return Completion(invocation_id)
    return Completion(invocation_id, _item(items, 4, "result"), has_result=True)


def _decode_array(body: bytes) -> list[Any]:
    if messagepack.has_too_many_keys(body):
        raise UnheldValue("The message has too many values, or too many map keys that are no text.")
    items = messagepack.decode(body)
    if not isinstance(items, list) or not items:
        raise MalformedMessage("A message is a MessagePack array.")
    return items


def _item(items: Sequence[Any], index: int, name: str) -> Payload:
    if index >= len(items):
        raise MalformedMessage(f"Missing required item '{name}'.")
    return items[index]


def _text(items: Sequence[Any], index: int, name: str) -> str:
    value = _item(items, index, name)
    if not isinstance(value, str):
        raise MalformedMessage(f"The item '{name}' is no string.")
    return value


def _optional_text(items: Sequence[Any], index: int, name: str) -> str | None:
    return None if _item(items, index, name) is None else _text(items, index, name)


def _arguments(items: Sequence[Any]) -> list[Any]:
    value = _item(items, 4, "arguments")
    if not isinstance(value, list):
        raise MalformedMessage("The item 'arguments' is no array.")
    return value


def _check_headers(headers: Any) -> None:
    if headers is None:
        return  # as good as an empty map
    if not isinstance(headers, dict) or not all(isinstance(one, str) for pair in headers.items() for one in pair):
        raise MalformedMessage("The item 'headers' is no map of strings.")


def _read_stream_ids(items: Sequence[Any]) -> list[str]:
    ids = items[5] if len(items) > 5 and items[5] is not None else []
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        raise MalformedMessage("The item 'streamIds' is no array of strings.")
    return ids


def fit_integers(value: Payload) -> Any:
    """The value with integers of more than 64 bits, which JSON may hold, as the nearest float.

    JavaScript makes the same of such JSON.
    """
    if isinstance(value, dict):
        return {name: fit_integers(one) for name, one in value.items()}
    if isinstance(value, list):
        return [fit_integers(one) for one in value]
    if type(value) is not int or -(2**63) <= value < 2**64:
        return value
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
