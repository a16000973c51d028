"""JSON text read and written, with one error for everything that is not JSON."""

import re
from base64 import b64encode
from functools import lru_cache
from typing import Any

import msgspec

from signalr_bridge.errors import MalformedJson, MalformedMessage

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])
_ANY = msgspec.json.Decoder(msgspec.Raw)
_NAME = re.compile(rb'[\s,{]*("(?:[^"\\]|\\.)*")\s*:\s*')


def _encode_foreign(value: Any) -> Any:
    if isinstance(value, msgspec.msgpack.Ext):
        return b64encode(value.data).decode()
    raise TypeError(f"JSON has no {type(value).__name__}")


_ENCODER = msgspec.json.Encoder(enc_hook=_encode_foreign)


def encode(value: Any) -> bytes:
    """The JSON text of a value, also of one that came in MessagePack.

    Bytes and the data of an unknown extension become base64, a timestamp becomes RFC 3339, NaN and infinity become
    null, and a name that is not text becomes its JSON text. Raises the errors of msgspec for a value that JSON cannot
    hold.
    """
    try:
        return _ENCODER.encode(value)
    except TypeError:
        return _ENCODER.encode(_name_in_text(value))


def _name_in_text(value: Any) -> Any:
    """The value with a text for every name of a map that is neither text nor number."""
    if isinstance(value, dict):
        return {_write_name(name): _name_in_text(one) for name, one in value.items()}
    return [_name_in_text(one) for one in value] if isinstance(value, list | tuple) else value


def _write_name(name: Any) -> Any:
    return _ENCODER.encode(name).decode() if name is None or isinstance(name, bool | tuple) else name


def name_of(key: Any) -> str:
    """The name that a map's key has in JSON."""
    return str(next(iter(decode(encode({key: None})))))


class DuplicateMember(Exception):
    """A JSON object holds the member ``name`` more than once."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def decode(text: bytes | msgspec.Raw) -> Any:
    """The value of a text. Integers of any size stay exact.

    Raises ``MalformedJson``, also for bad UTF-8 and for nesting that is too deep.
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedJson("The body is not well-formed JSON in UTF-8.") from None


def check(text: bytes) -> None:
    """Raises ``MalformedJson`` as ``decode`` does, but builds no value. A large one takes a second to build."""
    _decode_raw(_ANY, text)


def decode_object(text: bytes) -> dict[str, Any]:
    """The members of what another party answered. Raises ``MalformedMessage`` when it is not a JSON object."""
    try:
        document = decode(text)
    except MalformedJson:
        document = None
    if not isinstance(document, dict):
        raise MalformedMessage("The answer is no JSON object.")
    return document


def first_character(text: bytes) -> bytes:
    """The first character that is not white space: ``b"{"`` for an object, ``b""`` for a blank text."""
    return text.lstrip(b" \t\r\n")[:1]


def members(text: bytes, most: int | None = None) -> dict[str, bytes]:
    """The members of an object, each value still as JSON text. Raises ``MalformedJson`` and ``DuplicateMember``.

    Where there are more than ``most``, the first ones are given, and nothing is looked for that stands there twice.
    """
    found = _decode_raw(_MEMBERS, text)
    if most is not None and len(found) > most:
        return {name: bytes(value) for name, value in list(found.items())[:most]}
    values = {name: bytes(value) for name, value in found.items()}
    if _may_hold_more(text, values):
        _refuse_duplicates(text, values)
    return values


class TooManyElements(Exception):
    """A JSON array holds more elements than are wanted."""


def first_elements(text: bytes, most: int) -> tuple[msgspec.Raw, ...]:
    """The elements of an array, which has at most ``most``. Each refers to the text, and is JSON text in it.

    Raises ``MalformedJson``, and ``TooManyElements`` as soon as there is one too many. What stands behind it is then
    not looked at: a text of 8 MiB may hold four million elements, and to take them apart takes seconds.
    """
    try:
        check_utf8(text)
        found = _decoder_of_array(most).decode(text)
    except msgspec.ValidationError:
        raise TooManyElements from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedJson("The body is not well-formed JSON in UTF-8.") from None
    return tuple(one for one in msgspec.structs.astuple(found) if one is not msgspec.UNSET)


@lru_cache(maxsize=8)
def _decoder_of_array(most: int) -> msgspec.json.Decoder[Any]:
    """A decoder that stops at the element behind the last one that is wanted. A limit on a list is checked at its end.

    Source: https://jcristharif.com/msgspec/structs.html#encoding-decoding-as-arrays.
    """
    fields = [(f"element_{number}", msgspec.Raw | msgspec.UnsetType, msgspec.UNSET) for number in range(most)]
    array = msgspec.defstruct("Array", fields, array_like=True, forbid_unknown_fields=True, gc=False)
    return msgspec.json.Decoder(array)


def elements(text: bytes) -> list[bytes]:
    """The elements of an array, each still as JSON text. Raises ``MalformedJson``."""
    return [bytes(element) for element in _decode_raw(_ELEMENTS, text)]


def _decode_raw(decoder: msgspec.json.Decoder[Any], text: bytes) -> Any:
    try:
        check_utf8(text)  # msgspec does not check that of raw values
        return decoder.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedJson("The body is not well-formed JSON in UTF-8.") from None


def check_utf8(text: bytes) -> None:
    """Raises ``UnicodeDecodeError`` for a text that is not UTF-8."""
    if not text.isascii():
        text.decode("utf-8")


def least_duplicate(name: str) -> int:
    """The fewest characters by which a member that repeats ``name`` makes a text longer: ``,"name":0``."""
    return len(name) + 5


def _may_hold_more(text: bytes, values: dict[str, bytes]) -> bool:
    """Whether the text is long enough for these members and one that repeats a name. Mostly it is not."""
    if not values:
        return False
    # The braces, the commas, and the quotes and colon of each name. Escapes and blanks only make the text longer.
    known = 4 * len(values) + 1 + sum(map(len, values)) + sum(map(len, values.values()))
    return len(text) - known >= least_duplicate(min(values, key=len))


def _refuse_duplicates(text: bytes, values: dict[str, bytes]) -> None:
    """Walk the names of the object. msgspec keeps the last of several values, so a name seen twice is noticed.

    A value is skipped by its length. So this costs the number of members, not the size of the text.
    """
    seen: set[str] = set()
    position, name = 0, ""
    while (match := _NAME.match(text, position)) is not None:
        name = msgspec.json.decode(match[1], type=str)
        value = values[name]
        if name in seen or not text.startswith(value, match.end()):
            raise DuplicateMember(name)
        seen.add(name)
        position = match.end() + len(value)
    if values and text[position:].strip() != b"}":
        raise DuplicateMember(name)  # an earlier value that only begins like the last one
