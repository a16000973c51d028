"""Events of one connection, one after the other, in lines that do not grow without bound."""

import asyncio

import pytest
from signalr_bridge.errors import Overloaded
from signalr_bridge.upstream.forward.queue import Backlog, PerConnectionQueue


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_one_connection_after_the_other_and_all_side_by_side() -> None:
    queue, seen, gate = PerConnectionQueue(), list[str](), asyncio.Event()

    async def go(connection: str, name: str) -> None:
        with queue.enter(connection) as slot:
            await slot.wait()
            seen.append(f"{name} begins")
            await gate.wait()
            seen.append(f"{name} ends")

    tasks = [asyncio.create_task(go(*one)) for one in (("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"))]
    await turns()
    assert seen == ["a1 begins", "b1 begins"]
    gate.set()
    await asyncio.gather(*tasks)
    assert [one for one in seen if one[0] == "a"] == [f"a{n} {what}" for n in (1, 2, 3) for what in ("begins", "ends")]
    assert len(queue) == 0


async def test_the_slot_counts_from_when_it_is_taken() -> None:
    queue = PerConnectionQueue()
    first, second = queue.enter("a"), queue.enter("a")
    with pytest.raises(TimeoutError):
        await second.wait(0)
    with first:
        await first.wait()
    await second.wait()


async def test_one_that_gives_up_in_the_middle_holds_nobody_up() -> None:
    queue = PerConnectionQueue()
    first, second, third = queue.enter("a"), queue.enter("a"), queue.enter("a")
    with second:
        pass
    assert len(queue) == 2
    with first:
        pass
    await third.wait()


async def test_one_that_gives_up_at_the_end_lets_nobody_go_early() -> None:
    queue = PerConnectionQueue()
    first, second, third = queue.enter("a"), queue.enter("a"), queue.enter("a")
    with third:
        pass
    with pytest.raises(TimeoutError):
        await second.wait(0)
    with first:
        pass
    await second.wait()


async def test_each_line_and_all_of_them_are_bounded() -> None:
    queue = PerConnectionQueue(longest=2, most=3)
    slots = [queue.enter("a"), queue.enter("a")]
    with pytest.raises(Overloaded, match="this connection"):
        queue.enter("a")
    slots.append(queue.enter("b"))
    with pytest.raises(Overloaded, match="Too many events wait"):
        queue.enter("c")
    for slot in slots:
        with slot:
            pass
    assert len(queue) == 0
    with queue.enter("c") as slot:
        await slot.wait()


async def test_an_event_that_fails_lets_the_next_one_go() -> None:
    queue = PerConnectionQueue()
    for _ in range(2):
        slot = queue.enter("a")
        await slot.wait()
        with pytest.raises(RuntimeError), slot:
            raise RuntimeError
    assert len(queue) == 0


async def test_what_is_on_its_way_has_the_rest_of_the_grace() -> None:
    told: list[str] = []

    async def arrive(after: float, name: str) -> None:
        await asyncio.sleep(after)
        told.append(name)

    async def end_late(error: Exception) -> None:
        raise AssertionError from error

    async with Backlog(grace_seconds=0.5) as backlog:
        await backlog.deliver(arrive(0.1, "soon"), 0, end_late)
        await backlog.deliver(arrive(60, "never"), 0, end_late)
        backlog.begin_stop()
        assert len(backlog) == 2
    assert told == ["soon"]
