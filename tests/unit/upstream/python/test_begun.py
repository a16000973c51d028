"""A coroutine that runs up to where it first waits, and from there on as if it had been awaited."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from signalr_bridge.upstream.python.handler import Begun


async def at_once() -> str:
    return "done"


async def after(future: asyncio.Future[str], seen: list[str]) -> str:
    seen.append("begun")
    try:
        return await future
    finally:
        seen.append("ended")


def test_what_does_not_wait_has_returned() -> None:
    begun = Begun(at_once())
    assert (begun.has_returned, begun.result) == (True, "done")


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), StopAsyncIteration()])
def test_what_fails_at_once_raises_at_once(error: BaseException) -> None:
    async def fail() -> None:
        raise error

    with pytest.raises(type(error)):
        Begun(fail())


async def test_what_waits_goes_on_when_it_is_awaited() -> None:
    future, seen = asyncio.get_running_loop().create_future(), list[str]()
    begun = Begun(after(future, seen))
    assert (begun.has_returned, seen) == (False, ["begun"])
    asyncio.get_running_loop().call_soon(future.set_result, "late")
    assert await begun == "late"
    assert seen == ["begun", "ended"]


async def test_it_may_wait_often_and_catch_what_it_is_told() -> None:
    async def patient() -> list[int]:
        found = []
        for number in range(5):
            await asyncio.sleep(0)
            try:
                await failing(number)
            except ValueError as error:
                found.append(error.args[0])
        return found

    async def failing(number: int) -> None:
        await asyncio.sleep(0)
        raise ValueError(number)

    assert await Begun(patient()) == [0, 1, 2, 3, 4]


async def test_an_error_of_what_it_waits_for_reaches_it() -> None:
    future, seen = asyncio.get_running_loop().create_future(), list[str]()
    begun = Begun(after(future, seen))
    asyncio.get_running_loop().call_soon(future.set_exception, ValueError("late"))
    with pytest.raises(ValueError, match="late"):
        await begun
    assert seen == ["begun", "ended"]


def cancelled(make: Callable[[Coroutine[Any, Any, str]], Any]) -> list[str]:
    """What a coroutine sees whose task is cancelled while it waits."""
    seen: list[str] = []

    async def wait() -> str:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            seen.append(f"cancelled {task is not None and task.cancelling()}")
            await asyncio.sleep(0)
            seen.append("cleared away")
            raise
        return "not cancelled"

    async def run() -> Any:
        return await make(wait())

    async def main() -> None:
        task = asyncio.create_task(run())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    return seen


def test_it_is_cancelled_as_what_is_awaited_is() -> None:
    assert cancelled(Begun) == cancelled(lambda coroutine: coroutine) == ["cancelled 1", "cleared away"]


async def test_it_runs_in_the_task_of_the_caller() -> None:
    async def name() -> list[object]:
        before = asyncio.current_task()
        await asyncio.sleep(0)
        return [before, asyncio.current_task()]

    assert await Begun(name()) == [asyncio.current_task()] * 2
