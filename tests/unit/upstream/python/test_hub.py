"""Handlers as authors write them: with decorators, and as a class."""

import asyncio
import re
import threading
from typing import Any

import pytest
from signalr_bridge import Context, Hub, event
from signalr_bridge.errors import HubError, SettingsError
from signalr_bridge.upstream.dispatch import Dispatch
from signalr_bridge.upstream.python.handler import read_handlers
from signalr_bridge.upstream.python.threads import Threads

from tests.unit.upstream.fakes import context


def names(hub: Hub) -> set[tuple[str, str, str]]:
    return {(one.hub, one.category, one.event) for one in read_handlers(hub, Threads())}


async def call(hub: Hub, name: str, *arguments: Any) -> Any:
    handler = Dispatch(read_handlers(hub, Threads())).find_for_message("chat", name)
    assert handler is not None
    return await handler.answer(context(event=name, arguments=arguments))


def test_decorators_register_and_leave_the_function_alone() -> None:
    hub = Hub("Chat")

    @hub.connected
    async def welcome(context: Context) -> None: ...

    @hub.disconnected
    def goodbye(context: Context) -> None: ...

    @hub.on("Broadcast")
    async def broadcast(context: Context, text: str) -> str:
        return text

    @hub.on("*")
    async def other(context: Context, *arguments: Any) -> None: ...

    connections = {("chat", "connections", "connected"), ("chat", "connections", "disconnected")}
    assert names(hub) == connections | {("chat", "messages", "Broadcast"), ("chat", "messages", "*")}
    assert broadcast.__name__ == "broadcast"


def test_a_hub_may_be_every_hub() -> None:
    hub = Hub("*")
    hub.on("a")(lambda context: None)
    assert names(hub) == {("*", "messages", "a")}


@pytest.mark.parametrize("name", ["", "1st", "a b", "**"])
def test_a_hub_needs_a_name_that_the_service_takes(name: str) -> None:
    with pytest.raises(SettingsError, match=f"The hub of handlers {re.escape(repr(name))}: A hub name is"):
        Hub(name)


def test_the_name_of_a_hub_is_a_text() -> None:
    with pytest.raises(SettingsError, match="not a value of type int: write Hub"):
        Hub(5)  # type: ignore[arg-type]


def test_handlers_of_connections_take_the_context_alone() -> None:
    hub = Hub("chat")

    @hub.connected
    async def welcome(context: Context, text: str) -> None: ...

    with pytest.raises(SettingsError, match="welcome"):
        read_handlers(hub, Threads())


def test_an_event_has_a_name() -> None:
    hub = Hub("chat")
    hub.on("")(lambda context: None)
    with pytest.raises(SettingsError, match="without a name"):
        read_handlers(hub, Threads())


@pytest.mark.parametrize(
    ("decorate", "written"), [(Hub("chat").on, r'@chat\.on\("name"\)'), (event, r'@event\("name"\)')]
)
def test_forgotten_parentheses_are_refused(decorate: Any, written: str) -> None:
    async def send(context: Context) -> None: ...

    with pytest.raises(SettingsError, match=rf"the function .*send: write {written}"):
        decorate(send)
    with pytest.raises(SettingsError, match=f"a value of type int: write {written}"):
        decorate(5)


async def test_arguments_are_converted() -> None:
    hub = Hub("chat")

    @hub.on("add")
    async def add(context: Context, *numbers: int) -> int:
        return sum(numbers)

    assert await call(hub, "ADD", 1, "2", 3) == 6
    with pytest.raises(HubError, match="Method 'add': the argument 'numbers' must be int"):
        await call(hub, "add", "x")


async def test_sync_functions_run_in_a_thread() -> None:
    hub = Hub("chat")

    @hub.on("where")
    def where(context: Context) -> int:
        return threading.get_ident()

    @hub.on("later")
    def later(context: Context) -> Any:
        return asyncio.sleep(0, "awaited")

    @hub.on("stop")
    def stop(context: Context) -> None:
        raise StopIteration

    assert await call(hub, "where") != threading.get_ident()
    assert await call(hub, "later") == "awaited"
    with pytest.raises(RuntimeError):
        await call(hub, "stop")


class Base(Hub):
    async def inherited(self, context: Context) -> None: ...


class Chat(Base):
    def __init__(self) -> None:
        self.greeting = "hi"  # and forgets to call the base

    async def on_connected(self, context: Context) -> None: ...
    def on_disconnected(self, context: Context) -> None: ...

    async def greet(self, context: Context, name: str) -> str:
        return f"{self.greeting} {name}"

    @event("sendMessage")
    async def send_message(self, context: Context, text: str) -> str:
        return text

    @event("count")
    def _count(self, context: Context) -> int:
        return 1

    async def _private(self, context: Context) -> None: ...
    def helper(self, context: Context) -> None: ...


def test_the_class_form_registers_what_the_subclass_defines() -> None:
    connections = {("chat", "connections", "connected"), ("chat", "connections", "disconnected")}
    messages = {("chat", "messages", name) for name in ("greet", "sendMessage", "count")}
    assert names(Chat()) == connections | messages


async def test_methods_are_called_with_their_hub() -> None:
    assert await call(Chat(), "GREET", "ann") == "hi ann"
    assert await call(Chat(), "sendmessage", "x") == "x"
    assert await call(Chat(), "count") == 1


def test_a_subclass_may_have_decorators_and_a_name_too() -> None:
    class Other(Hub):
        async def a(self, context: Context) -> None: ...

    hub = Other("lobby")
    hub.on("b")(lambda context: None)
    assert names(hub) == {("lobby", "messages", "a"), ("lobby", "messages", "b")}


def test_names_that_the_face_uses_may_be_events() -> None:
    class Odd(Hub):
        async def on(self, context: Context) -> None: ...  # type: ignore[override]
        async def connected(self, context: Context) -> None: ...  # type: ignore[override]

    assert names(Odd()) == {("odd", "messages", "on"), ("odd", "messages", "connected")}


def test_names_that_collide_are_refused() -> None:
    class Twice(Hub):
        async def send(self, context: Context) -> None: ...

        @event("SEND")
        async def other(self, context: Context) -> None: ...

    with pytest.raises(SettingsError, match=r"Twice\.send.*Twice\.other"):
        Dispatch(read_handlers(Twice(), Threads()))


def test_a_class_whose_name_is_no_hub_is_refused() -> None:
    class _Chat(Hub): ...

    with pytest.raises(SettingsError, match="hub"):
        _Chat()
