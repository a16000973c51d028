"""`check` and the start of `serve`, as somebody sees them at a terminal."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.e2e.processes import EMULATOR_KEY, ROOT, app_command, clean_environment, free_port, run_emulator

CALLER = "a-key-of-a-caller"
CANARY = "canary-6d1f-canary"


def string(url: str, key: str = CANARY) -> str:
    return f"Endpoint={url};AccessKey={key};Version=1.0;"


def run(*command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = clean_environment() | settings
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def check(*options: str, **settings: str) -> subprocess.CompletedProcess[str]:
    done = run(*app_command("check", *options), **settings)
    assert CANARY not in done.stdout + done.stderr
    return done


def test_five_planted_errors_are_named_in_one_run(tmp_path: Path) -> None:
    values = {
        "FUNCTIONS_WORKER_RUNTIME": "node",
        "AzureWebJobsStorage": "UseDevelopmentStorage=true",
        "AzureSignalRServiceTransportType": "Persistent",
        "Azure:SignalR:Endpoints:eastus:secondary": string("https://a.service.signalr.net"),
        "Azure:SignalR:Endpoints:uk:serviceUri": "https://c.service.signalr.net",
        "Azure:SignalR:Endpoints:uk:type": "secondary",
        "Azure:SignalR:Endpoints:uk:credential": "managedidentity",
        "Azure:SignalR:Endpoints:uk:clientId": "11111111-2222-3333-4444-555555555555",
        "Azure:SignalR:Endpoints:uk:managedIdentityObjectId": "66666666-2222-3333-4444-555555555555",
        "Azure:SignalR:Endpoint:westus": string("https://b.service.signalr.net"),
        "BRIDGE_CALLERS__KEYS": CANARY,
        "BRIDGE_UPSTREAM__CODDE": CANARY,
        "BRIDGE_PORT": "80800",
    }
    file = tmp_path / "local.settings.json"
    file.write_text(json.dumps({"IsEncrypted": False, "Values": values}))
    done = check("--settings", str(file))
    assert done.returncode == 1
    for words in (
        "BRIDGE_UPSTREAM__CODDE (local.settings.json, line 1): means nothing; did you mean BRIDGE_UPSTREAM__CODE?",
        "uk (local.settings.json, line 1): names its managed identity by clientId and managedId",
        "BRIDGE_PORT (local.settings.json, line 1): write 65535 or less.",
        "every endpoint is Secondary: make one Primary",
        "Azure:SignalR:Endpoint:westus (local.settings.json, line 1): is not used: did you mean Azure__SignalR__",
    ):
        assert words in done.stderr
    served = run(*app_command("serve", "--settings", str(file)))
    assert served.returncode == 1
    assert "keep one of them" in served.stderr
    assert CANARY not in served.stdout + served.stderr


def fifty_endpoints(url: str = "https://{}.service.signalr.net") -> Mapping[str, str]:
    return {f"Azure__SignalR__Endpoints__region{number:02}": string(url.format(number)) for number in range(50)}


def test_fifty_endpoints_in_a_table_that_fits() -> None:
    done = check(**fifty_endpoints(), BRIDGE_CALLERS__KEYS=CALLER, BRIDGE_UPSTREAM__CODE=CANARY)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert sum(line.startswith("region") for line in lines) == 50
    assert max(map(len, lines)) <= 100
    assert [line for line in lines if line.startswith("BRIDGE_UPSTREAM__CODE")] == [
        next(line for line in lines if re.fullmatch(r"BRIDGE_UPSTREAM__CODE +\*\*\* +environment", line))
    ]


def test_as_json() -> None:
    done = check("--json", AzureSignalRConnectionString=string("https://a.example"), BRIDGE_CALLERS__KEYS=CALLER)
    found = json.loads(done.stdout)
    assert (done.returncode, found["ok"], found["findings"]) == (0, True, [])
    assert {
        "name": "BRIDGE_CALLERS__KEYS",
        "value": "***",
        "source": "environment",
        "live": False,
        "canonical": "BRIDGE_CALLERS__KEYS",
    } in found["settings"]
    assert found["endpoints"] == [
        {
            "name": "default",
            "type": "Primary",
            "address": "https://a.example",
            "credential": "access key",
            "weight": "1",
            "source": "environment",
            "client_endpoint": "https://a.example",
            "server_endpoint": "https://a.example",
        }
    ]
    assert found["hubs"] == []


def test_a_probe_asks_every_endpoint_with_its_credential() -> None:
    port = free_port()
    nobody = f"http://127.0.0.1:{free_port()}"
    with run_emulator(port, "http://localhost:1/upstream"):
        url = f"http://localhost:{port}"
        given = {"BRIDGE_CALLERS__KEYS": CALLER, "BRIDGE_ALLOW_EMULATOR_KEY": "true"}
        good = check("--probe", **given, AzureSignalRConnectionString=string(url, EMULATOR_KEY))
        endpoints = {
            "Azure__SignalR__Endpoints__wrong": string(f"http://127.0.0.1:{port}"),
            "Azure__SignalR__Endpoints__nobody": string(nobody),
        }
        bad = check("--probe", "--json", **given, **endpoints)
    assert (good.returncode, "answers, and takes the credential" in good.stdout) == (0, True), good.stdout
    answers = {one["name"]: (one["answer"], one["ok"]) for one in json.loads(bad.stdout)["probes"]}
    assert answers == {
        "wrong": ("answers, but refuses the credential: check the key", False),
        "nobody": ("unreachable", False),
    }
    assert bad.returncode == 1


WITHOUT_NETWORK = """
import asyncio, sys
calls = []
sys.addaudithook(lambda event, _: calls.append(event) if event in {"socket.connect", "socket.getaddrinfo"} else None)
from signalr_bridge.main import create_app
from signalr_bridge.settings import Sources
from signalr_bridge.settings import load
from signalr_bridge.wire.server import Listener
from signalr_bridge.wire.sockets import bind
import os

