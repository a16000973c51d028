"""The event loop of a command: chosen, run to the end of its work, and closed with what is left in it."""

import asyncio
import importlib
import logging
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

_LOG = logging.getLogger("signalr_bridge")

_LEFT_SECONDS = 1.0
"""How long tasks that outlive everything have to end."""


def run_to_end(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine. A task that a handler has started cannot end the process by what it raises, nor keep it."""
    loop = _choose_loop()()
    asyncio.set_event_loop(loop)
    try:
        _run_in(loop, loop.create_task(work))
    finally:
        _end_tasks(loop)
        loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()


def _run_in(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
    while not task.done():
        try:
            loop.run_until_complete(task)
        except (SystemExit, KeyboardInterrupt) as error:
            # Servers take Ctrl-C by handlers of their own. Before that it is the user's.
            by_user = isinstance(error, KeyboardInterrupt)
            by_user = by_user and signal.getsignal(signal.SIGINT) is signal.default_int_handler
            if task.done() or by_user:
                raise
            _LOG.error("a task raised what would have ended the process", exc_info=error)


def _end_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel the tasks that are left. One that catches that is not waited for, as ``asyncio.run`` would for ever."""
    if left := asyncio.all_tasks(loop):
        for one in left:
            one.cancel()
        with suppress(SystemExit, KeyboardInterrupt):
            loop.run_until_complete(asyncio.wait(left, timeout=_LEFT_SECONDS))


def _choose_loop() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop's loop where it is installed, else asyncio's, which is slower. uvloop is not built for every platform."""
    try:
        uvloop = importlib.import_module("uvloop")
    except ModuleNotFoundError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
