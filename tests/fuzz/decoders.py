"""Everything that reads bytes from outside before or while an upstream call is judged, each as one function of bytes.

A decoder may refuse what it is given by an error of ours; anything else that it raises is a bug.
"""

from collections.abc import Callable

from signalr_bridge.errors import BridgeError
from signalr_bridge.protocol import hub_json, hub_messagepack, json_text, upstream_event
from signalr_bridge.protocol.access_token import read_token
from signalr_bridge.protocol.claims import are_forged, read_claims_line, read_lossless
from signalr_bridge.protocol.connection_string import parse_connection_string
from signalr_bridge.protocol.signing_key import SigningKey
from signalr_bridge.protocol.upstream_event import find_signer
from signalr_bridge.upstream.entra import read_application, read_key_id
from signalr_bridge.web.tokens import read_keys, read_keys_address

from tests.fuzz.answers import read_answer
from tests.unit.upstream.issued import NOW, RULES, published, token

Decoder = Callable[[bytes], object]

_KEY = published("first")


def _read_lines(data: bytes) -> object:
    """A name, a colon, a value on each line."""
    pairs = (line.partition(b":") for line in data.split(b"\n"))
    return upstream_event.read_event_headers([(name.lower(), value) for name, _, value in pairs])


def _read_claims(data: bytes) -> object:
    text = upstream_event.decode_header(data)
    return read_claims_line(text), are_forged(text, ""), read_lossless(text)


def _find_signer(data: bytes) -> object:
    return find_signer([upstream_event.decode_header(line) for line in data.split(b"\n")], "c1", [SigningKey("key")])


def _check_entra(data: bytes) -> object:
    text = data.decode("latin-1")
    return read_key_id(text), read_application(text, _KEY, RULES, NOW)


def _check_signed(data: bytes) -> object:
    return read_application(token(data), _KEY, RULES, NOW)


DECODERS: dict[str, Decoder] = {
    "json invocation": upstream_event.read_invocation,
    "messagepack invocation": upstream_event.read_messagepack_invocation,
    "disconnected": upstream_event.read_disconnected,
    "event headers": _read_lines,
    "client query": lambda data: upstream_event.read_client_query(upstream_event.decode_header(data)),
    "claims line": _read_claims,
    "signatures": _find_signer,
    "entra token": _check_entra,
    "entra claims": _check_signed,
    "issuer's keys": read_keys,
    "issuer's document": read_keys_address,
    "access token": lambda data: read_token(data.decode("latin-1"), ["key"], now=NOW),
    "connection string": lambda data: parse_connection_string(data.decode("latin-1")),
    "json text": json_text.decode,
    "json members": json_text.members,
    "json elements": json_text.elements,
    "json records": lambda data: [hub_json.read_message(one) for one in hub_json.split_records(data)[0]],
    "messagepack keys": hub_messagepack.count,
    "messagepack frames": lambda data: [
        hub_messagepack.read_message(one) for one in hub_messagepack.split_frames(data)[0]
    ],
    "http answer": read_answer,
}


def run(decoder: str, data: bytes) -> bool:
    """Whether the bytes were taken; False when they were refused on purpose."""
    try:
        DECODERS[decoder](data)
    except (BridgeError, json_text.DuplicateMember):
        return False
    return True
