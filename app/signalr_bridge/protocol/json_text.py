"""JSON text read and written, with one error for everything that is not JSON.

Numbers of JSON have any size and any number of digits. A text as a whole (``msgspec.Raw``) keeps them as they were
written. In Python those with a fraction or an exponent become floats, see ``decode_exactly`` for all their digits.
"""

import re
from base64 import b64encode
from dataclasses import is_dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, Self

import msgspec

from signalr_bridge.errors import MalformedJson, MalformedMessage

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])
_NAME = re.compile(rb'[\s,{]*("(?:[^"\\]|\\.)*")\s*:\s*')


# What stands before half a character that is alone: plain text, other escapes, and pairs of halves.
_BEFORE_HALF = re.compile(
    rb"((?:[^\\]++|\\[^u]|\\u(?![dD][89a-fA-F])|\\u[dD][89abAB]..\\u[dD][c-fC-F]..)*+)\\u[dD][89a-fA-F]..", re.DOTALL
)
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_MARK = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[{]+|[\]}]+|[:,]', re.DOTALL)
_WRITTEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|\s+', re.DOTALL)
_LOOSE = re.compile(rb"\\|^\s|[\[{,:]\s|\s[\]},:]")
MOST_ESCAPES = 100_000
"""The most escapes of a text that is mended. They take about 0.05 s."""
MOST_MARKS = 20_000
"""The most runs of brackets, colons, commas and texts of an object whose members ``outline`` finds.

So many take about 0.03 s.
"""


class WrittenNumber(float):
    """A number of JSON with a fraction or an exponent. Its text is as it was written, so that a Decimal gets it whole.

    Every calculation gives an ordinary float.
    """

    __slots__ = ("_text",)
    _text: str

    def __new__(cls, text: str) -> Self:
        number = super().__new__(cls, text)
        number._text = text
        return number

    def __str__(self) -> str:
        return self._text

    __repr__ = __str__


def _encode_foreign(value: Any) -> Any:
    if isinstance(value, msgspec.msgpack.Ext):
        return b64encode(value.data).decode()
    if isinstance(value, WrittenNumber):
        return msgspec.Raw(str(value).encode())
    raise TypeError(f"JSON has no {type(value).__name__}")


_N, _F, _BACKSLASH, _OPENING = b"Nf\\["
_ENCODER = msgspec.json.Encoder(enc_hook=_encode_foreign, decimal_format="number")


def encode(value: Any) -> bytes:
    """The JSON text of a value, also of one that came in MessagePack.

    Bytes and the data of an unknown extension become base64, a timestamp becomes RFC 3339, a ``Decimal`` a number with
    all its digits, NaN and infinity become null, and a name that is not text becomes its JSON text. Raises the errors
    of msgspec for a value that JSON cannot hold.
    """
    if type(value) is str:
        return _ENCODER.encode(value)
    try:
        text = _ENCODER.encode(value)
    except TypeError:
        value = _name_in_text(value)
        text = _ENCODER.encode(value)
    # To look for single bytes is much faster. The names of messages do not have them.
    if (_N in text or _F in text) and (b"NaN" in text or b"Infinity" in text):
        return _ENCODER.encode(_null_endless(value))  # a Decimal may stand there, as well as any text
    return text


