"""Many clients at once: each one's messages arrive in order, and one that is slow does not slow the others."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from tests.e2e.crowd import Crowd, crowd
from tests.e2e.forwarded import FULL_SCALE, ask_backend, run_forwarding, run_recording_backend
from tests.e2e.processes import Machine, free_port

MESSAGES, OTHERS = (1_000, 50) if FULL_SCALE else (100, 20)


@pytest.fixture
def backend_port() -> Iterator[int]:
    port = free_port()
    with run_recording_backend(port):
        yield port


@pytest.fixture
def machine(backend_port: int) -> Iterator[Machine]:
    with run_forwarding(backend_port, {"CATEGORY": "messages", "TIMEOUT_SECONDS": "100"}) as running:
        yield running


async def count_up(clients: Crowd, user: str, messages: int) -> None:
    """Does not wait for answers, except for the last."""
    async with clients.member(user) as member:
        for number in range(messages - 1):
            await member.send("number", number)
        assert "error" not in await member.invoke("number", messages - 1)


async def count_all(clients: Crowd, run: str, messages: int = MESSAGES) -> float:
    began = time.perf_counter()
    await asyncio.gather(*(count_up(clients, f"{run}-{index}", messages) for index in range(OTHERS + 1)))
    return time.perf_counter() - began


async def test_order_holds_for_each_and_the_slow_one_holds_up_nobody_else(
    machine: Machine, backend_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    async with crowd(machine.url) as clients, clients.member("slow") as slow:
        await count_all(clients, "warming up", MESSAGES // 10)
        alone = await count_all(clients, "alone")
        held = asyncio.create_task(slow.invoke("hold", "first"))
        await asyncio.sleep(0)  # the task writes its call
        await slow.send("number", "second")
        beside = await count_all(clients, "beside")
        assert not held.done(), "all others are through, and it still waits"
        await asyncio.to_thread(ask_backend, backend_port, "release")
        assert "error" not in await held
        await slow.invoke("number", "third")
    seen = ask_backend(backend_port)
    check(seen)
    with capsys.disabled():
        total = MESSAGES * (OTHERS + 1)
        print(
            f"\n{OTHERS + 1} clients with {MESSAGES} messages each: {alone:.1f} s, {total / alone:,.0f} a second; ",
            end="",
        )
        print(f"beside a slow one {beside:.1f} s: ratio {beside / alone:.2f}")


def check(seen: dict[str, object]) -> None:
    numbers: dict[str, list[object]] = {}
    effects = seen["effects"]
    assert isinstance(effects, list)
    for _, _, user, arguments in effects:
        numbers.setdefault(user, []).extend(arguments)
    assert numbers.pop("slow") == ["first", "second", "third"]
    assert len(numbers) == 3 * (OTHERS + 1)
    assert all(one == list(range(len(one))) for one in numbers.values())
    assert sum(len(one) == MESSAGES for one in numbers.values()) == 2 * (OTHERS + 1)
    assert seen["overlaps"] == 0
    assert seen["requests"] == len(effects), "each once"
