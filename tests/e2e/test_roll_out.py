"""Bridges are replaced one after the other while requests come: none fails, and what was accepted arrives once.

HAProxy asks each bridge whether it is ready, and takes one out after three answers that say no. Some of the senders
talk to HAProxy, some to nginx, which asks nobody. The connections of the others go through HAProxy to a bridge, as
behind a Service of Kubernetes: those of aiohttp, and those of Go's net/http.
"""

import asyncio
import itertools
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.crowd import Crowd, crowd
from tests.e2e.forwarded import FULL_SCALE
from tests.e2e.processes import (
    API_KEY,
    E2E,
    NAMED_CLIENTS,
    Process,
    app_command,
    bridge_settings,
    free_port,
    run_emulator,
    wait_until_answered,
)
from tests.e2e.proxies import HAProxy, run_haproxy, run_nginx
from tests.golang import compile_go

STOPS, INTERVAL, DRAIN_SECONDS = (10, "1s", "5") if FULL_SCALE else (2, "300ms", "2")
SENDERS, CALLERS = (8, 8, 8, 8), 4
"""Senders to HAProxy, to nginx, straight to a bridge, and straight to a bridge in Go; clients that call a handler."""
LONGEST_PAUSE = 0.1


@dataclass(frozen=True)
class Replicas:
    """The bridges by their ports, behind HAProxy and nginx. The emulated service calls them through HAProxy."""

    proxy: HAProxy
    nginx: str
    bridges: dict[int, Process]
    start: "Starter"

    def replace(self, port: int) -> None:
        """As a roll-out does: one ends, another starts in its place, and then it is the next one's turn."""
        ended = self.bridges[port].stop()
        assert ended == 0, self.bridges[port].output
        self.bridges[port] = self.start(port)
        self.proxy.wait_until_up(port)


class Starter:
    """Starts bridges on the ports that it is given."""

    def __init__(self, stack: ExitStack, emulator_port: int) -> None:
        self._stack = stack
        self._settings = bridge_settings(emulator_port) | NAMED_CLIENTS
        self._settings |= {"BRIDGE_HANDLERS": "tests.e2e.handlers:chat", "BRIDGE_LIMITS__DRAIN_SECONDS": DRAIN_SECONDS}

    def __call__(self, port: int) -> Process:
        command = app_command("serve", "--port", str(port))
        bridge = self._stack.enter_context(Process(f"bridge on port {port}", command, self._settings))
        wait_until_answered(bridge, f"http://127.0.0.1:{port}/health/ready")
        return bridge


@contextmanager
def run_replicas(folder: Path) -> Iterator[Replicas]:
    ports, emulator_port = [free_port(), free_port()], free_port()
    with ExitStack() as stack:
        proxy = stack.enter_context(run_haproxy(folder, ports, INTERVAL))
        stack.enter_context(run_emulator(emulator_port, f"http://127.0.0.1:{proxy.http}/upstream"))
        start = Starter(stack, emulator_port)
        bridges = {port: start(port) for port in ports}
        nginx = stack.enter_context(run_nginx(folder, ports, {"roll-out": 60}))
        replicas = Replicas(proxy, f"{nginx}/roll-out", bridges, start)
        for port in ports:
            proxy.wait_until_up(port)
        yield replicas


@dataclass
class Load:
    """What was asked for, and what became of it."""

    accepted: list[str] = field(default_factory=list)
    answered: int = 0
    failures: list[str] = field(default_factory=list)
    is_over: bool = False

    async def send(self, url: str, name: str) -> None:
        """Sends messages one after the other over one connection, which it keeps as long as the other side does."""
        async with keep_connection() as session:
            numbers = itertools.count()
            while not self.is_over:
                text = f"{name}-{next(numbers)}"
                body = {"target": "count", "arguments": [text]}
                try:
                    async with session.post(f"{url}/hubs/chat/send", json=body) as answer:
                        if answer.status == 202:
                            self.accepted.append(text)
                        else:
                            self.failures.append(f"{name}: {answer.status} {await answer.text()}")
                except aiohttp.ClientError as error:
                    self.failures.append(f"{name}: {error!r}")
                await pause()

    async def invoke(self, clients: Crowd, name: str) -> None:
        """A client that calls a handler: the service's events go through HAProxy to a bridge."""
        async with clients.member(name) as member:
            while not self.is_over:
                completion = await member.invoke("echo", name)
                self.record(completion.get("result") == [name], str(completion))
                await pause()

    async def negotiate(self, clients: Crowd, name: str) -> None:
        while not self.is_over:
            async with clients.member(name):
                self.record(True, "")
                await pause()

    def record(self, is_good: bool, what: str) -> None:
        self.answered += 1
        if not is_good:
            self.failures.append(what)


@asynccontextmanager
async def run_senders_in_go(folder: Path, url: str, load: Load) -> AsyncIterator[None]:
    program = folder / "senders"
    await asyncio.to_thread(compile_go, [E2E / "senders.go"], program)
    command = [str(program), f"{url}/hubs/chat/send", API_KEY, str(SENDERS[3]), str(LONGEST_PAUSE)]
    with Process("senders in Go", command) as senders:
        yield
        senders.stdin.close()
        assert await asyncio.to_thread(senders.wait) == 0
        told = json.loads(senders.output)
        load.failures += told["failures"]
        load.accepted += [f"go-{one}-{n}" for one, count in enumerate(told["accepted"]) for n in range(count)]


async def pause() -> None:
    await asyncio.sleep(random.uniform(0, LONGEST_PAUSE))


@asynccontextmanager
async def keep_connection() -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(limit=1, keepalive_timeout=90)
    async with aiohttp.ClientSession(connector=connector, headers={"X-API-Key": API_KEY}, trust_env=False) as session:
        yield session


@pytest.mark.timeout(600)
async def test_a_roll_out_fails_no_request_and_loses_no_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load, arrived = Load(), list[str]()
    with run_replicas(tmp_path) as replicas:
        over_http, over_tcp = (f"http://127.0.0.1:{port}" for port in (replicas.proxy.http, replicas.proxy.tcp))
        ways = {"haproxy": over_http, "nginx": replicas.nginx, "tcp": over_tcp}
        async with crowd(over_http) as clients, clients.member("reader") as reader:
            reading = asyncio.create_task(reader.collect("count", arrived))
            async with run_senders_in_go(tmp_path, over_tcp, load), asyncio.TaskGroup() as group:
                for (name, url), senders in zip(ways.items(), SENDERS, strict=False):
                    for index in range(senders):
                        group.create_task(load.send(url, f"{name}-{index}"))
                for index in range(CALLERS):
                    group.create_task(load.invoke(clients, f"caller-{index}"))
                group.create_task(load.negotiate(clients, "visitor"))
                for stop in range(STOPS):
                    await asyncio.to_thread(replicas.replace, list(replicas.bridges)[stop % 2])
                load.is_over = True
            await wait_for_all(load.accepted, arrived)
            reading.cancel()
    with capsys.disabled():
        print(f"\n{STOPS} stops: {len(load.accepted)} messages accepted, {load.answered} other answers, ", end="")
        print(f"{len(load.failures)} failed, {len(set(load.accepted) - set(arrived))} lost")
    assert load.failures == []
    assert Counter(arrived) == Counter(load.accepted), "each arrives once"


async def wait_for_all(accepted: list[str], arrived: list[str]) -> None:
    for _ in range(200):
        if len(arrived) >= len(accepted):
            return
        await asyncio.sleep(0.05)
