"""An upstream call of the service: its ``X-ASRS-*`` headers, its signatures and its body, written and read.

Source: ``docs/protocol/functions-bindings.md`` 1.3 to 1.8, ``docs/protocol/service-emulation.md`` 3.2 and 3.3.
"""

import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
from msgspec import structs

from signalr_bridge.errors import BadSignature, MalformedJson, MalformedMessage, UnheldValue
from signalr_bridge.protocol import hub_json, hub_messagepack, json_text
from signalr_bridge.protocol.hub_message import UNHELD, Closed, Completion, HubMessage, Invocation, Payload
from signalr_bridge.protocol.names import read_parameters
from signalr_bridge.protocol.signing_key import SigningKey, digest_by_each

HeaderLines: TypeAlias = Sequence[tuple[bytes, bytes]]
"""A request's header lines as they came, with lower-case names."""

JSON = "application/json"
MESSAGEPACK = "application/x-msgpack"

CONNECTIONS, MESSAGES = "connections", "messages"
CONNECTED, DISCONNECTED = "connected", "disconnected"

SIGNATURE_HEADER = "x-asrs-signature"
_NAMES = {
    "hub": "X-ASRS-Hub",
    "category": "X-ASRS-Category",
    "event": "X-ASRS-Event",
    "connection_id": "X-ASRS-Connection-Id",
    "user_id": "X-ASRS-User-Id",
    "claims_line": "X-ASRS-User-Claims",
    "client_query": "X-ASRS-Client-Query",
}
_SEPARATOR = b"\n"
_BLANKS = " \t"
_LINES = [header.lower().encode() for header in _NAMES.values()]
# These parameters hold secrets of the client, or belong to its transport.
_SECRET_QUERY = frozenset({"access_token", "id", "_"})

MOST_SIGNATURES = 16
"""How many signatures of one request are checked. The service sends one for each of its two keys."""

MOST_KEPT_DIGESTS = 8_192
"""How many digests of connection ids ``Signers`` keeps. With one key they take 2 MB, with more keys less."""

_SCHEME = "sha256="
_SCHEME_LENGTH = len(_SCHEME)
_DIGEST_BYTES = 32
_SIGNATURE_LENGTH = _SCHEME_LENGTH + 2 * _DIGEST_BYTES


class EventHeaders(msgspec.Struct, frozen=True, gc=False):
    """The values of the headers. An absent header is the empty text. Names are as sent."""

    hub: str = ""
    category: str = ""
    event: str = ""
    connection_id: str = ""
    user_id: str = ""
    claims_line: str = ""
    client_query: str = ""

    def __repr__(self) -> str:
        """The query is left out, because it may hold the client's token."""
        return (
            f"EventHeaders({self.hub!r}, {self.category!r}, {self.event!r}, {self.connection_id!r}, {self.user_id!r})"
        )


def write_event_headers(headers: EventHeaders) -> dict[str, str]:
    """The headers that are not empty. Line breaks in a value become blanks, because they would forge headers."""
    values = {_NAMES[name]: getattr(headers, name) for name in _NAMES}
    return {name: value.replace("\r", " ").replace("\n", " ") for name, value in values.items() if value}


def read_event_headers(lines: HeaderLines) -> EventHeaders:
    """The values in raw header lines, whose names are in lower case. The first of a repeated header counts.

    Values are UTF-8.
    """
    return pick_event_headers(first_values(lines))


def first_values(lines: HeaderLines) -> dict[bytes, bytes]:
    """The values of header lines by name. The first of a repeated header counts."""
    return dict(reversed(lines))


def pick_event_headers(values: Mapping[bytes, bytes]) -> EventHeaders:
    """The headers of an event among what ``first_values`` gives."""
    found = [values.get(name, b"") for name in _LINES]
    try:
        texts = _SEPARATOR.join(found).decode().split(_SEPARATOR.decode())  # all at once, because this is done often
    except UnicodeDecodeError:
        texts = []
    if len(texts) != len(found):
        return EventHeaders(*map(decode_header, found))
    return EventHeaders(*map(str.strip, texts, [_BLANKS] * len(texts)))


def decode_header(value: bytes) -> str:
    """A header's bytes as UTF-8, else as the latin-1 of older HTTP.

    Only HTTP's own white space is stripped. A user id with a no-break space in front names another user.
    """
    try:
        return value.decode().strip(_BLANKS)
    except UnicodeDecodeError:
        return value.decode("latin-1").strip(_BLANKS)


def read_client_query(text: str) -> dict[str, list[str]]:
    """The client's query, without the parameters that are secret or belong to the service."""
    values: dict[str, list[str]] = {}
    for name, value in read_parameters(text.removeprefix("?")):
        if name.lower() not in _SECRET_QUERY and not name.lower().startswith("asrs"):
            values.setdefault(name, []).append(value)
    return values


