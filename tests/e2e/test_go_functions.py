"""A custom handler in Go, as people write it by the host's documentation, runs by ``[functions]`` alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.crowd import crowd
from tests.e2e.processes import ROOT, Machine, Process, eventually, free_port, run_apart
from tests.e2e.test_custom_handler import is_open
from tests.golang import compile_go

APP = ROOT / "tests" / "function_apps" / "go_custom"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    program = tmp_path_factory.mktemp("go_custom") / "handler"
    compile_go([APP / "handler.go"], program)
    port = free_port()
    settings = {"BRIDGE_FUNCTIONS__URL": f"http://127.0.0.1:{port}", "BRIDGE_FUNCTIONS__FOLDER": str(APP)}
    settings |= {"BRIDGE_FUNCTION_APP__TIMERS": "true"}
    with Process("go handler", [str(program)], {"FUNCTIONS_CUSTOMHANDLER_PORT": str(port)}, Path(program.parent)):
        eventually(lambda: is_open(port), "the handler listens")
        with run_apart(settings) as running:
            yield running


async def test_it_runs_unchanged(machine: Machine) -> None:
    with machine.http() as http:
        given = http.post("/api/negotiate").json()
        async with crowd(machine.url) as clients, clients.enter(given["url"], given["accessToken"]) as ann:
            [connection, hub] = await ann.wait_for("newConnection")
            assert (bool(connection), hub) == (True, "chat")
            assert (await ann.invoke("broadcast", "hi", 5))["result"] == "sent 5"
            await ann.send("broadcast", "all", 6)
            assert [await ann.wait_for("newMessage")] == [["all", 6]]
            assert "result" in await ann.invoke("joinGroup", "blue")
            await ann.send("sendToGroup", "blue", "to the group")
            assert await ann.wait_for("groupMessage") == ["to the group"]
            await ann.send("order", {"name": "book"})
            assert await ann.wait_for("ordered") == ["book"]
            answer = http.post("/api/rooms/blue%20sky/messages?q=1", json={"text": "x"})
            assert (answer.status_code, answer.json()) == (202, {"room": "blue sky", "query": "1"})
            assert await ann.wait_for("roomMessage") == [
                "blue sky",
                answer.request.content.decode(),
                "application/json",
            ]
            assert await ann.wait_for("tick") == [False]
            refused = "Method 'broadcast' takes 2 argument(s), and was given 1."
            assert (await ann.invoke("broadcast", "hi"))["error"] == refused
    machine.bridge.wait_for_line("broadcast said something")
    machine.bridge.wait_for_line("output left alone.*order.*queue")
    machine.bridge.wait_for_line("function left out.*archive.*queueTrigger")
