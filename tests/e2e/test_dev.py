"""``signalr-bridge dev``: what it prints works, what it serves is safe, and it ends when it is told to."""

import re
import socket
from pathlib import Path

import httpx
import pytest

from tests.e2e.examples import run_example
from tests.e2e.node_client import NodeClients
from tests.e2e.processes import Machine, Process, app_command, free_port, run_dev


def test_it_prints_where_to_go_and_what_to_try(dev: Machine) -> None:
    dev.bridge.wait_for_line("^Try: ")
    assert dev.bridge.lines[:3] == [
        f"Chat: {dev.url}/",
        f"Connection string: Endpoint=http://localhost;Port={dev.emulator_port};"
        "AccessKey=ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH;Version=1.0;",
        f"Try: curl -sS -X POST {dev.url}/hubs/chat/send -H 'Content-Type: application/json' "
        """-d '{"target":"newMessage","arguments":["curl","hello"]}'""",
    ]


def test_the_address_of_the_hub_is_all_that_a_client_needs(node: NodeClients, dev: Machine) -> None:
    client = node.client().start(f"{dev.url}/hubs/chat")
    assert client.invoke("who")["connectionId"] == client.connection_id
    client.stop()


def test_a_page_of_a_function_app_connects_unchanged(node: NodeClients, dev: Machine) -> None:
    client = node.client().start(f"{dev.url}/api?userId=ann")
    assert client.invoke("who") == {"userId": "ann", "connectionId": client.connection_id, "hub": "chat"}
    client.stop()


def test_the_page_runs_nothing_from_elsewhere(dev: Machine) -> None:
    with dev.http() as http:
        page = http.get("/")
        files = re.findall(r'(?:src|href)="([^"#]+)"', page.text)
        assert {"static/signalr.min.js", "page/main.js", "page/style.css"} <= set(files)
        for file in files:
            assert http.get(f"/{file}").status_code == 200, file
    policy = page.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|\sstyle=|https?://", page.text)


@pytest.mark.parametrize(
    "path", ["/page/../dev.py", "/page/%2e%2e/dev.py", "/page/..%2fdev.py", "/static/%2e%2e/dev.py"]
)
def test_the_page_serves_nothing_beside_it(dev: Machine, path: str) -> None:
    with socket.create_connection(("localhost", dev.bridge_port), timeout=10) as connection:
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert re.match(rb"HTTP/1.1 4\d\d ", answer), answer[:200]


def test_it_says_which_settings_it_does_not_use() -> None:
    settings = {"AzureSignalRConnectionString": "Endpoint=https://real.example;AccessKey=cAnArY;Version=1.0;"}
    command = app_command("dev", "--port", str(free_port()), "--emulator-port", str(free_port()))
    with Process("dev with a setting", command, settings) as process:
        process.wait_for_line("AzureSignalRConnectionString")
        process.wait_for_line("^Try: ")
        assert "cAnArY" not in process.output


def test_ctrl_c_ends_it_cleanly(node: NodeClients) -> None:
    with run_dev() as machine:
        client = node.client().start(f"{machine.url}/hubs/chat?userId=ann")  # somebody who is connected
        lines = machine.bridge.lines
        machine.bridge.interrupt()
        assert machine.bridge.wait() == 0
        assert machine.bridge.lines == lines
    client.event("closed")
    with pytest.raises(httpx.ConnectError):
        httpx.get(machine.url, trust_env=False)


def test_several_emulators_are_one(node: NodeClients) -> None:
    with run_dev("--endpoints", "3", "--handlers", "tests.e2e.handlers:chat") as machine, machine.http() as http:
        listed = http.get("/hubs/chat/endpoints").json()
        assert [one["name"] for one in listed] == ["default", "emulator2", "emulator3"]
        assert [int(one["endpoint"].rpartition(":")[2]) - machine.emulator_port for one in listed] == [0, 1, 2]
        clients = [node.client().start(f"{machine.url}/hubs/chat?userId=u{number}") for number in range(6)]
        assert http.post("/hubs/chat/send", json={"target": "newMessage", "arguments": [1]}).status_code == 202
        assert [client.message() for client in clients] == [("newMessage", [1])] * 6
        assert [client.invoke("add", 1, 2) for client in clients] == [3] * 6
        for client in clients:
            client.stop()


SIGNING_SECRET = r"^Signing secret: (whsec_\S+) \(kept in (.+)\)$"


def test_a_backend_in_another_language_needs_one_address(node: NodeClients, tmp_path: Path) -> None:
    """No line of Python, no key, no other setting. A restart changes nothing."""
    port, home = free_port(), {"XDG_STATE_HOME": str(tmp_path)}
    forward = ("--forward", f"http://localhost:{port}/signalr")
    with run_dev(*forward, settings=home) as machine:
        secret, file = machine.bridge.wait_for_line(SIGNING_SECRET).groups()
        assert Path(file).stat().st_mode & 0o777 == 0o600
        with run_example("node", port, {"WEBHOOK_SECRET": secret, "BRIDGE_URL": machine.url}) as backend:
            ann = node.client().start(f"{machine.url}/hubs/chat?userId=ann")
            bob = node.client().start(f"{machine.url}/hubs/another?userId=bob")
            backend.wait_for_line("connected: bob")
            assert ann.invoke("broadcast", "hello") == "sent"
            assert ann.message() == ("newMessage", ["ann", "hello"])
            assert bob.invoke("announce", "lunch") == "announced"
            assert bob.message() == ("newMessage", ["announcement", "lunch"])
            ann.stop()
            bob.stop()
            with run_dev(*forward, settings=home) as restarted:
                assert restarted.bridge.wait_for_line(SIGNING_SECRET)[1] == secret
