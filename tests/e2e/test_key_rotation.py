"""Settings change under load: a key is rotated, an endpoint comes and goes, and not one send is lost."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from signalr_bridge.emulator import Emulator

from tests.e2e.crowd import Crowd, Member, crowd
from tests.e2e.processes import API_KEY, NAMED_CLIENTS, Process, app_command, eventually, free_port, wait_until_answered

OLD, NEW, OTHER, SECRET = (f"{kind}-key-of-the-service".ljust(44, "-") for kind in ("old", "new", "other", "secret"))
PER_SECOND = 200


def write_settings(file: Path, *endpoints: tuple[str, str, str], drained: str | None = None) -> None:
    """``endpoints``: name, address and key of each. As an editor does it: written beside, then moved into place."""
    lines = [f'"{name}" = "Endpoint={url};AccessKey={key};Version=1.0;"' for name, url, key in endpoints]
    lines += [] if drained is None else [f"[endpoints.{drained}]", "weight = 0"]
    beside = file.with_suffix(".new")
    beside.write_text("\n".join(["[Azure.SignalR.Endpoints]", *lines, ""]))
    beside.rename(file)


@dataclass
class Backend:
    """Sends ``PER_SECOND`` messages a second, each with its number, and counts the answers."""

    url: str
    session: aiohttp.ClientSession
    statuses: Counter[int | str] = field(default_factory=Counter)
    sent: int = 0
    ends: bool = False

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            while not self.ends:
                group.create_task(self._send(self.sent))
                self.sent += 1
                await asyncio.sleep(1 / PER_SECOND)

    async def _send(self, number: int) -> None:
        item = {"target": "number", "arguments": [number]}
        try:
            async with self.session.post(f"{self.url}/hubs/chat/send", json=item) as response:
                self.statuses[response.status] += 1
        except aiohttp.ClientError as error:
            self.statuses[type(error).__name__] += 1


async def collect(member: Member, seen: list[int]) -> None:
    while True:
        (number,) = await member.wait_for("number")
        seen.append(number)


@dataclass
class Visitor:
    """Negotiates, connects and calls a handler, over and over: the way of a client, with upstream and back."""

    answers: list[object] = field(default_factory=list)
    visits: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, clients: Crowd) -> None:
        while True:
            async with clients.member("ann") as member:
                for number in range(5):
                    self.answers.append((await member.invoke("add", number, 1)).get("result"))
                    await asyncio.sleep(0.02)
            self.visits += 1
            self.left.set()

    async def has_moved(self) -> None:
        """Returns when no visit is left that began before."""
        for _ in range(3):
            self.left.clear()
            await self.left.wait()


@asynccontextmanager
async def bridge(file: Path, port: int) -> AsyncIterator[Process]:
    settings = {
        "BRIDGE_SETTINGS_FILE": str(file),
        "BRIDGE_CALLERS__KEYS": API_KEY,
        "BRIDGE_HANDLERS": "tests.e2e.handlers:chat",
        "BRIDGE_HOST": "127.0.0.1",
        **NAMED_CLIENTS,
    }
    with Process("bridge", app_command("serve", "--port", str(port)), settings) as process:
        await asyncio.to_thread(wait_until_answered, process, f"http://127.0.0.1:{port}/health/live")
        yield process


async def changed(process: Process, words: str, times: int = 1) -> None:
    def look(lines: list[str]) -> bool | None:
        return sum(words in line for line in lines) >= times or None

    await asyncio.to_thread(process.wait_for, look, words)


async def test_rotating_adding_and_removing_loses_nothing(tmp_path: Path) -> None:
    file, port = tmp_path / "bridge.toml", free_port()
    url = f"http://127.0.0.1:{port}"
    upstream = f"{url}/upstream"
    async with Emulator(0, keys=[OLD], upstream=upstream) as a, Emulator(0, keys=[OTHER], upstream=upstream) as b:
        write_settings(file, ("a", a.url, OLD))
        async with (
            bridge(file, port) as process,
            crowd(url) as clients,
            aiohttp.ClientSession(headers={"X-API-Key": API_KEY}) as session,
        ):
            backend, visitor, seen = Backend(url, session), Visitor(), list[int]()
            async with clients.member("bob") as bob:
                collecting = asyncio.create_task(collect(bob, seen))
                calling = asyncio.create_task(visitor.run(clients))
                sending = asyncio.create_task(backend.run())

                # As Azure does it: the service knows a second key; settings get it; then the first one ends.
                a.replace_keys([OLD, NEW])
                await asyncio.sleep(0.3)
                write_settings(file, ("a", a.url, NEW))
                await changed(process, "endpoint a: credential rotated")
                a.replace_keys([NEW])
                await asyncio.sleep(0.3)

                write_settings(file, ("a", a.url, NEW), ("b", b.url, OTHER))
                await changed(process, "endpoint b added")
                await asyncio.sleep(0.3)
                # Clients of an endpoint that is removed are nobody's: it is drained before.
                write_settings(file, ("a", a.url, NEW), ("b", b.url, OTHER), drained="b")
                await changed(process, "endpoint b: changed")
                await visitor.has_moved()
                write_settings(file, ("a", a.url, NEW))
                await changed(process, "endpoint b removed")
                await asyncio.sleep(0.3)

                calling.cancel()

                # The other way round: settings have a key before the service does. Sends go on with the former one.
                write_settings(file, ("a", a.url, SECRET))
                await changed(process, "endpoint a: credential rotated", times=2)
                await asyncio.sleep(0.3)

                backend.ends = True
                await sending
                await asyncio.gather(calling, return_exceptions=True)
                await asyncio.to_thread(eventually, lambda: len(seen) >= sum(backend.statuses.values()) or None, "all")
                collecting.cancel()

    assert set(backend.statuses) == {202}, backend.statuses
    assert sorted(seen) == list(range(len(seen))), "each once, and none is missing"
    assert len(seen) == backend.statuses[202] > PER_SECOND
    assert visitor.visits > 3
    assert visitor.answers == [1 + index % 5 for index in range(len(visitor.answers))], "the handlers' answers"
    assert all(key not in process.output for key in (OLD, NEW, OTHER, SECRET))
