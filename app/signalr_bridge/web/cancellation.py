"""The end of a task from outside, told from the same error where the code that the task runs has raised it."""

import asyncio


def is_from_outside(error: BaseException) -> bool:
    """Whether ``error`` ends the running task from outside, so that it has to go on.

    A cancellation is from outside when the task was asked to end. ``GeneratorExit`` is so when no task runs: Python
    throws an unfinished one away then. All other errors come from the code itself, ``SystemExit`` and
    ``KeyboardInterrupt`` too, because the process's signals come by handlers of the event loop.
    """
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return isinstance(error, GeneratorExit) and (asyncio._get_running_loop() is None or asyncio.current_task() is None)
