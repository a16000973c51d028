"""``signalr-bridge dev``: what it prints works, what it serves is safe, and it ends when it is told to."""

import json
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import httpx
import jwt
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.e2e.examples import run_example
from tests.e2e.node_client import CallFailed, NodeClients
from tests.e2e.processes import (
    API_KEY,
    EMULATOR_KEY,
    Machine,
    Process,
    app_command,
    eventually,
    free_port,
    run_dev,
    wait_until_answered,
)


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


FOREIGN = "https://evil.example"
PRODUCTION = """
default_hub = "orders"
callers.keys = ["{key}"]
callers.listen = "0.0.0.0:8081"
state.url = "redis://prod.example"
[forward.prod]
url = "http://0.0.0.0:{port}/prod"
secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
[forward.here]
hub = "chat"
category = "messages"
url = "http://localhost:{port}/here"
unsigned = true
[hubs.news.cors]
origins = ["https://news.example"]
"""
"""A team's file. That ``0.0.0.0`` leads here as well lets the test see what is posted to another machine."""


@pytest.fixture(scope="module")
def backend() -> Iterator[int]:
    """The port of a backend that remembers what it was told."""
    port = free_port()
    with Process("backend", [sys.executable, "-m", "tests.e2e.recording_backend", str(port)]) as recording:
        wait_until_answered(recording, f"http://localhost:{port}/health")
        yield port


@pytest.fixture(scope="module")
def files(backend: int, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The options for a team's two files. The second one counts first."""
    production, own = (
        tmp_path_factory.mktemp("team") / "bridge.toml",
        tmp_path_factory.mktemp("me") / "local.settings.json",
    )
    production.write_text(PRODUCTION.format(key=API_KEY, port=backend))
    own.write_text('{"Values": {"BRIDGE_DEFAULT_HUB": "chat"}}')
    return ["--settings", str(production), "--settings", str(own)]


@pytest.fixture(scope="module")
def team(files: list[str]) -> Iterator[Machine]:
    environment = {"AzureSignalRConnectionString": "Endpoint=https://real.example;AccessKey=cAnArY;Version=1.0;"}
    with run_dev(*files, "--allow-origin", FOREIGN, settings=environment) as machine:
        yield machine


def told(backend: int) -> list[str]:
    """The events that the backend was told of."""
    seen = httpx.get(f"http://localhost:{backend}/seen", trust_env=False).json()
    return [effect[0] for effect in seen["effects"]]


def test_its_first_lines_say_what_it_took_overruled_and_left_out(team: Machine) -> None:
    team.bridge.wait_for_line("^Try: ")
    assert team.bridge.lines[:7] == [
        "Settings of bridge.toml: BRIDGE_CALLERS__KEYS, BRIDGE_FORWARD__HERE__CATEGORY, BRIDGE_FORWARD__HERE__HUB, "
        "BRIDGE_FORWARD__HERE__UNSIGNED, BRIDGE_FORWARD__HERE__URL, BRIDGE_HUBS__NEWS__CORS__ORIGINS",
        "Settings of local.settings.json: BRIDGE_DEFAULT_HUB",
        "Not used, because dev has an emulator of its own: AzureSignalRConnectionString (environment)",
        "Not used, because dev listens on 127.0.0.1 alone, at --port: BRIDGE_CALLERS__LISTEN (bridge.toml)",
        "Not used, because dev runs alone: BRIDGE_STATE__URL (bridge.toml)",
        "Left out, because its address is not on this machine: forward.prod (BRIDGE_FORWARD__PROD__URL, bridge.toml). "
        "--remote takes it in.",
        f"Chat: {team.url}/",
    ]
    assert f'Try: curl -sS -X POST {team.url}/hubs/chat/send -H "X-API-Key: $KEY" -H ' in team.bridge.output
    assert "cAnArY" not in team.bridge.output


def test_the_emulator_alone_takes_origins_that_are_named() -> None:
    port = free_port()
    with Process("emulator", app_command("emulator", "--port", str(port), "--allow-origin", FOREIGN)) as process:
        wait_until_answered(process, f"http://localhost:{port}/api/health")
        for origin, status in ((FOREIGN, 200), ("https://evil2.example", 403)):
            answer = httpx.get(f"http://localhost:{port}/api/health", headers={"Origin": origin}, trust_env=False)
            assert answer.status_code == status


def test_callers_need_a_key_where_the_settings_have_one(team: Machine) -> None:
    message = {"target": "newMessage", "arguments": []}
    with team.http() as http:
        assert http.post("/hubs/chat/send", json=message).status_code == 401
        assert http.get("/events").status_code == 401
        assert http.post("/hubs/chat/send", json=message, headers={"X-API-Key": API_KEY}).status_code == 202


def test_a_production_file_never_makes_it_post_to_production(
    node: NodeClients, team: Machine, backend: int, files: list[str]
) -> None:
    for number, path in enumerate(("api", "hubs/orders", "hubs/any")):
        client = node.client().start(f"{team.url}/{path}")
        with nullcontext() if path == "api" else pytest.raises(CallFailed):
            client.invoke("number", number)
        client.stop()
    assert told(backend) == ["number"]
    with run_dev(*files, "--remote") as remote:
        client = node.client().start(f"{remote.url}/hubs/orders")
        client.invoke("number", 3)
        client.stop()
        eventually(lambda: {*told(backend)} == {"number", "connected", "disconnected"} or None, "events at production")


def test_further_origins_are_named(team: Machine) -> None:
    """To the bridge and its emulators alike, and for hubs with origins of their own."""
    with team.http() as http:
        for hub, origin, status in (
            ("chat", FOREIGN, 200),
            ("news", FOREIGN, 200),
            ("news", "https://news.example", 200),
            ("chat", "https://news.example", 403),
        ):
            assert http.post(f"/hubs/{hub}/negotiate", headers={"Origin": origin}).status_code == status
        assert http.post("/hubs/chat/send", json={"target": "t"}, headers={"Origin": FOREIGN}).status_code == 403
    health = f"http://localhost:{team.emulator_port}/api/health"
    assert httpx.get(health, headers={"Origin": FOREIGN}, trust_env=False).status_code == 200
    assert httpx.get(health, headers={"Origin": "https://news.example"}, trust_env=False).status_code == 403


ELSEWHERE = "http://localhost:5173"
WANTED = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-requested-with"}


def test_a_page_of_another_port_may_negotiate_and_nothing_else(dev: Machine) -> None:
    """The negotiation and the WebSocket are what its browser sends. It is a client, and not a caller without key."""
    with dev.http() as http:
        for origin in (ELSEWHERE, "http://127.0.0.1:1", "https://[::1]:3000"):
            for path in ("/hubs/chat/negotiate", "/hubs/any/negotiate", "/api/negotiate"):
                preflight = http.options(path, headers={"Origin": origin} | WANTED)
                assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (204, origin)
                answer = http.post(f"{path}?userId=ann", headers={"Origin": origin})
                assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, origin)
        found = http.post("/hubs/chat/negotiate?userId=ann", headers={"Origin": ELSEWHERE}).json()
        wish = {"userId": "admin", "claims": {"role": "admin"}}
        assert http.post("/hubs/chat/negotiate", json=wish, headers={"Origin": ELSEWHERE}).status_code == 401
        for method, path in (
            ("POST", "/hubs/chat/send"),
            ("GET", "/hubs/chat/endpoints"),
            ("POST", "/hubs/chat/negotiate/endpoints"),
            ("GET", "/events"),
            ("GET", "/openapi.json"),
            ("GET", "/"),
            ("POST", "/upstream"),
        ):
            refused = http.request(method, path, headers={"Origin": ELSEWHERE}, json={"target": "t"})
            assert (refused.status_code, "access-control-allow-origin" in refused.headers) == (403, False), path
        for headers in (
            [("Origin", FOREIGN)],
            [("Origin", "null")],
            [("Origin", ELSEWHERE), ("Origin", FOREIGN)],
            [("Host", "evil.example"), ("Origin", ELSEWHERE)],
        ):
            refused = http.post("/hubs/chat/negotiate", headers=headers)
            assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    url = f"{found['url'].replace('http', 'ws', 1)}&access_token={found['accessToken']}"
    with connect(url, origin=Origin(ELSEWHERE), proxy=None) as client:
        client.send(
            '{"protocol":"json","version":1}\x1e{"type":1,"target":"add","invocationId":"1","arguments":[1,2]}\x1e'
        )
        assert client.recv(timeout=10) == "{}\x1e"
        assert json.loads(str(client.recv(timeout=10))[:-1])["result"] == 3


