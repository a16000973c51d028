"""MessagePack bytes decoded, counted and taken apart. What is malformed is one error, and what is too much another.

Values are Python's own: ``bin`` is bytes, a timestamp (extension -1) is a datetime in UTC cut off to microseconds, and
another extension is an ``Ext`` of msgspec.msgpack. The keys of a map may be everything that Python can hash. There may
be many of them only if they are text, see ``has_too_many_keys``. What in a text is not UTF-8 becomes U+FFFD.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from signalr_bridge.errors import MalformedMessage, UnheldValue

MOST_KEYS = 10_000
"""Most keys that are not text, in all maps of one body. The worst choice of so many keys takes about 0.1 s."""
MOST_VALUES = 500_000
"""Most values in a body with a large map. Counting so many takes about 0.1 s."""
MOST_MENDED = 20_000
"""Most values in a body that is mended. Looking at so many takes about 0.03 s."""

_SMALL_BODY = 32_768
# A map of 256 entries or more, or bytes of something else that look like it. Smaller maps cannot be made slow.
_LARGE_MAP = re.compile(rb"\xde[\x01-\xff]|\xdf")
_DEEPEST = 2_000  # more than the decoder takes

_SHORT_TEXT = range(0xA0, 0xC0)
_TEXT = frozenset({*_SHORT_TEXT, 0xD9, 0xDA, 0xDB})
_MAPS, _ARRAYS = {0xDE: 2, 0xDF: 4}, {0xDC: 2, 0xDD: 4}
# The width of the length in bytes, and how many bytes come on top of that length.
_SIZED = {0xC4: (1, 0), 0xC5: (2, 0), 0xC6: (4, 0), 0xC7: (1, 1), 0xC8: (2, 1), 0xC9: (4, 1)}
_SIZED |= {0xD9: (1, 0), 0xDA: (2, 0), 0xDB: (4, 0)}
# How many bytes follow the first one. Values that are not in here say it themselves.
_FIXED = dict.fromkeys([*range(0x80), 0xC0, 0xC1, 0xC2, 0xC3, *range(0xE0, 0x100)], 0)
_FIXED |= {0xA0 + length: length for length in range(32)}
_FIXED |= {0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
_FIXED |= {0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17}
_UNUSED = 0xC1

_TIME_CODE = 0xFF
_TIME_64, _TIME_96 = b"\xd7\xff", b"\xc7\x0c\xff"
# How a timestamp with nanoseconds begins, how many bytes hold them, and how many bits are behind them there.
_TIMES = ((_TIME_64, 8, 34), (_TIME_96, 4, 0))
_TIME = re.compile(rb"\xd7\xff.{8}|\xc7\x0c\xff.{4}", re.DOTALL)
_NANOSECONDS = 10**9
_MENDED = _TEXT | {_TIME_64[0], _TIME_96[0]}
_HALF_CHARACTER = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
_REPLACEMENT = "\ufffd".encode()


def decode(body: bytes) -> Any:
    """The value in a body.

    Raises ``UnheldValue`` for a well-formed body with a value that Python cannot hold, such as a time before the year 1
    or beyond 9999, or a map as a key, or one that is nested too deeply. Raises ``MalformedMessage`` for other bytes.
    """
    if _TIME_CODE in body and (_TIME_64 in body or _TIME_96 in body):  # to look for a single byte is much faster
        body = _cut_off(body)
    try:
        return msgspec.msgpack.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):  # ValueError: bad UTF-8
        mended = _mend(body)
    try:
        return msgspec.msgpack.decode(mended)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise UnheldValue("The message holds a value that cannot be held.") from None


def _cut_off(body: bytes) -> bytes:
    """The body with times cut off, which the decoder would round. In one of too many values they stay."""
    if not any(_may_be_fine(match) for match in _TIME.finditer(body)):
        return body
    try:
        return _mend(body)
    except UnheldValue:
        return body


def _may_be_fine(match: re.Match[bytes]) -> bool:
    return _mend_time(match[0]) != match[0]


def split(body: bytes, most: int) -> list[bytes]:
    """The first ``most`` items of an array, each still packed. What follows them is not looked at.

    Raises ``MalformedMessage`` for what is not an array, or ends within one of them.
    """
    if not body or not (body[0] in range(0x90, 0xA0) or body[0] in _ARRAYS):
        raise MalformedMessage("A message is a MessagePack array.")
    position, length, _ = _enter(body, 1, body[0])
    items = []
    for _ in range(min(most, length)):
        *_, (_, end) = _scan(body, position)
        items.append(body[position:end])
        position = end
    return items


def _scan(body: bytes, position: int = 0) -> Iterator[tuple[int, int]]:
    """Where the value at ``position`` and each one within it begins, and where its own bytes end.

    Those of an array or a map are its head alone. Raises ``MalformedMessage`` for bytes that are not MessagePack, and
    ``UnheldValue`` behind ``MOST_MENDED`` values.
    """
    left, seen = 1, 0
    while left:
        if position >= len(body) or (byte := body[position]) == _UNUSED:
            raise MalformedMessage("Error reading MessagePack.")
        begin, position, inner = position, position + 1, 0
        if (follow := _FIXED.get(byte)) is not None:
            position += follow
        elif byte in _SIZED:
            position = _skip_sized(body, position, byte)
        else:
            position, inner, _ = _enter(body, position, byte)
        if position > len(body):
            raise MalformedMessage("Error reading MessagePack.")
        yield begin, position
        left, seen = left - 1 + inner, seen + 1
        if seen > MOST_MENDED:
            raise UnheldValue("The message has too many values.")


def _mend(body: bytes) -> bytes:
    """The body with times cut off to microseconds, and U+FFFD for what is not UTF-8 in texts. Raises as ``_scan``."""
    pieces, done, end = [], 0, 0
    for begin, end in _scan(body):
        if body[begin] not in _MENDED:
            continue
        value = body[begin:end]
        mended = _mend_text(value) if body[begin] in _TEXT else _mend_time(value)
        if mended is not value:
            pieces += [body[done:begin], mended]
            done = end
    if end != len(body):
        raise MalformedMessage("Error reading MessagePack.")
    return b"".join([*pieces, body[done:]])


def _mend_text(value: bytes) -> bytes:
    if value[1:].isascii():
        return value
    text = value[1 + (0 if value[0] in _SHORT_TEXT else _SIZED[value[0]][0]) :]
    try:
        text.decode()
    except UnicodeDecodeError:
        mended = _HALF_CHARACTER.sub(_REPLACEMENT, text).decode("utf-8", "replace")
        return msgspec.msgpack.encode(mended)
    return value


def _mend_time(value: bytes) -> bytes:
    for head, width, shift in _TIMES:
        if value.startswith(head):
            field = value[len(head) : len(head) + width]
            number = int.from_bytes(field, "big")
            rest = (number >> shift) % 1000  # nanoseconds beyond whole microseconds
            if rest and number >> shift < _NANOSECONDS:
                return head + (number - (rest << shift)).to_bytes(width, "big") + value[len(head) + width :]
    return value


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
