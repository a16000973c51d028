"""Events of one connection, one after the other."""

import asyncio

import pytest

from app.upstream.forward.order import Order, TooManyWaiting


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_one_connection_after_the_other_and_all_side_by_side() -> None:
    order, seen, gate = Order(), list[str](), asyncio.Event()

    async def go(connection: str, name: str) -> None:
        async with order.turn(connection, now() + 60):
            seen.append(f"{name} begins")
            await gate.wait()
            seen.append(f"{name} ends")

    tasks = [asyncio.create_task(go(*one)) for one in (("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"))]
    for _ in range(10):
        await asyncio.sleep(0)
    assert seen == ["a1 begins", "b1 begins"]
    gate.set()
    await asyncio.gather(*tasks)
    assert [one for one in seen if one[0] == "a"] == [f"a{n} {what}" for n in (1, 2, 3) for what in ("begins", "ends")]
    assert len(order) == 0


async def test_waiting_ends_at_the_deadline() -> None:
    order = Order()
    async with order.turn("a", now() + 60):
        with pytest.raises(TimeoutError):
            async with order.turn("a", now()):
                pass
        assert len(order) == 1
    assert len(order) == 0


async def test_the_line_is_bounded() -> None:
    order = Order(longest=1)
    async with order.turn("a", now() + 60):
        with pytest.raises(TooManyWaiting):
            async with order.turn("a", now() + 60):
                pass
        async with order.turn("b", now() + 60):
            pass
    async with order.turn("a", now() + 60):
        pass


async def test_an_event_that_fails_lets_the_next_one_go() -> None:
    order = Order()
    for _ in range(2):
        with pytest.raises(RuntimeError):
            async with order.turn("a", now() + 60):
                raise RuntimeError
    assert len(order) == 0
