"""Results that are on their way: judges in their order, many at once, bounded, and nobody left behind."""

import asyncio
from collections.abc import Coroutine, Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from signalr_bridge.endpoints.pending import BURST, MOST_UNDER_WAY, Pending, Start, wait_for_all

Script = list[tuple[int, str]]
"""Of each start: how many turns of the loop it takes, and how it ends: ``ok``, ``fails``, or ``cannot begin``."""


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


# --- one


async def test_judges_are_asked_in_their_order_until_one_gives_work() -> None:
    asked: list[str] = []

    async def double(number: int) -> int:
        return number * 2

    def judge(name: str, when: int, result: int) -> Coroutine[Any, Any, int] | None:
        asked.append(f"{name}{result}")
        return double(result) if result == when else None

    pending = Pending.known(1)
    for name, when in (("a", 0), ("b", 1), ("c", 2), ("d", 0)):
        pending.follow(partial(judge, name, when))
    assert await pending == 4
    assert asked == ["a1", "b1", "c2", "d4"]


async def test_what_a_judge_or_its_work_raises_is_raised_to_whoever_waits() -> None:
    async def fail() -> int:
        raise ValueError("work")

    def refuse(_: int) -> Coroutine[Any, Any, int] | None:
        raise ValueError("judge")

    for judge in (lambda _: fail(), refuse):
        with pytest.raises(ValueError, match=r"work|judge"):
            await Pending.known(1).follow(judge)


async def test_a_cancelled_wait_ends_the_work_and_asks_no_judge() -> None:
    ended: list[str] = []

    async def work() -> int:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("work")
        return 1

    def judge(_: int) -> None:
        ended.append("judge")

    for pending in (Pending.run(work()), Pending.known(0).follow(lambda _: work())):
        waiting = asyncio.ensure_future(_wait_for(pending.follow(judge)))
        await turns(3)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await turns(2)
    assert ended == ["work", "work"]


async def _wait_for(pending: Pending[int]) -> int:
    return await pending


@pytest.mark.parametrize("result_first", [True, False])
async def test_a_result_that_comes_with_the_cancellation_begins_nothing_new(result_first: bool) -> None:
    begun: list[int] = []

    async def again(number: int) -> int:
        begun.append(number)
        return number

    source: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    pending: Pending[int] = Pending(source, asyncio.Future.result).follow(again)
    waiting = asyncio.ensure_future(_wait_for(pending))
    await turns(1)
    if result_first:
        source.set_result(1)
    waiting.cancel()
    if not result_first:
        source.set_result(1)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await turns(3)
    assert begun == []


# --- many


async def test_all_are_begun_before_any_is_waited_for() -> None:
    begun: list[int] = []

    def start(number: int) -> Pending[int]:
        begun.append(number)
        return Pending.known(number)

    waiting = asyncio.ensure_future(wait_for_all([partial(start, number) for number in range(BURST)]))
    await turns(1)
    assert begun == list(range(BURST)), "in one turn"
    assert await waiting == begun


async def test_results_are_in_order_and_few_are_under_way_at_once() -> None:
    running = most = 0

    async def work(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await turns(number % 3 + 5)
        running -= 1
        return number

    starts = (partial(Pending.run, work(number)) for number in range(300))
    assert await wait_for_all(starts) == list(range(300))
    assert most == MOST_UNDER_WAY
    assert await wait_for_all([]) == []


async def test_others_get_their_turn_even_when_all_is_done_at_once() -> None:
    turn = 0
    begun_in: dict[int, int] = {}

    async def count() -> None:
        nonlocal turn
        while True:
            await asyncio.sleep(0)
            turn += 1

    def start(number: int) -> Pending[int]:
        begun_in[turn] = begun_in.get(turn, 0) + 1
        if number:
            raise ValueError
        return Pending.known(number)

    counting = asyncio.ensure_future(count())
    with pytest.raises(ValueError):  # noqa: PT011
        await wait_for_all([partial(start, number) for number in range(1000)])
    counting.cancel()
    assert max(begun_in.values()) <= 2 * BURST
    assert sum(begun_in.values()) == 1000


async def test_a_failure_stops_nobody_and_is_raised_in_the_end() -> None:
    done: list[int] = []

    async def work(number: int) -> int:
        if number == 1:
            raise RuntimeError("a bug")
        await turns(3)
        done.append(number)
        return number

    with pytest.raises(RuntimeError):
        await wait_for_all([partial(Pending.run, work(number)) for number in range(3)])
    assert done == [0, 2]


async def test_an_error_of_the_first_is_raised_before_anything_is_begun() -> None:
    begun: list[int] = []

    def start(number: int) -> Pending[int]:
        if number == 0:
            raise ValueError("malformed")
        begun.append(number)
        return Pending.known(number)

    with pytest.raises(ValueError, match="malformed"):
        await wait_for_all([partial(start, number) for number in range(3)])
    assert begun == []


async def test_a_cancelled_wait_for_many_leaves_nothing_running() -> None:
    begun: list[int] = []
    ended: list[int] = []

    async def work(number: int) -> int:
        begun.append(number)
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(number)
        return number

    def starts() -> Iterator[Start[int]]:
        for number in range(200):
            yield partial(Pending.run, work(number)) if number != 5 else partial(Pending.known, number)

    waiting = asyncio.ensure_future(wait_for_all(starts()))
    await turns(4)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await turns(3)
    assert begun == ended
    assert len(begun) == MOST_UNDER_WAY
    assert len(asyncio.all_tasks()) == 1, "this one"


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["ok", "ok", "ok", "fails", "cannot begin"]))))
async def test_any_script_ends_as_its_parts_do(script: Script) -> None:
    async def work(number: int, lasts: int, ending: str) -> int:
        await turns(lasts)
        if ending == "fails":
            raise LookupError(number)
        return number

    def start(number: int, lasts: int, ending: str) -> Pending[int]:
        if ending == "cannot begin":
            raise LookupError(number)
        return Pending.run(work(number, lasts, ending))

    starts = [partial(start, number, *one) for number, one in enumerate(script)]
    bad = [number for number, (_, ending) in enumerate(script) if ending != "ok"]
    if bad:
        with pytest.raises(LookupError) as caught:
            await wait_for_all(starts, most=3)
        assert caught.value.args == (bad[0],)
    else:
        assert await wait_for_all(starts, most=3) == list(range(len(script)))
