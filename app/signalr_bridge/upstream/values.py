"""Values of handlers and clients in other forms: as a small preview, as plain data, as JSON."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from signalr_bridge.errors import MalformedJson
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.hub_message import Payload

LONGEST_TEXT = 200
"""How many characters of a text are shown."""

MOST_VALUES = 60
"""How many values a preview shows."""

MOST_NESTING = 5
"""How deep a preview shows maps and lists."""

_MORE = "…"
# The codecs write these as each protocol has them.
_KEPT = (bytes, bytearray, memoryview, datetime, Decimal)


def cut(text: str) -> str:
    """The beginning of the text. Half characters, which UTF-8 does not have, are replaced."""
    short = text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + _MORE
    return short if short.isascii() else short.encode("utf-8", "replace").decode()


def preview(value: Payload) -> Any:
    """A small copy of a value. Long texts are cut, bytes are counted, and of many items the first ones are shown."""
    return _Preview().show(value)


def preview_json(text: bytes | msgspec.Raw) -> Any:
    """The preview of a JSON text. A number that Python cannot hold is infinity. Too much nesting is cut."""
    try:
        return preview(json_text.decode_widely(text))
    except (MalformedJson, RecursionError):
        return _MORE


class _Preview:
    def __init__(self) -> None:
        self._left = MOST_VALUES

    def show(self, value: Any, nesting: int = 0) -> Any:
        self._left -= 1
        match value:
            case None | bool() | float():
                return value
            case str():
                return cut(value)
            case int():
                return value if value.bit_length() <= 64 else f"<{value.bit_length()} bits>"
            case bytes() | bytearray() | memoryview():
                return f"<{len(value):,} bytes>"
            case dict() | list() | tuple() if nesting >= MOST_NESTING and value:
                return _MORE
            case dict():
                return self._show_members(value, nesting + 1)
            case list() | tuple():
                return self._show_items(value, nesting + 1)
        return _name_other(value)

    def _show_items(self, values: list[Any] | tuple[Any, ...], nesting: int) -> list[Any]:
        shown: list[Any] = []
        for one in values:
            if self._left <= 0:
                return [*shown, f"{_MORE} {len(values) - len(shown):,} more"]
            shown.append(self.show(one, nesting))
        return shown

    def _show_members(self, members: dict[Any, Any], nesting: int) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        for name, one in members.items():
            if self._left <= 0:
                return shown | {_MORE: f"{len(members) - len(shown):,} more"}
            shown[cut(name if isinstance(name, str) else str(preview(name)))] = self.show(one, nesting)
        return shown


def _name_other(value: Any) -> str:
    """A value of a kind that only MessagePack has: a time or an extension."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, msgspec.msgpack.Ext):
        return f"<{memoryview(value.data).nbytes:,} bytes>"
    return f"<{type(value).__name__}>"


def to_plain(value: Any) -> Payload:
    """The value with every object in it as maps, lists, texts and numbers.

    Pydantic models are written by their aliases. Bytes, times and decimals stay, because the codecs write them as each
    protocol does. For an object of another kind it raises the errors of msgspec and pydantic.
    """
    return msgspec.to_builtins(value, builtin_types=_KEPT, enc_hook=_convert)


def encode_arguments(arguments: Sequence[Any]) -> bytes:
    """The arguments of a message as JSON. Raises what ``to_plain`` does."""
    try:
        return json_text.encode(arguments)
    except TypeError:  # such as a pydantic model
        return json_text.encode(to_plain(arguments))


def _convert(value: Any) -> Any:
    if isinstance(value, float):  # one of a kind of its own
        return float(value)
    return value.model_dump(by_alias=True) if isinstance(value, BaseModel) else to_jsonable_python(value)
