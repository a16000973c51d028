"""The hub protocol ``messagepack``: messages as MessagePack arrays, each behind its length in bytes.

Source: ``docs/protocol/service-emulation.md`` 4.4. The handshake before it is that of ``hub_json``.

Values are Python's own: ``bin`` is bytes, a timestamp (extension -1) is a datetime in UTC rounded to microseconds, and
another extension is an ``Ext`` of msgspec.msgpack. The keys of a map may be everything that Python can hash. There may
be many of them only if they are text, see ``has_too_many_keys``. A timestamp beyond the year 9999 is malformed.
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from signalr_bridge.errors import MalformedMessage
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.hub_message import (
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

MOST_KEYS = 10_000
"""Most keys that are not text, in all maps of one body. The worst choice of so many keys takes about 0.1 s."""
MOST_VALUES = 500_000
"""Most values in a body with a large map. Counting so many takes about 0.1 s."""

_SMALL_BODY = 32_768
# A map of 256 entries or more, or bytes of something else that look like it. Smaller maps cannot be made slow.
_LARGE_MAP = re.compile(rb"\xde[\x01-\xff]|\xdf")
_DEEPEST = 2_000  # more than the decoder takes

_TEXT = frozenset({*range(0xA0, 0xC0), 0xD9, 0xDA, 0xDB})
_MAPS, _ARRAYS = {0xDE: 2, 0xDF: 4}, {0xDC: 2, 0xDD: 4}
# The width of the length in bytes, and how many bytes come on top of that length.
_SIZED = {0xC4: (1, 0), 0xC5: (2, 0), 0xC6: (4, 0), 0xC7: (1, 1), 0xC8: (2, 1), 0xC9: (4, 1)}
_SIZED |= {0xD9: (1, 0), 0xDA: (2, 0), 0xDB: (4, 0)}
# How many bytes follow the first one. Values that are not in here say it themselves.
_FIXED = dict.fromkeys([*range(0x80), 0xC0, 0xC1, 0xC2, 0xC3, *range(0xE0, 0x100)], 0)
_FIXED |= {0xA0 + length: length for length in range(32)}
_FIXED |= {0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
_FIXED |= {0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17}

LARGEST_LENGTH = 0x7FFFFFFF
_LONGEST_PREFIX = 5

_ERROR, _VOID, _RESULT = 1, 2, 3
"""Kinds of completions."""


def name_keys(value: Payload) -> Payload:
    """The value with every key as text or a number, texts as in JSON.

    A JavaScript client closes its connection when it gets other keys.
    """
    if isinstance(value, dict):
        return {one if _is_name(one) else json_text.name_of(one): name_keys(inner) for one, inner in value.items()}
    return [name_keys(one) for one in value] if isinstance(value, list | tuple) else value


def _is_name(key: Any) -> bool:
    return isinstance(key, str | int | float) and not isinstance(key, bool)


def has_too_many_keys(body: bytes) -> bool:
    """Whether a body with a large map has more than ``MOST_KEYS`` keys that are not text, or more than ``MOST_VALUES``.

    Malformed bodies are left to the decoder.
    """
    if len(body) <= _SMALL_BODY or _LARGE_MAP.search(body) is None:
        return False
    keys, values = count(body)
    return keys > MOST_KEYS or values > MOST_VALUES


def count(body: bytes) -> tuple[int, int]:
    """The number of keys that are not text, and of values.

    Counting stops at the first malformed byte, or at one more than there may be.
    """
    position = keys = values = is_map = 0
    left, around = 1, [(0, 0)]  # values still to come in the innermost container, and in those around it
    while position < len(body) and len(around) < _DEEPEST:
        while left == 0 and around:
            left, is_map = around.pop()
        if not around:
            break
        byte = body[position]
        values += 1
        keys += is_map and left % 2 == 0 and byte not in _TEXT  # in a map, every second one is a key
        if keys > MOST_KEYS or values > MOST_VALUES:
            break
        left, position = left - 1, position + 1
        if (follow := _FIXED.get(byte)) is not None:
            position += follow
        elif byte in _SIZED:
            position = _skip_sized(body, position, byte)
        else:
            around.append((left, is_map))
            position, left, is_map = _enter(body, position, byte)
    return keys, values


def _skip_sized(body: bytes, position: int, byte: int) -> int:
    width, more = _SIZED[byte]
    return position + width + more + int.from_bytes(body[position : position + width], "big")


def _enter(body: bytes, position: int, byte: int) -> tuple[int, int, int]:
    """The position behind the beginning of an array or a map, how many values it has, and 1 for a map."""
    is_map = byte < 0x90 or byte in _MAPS
    width = (_MAPS | _ARRAYS).get(byte, 0)
    count = int.from_bytes(body[position : position + width], "big") if width else byte & 15
    return position + width, count * 2 if is_map else count, int(is_map)


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
    """The complete frame. A result may be ``msgspec.Raw`` JSON, which is converted.

    Raises the errors of msgspec for a value that MessagePack cannot hold, such as an integer of more than 64 bits.
    """
    return write_frame(write_body(message))


def write_body(message: HubMessage) -> bytes:
    """The message without its length, as it goes upstream."""
    return msgspec.msgpack.encode(_to_items(message))


def _to_items(message: HubMessage) -> list[Any]:
    match message:
        case Invocation(target, arguments, invocation_id, headers, stream_ids):
            return [1, headers, invocation_id, target, arguments, stream_ids]
        case StreamItem(invocation_id, item):
            return [2, {}, invocation_id, item]
        case Completion():
            return [3, {}, message.invocation_id, *_write_ending(message)]
        case StreamInvocation(target, arguments, invocation_id):
            return [4, {}, invocation_id, target, arguments, []]
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


def read_message(body: bytes) -> HubMessage | None:
    """The message in a body, given without its length. None for an unknown type, which is to be ignored.

    Raises ``MalformedMessage``. Items beyond those that a message has are ignored, bytes behind the array are not.
    """
    return _read_items(_decode_array(body))


def read_invocation(body: bytes) -> Invocation:
    """An invocation that came upstream. Items behind its arguments are ignored. Raises ``MalformedMessage``."""
    message = _read_items(_decode_array(body)[:5])
    if not isinstance(message, Invocation):
        raise MalformedMessage("The body is no invocation (type 1).")
    return message


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
    if has_too_many_keys(body):
        raise MalformedMessage("The message has too many values, or too many map keys that are no text.")
    try:
        items = msgspec.msgpack.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):  # ValueError: bad UTF-8, or a time after the year 9999
        raise MalformedMessage("Error reading MessagePack.") from None
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
