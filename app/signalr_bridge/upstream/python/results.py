"""What a handler returns or sends, in values that JSON and MessagePack know: models become maps."""

import datetime
from collections.abc import Sequence
from typing import Any

import msgspec
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.hub_message import Payload

# What MessagePack has of its own, and JSON writes as text.
_KEPT = (bytes, bytearray, memoryview, datetime.datetime)


def to_plain(value: Any) -> Payload:
    """The value with every object in it as maps, lists, texts and numbers; pydantic models by their aliases.

    Bytes and times stay: the codecs write them as each protocol does. Raises what msgspec and pydantic do for an object
    that neither knows.
    """
    return msgspec.to_builtins(value, builtin_types=_KEPT, enc_hook=_convert)


def encode_arguments(arguments: Sequence[Any]) -> bytes:
    """The arguments of a message as JSON. Raises what msgspec and pydantic do for an object that neither knows."""
    try:
        return json_text.encode(arguments)
    except TypeError:  # such as a pydantic model
        return json_text.encode(to_plain(arguments))


def _convert(value: Any) -> Any:
    return value.model_dump(by_alias=True) if isinstance(value, BaseModel) else to_jsonable_python(value)