def _null_endless(value: Any) -> Any:
    """The value with None for each ``Decimal`` that is not a number or infinite."""
    if isinstance(value, Decimal):
        return value if value.is_finite() else None
    if isinstance(value, dict):
        return {_null_endless(name): _null_endless(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_null_endless(one) for one in value]
    if isinstance(value, msgspec.Struct) or is_dataclass(value):
        return _null_endless(msgspec.to_builtins(value, builtin_types=(Decimal,), enc_hook=_encode_foreign))
    return value


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


def check_roughly(text: bytes) -> None:
    """Raise ``MalformedJson`` for most of what is not JSON, and build no value. A large one takes a second to build."""
    try:
        found = first_elements(b"[%b]" % text, 1)  # msgspec does not see how deep a raw text is that stands alone
    except TooManyElements:
        found = ()
    if not found:
        raise MalformedJson("The body is not well-formed JSON in UTF-8.")


def decode_exactly(text: bytes | msgspec.Raw) -> Any:
    """Like ``decode``, with a ``WrittenNumber`` for each number with a fraction or an exponent."""
    try:
        return _EXACT.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedJson("The body is not well-formed JSON in UTF-8.") from None


_EXACT = msgspec.json.Decoder(float_hook=WrittenNumber)


def decode_widely(text: bytes | msgspec.Raw) -> Any:
    """Like ``decode``, with infinity for each number that Python cannot hold. Raises ``RecursionError``, too."""
    try:
        return _WIDE.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        whole = bytes(text)
    if _LONG.search(whole) is None or whole.count(b'"') > MOST_ESCAPES:
        raise MalformedJson("The body is not well-formed JSON in UTF-8.")
    try:
        return _WIDE.decode(_replace(_BEFORE_LONG, whole, b"1e999"))
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise MalformedJson("The body is not well-formed JSON in UTF-8.") from None


_WIDE = msgspec.json.Decoder(float_hook=float)
_LONG = re.compile(rb"[0-9]{4301}")
"""More digits than Python reads as an integer."""
# What stands before such an integer: other marks, texts, numbers with a fraction or an exponent, and shorter integers.
_BEFORE_LONG = re.compile(
    rb'((?:[^"0-9]++|"(?:[^"\\]|\\.)*+"|[0-9]++[.eE][-+.eE0-9]*+|[0-9]{1,4300}+(?![0-9]))*+)[0-9]{4301,}+', re.DOTALL
)


def compact(text: bytes) -> bytes:
    """The text without blanks, and with characters instead of escapes where there can be. Numbers stay as written."""
    return text if _LOOSE.search(text) is None else _WRITTEN.sub(_write_compactly, text)


def _write_compactly(found: re.Match[bytes]) -> bytes:
    if not found[0].startswith(b'"'):
        return b""
    return _ENCODER.encode(decode(found[0])) if b"\\" in found[0] else found[0]


def check(text: bytes | msgspec.Raw) -> None:
    """Raise ``MalformedJson`` for what is not JSON. What is nested too deeply is taken unseen.

    msgspec itself takes some faults within a value that it leaves raw.
    """
    try:
        decode_widely(text)
    except RecursionError:
        return


def mend_half_characters(text: bytes) -> bytes:
    """The text with U+FFFD for every escape of a half character (a surrogate) that stands alone.

    A client's JavaScript writes one for a text that is cut within an emoji. JSON's decoders refuse it. A text with more
    than ``MOST_ESCAPES`` escapes stays as it is.
    """
    if _BACKSLASH not in text or _HALF.search(text) is None or text.count(b"\\u") > MOST_ESCAPES:
        return text
    return _replace(_BEFORE_HALF, text, b"\\ufffd")


def _replace(pattern: re.Pattern[bytes], text: bytes, new: bytes) -> bytes:
    """The text with ``new`` for what each match has behind its first group. Each match begins where the last ended."""
    pieces: list[bytes] = []
    position = 0
    while (match := pattern.match(text, position)) is not None:
        pieces += [match[1], new]
        position = match.end()
    return b"".join([*pieces, text[position:]])


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


def is_array(text: msgspec.Raw) -> bool:
    """Whether a JSON text without blanks around it is an array."""
    return memoryview(text)[0] == _OPENING


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
    if text.count(b",") < most:  # so there are no more, as mostly, and the decoder below would take 50 us
        return tuple(_decode_raw(_ELEMENTS, text))
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


def raw_members(text: bytes) -> dict[str, msgspec.Raw]:
    """The members of an object, as JSON text. Of several with one name the last counts. Raises ``MalformedJson``."""
    try:
        check_utf8(text)
        return _MEMBERS.decode(text)
    except RecursionError:
        return outline(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise MalformedJson("The body is not well-formed JSON in UTF-8.") from None


def outline(text: bytes) -> dict[str, msgspec.Raw]:
    """The members of an object that is nested more deeply than the decoder goes.

    Their texts are not looked into. Raises ``MalformedJson``, also for an object of more than ``MOST_MARKS`` marks.
    """
    found: dict[str, msgspec.Raw] = {}
    depth, name, begin, last = 0, "", -1, b""
    for number, match in enumerate(_MARK.finditer(text)):
        mark = match[0]
        if mark[0] in b"[{":
            depth += len(mark)
        elif mark[0] in b"]}":
            depth -= len(mark)
        if begin >= 0 and (depth == 0 or (depth == 1 and mark == b",")):
            found[name], begin = msgspec.Raw(text[begin : match.end() - 1].strip()), -1
        elif depth == 1 and begin < 0 and mark == b":":
            name, begin = str(decode(last)), match.end()
        last = mark
        if number >= MOST_MARKS:
            break
    if depth != 0:
        raise MalformedJson("The body is not well-formed JSON in UTF-8.")
    return found


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