def test_a_foreign_page_runs_no_handler_although_it_knows_the_emulators_key(node: NodeClients, dev: Machine) -> None:
    """It signs what it likes, as ``admin``, and sends it to the emulator."""
    admin = jwt.encode({"sub": "admin", "aud": "x", "exp": 4_000_000_000}, EMULATOR_KEY)
    ann = node.client().start(f"{dev.url}/hubs/chat?userId=ann")
    url, message = f"http://localhost:{dev.emulator_port}", {"target": "newMessage", "arguments": ["evil"]}
    for headers in ({"Origin": FOREIGN}, {"Origin": "null"}, {"Host": "evil.example"}):
        sent = httpx.post(
            f"{url}/api/v1/hubs/chat",
            json=message,
            headers=headers | {"Authorization": f"Bearer {admin}"},
            trust_env=False,
        )
        assert sent.status_code == 403
        with pytest.raises(InvalidStatus) as refused:
            connect(
                f"ws://localhost:{dev.emulator_port}/client/?hub=chat&access_token={admin}",
                additional_headers=headers,
                proxy=None,
            )
        assert refused.value.response.status_code == 403
    with dev.http() as http:
        assert http.post("/hubs/chat/send", json=message | {"arguments": ["last"]}).status_code == 202
    assert ann.message() == ("newMessage", ["last"])
    ann.stop()


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


def test_ctrl_c_ends_it_cleanly_while_its_backend_is_missing(node: NodeClients, tmp_path: Path) -> None:
    """The backend was forgotten. The client's events are given up, and nothing is an error of the bridge."""
    settings = {"XDG_STATE_HOME": str(tmp_path), "BRIDGE_CONSOLE": "false"}
    with run_dev("--forward", f"http://localhost:{free_port()}/signalr", settings=settings) as machine:
        machine.bridge.wait_for_line(f"^Bridge: {machine.url}$")
        node.client().start(f"{machine.url}/hubs/chat?userId=ann")
        alone = json.loads(machine.bridge.wait_for_line(".*is left alone.*")[0])
        assert (alone["level"], alone["reason"]) == ("warning", "start it, or check --forward")
        machine.bridge.interrupt()
        assert machine.bridge.wait() == 0
        logged = [json.loads(line) for line in machine.bridge.lines if line.startswith("{")]
    assert {one["level"] for one in logged} == {"warning"}
    assert sorted(f"{one['message']}: {one.get('event')}" for one in logged) == [
        "backend does not answer and is left alone: None",
        "connection event given up: connected",
        "connection event given up: disconnected",
        "no more tries: None",
    ]


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
    """No line of Python, no key, no other setting."""
    port, home = free_port(), {"XDG_STATE_HOME": str(tmp_path)}
    with run_dev("--forward", f"http://localhost:{port}/signalr", settings=home) as machine:
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
