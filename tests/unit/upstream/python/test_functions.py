"""Which functions may be handlers, and which not."""

import threading
from functools import partial, update_wrapper, wraps
from typing import Any

import pytest
from signalr_bridge import Context, Hub
from signalr_bridge.errors import SettingsError
from signalr_bridge.upstream.dispatch import Dispatch, Ending, Refused, Returned, answer_message
from signalr_bridge.upstream.python.handler import HubHandler, read_handlers
from signalr_bridge.upstream.python.threads import Threads

from tests.unit.upstream.fakes import context


def read(hub: Hub) -> list[HubHandler]:
    return read_handlers(hub, Threads())


def with_handler(function: Any) -> Hub:
    hub = Hub("chat")
    hub.on("a")(function)
    return hub


async def end(hub: Hub, name: str, *arguments: Any) -> Ending:
    handler = Dispatch(read(hub)).find_for_message("chat", name)
    assert handler is not None
    return await answer_message(handler, context(event=name, arguments=arguments))


# --- mistakes and objects


async def streaming(context: Context) -> Any:
    yield 1


def counting(context: Context) -> Any:
    yield 1


class Streamer:
    async def __call__(self, context: Context) -> Any:
        yield 1


@pytest.mark.parametrize("function", [streaming, counting, partial(streaming), Streamer()])
def test_a_stream_is_refused(function: Any) -> None:
    with pytest.raises(SettingsError, match=r"(streaming|counting|Streamer), which yields"):
        read(with_handler(function))


async def test_an_object_may_be_a_handler() -> None:
    class Greeter:
        async def __call__(self, context: Context, name: str) -> str:
            return f"hi {name} {threading.current_thread() is threading.main_thread()}"

    hub = Hub("chat")
    hub.on("greet")(Greeter())
    assert await end(hub, "greet", "ann") == Returned("hi ann True")
    assert read(hub)[0].source.endswith("Greeter")
    hub = Hub("chat")
    hub.on("greet")(partial(Greeter(), name="ann"))
    assert await end(hub, "greet") == Returned("hi ann True")
    assert read(hub)[0].call.threads is None, "it is async, and takes no thread"


def test_a_filter_that_yields_would_let_everybody_in() -> None:
    hub = Hub("chat")
    hub.filter(streaming)
    hub.on("send")(lambda context: None)
    with pytest.raises(SettingsError, match=r"filters with .*streaming, which yields"):
        read(hub)


@pytest.mark.parametrize("function", [5, "send", None, dict, Streamer])
def test_what_is_no_function_is_refused(function: Any) -> None:
    with pytest.raises(SettingsError, match=r"The hub 'chat' answers 'a' with .*, which is no function"):
        read(with_handler(function))
    hub = Hub("chat")
    hub.filter(function)
    with pytest.raises(SettingsError, match=r"The hub 'chat' filters with .*, which is no function"):
        read(hub)


def test_a_function_that_hides_its_parameters_is_refused() -> None:
    with pytest.raises(SettingsError, match="builtins:max does not tell its parameters"):
        read(with_handler(max))


# --- functools


async def greet(greeting: str, context: Context, name: str, times: int = 1) -> str:
    return f"{greeting} {name}" * times


def wrapped(function: Any) -> Any:
    return wraps(function)(lambda *arguments: function(*arguments))


@pytest.mark.parametrize(
    "function",
    [
        partial(greet, "hi"),
        partial(partial(greet, "hi"), times=2),
        update_wrapper(partial(greet, "hi"), greet),
        partial(update_wrapper(partial(greet, "hi"), greet), times=2),
        partial(wrapped(greet), "hi"),
    ],
)
async def test_a_partial_is_what_it_calls(function: Any) -> None:
    hub = Hub("chat")
    hub.on("greet")(function)
    greeted = "hi ann" * function.keywords.get("times", 1)
    assert await end(hub, "greet", "ann") == Returned(greeted)
    assert await end(hub, "greet", 5) == Refused("Method 'greet': the argument 'name' must be str.")
    assert isinstance(await end(hub, "greet", "ann", 2, 3), Refused), "what is bound is not given by the client"
    assert read(hub)[0].source == f"{__name__}:greet"


async def test_what_a_partial_binds_by_name_is_not_given_by_the_client() -> None:
    hub = Hub("chat")
    hub.on("greet")(partial(greet, "hi", times=2))
    taken = "more than it takes: name (str)."
    assert await end(hub, "greet", "ann", 3) == Refused(f"Method 'greet' was called with 2 arguments, {taken}")
    hub.on("other")(partial(greet, "hi", name="ann"))
    assert await end(hub, "other") == Returned("hi ann")
