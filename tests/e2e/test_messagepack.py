"""Clients that speak MessagePack against the real processes, beside others that speak JSON."""

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from pysignalr.client import SignalRClient
from pysignalr.messages import CompletionMessage, Message
from pysignalr.protocol.messagepack import MessagepackProtocol

from tests.e2e.node_client import CallFailed, NodeClient
from tests.e2e.processes import Machine
from tests.e2e.test_pysignalr import WITHIN, connected

Connect = Callable[..., NodeClient]

BYTES: dict[str, str] = {"$bytes": "0001ff"}
TIME: dict[str, str] = {"$time": "2026-11-22T10:00:00.123Z"}
LARGE = 2**53 - 1

VALUES: list[tuple[Any, str]] = [
    (0, "int"),
    (-33, "int"),
    (LARGE, "int"),
    (-LARGE, "int"),
    (1.5, "float"),
    (1e300, "float"),
    (True, "bool"),
    (None, "NoneType"),
    ("é\u2028\U0001f600", "str"),
    ("", "str"),
    (BYTES, "bytes"),
    ({"$bytes": ""}, "bytes"),
    (TIME, "datetime"),
    ({"$time": "1969-12-31T23:59:59.999Z"}, "datetime"),
    ([], "list"),
    ({"Nested": {"deep": [1, {"b": BYTES, "t": TIME, "n": None}]}}, "dict"),
    ("x" * 70_000, "str"),
]


def some_user() -> str:
    return f"user-{secrets.token_hex(4)}"


@pytest.fixture
def client(connect: Connect) -> NodeClient:
    return connect(some_user(), protocol="messagepack")


def test_values_go_there_and_back(client: NodeClient) -> None:
    values = [value for value, _ in VALUES]
    assert client.invoke("echo", *values) == values
    assert client.invoke("kinds", *values) == [kind for _, kind in VALUES]


def test_a_call_without_arguments_and_one_with_many(client: NodeClient) -> None:
    assert client.invoke("echo") == []
    assert client.invoke("echo", *range(11)) == list(range(11))


def test_a_handler_with_annotations_is_called_alike(connect: Connect, client: NodeClient) -> None:
    text = "22.11.2026 10:00 0001ff 2.0"
    assert client.invoke("stamp", TIME, BYTES, 2) == {"text": text, "moment": TIME, "data": BYTES}
    in_json = {"text": text, "moment": "2026-11-22T10:00:00.123000Z", "data": "AAH/"}
    assert connect(some_user()).invoke("stamp", TIME["$time"], "AAH/", 2) == in_json


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (("refuse", "Not on a Sunday. é"), "Not on a Sunday. é"),
        (("fail",), "Method 'fail' failed."),
        (("add", 1, BYTES), "Method 'add': the argument 'second' must be int."),
        (("add", 1), "Method 'add': the argument 'second' (int) is missing."),
        (("nobody",), "Invocation failed, status code 404"),
    ],
)
def test_errors_of_each_kind(client: NodeClient, call: tuple[Any, ...], error: str) -> None:
    with pytest.raises(CallFailed) as failed:
        client.invoke(*call)
    assert str(failed.value) == error
    assert client.invoke("add", 1, 2) == 3, "the connection lives on"


def test_a_result_of_none(client: NodeClient) -> None:
    assert client.invoke("note", "hello") is None
    assert client.message() == ("noted", ["hello"])


def test_send_waits_for_no_result(client: NodeClient) -> None:
    client.send("note", "quietly")
    assert client.message() == ("noted", ["quietly"])


def test_a_broadcast_reaches_each_in_its_protocol(machine: Machine, connect: Connect, client: NodeClient) -> None:
    other = connect(some_user())
    values: list[Any] = [
        1,
        -2.5,
        True,
        None,
        "é\u2028\U0001f600",
        {"Nested": [{"id": "2026-11-22T10:00:00Z"}]},
        [],
        LARGE,
    ]
    with machine.http() as http:
        response = http.post("/hubs/chat/send", json={"target": "newMessage", "arguments": values})
    assert response.status_code == 202, response.text
    assert client.message() == other.message() == ("newMessage", values)


def test_what_a_handler_passes_on_is_json(connect: Connect, client: NodeClient) -> None:
    """REST payloads are JSON, so bytes and times arrive as text, whatever the clients speak."""
    other = connect(some_user())
    client.invoke("relayAll", 1, BYTES, {"t": TIME})
    passed_on = [1, "AAH/", {"t": "2026-11-22T10:00:00.123000Z"}]
    assert client.message() == other.message() == ("newMessage", passed_on)


def test_a_close_by_rest_ends_the_client(machine: Machine, client: NodeClient) -> None:
    with machine.http() as http:
        response = http.delete(f"/hubs/chat/connections/{client.connection_id}", params={"reason": "bye"})
    assert response.status_code == 204, response.text
    assert "bye" in client.event("closed")["error"]


async def test_pysignalr_gets_a_broadcast_and_calls(machine: Machine) -> None:
    client = SignalRClient(f"{machine.url}/hubs/chat?userId={some_user()}", protocol=MessagepackProtocol())
    received: asyncio.Queue[list[Any]] = asyncio.Queue()
    completed: asyncio.Queue[Message] = asyncio.Queue()
    client.on("newMessage", received.put)
    async with connected(machine, client), asyncio.timeout(WITHIN):
        with machine.http() as http:
            response = http.post("/hubs/chat/send", json={"target": "newMessage", "arguments": ["curl", 1]})
        assert response.status_code == 202, response.text
        assert await received.get() == ["curl", 1]
        await client.send("echo", [b"\x00\xff", {"a": None}], completed.put)  # type: ignore[list-item]
        completion = await completed.get()
        assert isinstance(completion, CompletionMessage)
        assert completion.result == [b"\x00\xff", {"a": None}]
