"""Connections that idle for any time are never used when their server has just closed them: through nginx, and beyond.

nginx keeps connections to the bridge, and the bridge keeps connections to the service. A request on a connection that
its server closes at the same moment is lost: nginx answers 502, and the bridge 504 ``delivery-unknown``. So the pauses
are drawn, and many of them end at the moments at which one of the two sides closes.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.forwarded import FULL_SCALE
from tests.e2e.processes import API_KEY, EMULATOR_KEY, free_port, run_bridge, run_emulator
from tests.e2e.proxies import run_nginx

UVICORN = 5.0
"""How long servers on uvicorn keep a connection that nothing is asked on, where they are told nothing."""

OURS = 120.0 if FULL_SCALE else 7.0
KEPT = (60.0, 75.0, 90.0) if FULL_SCALE else (5.5, 6.0)
"""How long nginx keeps connections: its own default, and what other proxies and clients do; or in a short time."""

SECONDS, LONGEST, LANES = (600.0, 130.0, 150) if FULL_SCALE else (6.3, 7.5, 150)
AT_ONCE, APART = 16, 0.001
"""How many connections from the bridge to the service idle together, and by how many seconds their pauses differ."""

EARLY = 0.004
"""A request is under way for so long that a pause must end up to so many seconds before the moment that is meant."""


@dataclass(frozen=True)
class Ways:
    """Where to send: through nginx on connections of one lane, and to the bridge."""

    nginx: str
    bridge: str


@contextmanager
def run_ways(folder: Path, lanes: dict[str, float]) -> Iterator[Ways]:
    port, emulator_port = free_port(), free_port()
    quiet = f"Endpoint=http://127.0.0.1;Port={emulator_port};AccessKey={EMULATOR_KEY};Version=1.0;"
    settings = {
        "BRIDGE_LIMITS__KEEP_ALIVE_SECONDS": str(OURS),
        "BRIDGE_HUBS__QUIET__CONNECTION": "Quiet",  # another origin, and so connections of its own
        "Quiet": quiet,
    }
    with (
        run_emulator(emulator_port, f"http://127.0.0.1:{port}/upstream"),
        run_bridge(port, emulator_port, settings),
        run_nginx(folder, [port], lanes) as nginx,
    ):
        yield Ways(nginx, f"http://127.0.0.1:{port}")


@dataclass
class Soak:
    """Requests after pauses, and what was answered."""

    session: aiohttp.ClientSession
    seen: Counter[str] = field(default_factory=Counter)
    bodies: list[str] = field(default_factory=list)

    async def run(self, url: str, edges: Sequence[float], at_once: int = 1) -> None:
        """Requests, or bursts of them, with pauses between them, until the time is over.

        Nobody else may use these connections. Of the ``edges`` those that come in time are drawn.
        """
        loop = asyncio.get_running_loop()
        ends = loop.time() + SECONDS
        await self._burst(url, at_once)
        for pause in draw([one for one in edges if one < SECONDS]):
            if pause > ends - loop.time():
                break
            await asyncio.sleep(pause)
            await self._burst(url, at_once)

    async def _burst(self, url: str, at_once: int) -> None:
        await asyncio.gather(*(self._send(url, index * APART) for index in range(at_once)))

    async def _send(self, url: str, wait: float) -> None:
        await asyncio.sleep(wait)
        async with self.session.post(url, json={"target": "count", "arguments": []}) as answer:
            self.seen[str(answer.status)] += 1
            if answer.status != 202:
                self.bodies.append(await answer.text())


def draw(edges: Sequence[float]) -> Iterator[float]:
    """In turn a pause that ends when one of the two sides closes the connection, and any pause."""
    while True:
        yield random.choice(edges) - random.uniform(0, EARLY)
        yield random.uniform(0, LONGEST)


@pytest.mark.timeout(900)
async def test_no_request_meets_a_connection_that_its_server_has_closed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = {f"lane{index}": KEPT[index % len(KEPT)] for index in range(LANES)}
    with run_ways(tmp_path, kept) as ways:
        connector = aiohttp.TCPConnector(limit=0, force_close=True)  # the pauses are those of nginx and of the bridge
        headers = {"X-API-Key": API_KEY}
        async with aiohttp.ClientSession(connector=connector, headers=headers, trust_env=False) as session:
            soak = Soak(session)
            async with asyncio.TaskGroup() as group:
                for lane, seconds in kept.items():
                    url = f"{ways.nginx}/{lane}/hubs/chat/send"
                    group.create_task(soak.run(url, (UVICORN, seconds, OURS)))
                    await asyncio.sleep(0.005)  # they do not wait for each other
                group.create_task(soak.run(f"{ways.bridge}/hubs/quiet/send", (UVICORN, UVICORN * 3), AT_ONCE))
    with capsys.disabled():
        print(f"\nidle for 0 to {LONGEST:g} s on {LANES} lanes, {SECONDS:g} s long: {dict(soak.seen)}")
    assert set(soak.seen) == {"202"}, soak.bodies
