"""What a request costs the bridge: ``make bench``.

Prints, for each hot path, the CPU time of the bridge's process for one request, and its ratio to a plain ASGI echo that
is served in the same way and measured in the same rounds: the time says something about the machine, the ratio about
the bridge. Everything is real: ``serve`` with its log, the load from another process over kept connections, a service
and a backend that answer at once. Then comes what the check of a signed event costs by the number of endpoints
(``checks``). Medians of several rounds; nothing here is a test, and nothing is written.
``--once`` is one round of few requests, which shows that all of it works. Needs Linux.
"""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from statistics import median
from tempfile import TemporaryFile
from typing import IO

from tests.bench import checks, traffic
from tests.e2e.processes import (
    API_KEY,
    NAMED_CLIENTS,
    ROOT,
    app_command,
    clean_environment,
    connection_string,
    free_port,
)

ROUNDS = 5
WARM_UP = 1000
"""Requests before anything is measured; they also tell how many make up a round."""
ROUND_SECONDS = 0.8
"""CPU time of one round of one path, about."""
FEWEST, MOST = 500, 30_000
"""Requests of a round, whatever they cost."""


@dataclass(frozen=True)
class Server:
    """A process of ours that listens."""

    pid: int
    port: int

    @property
    def cpu_seconds(self) -> float:
        """Used so far, by all of its threads, in the kernel and out of it."""
        return time.clock_gettime(~self.pid << 3 | 2)  # the clock that clock_getcpuclockid(3) names


@dataclass
class Case:
    """One path, and what its rounds have given."""

    name: str
    server: Server
    requests: list[str]
    status: int = 200
    count: int = WARM_UP
    cpu: list[float] = field(default_factory=list)
    """Microseconds for a request, one number a round."""
    rates: list[float] = field(default_factory=list)
    """Requests in a second, one number a round."""
    times: list[float] = field(default_factory=list)
    """Milliseconds, one number a request."""


class Load:
    """The process that sends."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin: IO[str] = process.stdin
        self._stdout: IO[str] = process.stdout

    def run(self, case: Case) -> None:
        job = {"port": case.server.port, "requests": case.requests, "count": case.count, "status": case.status}
        cpu, started = case.server.cpu_seconds, time.perf_counter()
        print(json.dumps(job), file=self._stdin, flush=True)
        answer = json.loads(self._stdout.readline())
        if "error" in answer:
            raise SystemExit(f"{case.name}: {answer['error']}")
        case.cpu.append((case.server.cpu_seconds - cpu) / case.count * 1e6)
        case.rates.append(case.count / (time.perf_counter() - started))
        case.times += [one * 1000 for one in answer["times"]]


def main() -> None:
    with ExitStack() as stack:
        echo = stack.enter_context(run_server("echo"))
        service = stack.enter_context(run_server("service"))
        backend = stack.enter_context(run_server("backend"))
        bridge = stack.enter_context(run_bridge(service.port, backend.port))
        load = Load(stack.enter_context(run_load()))
        python, http = traffic.message_to(traffic.PYTHON_HUB), traffic.message_to(traffic.HTTP_HUB)
        cases = [
            Case("plain ASGI echo", echo, python),
            Case("event to a Python handler", bridge, python),
            Case("event to an HTTP handler", bridge, http),
            Case("POST /hubs/{hub}/send", bridge, traffic.send(), status=202),
            Case("POST /hubs/{hub}/negotiate", bridge, traffic.negotiate()),
        ]
        rounds = 1 if "--once" in sys.argv else ROUNDS
        for case in cases:
            warm_up(load, case, longest=FEWEST if rounds == 1 else MOST)
        for number in range(1, rounds + 1):
            print(f"round {number} of {rounds}", file=sys.stderr)
            for case in cases:
                load.run(case)
    print_table(cases)
    checks.main(rounds=5 if rounds == 1 else 300)


def warm_up(load: Load, case: Case, longest: int) -> None:
    load.run(case)
    load.run(case)
    case.count = round(min(max(ROUND_SECONDS * 1e6 / max(case.cpu[-1], 1), FEWEST), longest))
    case.cpu, case.rates, case.times = [], [], []


def print_table(cases: Sequence[Case]) -> None:
    print(f"\n{'':28}{'CPU/request':>14}{'least..most':>16}{'x echo':>9}{'requests/s':>13}{'p50':>9}{'p99':>9}")
    for case in cases:
        ratio = median(own / plain for own, plain in zip(case.cpu, cases[0].cpu, strict=True))
        times = sorted(case.times)
        p50, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
        spread = f"{min(case.cpu):.0f}..{max(case.cpu):.0f}"
        print(
            f"{case.name:28}{median(case.cpu):>11.0f} us{spread:>16}{ratio:>9.1f}{median(case.rates):>13,.0f}"
            f"{p50:>6.1f} ms{p99:>6.1f} ms"
        )
    counts = ", ".join(f"{case.count:,}" for case in cases)
    print(f"\n{len(cases[0].cpu)} rounds of {counts} requests, {traffic.IN_FLIGHT} in flight.")


# --- processes


@contextmanager
def run_server(name: str) -> Iterator[Server]:
    port = free_port()
    with run([sys.executable, "-m", "tests.bench.servers", name, str(port)], {}, port) as server:
        yield server


@contextmanager
def run_bridge(service_port: int, backend_port: int) -> Iterator[Server]:
    port = free_port()
    settings = {
        "AzureSignalRConnectionString": connection_string(service_port).replace("localhost", "127.0.0.1"),
        "BRIDGE_ALLOW_EMULATOR_KEY": "true",
        "BRIDGE_CALLERS__KEYS": API_KEY,
        "BRIDGE_HOST": "127.0.0.1",
        "BRIDGE_HANDLERS": "tests.bench.handlers:python",
        "BRIDGE_FORWARD__HTTP__HUB": traffic.HTTP_HUB,
        "BRIDGE_FORWARD__HTTP__URL": f"http://127.0.0.1:{backend_port}/signalr",
        "BRIDGE_FORWARD__HTTP__SECRETS": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    }
    with run(app_command("serve", "--port", str(port)), settings | NAMED_CLIENTS, port) as server:
        yield server


@contextmanager
def run(command: Sequence[str], settings: dict[str, str], port: int) -> Iterator[Server]:
    """A process that listens. Its log goes where nobody has to read it while it is measured."""
    with TemporaryFile("w+") as log:
        environment = clean_environment() | settings
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            if not wait_until_listening(process, port):
                log.seek(0)
                raise SystemExit(f"{' '.join(command)} does not listen:\n{log.read()}")
            yield Server(process.pid, port)
        finally:
            process.terminate()
            process.wait()


def wait_until_listening(process: "subprocess.Popen[bytes]", port: int) -> bool:
    for _ in range(300):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return True
        if process.poll() is not None:
            return False
        time.sleep(0.1)
    return False


@contextmanager
def run_load() -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "tests.bench.load"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
