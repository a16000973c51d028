"""Maps of MessagePack whose keys are no text: how many a body may have, and what is written in place of which keys.

Text and bytes are hashed with a secret, numbers are not: somebody can choose numbers that all fall on one place of a
Python dict, so that reading n of them takes n * n steps. JSON has no such keys.
"""

import re
from typing import Any

from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.hub_message import Payload

MOST_KEYS = 10_000
"""Keys that are no text, in all maps of one body. The worst choice of so many takes about 0.1 s."""
MOST_VALUES = 500_000
"""Values that a body with a large map may have: so many are counted in about 0.1 s."""

_SMALL_BODY = 32_768
# A map of 256 entries or more; or bytes of something else that look like it. Smaller maps cannot be made slow.
_LARGE_MAP = re.compile(rb"\xde[\x01-\xff]|\xdf")
_DEEPEST = 2_000  # more than the decoder takes

_TEXT = frozenset({*range(0xA0, 0xC0), 0xD9, 0xDA, 0xDB})
_MAPS, _ARRAYS = {0xDE: 2, 0xDF: 4}, {0xDC: 2, 0xDD: 4}
# A length in so many bytes, and so many bytes beside what it says.
_SIZED = {0xC4: (1, 0), 0xC5: (2, 0), 0xC6: (4, 0), 0xC7: (1, 1), 0xC8: (2, 1), 0xC9: (4, 1)}
_SIZED |= {0xD9: (1, 0), 0xDA: (2, 0), 0xDB: (4, 0)}
# How many bytes follow the first one; of values that are not in here, the bytes themselves say it.
_FIXED = dict.fromkeys([*range(0x80), 0xC0, 0xC1, 0xC2, 0xC3, *range(0xE0, 0x100)], 0)
_FIXED |= {0xA0 + length: length for length in range(32)}
_FIXED |= {0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
_FIXED |= {0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17}


def name_keys(value: Payload) -> Payload:
    """The value with text or numbers as keys, texts as in JSON: a JavaScript client ends its connection over others."""
    if isinstance(value, dict):
        return {one if _is_name(one) else json_text.name_of(one): name_keys(inner) for one, inner in value.items()}
    return [name_keys(one) for one in value] if isinstance(value, list | tuple) else value


def _is_name(key: Any) -> bool:
    return isinstance(key, str | int | float) and not isinstance(key, bool)


def has_too_many_keys(body: bytes) -> bool:
    """Whether a body with a large map has more than ``MOST_KEYS`` keys that are no text, or more than ``MOST_VALUES``.

    What is malformed is the decoder's business.
    """
    if len(body) <= _SMALL_BODY or _LARGE_MAP.search(body) is None:
        return False
    keys, values = count(body)
    return keys > MOST_KEYS or values > MOST_VALUES


def count(body: bytes) -> tuple[int, int]:
    """Keys that are no text, and values; up to the first mistake, or to one more than there may be."""
    position = keys = values = is_map = 0
    left, around = 1, [(0, 0)]  # what is to come in the innermost container, and in those around it
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
    """Behind the beginning of an array or a map; how many values it has; 1 for a map."""
    is_map = byte < 0x90 or byte in _MAPS
    width = (_MAPS | _ARRAYS).get(byte, 0)
    count = int.from_bytes(body[position : position + width], "big") if width else byte & 15
    return position + width, count * 2 if is_map else count, int(is_map)
