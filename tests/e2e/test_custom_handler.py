"""A Functions custom handler, taken over unchanged, answers a client by result, message and group action."""

import socket
import sys
from collections.abc import Iterator

import pytest

from tests.e2e.crowd import crowd
from tests.e2e.processes import NAMED_CLIENTS, ROOT, Machine, Process, eventually, free_port, run_apart


@pytest.fixture(scope="module")
def handler_port() -> Iterator[int]:
    port = free_port()
    command = [sys.executable, str(ROOT / "tests/e2e/custom_handler.py")]
    with Process("custom handler", command, {"FUNCTIONS_CUSTOMHANDLER_PORT": str(port)}):
        eventually(lambda: is_open(port), "the custom handler listens")
        yield port


def is_open(port: int) -> bool | None:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return None
    return True


@pytest.fixture(scope="module")
def machine(handler_port: int) -> Iterator[Machine]:
    url, settings = f"http://127.0.0.1:{handler_port}", dict(NAMED_CLIENTS)
    for name in ("broadcast", "fail"):
        prefix = f"BRIDGE_FORWARD__{name.upper()}"
        rule = {"HUB": "chat", "CATEGORY": "messages", "EVENT": name, "URL": url, "UNSIGNED": "true"}
        rule |= {"FORMAT": "functions", "FUNCTION": name, "PARAMETER_NAMES": "message"}
        settings |= {f"{prefix}__{key}": value for key, value in rule.items()}
    with run_apart(settings) as running:
        yield running


async def test_it_answers_by_result_message_and_group_action(machine: Machine) -> None:
    async with crowd(machine.url) as clients, clients.member("bob") as bob, clients.member("ann") as ann:
        assert (await ann.invoke("broadcast", "hi"))["result"] == "broadcast: 2 characters"
        assert await bob.wait_for("newMessage") == ["ann", "hi"]
        with machine.http() as http:
            assert http.head("/hubs/chat/groups/speakers").status_code == 200
            http.post("/hubs/chat/send", json={"target": "x", "arguments": [1], "groupName": "speakers"})
        assert await ann.wait_for("x") == [1]
    machine.bridge.wait_for_line("broadcast was run")


async def test_another_number_of_arguments_is_an_error_completion(machine: Machine) -> None:
    async with crowd(machine.url) as clients, clients.member("ann") as ann:
        error = "Method 'broadcast' takes 1 argument(s), and was given 2."
        assert (await ann.invoke("broadcast", "hi", "there"))["error"] == error


async def test_its_failure_is_the_general_sentence(machine: Machine) -> None:
    async with crowd(machine.url) as clients, clients.member("ann") as ann:
        assert (await ann.invoke("fail", "x"))["error"] == "Method 'fail' failed."
    assert "secret" not in machine.bridge.output
