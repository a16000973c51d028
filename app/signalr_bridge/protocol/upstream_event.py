"""An upstream call of the service: its ``X-ASRS-*`` headers, its signatures and its body, written and read.

Source: ``docs/protocol/functions-bindings.md`` 1.3 to 1.8, ``docs/protocol/service-emulation.md`` 3.2 and 3.3.
"""

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from signalr_bridge.errors import BadSignature, MalformedMessage
from signalr_bridge.protocol import hub_json, hub_messagepack, json_text
from signalr_bridge.protocol.hub_message import Closed, Completion, HubMessage, Invocation
from signalr_bridge.protocol.signing_key import SigningKey

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
# These parameters hold secrets of the client, or belong to its transport.
_SECRET_QUERY = frozenset({"access_token", "id", "_"})

MOST_SIGNATURES = 16
"""How many signatures of one request are checked. The service sends one for each of its two keys."""

_SCHEME = "sha256="
_DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True)
class EventHeaders:
    """The values of the headers. An absent header is the empty text. Names are as sent."""

    hub: str = ""
    category: str = ""
    event: str = ""
    connection_id: str = ""
    user_id: str = ""
    claims_line: str = ""
    client_query: str = field(default="", repr=False)  # may hold the client's token


def write_event_headers(headers: EventHeaders) -> dict[str, str]:
    """The headers that are not empty. Line breaks in a value become blanks, because they would forge headers."""
    values = {_NAMES[name]: getattr(headers, name) for name in _NAMES}
    return {name: value.replace("\r", " ").replace("\n", " ") for name, value in values.items() if value}


def read_event_headers(lines: Iterable[tuple[bytes, bytes]]) -> EventHeaders:
    """The values in raw header lines, whose names are in lower case. The first of a repeated header counts.

    Values are UTF-8.
    """
    found: dict[bytes, bytes] = {}
    for name, value in lines:
        found.setdefault(name, value)
    return EventHeaders(
        **{name: decode_header(found.get(header.lower().encode(), b"")) for name, header in _NAMES.items()}
    )


def decode_header(value: bytes) -> str:
    """A header's bytes as UTF-8, else as the latin-1 of older HTTP.

    Only HTTP's own white space is stripped. A user id with a no-break space in front names another user.
    """
    try:
        return value.decode("utf-8").strip(" \t")
    except UnicodeDecodeError:
        return value.decode("latin-1").strip(" \t")


def read_client_query(text: str) -> dict[str, list[str]]:
    """The client's query, without the parameters that are secret or belong to the service."""
    values: dict[str, list[str]] = {}
    for name, value in parse_qsl(text.removeprefix("?"), keep_blank_values=True, errors="replace"):
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
    text = body.removesuffix(hub_json.RECORD_SEPARATOR)
    if not text.strip():
        return Closed()
    error = _lower_names(hub_json.decode_object(text)).get("error")
    if error is not None and not isinstance(error, str):
        raise MalformedMessage("The property 'error' is no string.")
    return Closed(error or None)


def read_invocation(body: bytes) -> Invocation:
    """The invocation in a body, with names in any case, with or without the separator. Raises ``MalformedMessage``."""
    lowered = _lower_names(hub_json.decode_object(body.removesuffix(hub_json.RECORD_SEPARATOR)))
    if type(lowered.get("type")) is not int or lowered["type"] != 1:
        raise MalformedMessage("The body is no invocation (type 1).")
    spelling = {"invocationid": "invocationId", "streamids": "streamIds"}
    members = {spelling.get(name, name): value for name, value in lowered.items()}
    if members.get("arguments") is None:
        members["arguments"] = []
    return hub_json.read_invocation(members)


def write_completion(completion: Completion) -> bytes:
    """The completion with its separator, as the service passes it on to the client."""
    return hub_json.write_message(completion)


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
    return hub_messagepack.write_message(replace(completion, result=hub_messagepack.name_keys(completion.result)))


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
    given = _read_signatures(lines)
    text, signer = _encode_id(connection_id), -1
    for index, key in enumerate(keys):
        expected = key.digest(text)
        for one in given:
            if hmac.compare_digest(expected, one) and signer < 0:
                signer = index
    if signer < 0:
        raise BadSignature("No signature of this request was made with an access key of the hub's endpoints.")
    return signer


def _read_signatures(lines: Iterable[str]) -> list[bytes]:
    """The signatures among the first ``MOST_SIGNATURES`` pieces. Pieces that are not signatures count as well."""
    given = [piece.strip().lower() for line in lines for piece in line.split(",")]
    return [found for piece in [piece for piece in given if piece][:MOST_SIGNATURES] if (found := _read_digest(piece))]


def _read_digest(piece: str) -> bytes:
    """The 32 bytes of a signature in lower case. Empty for a text that is not a signature."""
    digits = piece.removeprefix(_SCHEME)
    if not piece.startswith(_SCHEME) or len(digits) != 2 * _DIGEST_BYTES:
        return b""
    try:
        found = bytes.fromhex(digits)
    except ValueError:
        return b""
    return found if len(found) == _DIGEST_BYTES else b""  # blanks among the digits would leave fewer


def _encode_id(connection_id: str) -> bytes:
    return connection_id.encode("utf-8", "surrogatepass")
