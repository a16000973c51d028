"""Methods that are events although they do not look like it, and what cannot be one."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from signalr_bridge import Context, Hub, event
from signalr_bridge.errors import Rejected, SettingsError
from signalr_bridge.upstream.dispatch import Dispatch
from signalr_bridge.upstream.python.handler import HubHandler, read_handlers
from signalr_bridge.upstream.python.hub import advise
from signalr_bridge.upstream.python.threads import Threads

from tests.unit.upstream.fakes import context


def read(hub: Hub) -> list[HubHandler]:
    return read_handlers(hub, Threads())


class Chat(Hub):
    @staticmethod
    async def shout(context: Context, text: str) -> str:
        return text.upper()

    @classmethod
    async def name_class(cls, context: Context) -> str:
        return cls.__name__

    @staticmethod
    @event("marked", timeout_seconds=3)
    def _marked(context: Context, number: int) -> int:
        return number

    @classmethod
    @event("markedToo")
    async def _marked_too(cls, context: Context) -> str:
        return cls.__name__

    @event("outside")
    @staticmethod
    async def marked_outside(context: Context) -> str:
        return "outside"

    @staticmethod
    def helper(context: Context) -> None: ...
    @staticmethod
    async def _private(context: Context) -> None: ...

    @asynccontextmanager
    async def session(self) -> AsyncIterator[None]:
        yield


@pytest.mark.parametrize(
    ("name", "arguments", "result"),
    [
        ("shout", ["hi"], "HI"),
        ("name_class", [], "Chat"),
        ("marked", ["5"], 5),
        ("markedToo", [], "Chat"),
        ("outside", [], "outside"),
    ],
)
async def test_static_and_class_methods_are_events(name: str, arguments: list[Any], result: Any) -> None:
    handler = Dispatch(read(Chat())).find_for_message("chat", name)
    assert handler is not None
    assert await handler.answer(context(event=name, arguments=arguments)) == result


def test_nothing_else_is_an_event_and_marks_keep_their_time() -> None:
    seconds = {one.event: one.seconds for one in read(Chat())}
    assert seconds == {"shout": None, "name_class": None, "marked": 3, "markedToo": None, "outside": None}


def test_a_static_method_may_be_a_filter() -> None:
    class Guarded(Hub):
        def __init__(self) -> None:
            super().__init__()
            self.filter(self.check)

        @staticmethod
        async def check(context: Context) -> None:
            raise Rejected("no")

        async def send(self, context: Context) -> None: ...

    assert [one.event for one in read(Guarded())] == ["send"]


async def streaming(self: Any, context: Context) -> Any:
    yield 1


async def without_parameters() -> None: ...


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ({"count": streaming}, "answers 'count' with .*streaming, which yields"),
        ({"count": staticmethod(streaming)}, "answers 'count' with .*streaming, which yields"),
        ({"on_connected": streaming}, "answers 'connected' with .*streaming, which yields"),
        ({"on_connected": 5}, "The hub 'odd' answers 'connected' with builtins:int, which is no function"),
        ({"enter": without_parameters}, "does not tell its parameters"),
        ({"enter": staticmethod(without_parameters)}, "no first parameter"),
    ],
)
def test_methods_that_cannot_be_events(attributes: dict[str, Any], text: str) -> None:
    with pytest.raises(SettingsError, match=text):
        read(type("Odd", (Hub,), attributes)())


async def test_a_private_method_may_yield() -> None:
    assert read(type("Odd", (Hub,), {"_count": streaming})()) == []


def sync(self: Any, context: Context) -> None: ...


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Hub("chat"), "@chat.on("),
        (
            lambda: type("Sync", (Hub,), {"send": sync, "leave": staticmethod(sync), "_own": sync})(),
            "Its methods (send, leave) must be `async def`",
        ),
        (type("Empty", (Chat,), {}), "in the class itself"),
    ],
)
def test_advice_for_a_hub_without_handlers(make: Callable[[], Hub], text: str) -> None:
    hub = make()
    assert read(hub) == []
    assert text in advise(hub)