def write_connected() -> bytes:
    """The body of a connected event."""
    return b'{"type":10}'


def write_disconnected(error: str | None) -> bytes:
    """The body of a disconnected event. ``error`` is None when the client closed in the regular way."""
    return json_text.encode({"type": 11} if error is None else {"type": 11, "error": error})


def write_invocation(message: Invocation) -> bytes:
    """The body of a message in JSON, without a separator."""
    return hub_json.write_message(message).removesuffix(hub_json.RECORD_SEPARATOR)


def read_disconnected(body: bytes) -> Closed:
    """The message in the body of a disconnected event. Raises ``MalformedMessage``.

    The body may be empty, without ``error``, or spelt ``Type`` and ``Error``.
    """
    text = json_text.mend_half_characters(body.removesuffix(hub_json.RECORD_SEPARATOR))
    if not text.strip():
        return Closed()
    error = _lower_names(hub_json.decode_object(text)).get("error")
    if error is not None and not isinstance(error, str):
        raise MalformedMessage("The property 'error' is no string.")
    return Closed(error or None)


class _UsualInvocation(msgspec.Struct, forbid_unknown_fields=True):
    """A message as the service spells it, decoded at once."""

    type: int
    target: str
    arguments: msgspec.Raw
    invocationId: str | None = None
    headers: dict[str, str] | None = None
    streamIds: list[str] | None = None


_USUAL = msgspec.json.Decoder(_UsualInvocation)
_SPELLING = {"invocationid": "invocationId", "streamids": "streamIds"}


def read_invocation(body: bytes) -> Invocation:
    """The invocation in a body, with names in any case, with or without the separator. Raises ``MalformedMessage``.

    Its arguments are ``msgspec.Raw``, so that numbers stay as they were written. See ``read_arguments``. A half
    character that stands alone is read as U+FFFD.
    """
    text = json_text.mend_half_characters(body.removesuffix(hub_json.RECORD_SEPARATOR))
    if not text.isascii():
        _check_utf8(text)  # msgspec does not check it in raw values
    try:
        found = _USUAL.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _read_unusual(text)
    if found.type != 1 or not json_text.is_array(found.arguments):
        return _read_unusual(text)
    return Invocation(
        found.target, found.arguments, found.invocationId or None, found.headers or {}, found.streamIds or []
    )


def read_arguments(arguments: Sequence[Payload]) -> list[Payload]:
    """The values of an invocation's arguments.

    Raises ``UnheldValue`` for a number that Python cannot hold and for nesting that is too deep, and
    ``MalformedMessage`` for what is not JSON.
    """
    if not isinstance(arguments, msgspec.Raw):
        return list(arguments)
    values: list[Payload] = read_values(json_text.decode, arguments)
    return values


def read_values(decode: Callable[[msgspec.Raw], Any], text: msgspec.Raw) -> Any:
    """What ``decode`` makes of a JSON text from a client. Raises as ``read_arguments`` does."""
    try:
        return decode(text)
    except MalformedJson:
        pass
    try:
        json_text.check(text)
    except MalformedJson:
        raise MalformedMessage("Error reading JSON.") from None
    raise UnheldValue(UNHELD)


def _check_utf8(text: bytes) -> None:
    try:
        text.decode()
    except UnicodeDecodeError:
        raise MalformedMessage("Error reading JSON.") from None


def _read_unusual(text: bytes) -> Invocation:
    """An invocation in another spelling. Raises ``MalformedMessage`` for what is not one."""
    members = {_spell(name): value for name, value in _read_members(text).items()}
    if type(members.get("type")) is not int or members["type"] != 1:
        raise MalformedMessage("The body is no invocation (type 1).")
    arguments = members.get("arguments")
    if arguments is None or isinstance(arguments, msgspec.Raw):
        members["arguments"] = []
    found = hub_json.read_invocation(members)
    return structs.replace(found, arguments=arguments) if isinstance(arguments, msgspec.Raw) else found


def _read_members(text: bytes) -> dict[str, Any]:
    try:
        raw = json_text.raw_members(text)
    except MalformedJson:
        return hub_json.decode_object(text)  # it says what is wrong
    return {name: hub_json.read_member(_spell(name), value) for name, value in raw.items()}


def _spell(name: str) -> str:
    return _SPELLING.get(name.lower(), name.lower())


def write_completion(completion: Completion) -> bytes:
    """The completion with its separator, as the service passes it on to the client."""
    return hub_json.write_completion(completion)


