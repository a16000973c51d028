"""Callers at the running product: a listener of their own, keys that change nothing for clients, and minted tokens."""

import hashlib
import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import httpx
import pytest

from tests.e2e.node_client import NodeClients
from tests.e2e.processes import (
    API_KEY,
    EMULATOR_KEY,
    ROOT,
    Machine,
    Process,
    app_command,
    clean_environment,
    connection_string,
    free_port,
    run_apart,
    run_bridge,
)

KEY = "a-key-that-stands-nowhere-in-plain"
KEYS = json.dumps([{"name": "billing", "sha256": hashlib.sha256(KEY.encode()).hexdigest(), "rights": ["send"]}])
CLIENTS = {"BRIDGE_NEGOTIATE__ANONYMOUS": "true", "BRIDGE_NEGOTIATE__HUBS": "chat", "BRIDGE_DOCS": "true"}


@dataclass(frozen=True)
class Listeners:
    public: str
    callers: str
    bridge: Process

    def ask(
        self, listener: str, method: str, path: str, headers: Mapping[str, str] | None = None
    ) -> tuple[int, str | None]:
        with httpx.Client(base_url=listener, trust_env=False) as http:
            body = {"json": {"target": "t"}} if method == "POST" else {}
            answer = http.request(method, path, headers=headers, **body)  # type: ignore[arg-type]
            return answer.status_code, answer.headers.get("x-problem-code")


@pytest.fixture(scope="module")
def emulated() -> Iterator[Machine]:
    with run_apart(CLIENTS) as machine:
        yield machine


@pytest.fixture(scope="module", params=["keys", "anonymous"])
def listeners(request: pytest.FixtureRequest, emulated: Machine) -> Iterator[Listeners]:
    port, own = free_port(), free_port()
    more = {"keys": {"BRIDGE_CALLERS__KEYS": KEYS}, "anonymous": {"BRIDGE_CALLERS__ANONYMOUS": "true"}}[request.param]
    settings = CLIENTS | {"BRIDGE_CALLERS__LISTEN": f"127.0.0.1:{own}", "BRIDGE_CALLERS__KEYS": ""} | more
    with run_bridge(port, emulated.emulator_port, settings) as bridge:
        yield Listeners(f"http://localhost:{port}", f"http://localhost:{own}", bridge)
        assert bridge.stop() == 0
        assert KEY not in bridge.output


def test_each_listener_has_its_routes(listeners: Listeners) -> None:
    for path in ("/hubs/chat/send", "/hubs/chat/negotiate/endpoints", "/openapi.json", "/docs"):
        assert listeners.ask(listeners.public, "GET", path, {"X-API-Key": KEY}) == (404, "route-not-found")
    assert listeners.ask(listeners.callers, "GET", "/openapi.json") == (200, None)
    assert listeners.ask(listeners.callers, "POST", "/upstream") == (404, "route-not-found")
    assert listeners.ask(listeners.public, "POST", "/upstream")[0] == 401
    for listener in (listeners.public, listeners.callers):
        assert listeners.ask(listener, "GET", "/health/live") == (200, None)


def test_a_caller_gets_in_by_its_own(listeners: Listeners) -> None:
    status, code = listeners.ask(listeners.callers, "POST", "/hubs/chat/send")
    if status == 401:  # with keys
        assert listeners.ask(listeners.callers, "POST", "/hubs/chat/send", {"X-API-Key": "x" * 20}) == (
            401,
            "unauthenticated",
        )
        assert listeners.ask(listeners.callers, "POST", "/hubs/chat/send", {"X-API-Key": KEY}) == (202, None)
        assert listeners.ask(listeners.callers, "POST", "/hubs/chat/groups", {"X-API-Key": KEY}) == (403, "forbidden")
        listeners.bridge.wait_for_line('"caller":"billing"')
    else:
        assert (status, code) == (202, None)
        foreign = {"Origin": "https://evil.example"}
        assert listeners.ask(listeners.callers, "POST", "/hubs/chat/send", foreign) == (403, "forbidden")
    assert listeners.ask(listeners.public, "POST", "/hubs/chat/negotiate", {"X-API-Key": KEY}) == (
        401,
        "unauthenticated",
    )


def mint(machine: Machine, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = clean_environment() | {"AzureSignalRConnectionString": connection_string(machine.emulator_port)}
    return subprocess.run(
        app_command("token", *arguments),
        cwd=ROOT,
        env=environment | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_token_from_the_command_line(emulated: Machine, node: NodeClients) -> None:
    done = mint(emulated, "--hub", "Chat", "--user", "zoe", "--claim", "role=a", "--claim", "role=b")
    assert done.returncode == 0, done.stderr
    url, token = done.stdout.split()
    zoe = node.client().start(url, token=token)
    with emulated.http() as http:
        assert http.get("/hubs/chat/users/zoe").status_code == 200
    zoe.stop()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--hub", "1"),
        ("--hub", "chat", "--user", ""),
        ("--hub", "chat", "--claim", "asrs.s.uid=x"),
        ("--hub", "chat", "--claim", "x=" + "y" * 5000),
    ],
)
def test_a_token_that_cannot_be(emulated: Machine, arguments: tuple[str, ...]) -> None:
    done = mint(emulated, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.strip().splitlines()) == 1
    assert not {EMULATOR_KEY, API_KEY} & set(done.stderr.split())
