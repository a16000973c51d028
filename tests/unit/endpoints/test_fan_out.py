"""Side by side, in order, bounded, and nobody cancelled."""

import asyncio

import pytest
from signalr_bridge.endpoints.endpoint import Endpoint, Outcome, Verdict
from signalr_bridge.endpoints.registry import MOST_AT_ONCE, fan_out

from tests.unit.endpoints.fakes import endpoint, said

MANY = [endpoint(f"e{number}") for number in range(50)]


async def test_outcomes_are_in_the_order_of_the_endpoints_and_few_at_once() -> None:
    running = most = 0

    async def call(one: Endpoint) -> Outcome:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        return said(one.name, Verdict.ACCEPTED)

    outcomes = await fan_out(call, MANY)
    assert [one.name for one in outcomes] == [one.name for one in MANY]
    assert most == MOST_AT_ONCE


async def test_one_alone_costs_no_task() -> None:
    async def call(one: Endpoint) -> Outcome:
        return said(str(asyncio.current_task()), Verdict.ACCEPTED)

    assert (await fan_out(call, MANY[:1]))[0].name == str(asyncio.current_task())


async def test_a_bug_at_one_endpoint_cancels_no_other() -> None:
    done: list[str] = []

    async def call(one: Endpoint) -> Outcome:
        if one.name == "e0":
            raise RuntimeError("a bug")
        await asyncio.sleep(0.001)
        done.append(one.name)
        return said(one.name, Verdict.ACCEPTED)

    with pytest.raises(RuntimeError):
        await fan_out(call, MANY[:3])
    assert done == ["e1", "e2"]
