"""A backend that is down while clients come and go, and returns: it hears of everybody, and acts on each event once."""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.crowd import Crowd, crowd
from tests.e2e.forwarded import FULL_SCALE, ask_backend, run_forwarding, run_recording_backend
from tests.e2e.processes import Machine, Process, eventually, free_port

DOWN_SECONDS = 20.0 if FULL_SCALE else 2.0
CLIENTS = 200


@pytest.fixture
def backend_port() -> int:
    return free_port()


@pytest.fixture
def machine(backend_port: int) -> Iterator[Machine]:
    with run_forwarding(backend_port, {"TIMEOUT_SECONDS": "0.5", "RETRY_SECONDS": "60"}) as running:
        yield running


async def come_and_go(clients: Crowd, user: str, stay: float) -> None:
    await asyncio.sleep(stay)
    async with clients.member(user):
        await asyncio.sleep(stay / 2)


async def test_it_hears_of_everybody(machine: Machine, backend_port: int, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.perf_counter()
    async with crowd(machine.url) as clients:
        stays = [DOWN_SECONDS * index / CLIENTS / 2 for index in range(CLIENTS)]
        await asyncio.gather(*(come_and_go(clients, f"user-{index}", stay) for index, stay in enumerate(stays)))
        async with clients.member("caller") as caller:
            assert (await caller.invoke("echo", 1))["error"] == "Method 'echo' failed."
        await asyncio.sleep(max(0.0, DOWN_SECONDS - (time.perf_counter() - began)))
    with run_recording_backend(backend_port):
        back = time.perf_counter()
        seen = await asyncio.to_thread(wait_for_all, backend_port)
        caught_up = time.perf_counter() - back
        assert machine.bridge.stop() == 0
        seen = ask_backend(backend_port)
    check(seen)
    assert given_up(machine.bridge) == 0
    with capsys.disabled():
        requests, events = seen["requests"], len(seen["effects"])
        print(f"\ndown for {back - began:.1f} s: {events} events in {requests} requests, ", end="")
        print(f"all of them {caught_up:.1f} s after its return, given up: 0")


def wait_for_all(port: int) -> Any:
    def look() -> Any:
        seen = ask_backend(port)
        return seen if len(seen["effects"]) >= 2 * (CLIENTS + 1) else None

    return eventually(look, "all connection events at the backend", seconds=45)


def check(seen: Any) -> None:
    heard: dict[str, list[str]] = {}
    for event, connection, _, _ in seen["effects"]:
        heard.setdefault(connection, []).append(event)
    assert len(heard) == CLIENTS + 1
    assert all(events == ["connected", "disconnected"] for events in heard.values())
    assert seen["overlaps"] == 0


def given_up(bridge: Process) -> int:
    """How many events were given up. The bridge's last words say the same, where there are any."""
    lines = [json.loads(line) for line in bridge.lines if line.startswith("{")]
    totals = [line["given_up"] for line in lines if line.get("message") == "no more tries"]
    total = sum(1 for line in lines if line.get("message") == "connection event given up")
    assert totals == ([total] if total else [])
    return total
