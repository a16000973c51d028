"""Everything that reads bytes from outside before or while an upstream call is judged, each as one function of bytes.

A decoder may refuse what it is given by an error of ours; anything else that it raises is a bug.
"""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from signalr_bridge.errors import BridgeError
from signalr_bridge.protocol import hub_json, hub_messagepack, json_text, messagepack, upstream_event
from signalr_bridge.protocol.access_token import read_token
from signalr_bridge.protocol.claims import are_forged, read_claims_line, read_lossless
from signalr_bridge.protocol.connection_string import parse_connection_string
from signalr_bridge.protocol.signing_key import SigningKey
from signalr_bridge.protocol.upstream_event import find_signer
from signalr_bridge.settings.files import read_file
from signalr_bridge.upstream.entra import read_application, read_key_id
from signalr_bridge.web.tokens import read_keys, read_keys_address
from signalr_bridge.wire.request_reader import ReceivedRequest, RequestReader

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


class _Connection:
    """Takes requests, and lets nobody wait."""

    peer: tuple[str, int] | None = None

    def __init__(self) -> None:
        self.requests: list[ReceivedRequest] = []

    def head_has_come(self, request: ReceivedRequest) -> None:
        self.requests.append(request)

    def send_continue(self) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def _read_requests(data: bytes, size: int) -> tuple[list[object], BridgeError | None]:
    """What has come of requests whose bytes come so many at once."""
    connection, error = _Connection(), None
    reader = RequestReader(connection)
    try:
        for begin in range(0, len(data), size):
            reader.feed(data[begin : begin + size])
    except BridgeError as refusal:
        error = refusal
    told = [
        (one.method, one.path, one.query, one.headers, one.version, one.keep_alive, one.is_whole, one.take())
        for one in connection.requests
    ]
    return list(told), error


def _read_http(data: bytes) -> object:
    """Requests are the same ones however the network cuts them."""
    told, error = _read_requests(data, len(data) or 1)
    again, another = _read_requests(data, 1)
    assert told == again
    assert repr(error) == repr(another)
    if error is not None:
        raise error
    return told


_FOLDER = TemporaryDirectory()


def _read_settings(name: str) -> Decoder:
    """Reads a settings file of this name."""
    file = Path(_FOLDER.name) / name

    def read(data: bytes) -> object:
        file.write_bytes(data)
        return read_file(file)

    return read


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
    "http requests": _read_http,
    "json text": json_text.decode,
    "json members": json_text.members,
    "json elements": json_text.elements,
    "json records": lambda data: [hub_json.read_message(one) for one in hub_json.split_records(data)[0]],
    "messagepack keys": messagepack.count,
    "messagepack frames": lambda data: [
        hub_messagepack.read_message(one) for one in hub_messagepack.split_frames(data)[0]
    ],
    "http answer": read_answer,
    "settings in TOML": _read_settings("bridge.toml"),
    "settings in JSON": _read_settings("local.settings.json"),
}


def run(decoder: str, data: bytes) -> bool:
    """Whether the bytes were taken; False when they were refused on purpose."""
    try:
        DECODERS[decoder](data)
    except (BridgeError, json_text.DuplicateMember):
        return False
    return True