def read_completion(body: bytes) -> Completion:
    """The only completion in a body. Raises ``MalformedMessage``."""
    return _one_completion(map(hub_json.read_message, hub_json.split_records(body)[0]))


def write_messagepack_invocation(message: Invocation) -> bytes:
    """The body of a message in MessagePack, without its length."""
    return hub_messagepack.write_body(message)


def read_messagepack_invocation(body: bytes) -> Invocation:
    """The invocation in a body, which has no length. Items behind its arguments are ignored.

    Raises ``MalformedMessage``.
    """
    return hub_messagepack.read_invocation(body)


def write_messagepack_completion(completion: Completion) -> bytes:
    """The completion behind its length, as the service passes it on. Map keys become what clients can read."""
    return hub_messagepack.write_message(
        structs.replace(completion, result=hub_messagepack.name_keys(completion.result))
    )


def read_messagepack_completion(body: bytes) -> Completion:
    """The only completion in a body. Raises ``MalformedMessage``."""
    return _one_completion(map(hub_messagepack.read_message, hub_messagepack.split_frames(body)[0]))


def _one_completion(messages: Iterable[HubMessage | None]) -> Completion:
    match list(messages):
        case [Completion() as completion]:
            return completion
    raise MalformedMessage("The body is not one completion (type 3).")


def _lower_names(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name.lower(): value for name, value in members.items()}


def sign(connection_id: str, key: str) -> str:
    """``sha256=`` and the lower-case hex HMAC-SHA256 of the connection id. Raises ``ValueError`` for an empty key."""
    return _SCHEME + SigningKey(key).digest(_encode_id(connection_id)).hex()


def write_signatures(connection_id: str, keys: Sequence[str]) -> str:
    """The header's value: one signature for each key. The comma is bare, because the Functions host does not trim."""
    return ",".join(sign(connection_id, key) for key in keys)


def find_signer(lines: Iterable[str], connection_id: str, keys: Sequence[SigningKey]) -> int:
    """The position in ``keys`` of a key that made one of the signatures. Raises ``BadSignature`` when none did.

    Every key is compared with every signature in constant time. Hex case and blanks after the commas do not matter.

    Args:
        lines: The lines of the signature header.
        connection_id: The id that was signed.
        keys: Access keys, used as text, none of them empty.
    """
    return _find_match(_read_signatures(lines), digest_by_each(keys, _encode_id(connection_id)))


class Signers:
    """The keys that verify the service's calls. It finds the signer of a call as ``find_signer`` does.

    All events of a connection have the same signatures. So what the keys make of its id is kept, once one of them has
    signed it, which nobody but the service can bring about. It is compared anew for every event. Measured with the keys
    of 50 endpoints: 15 us instead of 90 us.
    """

    def __init__(self, keys: Sequence[SigningKey] = ()) -> None:
        self._keys = tuple(keys)
        self._kept: dict[str, list[bytes]] = {}
        self._most_kept = MOST_KEPT_DIGESTS // max(len(self._keys), 1)

    def find(self, lines: Iterable[str], connection_id: str) -> int:
        """The position of a key that made one of the signatures. Raises ``BadSignature`` when none did."""
        expected = self._kept.get(connection_id)
        if expected is not None:
            return _find_match(_read_signatures(lines), expected)
        expected = digest_by_each(self._keys, _encode_id(connection_id))
        signer = _find_match(_read_signatures(lines), expected)
        if len(self._kept) >= self._most_kept:
            self._kept.clear()
        self._kept[connection_id] = expected
        return signer


def _find_match(given: Iterable[bytes], expected: Sequence[bytes]) -> int:
    signer = len(expected)
    for one in given:
        matches = [hmac.compare_digest(each, one) for each in expected]
        if True in matches:
            signer = min(signer, matches.index(True))
    if signer == len(expected):
        raise BadSignature("No signature of this request was made with an access key of the hub's endpoints.")
    return signer


def _read_signatures(lines: Iterable[str]) -> list[bytes]:
    """The signatures among the first ``MOST_SIGNATURES`` pieces. Pieces that are not signatures count as well."""
    given = [piece for line in lines for part in line.split(",") if (piece := part.strip())]
    found = []
    for piece in given[:MOST_SIGNATURES]:
        if len(piece) == _SIGNATURE_LENGTH and piece[:_SCHEME_LENGTH].lower() == _SCHEME:
            try:
                found.append(bytes.fromhex(piece[_SCHEME_LENGTH:]))
            except ValueError:
                continue
    return [digest for digest in found if len(digest) == _DIGEST_BYTES]  # blanks among the digits would leave fewer


def _encode_id(connection_id: str) -> bytes:
    return connection_id.encode("utf-8", "surrogatepass")
