"""Filters before a handler, and its time."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from signalr_bridge import Context, Hub, event
from signalr_bridge.errors import HubError, Rejected, SettingsError
from signalr_bridge.upstream.dispatch import (
    Dispatch,
    Ending,
    Failed,
    Refused,
    Returned,
    answer_connection,
    answer_message,
)
from signalr_bridge.upstream.python.handler import HubHandler, read_handlers
from signalr_bridge.upstream.python.threads import Threads

from tests.unit.upstream.fakes import context

SOON = 0.02


def read(hub: Hub, default_seconds: float | None = None) -> list[HubHandler]:
    return read_handlers(hub, Threads(), default_seconds)


async def end(hub: Hub, name: str, *arguments: Any, seconds: float | None = None) -> Ending:
    handler = Dispatch(read(hub, seconds)).find_for_message("chat", name)
    assert handler is not None
    return await answer_message(handler, context(event=name, arguments=arguments))


# --- filters


async def test_filters_run_in_order_before_every_handler_of_their_hub() -> None:
    hub, seen = Hub("chat"), list[str]()

    @hub.on("send")
    async def send(context: Context, text: str) -> str:
        seen.append(text)
        return text

    @hub.filter
    async def first(context: Context) -> None:
        seen.append(f"first {context.event}")

    @hub.filter
    def second(context: Context) -> None:
        seen.append(f"second {list(context.arguments)}")

    hub.connected(lambda context: seen.append("welcome"))
    assert await end(hub, "send", "hi") == Returned("hi")
    assert seen == ["first send", "second ['hi']", "hi"]
    seen.clear()
    connected = context(category="connections", event="connected")
    handlers = [one for one in read(hub) if one.event == "connected"]
    assert await answer_connection(handlers, connected) == Returned()
    assert seen == ["first connected", "second []", "welcome"]


@pytest.mark.parametrize(
    ("error", "message", "connection"),
    [
        (Rejected("not you"), Refused("not you"), Refused("not you")),
        (HubError("not now"), Refused("not now"), Failed()),
        (RuntimeError("secret"), Failed(), Failed()),
    ],
)
async def test_what_a_filter_raises_ends_the_event(error: Exception, message: Ending, connection: Ending) -> None:
    hub, called = Hub("chat"), list[str]()

    @hub.filter
    def refuse(context: Context) -> None:
        raise error

    hub.on("send")(lambda context, *rest: called.append("send"))
    hub.connected(lambda context: called.append("connected"))
    assert await end(hub, "send", "too", "many") == message
    handlers = [one for one in read(hub) if one.event == "connected"]
    assert await answer_connection(handlers, context(category="connections", event="connected")) == connection
    assert called == []


async def test_a_filter_refuses_before_arguments_are_looked_at() -> None:
    hub = Hub("chat")

    @hub.filter
    async def refuse(context: Context) -> None:
        raise Rejected("not you")

    @hub.on("send")
    async def send(context: Context, secret_name: int) -> None: ...

    assert await end(hub, "send", "no number") == Refused("not you")


async def test_filters_of_another_hub_do_not_matter() -> None:
    hub, other = Hub("chat"), Hub("*")
    hub.on("send")(lambda context: "sent")

    @other.filter
    def refuse(context: Context) -> None:
        raise Rejected("no")

    assert await end(hub, "send") == Returned("sent")


async def test_a_class_may_filter_by_a_method_which_is_no_event_then() -> None:
    class Chat(Hub):
        def __init__(self) -> None:
            super().__init__()
            self.filter(self.check)

        async def check(self, context: Context) -> None:
            if context.user_id is None:
                raise Rejected("Who are you?")

        async def send(self, context: Context) -> None: ...

    assert [one.event for one in read(Chat())] == ["send"]
    assert await end(Chat(), "send") == Refused("Who are you?")


def test_a_filter_takes_the_context_alone() -> None:
    hub = Hub("chat")
    hub.filter(lambda context, text: None)
    hub.on("send")(lambda context: None)
    with pytest.raises(SettingsError, match="takes more than the context"):
        read(hub)


# --- time


async def never(context: Context) -> None:
    await asyncio.Event().wait()


def registered(register: Callable[[Hub], Callable[[Any], Any]], function: Any = never, **options: Any) -> HubHandler:
    hub = Hub("chat", **options)
    register(hub)(function)
    return read(hub, default_seconds=7)[0]


@pytest.mark.parametrize(
    ("register", "options", "seconds"),
    [
        (lambda hub: hub.on("a"), {}, 7),
        (lambda hub: hub.on("a"), {"timeout_seconds": 3}, 3),
        (lambda hub: hub.on("a", timeout_seconds=1.5), {"timeout_seconds": 3}, 1.5),
        (lambda hub: hub.on("a", timeout_seconds=float("inf")), {}, None),
        (lambda hub: hub.connected, {"timeout_seconds": 3}, 3),
        (lambda hub: hub.connected(timeout_seconds=2), {}, 2),
        (lambda hub: hub.disconnected(timeout_seconds=2), {}, 2),
        (lambda hub: hub.disconnected, {}, 7),
    ],
)
def test_the_nearest_time_counts(register: Any, options: dict[str, Any], seconds: float | None) -> None:
    assert registered(register, **options).seconds == seconds


def test_a_method_may_name_its_time() -> None:
    class Chat(Hub):
        @event("send", timeout_seconds=2)
        async def send(self, context: Context) -> None: ...

        async def other(self, context: Context) -> None: ...

    assert {one.event: one.seconds for one in read(Chat(), 7)} == {"send": 2, "other": 7}


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), "5", True, [5]])
def test_no_time_at_all_is_refused(seconds: Any) -> None:
    with pytest.raises(SettingsError, match="timeout_seconds must be more than 0"):
        registered(lambda hub: hub.on("a", timeout_seconds=seconds))


async def test_a_handler_out_of_time_has_failed_and_is_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    hub, ends = Hub("chat"), list[str]()

    @hub.on("wait", timeout_seconds=SOON)
    async def wait(context: Context) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise
        finally:
            await asyncio.sleep(0)
            ends.append("cleaned up")

    ending = await end(hub, "wait")
    assert (ending, ends) == (Failed(), ["cancelled", "cleaned up"])
    assert isinstance(ending, Failed)
    assert ending.kind == "TimeoutError"
    assert f"took longer than {SOON:g} s" in caplog.text
    assert "await asyncio.Event().wait()" in caplog.text, "the log says where it waited"
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_a_handler_that_ignores_its_cancellation_has_failed_too(caplog: pytest.LogCaptureFixture) -> None:
    hub = Hub("chat")

    @hub.on("wait", timeout_seconds=SOON)
    async def wait(context: Context) -> str:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return "done"

    ending = await end(hub, "wait")
    assert ending == Failed()
    assert isinstance(ending, Failed)
    assert ending.kind == "TimeoutError"
    assert f"took longer than {SOON:g} s" in caplog.text


async def test_a_filter_is_part_of_the_time() -> None:
    hub, called = Hub("chat"), list[str]()
    hub.filter(never)
    hub.on("send", timeout_seconds=SOON)(lambda context: called.append("send"))
    assert await end(hub, "send") == Failed()
    assert called == []


async def test_a_time_out_of_the_handlers_own_is_its_own(caplog: pytest.LogCaptureFixture) -> None:
    hub = Hub("chat")

    @hub.on("wait")
    async def wait(context: Context) -> None:
        raise TimeoutError("the database")

    assert await end(hub, "wait", seconds=30) == Failed()
    assert "the database" in caplog.text


async def test_a_slow_function_neither_blocks_the_loop_nor_the_answer() -> None:
    hub, release = Hub("chat"), threading.Event()

    @hub.on("block", timeout_seconds=SOON)
    def block(context: Context) -> None:
        release.wait(30)

    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    turning = asyncio.create_task(turn())
    assert await end(hub, "block") == Failed()
    assert not release.is_set(), "the answer came while the function still ran"
    assert turns > 3
    release.set()
    turning.cancel()


async def test_a_call_that_is_given_up_cancels_the_handler() -> None:
    hub, ended = Hub("chat"), asyncio.Event()

    @hub.on("wait")
    async def wait(context: Context) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    task = asyncio.create_task(end(hub, "wait", seconds=30))
    while not task.done() and not ended.is_set():
        await asyncio.sleep(0.01)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


class CountingLoop:
    """Counts the timers of the running loop, whose time stands still until ``pass_time`` moves it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        self.timers, self._passed = 0, 0.0
        time, call_at = loop.time, loop.call_at

        def count(*arguments: Any, **more: Any) -> asyncio.TimerHandle:
            self.timers += 1
            return call_at(*arguments, **more)

        monkeypatch.setattr(loop, "time", lambda: time() + self._passed)
        monkeypatch.setattr(loop, "call_at", count)

    def pass_time(self, seconds: float) -> None:
        self._passed += seconds


async def test_a_handler_that_never_waits_needs_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    hub, loop = Hub("chat"), CountingLoop(monkeypatch)

    @hub.filter
    async def check(context: Context) -> None: ...

    @hub.on("send")
    async def send(context: Context) -> str:
        return "sent"

    @hub.on("wait")
    async def wait(context: Context) -> str:
        await asyncio.sleep(0)
        return "waited"

    assert (await end(hub, "send", seconds=60), loop.timers) == (Returned("sent"), 0)
    assert (await end(hub, "wait", seconds=60), loop.timers) == (Returned("waited"), 1)


async def test_the_time_before_the_first_wait_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    hub, loop = Hub("chat"), CountingLoop(monkeypatch)

    @hub.on("send")
    async def send(context: Context) -> str:
        loop.pass_time(1000)
        await asyncio.sleep(1000)
        return "sent"

    assert await end(hub, "send", seconds=900) == Failed("TimeoutError")