async def main():
    sources = Sources(dict(os.environ), {})
    app = create_app(load(sources.read()), sources)
    with bind("127.0.0.1", 0, "port") as sock:
        calls.clear()
        listener = Listener(app, sock, grace_seconds=1)
        serving = asyncio.create_task(listener.run_until_stopped())
        await listener.ready.wait()
        before = list(calls)
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"GET /health/live HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
        answer = await reader.readline()
        writer.close()
        print(before, answer)
        listener.should_exit = True
        await serving
asyncio.run(main())
"""


def test_nothing_is_called_before_requests_are_served() -> None:
    settings = dict(fifty_endpoints(f"http://127.0.0.1:{free_port()}/{{}}")) | {"BRIDGE_CALLERS__KEYS": CALLER}
    done = run(sys.executable, "-c", WITHOUT_NETWORK, **settings)
    assert done.stdout.strip() == "[] b'HTTP/1.1 200 OK\\r\\n'", done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "near"), [("BRIDGE_PROT", "BRIDGE_PORT"), ("BRIDGE_CALLERS__KEY", "BRIDGE_CALLERS__KEYS")]
)
def test_serve_names_what_it_ignores(name: str, near: str) -> None:
    done = run(*app_command("serve"), **{name: "x", "AzureSignalRConnectionString": string("https://a.example")})
    assert done.returncode == 1, "nobody could call"
    assert f"{name} (environment): means nothing; did you mean {near}?" in done.stderr


def test_no_url_is_shown_with_its_user_or_password() -> None:
    done = check(
        AzureSignalRConnectionString=string("https://a.service.signalr.net"),
        AZURE_AUTHORITY_HOST=f"https://user:{CANARY}@login.example",
        BRIDGE_FORWARD__B__URL=f"https://{CANARY}:x@backend.example/signalr?code={CANARY}",
        BRIDGE_FORWARD__B__UNSIGNED="true",
        BRIDGE_CALLERS__KEYS=CALLER,
    )
    assert "https://***@login.example" in done.stdout
    assert "https://***@backend.example/signalr" in done.stdout
