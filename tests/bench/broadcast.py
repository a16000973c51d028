"""What a broadcast costs the emulator for each client, beside bare ``websockets``: ``python -m tests.bench.broadcast``.

Both run as processes of their own on uvloop. They are told to broadcast in turns, each time when all clients have the
message before. The CPU time of the process is divided by the messages that arrived. The emulator's holds the REST call
that asks for the broadcast, and the message's way through JSON. What these cost alone is measured by a hub without
clients. Needs Linux.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import cast

import httpx
import jwt
import uvloop
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, broadcast, serve

from tests.e2e.processes import EMULATOR_KEY, Process, app_command, free_port, wait_until_answered

CLIENTS = 100
ROUNDS, BROADCASTS = 7, 100
HANDSHAKE = '{"protocol":"json","version":1}\x1e'
MESSAGE = {"target": "newMessage", "arguments": ["x" * 1000]}
RECORD = json.dumps({"type": 1, **MESSAGE}, separators=(",", ":")) + "\x1e"
"""What a client gets of the message."""


@dataclass
class Crowd:
    """Clients of one server, which read all that comes, and what their server's broadcasts have cost."""

    name: str
    pid: int
    ask: Callable[[], Awaitable[object]]
    ask_in_vain: Callable[[], Awaitable[object]]
    """The same call, for nobody."""
    arrived: int = 0
    costs: list[float] = field(default_factory=list)
    costs_in_vain: list[float] = field(default_factory=list)
    _all_have_it: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, client: ClientConnection) -> None:
        async for message in client:
            if message == RECORD:
                self.arrived += 1
                if self.arrived % CLIENTS == 0:
                    self._all_have_it.set()

    async def measure(self) -> None:
        """One round."""
        before, arrived = _cpu_seconds(self.pid), self.arrived
        for _ in range(BROADCASTS):
            self._all_have_it.clear()
            await self.ask()
            await self._all_have_it.wait()
        self.costs.append((_cpu_seconds(self.pid) - before) / (self.arrived - arrived))
        before = _cpu_seconds(self.pid)
        for _ in range(BROADCASTS):
            await self.ask_in_vain()
        self.costs_in_vain.append((_cpu_seconds(self.pid) - before) / BROADCASTS / CLIENTS)

    def write(self) -> str:
        """The medians in microseconds, without the first round."""
        cost, in_vain = (median(costs[1:]) * 1e6 for costs in (self.costs, self.costs_in_vain))
        return f"{self.name:15} {cost:6.1f} µs a message, of which the call {in_vain:.1f}"


def _cpu_seconds(pid: int) -> float:
    """Used so far, by all of its threads, in the kernel and out of it."""
    return time.clock_gettime(~pid << 3 | 2)  # the clock that clock_getcpuclockid(3) names


async def serve_bare(port: int) -> None:
    """The server to compare with. The message, which one of its clients says, goes to all others."""
    clients: set[ServerConnection] = set()

    async def handle(client: ServerConnection) -> None:
        clients.add(client)
        async for message in client:
            if message == RECORD:
                broadcast(clients - {client}, message)
            else:
                await client.send(message)

    async with serve(handle, "127.0.0.1", port, compression=None):
        print("ready", flush=True)
        await asyncio.Event().wait()


async def join_emulator(stack: AsyncExitStack, tasks: asyncio.TaskGroup) -> Crowd:
    """An emulator and its clients."""
    port = free_port()
    process = stack.enter_context(Process("emulator", app_command("emulator", "--port", str(port))))
    wait_until_answered(process, f"http://localhost:{port}/api/health")
    token = jwt.encode({"exp": time.time() + 3600, "aud": "anything"}, EMULATOR_KEY, "HS256")
    headers = {"Authorization": f"Bearer {token}"}
    http = await stack.enter_async_context(
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False)
    )
    crowd = Crowd(
        "the emulator",
        process.pid,
        lambda: http.post("/api/hubs/chat/:send", json=MESSAGE),
        lambda: http.post("/api/hubs/empty/:send", json=MESSAGE),
    )
    for _ in range(CLIENTS):
        address = f"ws://127.0.0.1:{port}/client/?hub=chat"
        client = await stack.enter_async_context(connect(address, additional_headers=headers, proxy=None))
        await client.send(HANDSHAKE)
        await client.recv()
        tasks.create_task(crowd.read(client))
    return crowd


async def join_bare(stack: AsyncExitStack, tasks: asyncio.TaskGroup) -> Crowd:
    """The server to compare with, and its clients."""
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.broadcast", str(port)]
    process = stack.enter_context(Process("websockets", command))
    process.wait_for_line("ready")
    address = f"ws://127.0.0.1:{port}/"
    asking = await stack.enter_async_context(connect(address, compression=None, proxy=None))

    async def ask_in_vain() -> None:
        await asking.send(RECORD[1:])
        await asking.recv()

    crowd = Crowd("websockets", process.pid, lambda: asking.send(RECORD), ask_in_vain)
    for _ in range(CLIENTS):
        client = await stack.enter_async_context(connect(address, compression=None, proxy=None))
        tasks.create_task(crowd.read(client))
    return crowd


async def compare() -> None:
    """Measure both in turns."""
    async with asyncio.TaskGroup() as tasks, AsyncExitStack() as stack:
        crowds = [await join_emulator(stack, tasks), await join_bare(stack, tasks)]
        for _ in range(1 + ROUNDS):
            for crowd in crowds:
                await crowd.measure()
        for crowd in crowds:
            print(crowd.write())


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=cast(Callable[[], asyncio.AbstractEventLoop], uvloop.new_event_loop)) as runner:
        runner.run(serve_bare(int(sys.argv[1])) if sys.argv[1:] else compare())
