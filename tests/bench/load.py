"""Load for a server of this machine, from a process of its own: ``python -m tests.bench.load``.

A job is a line of JSON on stdin, ``{"port", "requests": [text, ...], "count", "status"}``; each text is one request in
full, sent again and again over a connection of its own. The line on stdout that answers it is
``{"times": [seconds, ...]}``, one for each request, or ``{"error"}`` when an answer had another status.
"""

import asyncio
import json
import sys
import time
from typing import Any, cast

import httptools
import uvloop

LONGEST_JOB = 20.0
"""In seconds."""


class Job:
    """How many requests are still to be sent, and how long those took that have been answered."""

    def __init__(self, count: int, status: int) -> None:
        self.count, self.left, self.status = count, count, status
        self.times: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def answered(self, seconds: float, status: int) -> None:
        self.times.append(seconds)
        if status != self.status:
            self.fail(f"answered {status}")
        elif len(self.times) == self.count and not self.done.done():
            self.done.set_result(None)

    def fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError(why))


class Connection(asyncio.Protocol):
    """Sends its request, waits for the answer, and sends it again."""

    def __init__(self, job: Job, request: bytes) -> None:
        self._job, self._request = job, request

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by their class
        self._parser = httptools.HttpResponseParser(self)
        self._send()

    def _send(self) -> None:
        if self._job.left > 0:
            self._job.left -= 1
            self._sent = time.perf_counter()
            self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._job.answered(time.perf_counter() - self._sent, self._parser.get_status_code())
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self._job.fail("hung up")


async def run(port: int, requests: list[str], count: int, status: int) -> dict[str, Any]:
    job = Job(count, status)
    loop = asyncio.get_running_loop()
    opening = [
        loop.create_connection(lambda text=text: Connection(job, text.encode()), "127.0.0.1", port)  # type: ignore[misc]
        for text in requests
    ]
    transports = [transport for transport, _ in await asyncio.gather(*opening)]
    try:
        async with asyncio.timeout(LONGEST_JOB):
            await job.done
    except (ConnectionError, TimeoutError) as error:
        return {"error": str(error) or f"not done within {LONGEST_JOB:g} s"}
    finally:
        for transport in transports:
            transport.close()
    return {"times": job.times}


async def run_jobs() -> None:
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await run(**json.loads(line))), flush=True)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run_jobs())
