"""Threads for handlers that are not async. Their number is limited, and the process can end while they run."""

import asyncio
import contextvars
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

MOST = 32
"""How many threads there are at most."""


class Threads:
    """A pool that grows up to ``most`` threads. Calls wait while all of them are busy.

    A call that is cancelled while it waits is never made. One that runs cannot be stopped, and keeps its thread busy
    until it ends. The standard library's pool would wait for it at the end of the process.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._count = 0
        self._idle = threading.Semaphore(0)
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run the function in a thread, and return or raise what it does. It sees the caller's context variables."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        work = partial(contextvars.copy_context().run, function, *arguments)
        self._jobs.put(partial(_work, loop, future, work))
        self._see_to_a_thread()
        try:
            return await future
        finally:
            del future  # an error refers to the frames that it has passed, and would wait for the garbage collector

    def _see_to_a_thread(self) -> None:
        if not self._idle.acquire(blocking=False) and self._count < self._most:
            self._count += 1
            threading.Thread(target=self._take_jobs, name=f"handler {self._count}", daemon=True).start()

    def _take_jobs(self) -> None:
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                self._idle.release()
                job = self._jobs.get()
            job()
            del job  # otherwise its values would be kept until the next job


def _work(loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], work: Callable[[], Any]) -> None:
    if future.cancelled():
        return
    result, error = _try(work)
    with suppress(RuntimeError):  # the loop has ended, and the result is not needed any longer
        loop.call_soon_threadsafe(_settle, future, result, error)
    del future, error  # the error refers to this frame, too


def _try(work: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    try:
        return work(), None
    except (StopIteration, GeneratorExit) as end:  # they would end the coroutines that wait for the future
        error = RuntimeError(f"The handler raised {type(end).__name__}.")
        error.__cause__ = end
        return None, error
    except BaseException as error:
        return None, error


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return  # cancelled in the meantime
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
