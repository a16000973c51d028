"""What `serve` says when it starts, and what it and `check` say instead when they cannot, as processes of their own."""

import json
import re
import socket
import subprocess
from pathlib import Path

from tests.contract.settings.wrong_starts import TAKEN_PORT, UNKNOWN_HOST
from tests.e2e.processes import (
    EMULATOR_KEY,
    ROOT,
    Process,
    app_command,
    clean_environment,
    connection_string,
    free_port,
    run_bridge,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEY = "a-key-of-a-backend-of-ours"
HANDLER = """
from signalr_bridge import Hub

chat = Hub("chat")

@chat.connected
async def connected(context): ...

@chat.on("send")
async def send(context, text): ...
"""


def test_the_first_words_as_lines_with_fields() -> None:
    port, own, emulator = free_port(), free_port(), free_port()
    settings = {
        "BRIDGE_CALLERS__KEYS": KEY,
        "BRIDGE_CALLERS__LISTEN": f"127.0.0.1:{own}",
        "Azure__SignalR__Endpoints__uk__secondary": connection_string(free_port()),
        "BRIDGE_NEGOTIATE__HUBS": "news",
        "BRIDGE_FORWARD__ORDERS__HUB": "orders",
        "BRIDGE_FORWARD__ORDERS__URL": "http://backend.invalid/signalr?code=canary",
        "BRIDGE_FORWARD__ORDERS__SECRETS": SECRET,
    }
    with run_bridge(port, emulator, settings) as bridge:
        bridge.wait_for_line("does not resolve")
        lines = [json.loads(line) for line in bridge.lines]
        output = bridge.output
    said = [{name: one[name] for name in one if name not in {"timestamp", "logger"}} for one in lines]
    first = next(at for at, one in enumerate(said) if one["message"] == "serving")
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", said[first].pop("version"))
    alone: dict[str, list[str]] = {"handlers": [], "clients": []}
    assert [{**one, "level": None} for one in said[first : first + 5]] == [
        {"message": "serving", "level": None, "address": f"http://127.0.0.1:{port}, http://127.0.0.1:{own}"},
        *(
            {
                "message": "endpoint",
                "level": None,
                "endpoint": name,
                "endpoint_type": kind,
                "address": f"http://localhost:{where}",
                "credential": "access key",
            }
            for name, kind, where in [
                ("default", "Primary", emulator),
                ("uk", "Secondary", settings["Azure__SignalR__Endpoints__uk__secondary"].split("Port=")[1][:5]),
            ]
        ),
        {"message": "hub", "level": None, "hub": "news", **alone},
        {"message": "hub", "level": None, "hub": "orders", **alone, "handlers": ["forward.orders"]},
    ]
    warned = [one["message"] for one in said[first:] if one["level"] == "warning"]
    assert warned[0].startswith("No client may connect by itself: set BRIDGE_NEGOTIATE__ANONYMOUS=true or ")
    assert UNKNOWN_HOST.line in warned
    assert [one for one in (KEY, SECRET, EMULATOR_KEY, "canary") if one in output] == []


def test_the_first_words_for_people(tmp_path: Path) -> None:
    (tmp_path / "first_words_chat.py").write_text(HANDLER)
    port = free_port()
    environment = {
        "AzureSignalRConnectionString": connection_string(free_port()),
        "BRIDGE_ALLOW_EMULATOR_KEY": "true",
        "BRIDGE_CALLERS__KEYS": KEY,
        "BRIDGE_HUBS__CHAT__NEGOTIATE__ANONYMOUS": "true",
        "BRIDGE_LOG_FORMAT": "text",
        "BRIDGE_UPSTREAM__CODE": KEY,
        "PYTHONPATH": str(ROOT / "app"),
    }
    command = app_command("serve", "--host", "127.0.0.1", "--port", str(port), "--handlers", "first_words_chat:chat")
    with Process("bridge", command, environment, tmp_path) as bridge:
        bridge.wait_for_line("hub chat")
        lines = [re.sub(r"^\S+ \[\w+\s*\] | \[signalr_bridge\]$", "", line) for line in bridge.lines]
    version = lines[0].split()[1]
    assert [line.rstrip() for line in lines[:3]] == [
        f"signalr-bridge {version} listens on http://127.0.0.1:{port}",
        f"endpoint default: Primary, {bridge_endpoint(environment)}, access key",
        "hub chat: handlers connected, send; clients anybody",
    ]


def bridge_endpoint(environment: dict[str, str]) -> str:
    port = environment["AzureSignalRConnectionString"].split("Port=")[1].split(";")[0]
    return f"http://localhost:{port}"


def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    given = {"AzureSignalRConnectionString": "Endpoint=http://127.0.0.1:1;AccessKey=k;", "BRIDGE_CALLERS__KEYS": KEY}
    return subprocess.run(
        app_command(*arguments),
        env=clean_environment() | given | settings,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_serve_says_in_one_line_each_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "bridge.toml"
    file.write_text(
        '[negotiate]\nanonymous = true\n\n[[negotiate.jwt]]\naudience = "chat"\n\n[limits]\nin_flight = 0\n'
    )
    done = run("serve", "--settings", str(file), BRIDGE_DOCS='"true"')
    assert (done.returncode, done.stdout) == (1, "")
    assert sorted(done.stderr.splitlines()) == [
        "BRIDGE_DOCS (environment): stands in quotes, which are kept and would be a part of it: write it without them.",
        "BRIDGE_LIMITS__IN_FLIGHT (bridge.toml, line 8): write 1 or more.",
        "BRIDGE_NEGOTIATE__JWT (bridge.toml, line 4): entry 1: 'issuer' is missing: add it.",
    ]


def test_serve_says_that_a_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", "--host", "127.0.0.1", "--port", str(port))
    assert done.stderr.splitlines()[-1] == TAKEN_PORT.line.replace("8080", str(port))
    assert done.returncode == 1


def test_check_probes_names_too() -> None:
    done = run("check", "--probe", BRIDGE_UPSTREAM__CODE=KEY, **UNKNOWN_HOST.given)
    assert done.stderr.splitlines() == [f"mistake: {UNKNOWN_HOST.line}"]
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "2 mistakes"), "nobody answers as the endpoint either"
