"""Whoever holds up the loop is named, once in a while and also where it never ends, and nobody else is."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from signalr_bridge import Context, Hub
from signalr_bridge.upstream.python import loop_watch
from signalr_bridge.upstream.python.handler import read_handlers
from signalr_bridge.upstream.python.hub_lifespan import read_functions, run_function
from signalr_bridge.upstream.python.loop_watch import LoopWatch
from signalr_bridge.upstream.python.threads import Threads

from tests.unit.upstream.fakes import context

LONG = 0.2
"""Seconds. A step may take a quarter of that."""


@pytest.fixture(autouse=True)
async def watch() -> AsyncIterator[None]:
    async with LoopWatch(interval_seconds=0.01, longest_seconds=LONG / 4):
        yield


async def told(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    await asyncio.sleep(0.05)
    fields = ("handler", "hub", "event")
    found = [vars(one) for one in caplog.records if one.levelno == logging.WARNING]
    return [{name: one[name] for name in fields if name in one} for one in found]


async def hog() -> None:
    time.sleep(LONG)  # noqa: ASYNC251


async def start_hog(_: Context) -> None:
    await asyncio.create_task(hog())


async def block(_: Context) -> None:
    await hog()


async def block_late(_: Context) -> None:
    await asyncio.sleep(0.01)
    await hog()


async def compute(_: Context) -> None:
    """In C, which keeps every other thread from running."""
    ends = time.monotonic() + LONG
    any(map(ends.__lt__, iter(time.monotonic, None)))


def in_thread(_: Context) -> None:
    time.sleep(LONG)


async def wait(_: Context) -> None:
    await asyncio.sleep(LONG)


async def take_many_steps(_: Context) -> None:
    for _number in range(100):
        await asyncio.sleep(0)
        time.sleep(LONG / 100)  # noqa: ASYNC251


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (block, {"handler": f"{__name__}:block", "hub": "chat", "event": "send"}),
        (block_late, {"handler": f"{__name__}:block_late", "hub": "chat", "event": "send"}),
        (compute, {"handler": f"{__name__}:compute", "hub": "chat", "event": "send"}),
        (start_hog, {"handler": f"{__name__}:hog"}),
        (in_thread, None),
        (wait, None),
        (take_many_steps, None),
    ],
)
async def test_what_holds_up_in_a_handler(
    function: Callable[..., Any], named: object, caplog: pytest.LogCaptureFixture
) -> None:
    hub = Hub("chat", timeout_seconds=60)
    hub.on("send")(function)
    (handler,) = read_handlers(hub, Threads())
    for _ in range(1 if named is None else 2):
        await handler.answer(context(event="send", arguments=()))
    assert await told(caplog) == ([] if named is None else [named])


async def test_a_filter_and_a_function_of_no_event(caplog: pytest.LogCaptureFixture) -> None:
    hub = Hub("chat")
    hub.filter(block)
    hub.on("send")(wait)
    hub.every(30)(hog)
    await read_handlers(hub, Threads())[0].answer(context(event="send", arguments=()))
    await run_function(read_functions(hub, Threads())[0])
    first, second = await told(caplog)
    assert first == {"handler": f"{__name__}:wait", "hub": "chat", "event": "send"}
    assert second == {"handler": f"{__name__}:hog"}


async def test_what_never_ends_is_told_of_while_it_runs(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_watch, "_TOLD_AFTER_SECONDS", 0.1)
    was_told = threading.Event()

    class Seen(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            was_told.set()

    async def never_end() -> None:
        assert was_told.wait(30)

    seen = Seen()
    logging.getLogger("signalr_bridge.upstream").addHandler(seen)
    try:
        await asyncio.create_task(never_end())
    finally:
        logging.getLogger("signalr_bridge.upstream").removeHandler(seen)
    assert len(await told(caplog)) == 1
