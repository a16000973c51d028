"""Whose outbox is used outside an event: that of the bridge that runs the code, or else of the only one."""

import asyncio
import threading
from typing import Any

import pytest
from signalr_bridge import Context, DeliveryError, Hub, InvalidName, NotRunning, outbox
from signalr_bridge.protocol.rest import Action, Operation
from signalr_bridge.upstream.outbox import OutboxScope, RunningBridge
from signalr_bridge.upstream.python.handler import HubHandler, read_handlers
from signalr_bridge.upstream.python.threads import Threads

from tests.unit.upstream.fakes import FakeOutbox, context

chat = outbox("Chat")  # before any bridge runs, as in a module of handlers


def done(fake: FakeOutbox) -> list[Operation]:
    return [operation for operation, _, _ in fake.performed]


async def test_it_has_what_a_context_has_but_the_caller() -> None:
    fake = FakeOutbox()
    async with RunningBridge(fake):
        await chat.clients.user("ann").send("news", 1)
        await chat.clients.connection("c1").send("news")
        await chat.groups.add("red", connection="c1")
        await chat.users.close("ann")
        assert await chat.connections.exists("c1")
        assert await chat.connections.invoke("c1", "ask") is None
    assert done(fake) == [
        Operation(Action.SEND_TO_USER, "chat", user="ann"),
        Operation(Action.SEND_TO_CONNECTION, "chat", connection="c1"),
        Operation(Action.ADD_CONNECTION, "chat", connection="c1", group="red"),
        Operation(Action.CLOSE_USER, "chat", user="ann"),
        Operation(Action.CONNECTION_EXISTS, "chat", connection="c1"),
        Operation(Action.INVOKE, "chat", connection="c1"),
    ]
    assert {endpoint for _, _, endpoint in fake.performed} == {None}, "outside an event nobody knows where it is"
    assert not hasattr(chat.clients, "caller")


async def test_without_a_bridge_and_with_several_it_is_not_known_who_sends() -> None:
    with pytest.raises(NotRunning, match=r"^No bridge runs in this process") as caught:
        await chat.clients.all.send("news")
    assert isinstance(caught.value, DeliveryError)
    one, other = FakeOutbox(), FakeOutbox()
    async with RunningBridge(one), RunningBridge(other):
        with pytest.raises(NotRunning, match=r"^2 bridges run in this process, and none of them runs this code"):
            await chat.clients.all.send("news")
    async with RunningBridge(one):
        await chat.clients.all.send("news")
    with pytest.raises(NotRunning):
        await chat.connections.invoke("c1", "ask")
    assert (len(one.performed), len(other.performed)) == (1, 0)


async def test_another_event_loop_is_told_instead_of_broken() -> None:
    fake = FakeOutbox()

    def in_a_loop_of_its_own() -> None:
        with pytest.raises(NotRunning, match="another event loop or process"):
            asyncio.run(chat.clients.all.send("news"))

    async with RunningBridge(fake):
        await asyncio.to_thread(in_a_loop_of_its_own)  # a thread of the author's
        with OutboxScope(fake):
            await asyncio.to_thread(in_a_loop_of_its_own)  # as in a handler that is not async
    assert fake.performed == []


def test_a_name_that_is_none_is_refused_at_once() -> None:
    for name in ("*", "", "a b"):
        with pytest.raises(InvalidName):
            outbox(name)


# --- two bridges in one process


async def tell_from_a_task(context: Context) -> None:
    await asyncio.create_task(chat.clients.all.send("task"))


def tell_from_a_thread(context: Context) -> Any:
    assert threading.current_thread() is not threading.main_thread()
    return chat.clients.all.send("thread")


def tell_from_another_task(context: Context, loop: Any) -> None:
    asyncio.run_coroutine_threadsafe(chat.clients.all.send("loop"), loop).result(5)


async def filter_that_tells(context: Context) -> None:
    await chat.clients.all.send("filter")


def read(function: Any, *, filtered: bool = False, seconds: float | None = None) -> HubHandler:
    hub = Hub("chat", timeout_seconds=seconds)
    hub.on("tell")(function)
    if filtered:
        hub.filter(filter_that_tells)
    [handler] = read_handlers(hub, Threads())
    return handler


@pytest.mark.parametrize("seconds", [None, 5])
@pytest.mark.parametrize(
    ("function", "arguments"),
    [(tell_from_a_task, 0), (tell_from_a_thread, 0), (tell_from_another_task, 1)],
)
async def test_a_handler_acts_for_its_own_bridge(function: Any, arguments: int, seconds: float | None) -> None:
    one, other = FakeOutbox(), FakeOutbox()
    given = [asyncio.get_running_loop()] * arguments
    handler = read(function, filtered=True, seconds=seconds)
    async with RunningBridge(one), RunningBridge(other):
        await handler.answer(context(one, given))
        await handler.answer(context(other, given))
        with pytest.raises(NotRunning):
            await chat.clients.all.send("no longer")
    assert len(one.performed) == len(other.performed) == 2


async def test_a_task_outlives_its_event() -> None:
    one, other = FakeOutbox(), FakeOutbox()
    gate, tasks = asyncio.Event(), set[asyncio.Task[None]]()

    async def later() -> None:
        await gate.wait()
        await chat.clients.all.send("later")

    async def start(context: Context) -> None:
        tasks.add(asyncio.create_task(later()))

    async with RunningBridge(one), RunningBridge(other):
        await read(start).answer(context(other))
        gate.set()
        await asyncio.gather(*tasks)
    assert (len(one.performed), len(other.performed)) == (0, 1)


async def test_a_task_that_outlives_its_bridge_is_told() -> None:
    fake, gate = FakeOutbox(), asyncio.Event()

    async def later() -> None:
        await gate.wait()
        await chat.clients.all.send("later")

    async with RunningBridge(fake):
        with OutboxScope(fake):
            task = asyncio.create_task(later())
    async with RunningBridge(FakeOutbox()):  # not the only one of the process, but another one
        gate.set()
        with pytest.raises(NotRunning, match="has ended"):
            await task
    async with RunningBridge(fake):  # the same one may run again
        await chat.clients.all.send("again")
    assert len(fake.performed) == 1


async def test_scopes_within_each_other_end_in_order() -> None:
    one, other = FakeOutbox(), FakeOutbox()
    with OutboxScope(one):
        with OutboxScope(other):
            await chat.clients.all.send("inner")
        await chat.clients.all.send("outer")
    assert (len(one.performed), len(other.performed)) == (1, 1)
