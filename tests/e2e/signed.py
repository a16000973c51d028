"""The service's calls, signed with the emulator's key, without a service: one call and its answer."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from signalr_bridge.protocol.upstream_event import sign

from tests.e2e.processes import API_KEY, EMULATOR_KEY

END = "\x1e"


class Service:
    """Calls one bridge as the service does."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http

    def connect(self, hub: str, query: str = "", connection: str = "c1") -> httpx.Response:
        return self._post(hub, "connections", "connected", b"", connection, query)

    def send(self, hub: str, event: str, *arguments: object, invocation: str | None = None) -> httpx.Response:
        message = {"type": 1, "invocationId": invocation, "target": event, "arguments": arguments}
        return self._post(hub, "messages", event, (json.dumps(message) + END).encode(), "c1", "")

    def invoke(self, hub: str, event: str, *arguments: object) -> dict[str, object]:
        """The completion."""
        answer = self.send(hub, event, *arguments, invocation="7")
        assert answer.status_code == 200, answer.text
        completion: dict[str, object] = json.loads(answer.text.removesuffix(END))
        return completion

    def _post(self, hub: str, category: str, event: str, body: bytes, connection: str, query: str) -> httpx.Response:
        headers = {
            "X-ASRS-Hub": hub,
            "X-ASRS-Category": category,
            "X-ASRS-Event": event,
            "X-ASRS-Connection-Id": connection,
            "X-ASRS-Signature": sign(connection, EMULATOR_KEY),
            "X-ASRS-Client-Query": query,
            "Content-Type": "application/json",
        }
        return self.http.post("/upstream", content=body, headers=headers)


@contextmanager
def service_of(port: int) -> Iterator[Service]:
    """What calls the bridge at this port."""
    headers = {"X-API-Key": API_KEY}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False, timeout=30) as http:
        yield Service(http)
