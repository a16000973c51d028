"""Threads for functions that are not async: bounded, abandonable, and out of the way at the end."""

import asyncio
import contextvars
import gc
import subprocess
import sys
import threading
import weakref
from typing import Any

import pytest
from signalr_bridge.upstream.python.threads import Threads

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("variable")


async def test_results_errors_and_context_variables_come_through() -> None:
    threads = Threads()
    VARIABLE.set("of the caller")
    assert await threads.run(VARIABLE.get) == "of the caller"
    assert await threads.run(max, 1, 2) == 2
    with pytest.raises(KeyError):
        await threads.run({}.__getitem__, "x")
    with pytest.raises(RuntimeError, match="StopIteration"):
        await threads.run(next, iter(()))


async def test_a_failed_call_keeps_nothing_until_the_garbage_collector_comes() -> None:
    class Body:
        pass

    def fail(body: Body) -> None:
        raise LookupError

    async def call(body: Body) -> None:
        with pytest.raises(LookupError):
            await Threads().run(fail, body)

    body = Body()
    known = weakref.ref(body)
    gc.disable()
    try:
        await call(body)
        del body
        for _ in range(100):  # the thread lets go of it a moment later
            if known() is not None:
                await asyncio.sleep(0.01)
        assert known() is None
    finally:
        gc.enable()


async def test_threads_are_used_again() -> None:
    threads, used = Threads(), set[int]()
    for _ in range(20):
        used.add(await threads.run(threading.get_ident))
        await asyncio.sleep(0.01)
    assert len(used) < 10


async def test_no_more_run_than_there_may_be_and_the_others_wait() -> None:
    threads, lock = Threads(most=3), threading.Lock()
    running, most, release, arrived = 0, 0, threading.Event(), threading.Semaphore(0)

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        arrived.release()
        release.wait(30)
        with lock:
            running -= 1

    tasks = [asyncio.create_task(threads.run(work)) for _ in range(12)]
    for _ in range(3):
        assert await asyncio.to_thread(arrived.acquire, timeout=30)
    release.set()
    await asyncio.gather(*tasks)
    assert most == 3


async def test_a_call_given_up_while_it_waits_is_never_made() -> None:
    threads, release, made = Threads(most=1), threading.Event(), list[str]()
    first = asyncio.create_task(threads.run(release.wait, 30))
    await asyncio.sleep(0)
    second = asyncio.create_task(threads.run(made.append, "second"))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    release.set()
    await first
    assert await threads.run(list, made) == []


async def test_a_call_given_up_while_it_runs_leaves_the_others_alone() -> None:
    threads, started, release = Threads(most=2), threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        release.wait(30)

    task = asyncio.create_task(threads.run(work))
    assert await asyncio.to_thread(started.wait, 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await threads.run(max, 1, 2) == 2
    release.set()


def test_a_function_that_never_ends_does_not_keep_the_process() -> None:
    program = """
import asyncio, threading
from signalr_bridge.upstream.python.threads import Threads

async def main():
    asyncio.create_task(Threads().run(threading.Event().wait))
    await asyncio.sleep(0.05)

asyncio.run(main())
print("ended")
"""
    done: Any = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "ended\n"
