"""What is sent in the benchmark: requests as the service, a backend and a client send them, byte by byte."""

from signalr_bridge.protocol.claims import write_claims_line, write_lossless
from signalr_bridge.protocol.hub_message import Invocation
from signalr_bridge.protocol.upstream_event import (
    JSON,
    MESSAGES,
    EventHeaders,
    write_event_headers,
    write_invocation,
    write_signatures,
)

from tests.e2e.processes import API_KEY, EMULATOR_KEY

IN_FLIGHT = 32
"""Connections, each with one request at a time."""

TEXT = "The quick brown fox jumps over the lazy dog."
PYTHON_HUB, HTTP_HUB = "python", "http"


def message_to(hub: str) -> list[str]:
    """A client of the hub has called ``broadcast``, and waits: one request for each of ``IN_FLIGHT`` clients."""
    body = write_invocation(Invocation("broadcast", [TEXT], "0")).decode()
    claims = {"role": ["editor"], "name": ["Ann Example"]}
    line = write_claims_line([("role", "editor"), ("name", "Ann Example"), ("bridge.claims", write_lossless(claims))])
    requests = []
    for number in range(IN_FLIGHT):
        connection = f"connection-{number:012}"
        event = EventHeaders(hub, MESSAGES, "broadcast", connection, f"user-{number}", line, f"?hub={hub}")
        signature = write_signatures(connection, [EMULATOR_KEY, EMULATOR_KEY[::-1]])
        headers = write_event_headers(event) | {"X-ASRS-Signature": signature, "Content-Type": JSON}
        requests.append(post("/upstream", headers, body))
    return requests


def send() -> list[str]:
    """A backend sends to everybody."""
    body = f'{{"target": "newMessage", "arguments": ["ann", "{TEXT}"]}}'
    return [post(f"/hubs/{PYTHON_HUB}/send", {"X-API-Key": API_KEY, "Content-Type": JSON}, body)] * IN_FLIGHT


def negotiate() -> list[str]:
    """A client asks where to connect, as the JavaScript client does."""
    path = f"/hubs/{PYTHON_HUB}/negotiate?userId=ann&negotiateVersion=1"
    return [post(path, {"Content-Type": "text/plain;charset=UTF-8", "X-Requested-With": "XMLHttpRequest"})] * IN_FLIGHT


def post(target: str, headers: dict[str, str], body: str = "") -> str:
    every = {"Host": "localhost", "Content-Length": str(len(body.encode()))} | headers
    lines = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in every.items())]
    return "\r\n".join(lines) + "\r\n\r\n" + body
