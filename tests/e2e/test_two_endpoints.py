"""Two emulators behind one bridge, with Microsoft's JavaScript client: dead primaries, and calls of a client."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import HANDLERS
from tests.e2e.node_client import NodeClient, NodeClients
from tests.e2e.processes import (
    API_KEY,
    NAMED_CLIENTS,
    Machine,
    Process,
    connection_string,
    eventually,
    free_port,
    run_bridge,
    run_emulator,
)

ITEM = {"target": "newMessage", "arguments": ["hello"]}


@dataclass(frozen=True)
class Pair:
    """A bridge whose endpoint ``default`` is the first emulator; the second is ``other``, of the type given."""

    machine: Machine
    ports: tuple[int, int]
    first: Process
    http: httpx.Client

    @property
    def upstream(self) -> str:
        return f"{self.machine.url}/upstream"

    def states(self) -> dict[str, str]:
        listed = self.http.get("/hubs/chat/endpoints").json()
        return {one["name"]: one["state"] for one in listed}

    def where(self, client: NodeClient) -> str:
        """The endpoint that a client is connected to."""
        self.http.put(f"/hubs/chat/groups/{client.connection_id}/connections/{client.connection_id}")
        listed = self.http.get(f"/hubs/chat/groups/{client.connection_id}/connections").json()
        return str(listed["value"][0]["endpoint"])


@contextmanager
def run_pair(setting: str, more: Mapping[str, str]) -> Iterator[Pair]:
    port, first_port, second_port = free_port(), free_port(), free_port()
    settings = {setting: connection_string(second_port), **NAMED_CLIENTS, **more}
    with ExitStack() as stack:
        upstream = f"http://localhost:{port}/upstream"
        first = stack.enter_context(run_emulator(first_port, upstream))
        stack.enter_context(run_emulator(second_port, upstream))
        bridge = stack.enter_context(run_bridge(port, first_port, settings))
        machine = Machine(port, first_port, bridge, {"X-API-Key": API_KEY})
        http = stack.enter_context(machine.http())
        yield Pair(machine, (first_port, second_port), first, http)


def test_dead_primaries(node: NodeClients) -> None:
    with run_pair("Azure__SignalR__Endpoints__other__secondary", {"BRIDGE_HANDLERS": HANDLERS}) as pair:
        url = f"{pair.machine.url}/hubs/chat"
        ann = node.client().start(f"{url}?userId=ann", reconnect=True)
        assert pair.where(ann) == "default"

        pair.first.kill()
        ann.event("reconnecting")
        answer = pair.http.post("/hubs/chat/send", json=ITEM, headers={"X-Request-Timeout": "1"})
        assert answer.status_code in {202, 207}, answer.text
        ann.connection_id = ann.event("reconnected")["connectionId"]
        assert pair.states() == {"default": "offline", "other": "online"}
        members = pair.http.put(f"/hubs/chat/groups/g/connections/{ann.connection_id}")
        assert members.status_code == 207, "a leave or join may be waiting at the endpoint that is down"
        assert pair.http.get("/hubs/chat/users/ann").json() == {"exists": True}
        assert pair.http.post("/hubs/chat/send", json=ITEM | {"groupName": "g"}).status_code == 202
        assert ann.message() == ("newMessage", ["hello"])
        assert ann.invoke("add", 1, 2) == 3, "its upstream is the same"

        with run_emulator(pair.ports[0], pair.upstream):
            eventually(lambda: pair.states()["default"] == "online" or None, "the primary is back")
            bob = node.client().start(f"{url}?userId=bob")
            assert (pair.where(bob), pair.where(ann)) == ("default", "other"), "new ones go back, others stay"
            assert pair.http.post("/hubs/chat/send", json=ITEM).status_code == 202
            assert bob.message() == ann.message() == ("newMessage", ["hello"])
            ann.stop()
            bob.stop()


# --- calls of a client


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with run_pair("Azure__SignalR__Endpoints__other", {"BRIDGE_HANDLERS": "tests.e2e.callers:chat"}) as running:
        yield running


@pytest.fixture(scope="module")
def clients(pair: Pair, node: NodeClients) -> Iterator[dict[str, NodeClient]]:
    """One client at each endpoint."""
    found: dict[str, NodeClient] = {}
    for protocol in ["json", "messagepack"] * 20:
        client = node.client().start(f"{pair.machine.url}/hubs/chat?userId=u", protocol=protocol)
        if found.setdefault(pair.where(client), client) is not client:
            client.stop()
        if len(found) == 2:
            break
    yield found
    for client in found.values():
        client.stop()


def ask(pair: Pair, connection_id: str, target: str, *arguments: Any, **more: Any) -> httpx.Response:
    body = {"target": target, "arguments": arguments} | more
    return pair.http.post(f"/hubs/chat/connections/{connection_id}/invoke", json=body)


@pytest.mark.parametrize("endpoint", ["default", "other"])
@pytest.mark.parametrize("value", [7, "é😀", None, [1, {"a": [True]}], {"n": 1.5}])
def test_a_value(pair: Pair, clients: dict[str, NodeClient], endpoint: str, value: Any) -> None:
    answer = ask(pair, clients[endpoint].connection_id, "give", value)
    assert (answer.status_code, answer.json()) == (200, {"result": value})


@pytest.mark.parametrize("endpoint", ["default", "other"])
def test_the_clients_own_error(pair: Pair, clients: dict[str, NodeClient], endpoint: str) -> None:
    answer = ask(pair, clients[endpoint].connection_id, "refuse", "not today")
    assert (answer.status_code, answer.json()) == (200, {"error": "Error: not today"})


@pytest.mark.parametrize("endpoint", ["default", "other"])
def test_a_time_out(pair: Pair, clients: dict[str, NodeClient], endpoint: str) -> None:
    answer = ask(pair, clients[endpoint].connection_id, "wait", timeoutSeconds=1)
    assert (answer.status_code, answer.json()["code"]) == (504, "client-timeout")
    assert pair.states() == {"default": "online", "other": "online"}


@pytest.mark.parametrize("protocol", ["json", "messagepack"])
def test_a_connection_that_vanishes(pair: Pair, node: NodeClients, protocol: str) -> None:
    client = node.client().start(f"{pair.machine.url}/hubs/chat?userId=u", protocol=protocol)
    for _ in range(2):  # during the call, and before it
        answer = ask(pair, client.connection_id, "vanish", timeoutSeconds=10)
        assert (answer.status_code, answer.json()["code"]) == (404, "connection-not-found"), answer.text


def test_a_handler_calls_a_client(pair: Pair, clients: dict[str, NodeClient]) -> None:
    first, second = clients["default"], clients["other"]
    assert first.invoke("askOther", second.connection_id, "give", {"x": [1]}) == {"x": [1]}
    assert second.invoke("askOther", second.connection_id, "give", 5) == 5, "its own caller"
    assert first.invoke("askOther", second.connection_id, "refuse", "no") == "failed: Error: no"
    assert first.invoke("askOther", "nobody", "give", 1) == "nobody there"
