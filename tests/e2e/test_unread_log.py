"""Standard streams that nobody reads, that are full or that are not there: the product answers on, and ends in time."""

import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

import httpx
import pytest

from tests.e2e.processes import (
    API_KEY,
    app_command,
    bridge_settings,
    clean_environment,
    eventually,
    free_port,
)
from tests.e2e.signed import Service

GRACE_SECONDS = 2
REQUESTS = 3000
"""Each is a line of about 200 bytes. A pipe takes 64 KiB."""


@contextmanager
def unread(command: Sequence[str], **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process whose standard output and error are pipes that nobody reads."""
    environment = clean_environment() | settings
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def shell(command: Sequence[str], redirections: str) -> list[str]:
    return ["/bin/sh", "-c", f'exec "$@" {redirections}', "sh", *command]


def serve(port: int) -> tuple[list[str], dict[str, str]]:
    own = {
        "BRIDGE_HANDLERS": "tests.e2e.troubled:printing",
        "BRIDGE_LIMITS__GRACE_SECONDS": str(GRACE_SECONDS),
        "BRIDGE_LIMITS__DRAIN_SECONDS": "0",
        "BRIDGE_NONSENSE": "it means nothing",  # which is said before anything else
        "BRIDGE_CALLERS__RATE": "100000",
    }
    return app_command("serve", "--port", str(port)), bridge_settings(free_port()) | own


def wait_for(port: int, path: str, process: subprocess.Popen[bytes]) -> None:
    def look() -> bool | None:
        assert process.poll() is None, process.returncode
        try:
            return httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False, timeout=5).is_success or None
        except httpx.TransportError:
            return None

    eventually(look, f"an answer of {path}")


def test_a_log_that_nobody_reads_holds_nothing_up() -> None:
    port = free_port()
    command, settings = serve(port)
    with unread(command, **settings) as process, open_client(port) as http:
        wait_for(port, "/health/live", process)
        service = Service(http)
        assert service.invoke("printing", "print", 3000)["result"] == "printed"
        ask_often(port, "/health/live", REQUESTS)
        assert http.get("/hubs").status_code == 200
        assert service.invoke("printing", "warn", "x" * 100_000)["result"] is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(GRACE_SECONDS + 8) == 0


def ask_often(port: int, path: str, times: int) -> None:
    """Ask over one connection, without waiting for answers, and read as many."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        sending = threading.Thread(target=connection.sendall, args=(request * times,), daemon=True)
        sending.start()
        answers = connection.makefile("rb")
        read = sum(line.startswith(b"HTTP/1.1 200") for line in take_heads(answers, times))
        sending.join()
    assert read == times


def take_heads(answers: IO[bytes], times: int) -> Iterator[bytes]:
    """The first line of each answer."""
    for _ in range(times):
        head = []
        while (line := answers.readline()) not in {b"\r\n", b""}:
            head.append(line)
        size = next(int(one.partition(b":")[2]) for one in head if one.lower().startswith(b"content-length"))
        answers.read(size)
        yield head[0]


def open_client(port: int) -> httpx.Client:
    headers = {"X-API-Key": API_KEY}
    return httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False, timeout=10)


def test_lines_that_were_dropped_are_said_as_soon_as_the_log_is_read() -> None:
    port = free_port()
    command, settings = serve(port)
    with unread(command, **settings) as process, open_client(port) as http:
        wait_for(port, "/health/live", process)
        assert Service(http).invoke("printing", "print", 30_000)["result"] == "printed"
        assert process.stderr is not None
        for line in process.stderr:
            if b"log lines dropped" in line:
                break
        told = json.loads(line)
        assert told["count"] > 1000, "lines that were printed count as well"
        assert http.get("/health/live").is_success


@pytest.mark.parametrize("redirections", ["2>&-", ">/dev/full 2>/dev/full"])
def test_it_serves_and_stops_whatever_its_streams_are(redirections: str) -> None:
    port = free_port()
    command, settings = serve(port)
    with unread(shell(command, redirections), **settings) as process, open_client(port) as http:
        wait_for(port, "/health/live", process)
        service = Service(http)
        assert service.invoke("printing", "print", 100)["result"] == "printed"
        assert service.invoke("printing", "warn", "x")["result"] is None
        for number in range(3):
            target = os.readlink(f"/proc/{process.pid}/fd/{number}")
            assert target.startswith(("/dev/", "pipe:")), "no connection has the number of a standard stream"
        process.send_signal(signal.SIGTERM)
        assert process.wait(GRACE_SECONDS + 8) == 0


@pytest.mark.parametrize(("name", "redirections"), [("dev", ">/dev/full 2>/dev/full"), ("emulator", "<&- >&- 2>&-")])
def test_development_runs_whatever_its_streams_are(name: str, redirections: str) -> None:
    port = free_port()
    options = ["--port", str(port)] + (["--emulator-port", "0"] if name == "dev" else [])
    path = {"dev": "/health/live", "emulator": "/api/health"}[name]
    with unread(shell(app_command(name, *options), redirections)) as process:
        wait_for(port, path, process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.mark.parametrize("command", ["check", "tail --url http://127.0.0.1:9"])
def test_a_full_disk_is_one_line_and_an_exit_code(command: str) -> None:
    settings = bridge_settings(free_port())
    process = subprocess.run(
        shell(app_command(*command.split()), ">/dev/full"),
        env=clean_environment() | settings,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    assert process.stderr == b"standard output takes nothing (no space left on device).\n"
    assert process.returncode == 1


def test_what_is_said_on_standard_error_is_not_said_on_standard_output_where_that_is_closed() -> None:
    settings = bridge_settings(free_port()) | {"BRIDGE_NONSENSE": "it means nothing"}
    process = subprocess.run(
        shell(app_command("token", "--hub", "chat"), "2>&-"),
        env=clean_environment() | settings,
        stdout=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    url, token = process.stdout.decode().splitlines()
    assert url.startswith("http://localhost")
    assert token.count(".") == 2
