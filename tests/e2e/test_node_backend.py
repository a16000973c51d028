"""The backend in Node (deploy/examples) answers hub methods over HTTP, and its outputs arrive."""

import base64
import datetime
import json
import secrets
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import standardwebhooks

from tests.e2e.node_client import CallFailed, NodeClient, NodeClients
from tests.e2e.processes import NAMED_CLIENTS, NODE, ROOT, Machine, Process, free_port, run_apart, run_node_backend

SECRET = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


@pytest.fixture(scope="module")
def backend_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def backend(backend_port: int) -> Iterator[Process]:
    with run_node_backend(backend_port, SECRET) as process:
        yield process


@pytest.fixture(scope="module")
def machine(backend: Process, backend_port: int) -> Iterator[Machine]:
    forward = {
        "BRIDGE_FORWARD__CHAT__HUB": "chat",
        "BRIDGE_FORWARD__CHAT__CATEGORY": "*",
        "BRIDGE_FORWARD__CHAT__URL": f"http://localhost:{backend_port}/signalr/{{hub}}/{{event}}",
        "BRIDGE_FORWARD__CHAT__SECRETS": SECRET,
    }
    with run_apart({**forward, **NAMED_CLIENTS}) as running:
        yield running


@pytest.fixture
def ann(node: NodeClients, machine: Machine) -> Iterator[NodeClient]:
    client = node.client().start(f"{machine.url}/hubs/chat?userId=ann")
    yield client
    client.stop()


@pytest.fixture
def bob(node: NodeClients, machine: Machine) -> Iterator[NodeClient]:
    client = node.client().start(f"{machine.url}/hubs/chat?userId=bob")
    yield client
    client.stop()


def test_its_result_and_its_outputs_arrive(ann: NodeClient, bob: NodeClient) -> None:
    assert ann.invoke("broadcast", "hello é") == "sent"
    assert ann.message() == bob.message() == ("newMessage", ["ann", "hello é"])


def test_its_outputs_are_done_in_order(ann: NodeClient) -> None:
    assert ann.invoke("join", "a/b%c +é") == "a/b%c +é"
    assert ann.message() == ("newMessage", ["room", "ann is in a/b%c +é"])


def test_a_result_alone_will_do(ann: NodeClient) -> None:
    assert ann.invoke("add", 1, 2.5) == 3.5


def test_its_refusal_reaches_the_client(ann: NodeClient) -> None:
    with pytest.raises(CallFailed) as failed:
        ann.invoke("broadcast", " ")
    assert str(failed.value) == "The text is empty."
    assert ann.invoke("add", 1, 2) == 3


@pytest.mark.parametrize("event", ["constructor", "no such method", "a/b?c#d", "é"])
def test_a_client_may_call_anything(ann: NodeClient, event: str) -> None:
    with pytest.raises(CallFailed) as failed:
        ann.invoke(event)
    assert str(failed.value) == "There is no such method."


@pytest.mark.parametrize("event", [".", ".."])
def test_an_event_that_no_path_can_carry_is_not_forwarded(ann: NodeClient, event: str) -> None:
    with pytest.raises(CallFailed):
        ann.invoke(event)
    assert ann.invoke("add", 1, 2) == 3


def test_it_hears_who_comes_and_who_goes(node: NodeClients, machine: Machine, backend: Process) -> None:
    client = node.client().start(f"{machine.url}/hubs/chat?userId=carol")
    backend.wait_for_line("^connected: carol$")
    client.stop()
    backend.wait_for_line("^disconnected: carol$")


def test_a_backend_that_is_gone_is_a_general_sentence(node: NodeClients) -> None:
    forward = {"BRIDGE_FORWARD__CHAT__HUB": "chat", "BRIDGE_FORWARD__CHAT__CATEGORY": "messages"}
    forward |= {
        "BRIDGE_FORWARD__CHAT__URL": f"http://localhost:{free_port()}/",
        "BRIDGE_FORWARD__CHAT__SECRETS": SECRET,
    }
    forward |= {"BRIDGE_FORWARD__CHAT__TIMEOUT_SECONDS": "1"}
    with run_apart({**forward, **NAMED_CLIENTS}) as running:
        client = node.client().start(f"{running.url}/hubs/chat?userId=ann")
        with pytest.raises(CallFailed) as failed:
            client.invoke("broadcast", "hello")
        client.stop()
    assert str(failed.value) == "Method 'broadcast' failed."


# --- the backend by itself


def post(port: int, event: dict[str, Any], headers: dict[str, str] | None = None, age: float = 0) -> httpx.Response:
    body = json.dumps(event)
    now = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=age)
    signed = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": standardwebhooks.Webhook(SECRET).sign("msg_1", now, body),
    }
    return httpx.post(
        f"http://localhost:{port}/signalr", content=body, headers=signed | (headers or {}), trust_env=False
    )


ADD = {"category": "messages", "event": "add", "arguments": [1, 2]}


def test_it_takes_what_the_schemes_own_library_signs(backend: Process, backend_port: int) -> None:
    assert post(backend_port, ADD).json() == {"result": 3}


def test_it_takes_one_good_signature_among_several(backend: Process, backend_port: int) -> None:
    body = json.dumps(ADD)
    now = datetime.datetime.now(datetime.UTC)
    signature = standardwebhooks.Webhook(SECRET).sign("msg_1", now, body)
    headers = {"webhook-timestamp": str(int(now.timestamp())), "webhook-signature": f"v1,AAAA v2,BBBB {signature}"}
    assert post(backend_port, ADD, headers).status_code == 200


@pytest.mark.parametrize(
    ("headers", "age"),
    [
        ({"webhook-signature": "v1,AAAA"}, 0),
        ({"webhook-signature": "v1," + base64.b64encode(bytes(32)).decode()}, 0),
        ({"webhook-signature": ""}, 0),
        ({"webhook-id": "msg_2"}, 0),
        ({"webhook-timestamp": "soon"}, 0),
        ({}, 400),
        ({}, -400),
    ],
)
def test_it_takes_nothing_else(backend: Process, backend_port: int, headers: dict[str, str], age: float) -> None:
    assert post(backend_port, ADD, headers, age).status_code == 401


def test_it_does_not_start_without_a_secret() -> None:
    command = [NODE, str(ROOT / "deploy/examples/node/backend.js")]
    with Process("node backend without a secret", command) as process:
        assert process.wait() == 1
        assert "WEBHOOK_SECRET" in process.output
