"""The processes of a benchmark: each on its core, waited for, and ended by its id.

The servers that are measured have the first core that this process may use, and all else has the others: the load, the
service, and this process, which waits. What a process writes goes to a file, as in production.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, NamedTuple

import trustme

from tests.bench import traffic
from tests.bench.traffic import key_of
from tests.e2e.processes import API_KEY, NAMED_CLIENTS, ROOT, app_command, clean_environment, free_port
from tests.golang import compile_go

MOST_ENDPOINTS = 50
STARTS_WITHIN = 60.0
PLAIN_HUB = "plain"
"""The hub whose messages go over http, where there is one endpoint. Those of all others go over https."""

_CORES = sorted(os.sched_getaffinity(0))
MEASURED, OTHERS, _ALL = set(_CORES[:1]), set(_CORES[1:] or _CORES), set(_CORES)


@dataclass(frozen=True)
class Server:
    """A process that listens on loopback."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: IO[bytes]
    port: int
    cores: set[int]

    @property
    def cpu_seconds(self) -> float:
        """Used so far, by all of its threads, in the kernel and out of it."""
        return time.clock_gettime(~self.process.pid << 3 | 2)  # the clock that clock_getcpuclockid(3) names

    @property
    def resident(self) -> int:
        """Bytes of memory that it has now."""
        return self._memory("VmRSS")

    @property
    def most_resident(self) -> int:
        """The most that it had since ``forget_most``."""
        return self._memory("VmHWM")

    def _memory(self, name: str) -> int:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))

    def forget_most(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")  # proc_pid_clear_refs(5)

    def wait(self) -> None:
        """Until it listens. From then on it has its core alone, as have threads that it starts later."""
        deadline = time.monotonic() + STARTS_WITHIN
        while not is_listening(self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.log.seek(0)
                raise SystemExit(f"{self.name} does not listen:\n{self.log.read().decode(errors='replace')}")
            time.sleep(0.05)
        for thread in Path(f"/proc/{self.process.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), self.cores)

    def end(self) -> None:
        """At once: nothing is lost, and a graceful end takes seconds."""
        self.process.kill()
        self.process.wait()


def is_listening(port: int) -> bool:
    """Whether something listens on the port, asked of the kernel. Connecting would be a request that is half sent."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


@dataclass(frozen=True)
class Surrounding:
    """What stands around the servers: the service, which answers at once, and the certificate that all trust."""

    program: Path
    """All that is written in Go."""
    service: Server
    """Its port is that of https."""
    http: int
    trusted: Path

    def addresses(self, scheme: str, count: int = 1) -> list[str]:
        """So many endpoints of the service. Each has a loopback address of its own."""
        port = self.service.port if scheme == "https" else self.http
        return [f"{scheme}://{host}:{port}" for host in hosts(count)]

    @property
    def environment(self) -> dict[str, str]:
        """Of each process that calls the service."""
        return {"SSL_CERT_FILE": str(self.trusted)}


def hosts(count: int) -> list[str]:
    return [f"127.0.0.{number}" for number in range(1, count + 1)]


@contextmanager
def surround(folder: Path) -> Iterator[Surrounding]:
    """The service, running, with everything that is made once. The folder takes it."""
    program, certificate, trusted = folder / "bench", folder / "service.pem", folder / "trusted.pem"
    compile_go(sorted((Path(__file__).parent / "go").glob("*.go")), program)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(trusted)
    authority.issue_cert(*hosts(MOST_ENDPOINTS)).private_key_and_cert_chain_pem.write_to_path(certificate)
    http, https = free_port(), free_port()
    command = [str(program), "stub", "-addresses", ",".join(hosts(MOST_ENDPOINTS)), "-certificate", str(certificate)]
    command += ["-http", str(http), "-https", str(https)]
    with start("the service", command, {}, https, cores=OTHERS, begins_on=OTHERS) as service:
        service.wait()
        yield Surrounding(program, service, http, trusted)


@contextmanager
def start(
    name: str,
    command: Sequence[str],
    settings: Mapping[str, str],
    port: int,
    *,
    cores: set[int] = MEASURED,
    begins_on: set[int] = MEASURED,
) -> Iterator[Server]:
    """A process that has been started, and may not listen yet. Until then it may run on the cores ``begins_on``."""
    with TemporaryFile() as log:
        os.sched_setaffinity(0, begins_on)  # a process has its parent's
        try:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=clean_environment() | dict(settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        finally:
            os.sched_setaffinity(0, OTHERS)
        server = Server(name, process, log, port, cores)
        try:
            yield server
        finally:
            server.end()


class Peers(NamedTuple):
    """The bridges of others."""

    plain: Server
    naive: Server
    dapr: Server
    tuned: Server


def start_peers(around: Surrounding) -> list[AbstractContextManager[Server]]:
    """In the order of ``Peers``."""
    return [
        start_uvicorn(around, "plain", "--no-access-log"),
        start_uvicorn(around, "naive"),
        start_go(around, "dapr"),
        start_go(around, "tuned"),
    ]


@contextmanager
def start_uvicorn(around: Surrounding, name: str, *options: str) -> Iterator[Server]:
    """The peer in Python of this name."""
    port = free_port()
    loop = ["--loop", "uvloop", "--http", "httptools", "--lifespan", "off"]
    command = [sys.executable, "-m", "uvicorn", f"tests.bench.peers:{name}", "--port", str(port), *loop, *options]
    settings = {
        "SERVICE_HTTP": around.addresses("http")[0],
        "SERVICE_HTTPS": around.addresses("https")[0],
        "SERVICE_KEY": key_of("e0"),
        "CALLER_KEY": API_KEY,
    }
    with start(name, command, around.environment | settings, port, begins_on=_ALL) as server:
        yield server


@contextmanager
def start_go(around: Surrounding, name: str, endpoints: int = 1) -> Iterator[Server]:
    """The peer in Go of this name, for so many endpoints."""
    port = free_port()
    command = [str(around.program), name, "-port", str(port), "-caller-key", API_KEY, "-access-key", key_of("e0")]
    for scheme in ("http", "https"):
        command += [f"-{scheme}", ",".join(around.addresses(scheme, endpoints))]
    with start(name, command, around.environment, port) as server:
        yield server


@contextmanager
def start_bridge(around: Surrounding, endpoints: Mapping[str, str], more: Mapping[str, str] = {}) -> Iterator[Server]:
    """``serve`` with these endpoints and these further settings."""
    port = free_port()
    settings = {
        "BRIDGE_CALLERS__KEYS": API_KEY,
        "BRIDGE_HOST": "127.0.0.1",
        "BRIDGE_HANDLERS": "tests.bench.handlers:python",
        "BRIDGE_FORWARD__HTTP__HUB": traffic.HTTP_HUB,
        "BRIDGE_FORWARD__HTTP__URL": f"http://127.0.0.1:{around.http}/signalr",
        "BRIDGE_FORWARD__HTTP__SECRETS": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    }
    given = around.environment | NAMED_CLIENTS | settings | dict(endpoints) | dict(more)
    with start("bridge", app_command("serve", "--port", str(port)), given, port, begins_on=_ALL) as server:
        yield server


def one_endpoint(around: Surrounding) -> dict[str, str]:
    """One over https, and for ``PLAIN_HUB`` one over http."""
    return {
        "AzureSignalRConnectionString": connection_string(around.addresses("https")[0], "e0"),
        "PlainConnection": connection_string(around.addresses("http")[0], "e0"),
        f"BRIDGE_HUBS__{PLAIN_HUB.upper()}__CONNECTION": "PlainConnection",
    }


def many_endpoints(around: Surrounding, scheme: str, count: int) -> dict[str, str]:
    """So many. Each has a key of its own."""
    return {
        f"Azure__SignalR__Endpoints__e{number}": connection_string(address, f"e{number}")
        for number, address in enumerate(around.addresses(scheme, count))
    }


def connection_string(address: str, name: str) -> str:
    url, _, port = address.rpartition(":")
    return f"Endpoint={url};Port={port};AccessKey={key_of(name)};Version=1.0;"
