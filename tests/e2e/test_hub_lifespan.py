"""What hubs do outside events, in a real ``serve``: at the start, in timers and tasks, and at the stop."""

import re
import socket
from pathlib import Path

import httpx
import pytest

from tests.e2e.node_client import NodeClients
from tests.e2e.processes import (
    NAMED_CLIENTS,
    Process,
    app_command,
    bridge_settings,
    eventually,
    free_port,
    run_emulator,
    wait_until_answered,
)


def told(folder: Path) -> list[str]:
    file = folder / "told"
    return file.read_text().splitlines() if file.exists() else []


def serve(folder: Path, port: int, emulator_port: int, hub: str) -> Process:
    settings = bridge_settings(emulator_port) | NAMED_CLIENTS
    own = {
        "BRIDGE_HANDLERS": f"tests.e2e.appointed:{hub}",
        "APPOINTED_FOLDER": str(folder),
        "APPOINTED_PORT": str(port),
    }
    return Process("bridge", app_command("serve", "--port", str(port)), settings | own)


def test_functions_of_a_hub_run_and_send_outside_events(node: NodeClients, tmp_path: Path) -> None:
    port, emulator_port = free_port(), free_port()
    with (
        run_emulator(emulator_port, f"http://localhost:{port}/upstream"),
        serve(tmp_path, port, emulator_port, "chat") as bridge,
    ):
        wait_until_answered(bridge, f"http://localhost:{port}/health/ready")
        assert told(tmp_path) == ["startup"]
        client = node.client().start(f"http://localhost:{port}/hubs/chat?userId=ann")
        client.invoke("later", "from a task")
        got = [client.message() for _ in range(6)]
        assert got.count(("newMessage", ["tick"])) == 5, got
        assert ("noted", ["from a task"]) in got, got
        failures = [line for line in bridge.lines if "every function failed" in line]
        assert len(failures) > 1, "it goes on after an error"
        assert "tests.e2e.appointed:fail" in failures[0]

        bridge.stop()
        assert told(tmp_path) == ["startup", "shutdown"]
        rest = [client.message()]
        while rest[-1][0] != "noted":
            rest.append(client.message())
        assert rest[-1] == ("noted", ["down"])


def test_a_start_that_fails_is_one_line_and_an_exit_code(tmp_path: Path) -> None:
    with serve(tmp_path, free_port(), free_port(), "failing") as bridge:
        assert bridge.wait() == 1
    [line] = [line for line in bridge.lines if not line.startswith("{")]
    text = "The bridge does not start, because the startup function tests.e2e.appointed:refuse failed (ValueError, "
    assert line.startswith(text), bridge.output
    assert re.search(r"tests/e2e/appointed\.py, line \d+\)\.$", line), line
    assert bridge.output.count("Traceback") == 1, "the log has the stack, once"


@pytest.mark.parametrize("goes_on", [True, False])
def test_nobody_is_answered_before_the_start_has_ended(tmp_path: Path, *, goes_on: bool) -> None:
    port, emulator_port = free_port(), free_port()
    with serve(tmp_path, port, emulator_port, "waiting") as bridge:
        eventually(lambda: told(tmp_path) or None, "the start-up function")
        with socket.create_connection(("127.0.0.1", port), 5) as waiting:
            waiting.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            waiting.settimeout(0.5)
            with pytest.raises(TimeoutError):
                waiting.recv(1)
            if goes_on:
                (tmp_path / "go").touch()
                waiting.settimeout(20)
                assert waiting.recv(12) == b"HTTP/1.1 200"
                assert httpx.get(f"http://localhost:{port}/health/live", trust_env=False).is_success
        bridge.interrupt()
        if goes_on:
            eventually(lambda: "hanging" in told(tmp_path) or None, "the function for the stop")
            bridge.interrupt()  # a second signal does not wait for the author's code
        assert bridge.wait(20) == 0, bridge.output
        assert "Traceback" not in bridge.output
