"""What is sent in the benchmark: requests as the service, a backend and a client send them, byte by byte.

They are written by hand, and not by the product's own functions, so that the same bytes measure every version of it.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import msgpack

from tests.e2e.processes import API_KEY, EMULATOR_KEY

MOST_CONNECTIONS = 128
"""So many different clients have the events of one list."""

SENTENCE = "The quick brown fox jumps over the lazy dog. "
TEXT = SENTENCE.strip()
LONG_TEXT = SENTENCE * 22
"""990 characters: a message with it is about 1 KB."""
PYTHON_HUB, HTTP_HUB = "python", "http"
ARRAY = 10
"""Messages in one array."""

JSON, MESSAGEPACK = "application/json", "application/x-msgpack"


def message_to(hub: str, key: str = EMULATOR_KEY) -> list[bytes]:
    """A client of the hub has called ``broadcast``, and waits. The event is signed with the key and a second one."""
    body = {"type": 1, "invocationId": "0", "target": "broadcast", "arguments": [TEXT]}
    return events(hub, "messages", "broadcast", key, JSON, write_json(body))


def messagepack_message_to(hub: str, key: str = EMULATOR_KEY) -> list[bytes]:
    """The same by a client that speaks MessagePack."""
    body: bytes = msgpack.packb([1, {}, "0", "broadcast", [TEXT], []])
    return events(hub, "messages", "broadcast", key, MESSAGEPACK, body)


def connected_to(hub: str, key: str = EMULATOR_KEY) -> list[bytes]:
    """A client has connected to the hub."""
    return events(hub, "connections", "connected", key, JSON, b'{"type":10}')


def events(hub: str, category: str, event: str, key: str, media_type: str, body: bytes) -> list[bytes]:
    """One event from each of many clients."""
    lossless = "eyJyb2xlIjoiZWRpdG9yIiwibmFtZSI6IkFubiBFeGFtcGxlIn0"  # base64url of the two claims before it, as JSON
    requests = []
    for number in range(MOST_CONNECTIONS):
        connection = f"connection-{number:012}"
        headers = {
            "X-ASRS-Hub": hub,
            "X-ASRS-Category": category,
            "X-ASRS-Event": event,
            "X-ASRS-Connection-Id": connection,
            "X-ASRS-User-Id": f"user-{number}",
            "X-ASRS-User-Claims": f"role: editor, name: Ann Example, bridge.claims: {lossless}",
            "X-ASRS-Client-Query": f"?hub={hub}",
            "X-ASRS-Signature": f"{sign(connection, key)},{sign(connection, key[::-1])}",
            "Content-Type": media_type,
        }
        requests.append(post("/upstream", headers, body))
    return requests


def key_of(endpoint: str) -> str:
    """The access key of an endpoint, as long as the service's are."""
    return f"key-of-{endpoint}".ljust(44, "=")


def sign(connection: str, key: str) -> str:
    return "sha256=" + hmac.new(key.encode(), connection.encode(), hashlib.sha256).hexdigest()


def send(hub: str = PYTHON_HUB) -> list[bytes]:
    """A backend sends 1 KB to everybody."""
    return call_of_backend(f"/hubs/{hub}/send", message())


def send_to_group(hub: str = PYTHON_HUB) -> list[bytes]:
    """The same to a group."""
    return call_of_backend(f"/hubs/{hub}/send", message(groupName="editors"))


def send_array(hub: str = PYTHON_HUB) -> list[bytes]:
    """A backend sends 1 KB to everybody, ``ARRAY`` times in one request."""
    return call_of_backend(f"/hubs/{hub}/send", [message()] * ARRAY)


def message(**more: str) -> dict[str, Any]:
    return {"target": "newMessage", "arguments": ["ann", LONG_TEXT], **more}


def negotiate() -> list[bytes]:
    """A client asks where to connect, as the JavaScript client does."""
    path = f"/hubs/{PYTHON_HUB}/negotiate?userId=ann&negotiateVersion=1"
    return [post(path, {"Content-Type": "text/plain;charset=UTF-8", "X-Requested-With": "XMLHttpRequest"})]


def negotiate_with_claims() -> list[bytes]:
    """A backend asks for a client, and gives it claims."""
    claims = {"role": ["admin", "editor"], "name": "Ann Example", "tenant": "contoso"}
    return call_of_backend(f"/hubs/{PYTHON_HUB}/negotiate", {"userId": "ann", "claims": claims})


def call_of_backend(path: str, body: Any) -> list[bytes]:
    return [post(path, {"X-API-Key": API_KEY, "Content-Type": JSON}, write_json(body))]


def call_of_service() -> list[bytes]:
    """What the service is sent, for the time that the way there and back takes by itself."""
    body = write_json({"target": "newMessage", "arguments": ["ann", LONG_TEXT]})
    return [post("/api/hubs/python/:send?api-version=2022-06-01", {"Content-Type": JSON}, body)]


def write_json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def post(target: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    every = {"Host": "localhost", "Content-Length": str(len(body))} | dict(headers)
    lines = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in every.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
