"""The load, from a process of its own: bench load, which is written in Go and costs as little as can be.

A job is a line of JSON. The process makes the connections and sends a few requests, says that it is ready, waits, and
runs the job.
"""

import json
import subprocess
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from tests.bench.servers import Surrounding


class LoadFailed(Exception):
    """A server did not answer, or with another status."""


@dataclass(frozen=True)
class Job:
    """Requests for a server of this machine.

    Args:
        port: The server's.
        requests: In full. Each connection has one of them, which it sends again and again.
        connections: Each has one request at a time.
        count: Requests in all.
        status: What the status of every answer must begin with.
        rate: How many are due each second. 0 sends as fast as answers come.
        warm_up: Requests before the job.
        tls: Whether the server speaks TLS.
    """

    port: int
    requests: Sequence[bytes]
    connections: int
    count: int
    status: str = "200"
    rate: int = 0
    warm_up: int = 0
    tls: bool = False


@dataclass(frozen=True)
class Report:
    """What became of a job. Times are seconds, and a request's begins at the moment when it was due."""

    seconds: float
    p50: float
    p99: float


class Load:
    """The process that sends."""

    def __init__(self, stdin: IO[str], stdout: IO[str]) -> None:
        self._stdin, self._stdout = stdin, stdout

    def prepare(self, job: Job) -> None:
        """Make its connections, and send what is before it."""
        self._write(
            {
                "address": f"127.0.0.1:{job.port}",
                "tls": job.tls,
                "requests": [b64encode(one).decode() for one in job.requests],
                "connections": job.connections,
                "count": job.count,
                "status": job.status,
                "rate": job.rate,
                "warmUp": job.warm_up,
            }
        )
        self._read()

    def begin(self) -> None:
        """Start the job that has been prepared."""
        self._write(True)

    def end(self) -> Report:
        """Wait for the end of the job. Raises ``LoadFailed``."""
        found = self._read()
        if "error" in found:
            raise LoadFailed(found["error"])
        return Report(found["seconds"], found["p50"], found["p99"])

    def drop(self) -> None:
        """Wait for the end of a job whose server has gone."""
        self._read()

    def _write(self, value: object) -> None:
        print(json.dumps(value), file=self._stdin, flush=True)

    def _read(self) -> Any:
        return json.loads(self._stdout.readline() or '{"error": "the load has ended"}')


@contextmanager
def run_load(around: Surrounding) -> Iterator[Load]:
    command, pipe = [str(around.program), "load"], subprocess.PIPE
    with subprocess.Popen(command, env=around.environment, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Load(process.stdin, process.stdout)
        finally:
            process.kill()
