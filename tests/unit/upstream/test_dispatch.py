"""Which handler answers, and what comes of it."""

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from signalr_bridge.errors import HubError, NoHandler, Rejected, SettingsError
from signalr_bridge.upstream.dispatch import Dispatch, Failed, Refused, Returned, answer_connection, answer_message

from tests.unit.upstream.fakes import FakeHandler, context

BOTH = FakeHandler(hub="Chat", event="Send", source="both")
EVENT = FakeHandler(hub="*", event="send", source="event")
HUB = FakeHandler(hub="chat", event="*", source="hub")
ALL = FakeHandler(source="all")


@pytest.mark.parametrize(
    ("hub", "event", "chosen"),
    [
        ("chat", "send", BOTH),
        ("CHAT", "SEND", BOTH),
        ("other", "send", EVENT),
        ("chat", "other", HUB),
        ("other", "other", ALL),
    ],
)
def test_the_most_specific_handler_answers(hub: str, event: str, chosen: FakeHandler) -> None:
    for handlers in ([BOTH, EVENT, HUB, ALL], [ALL, HUB, EVENT, BOTH]):
        assert Dispatch(handlers).find_for_message(hub, event) is chosen


def test_the_event_weighs_more_than_the_hub() -> None:
    assert Dispatch([HUB, EVENT]).find_for_message("chat", "send") is EVENT


def test_nobody_answers() -> None:
    assert Dispatch([BOTH]).find_for_message("chat", "other") is None
    assert Dispatch([FakeHandler(category="connections")]).find_for_message("chat", "send") is None


@pytest.mark.parametrize(
    "other",
    [FakeHandler(hub="CHAT", event="SEND", source="x"), FakeHandler(hub="chat", event="send", category="messages")],
)
def test_two_that_are_equally_specific_are_refused(other: FakeHandler) -> None:
    with pytest.raises(SettingsError, match=f"both, {other.source}"):
        Dispatch([BOTH, other])


def test_every_matching_handler_sees_a_connection_event() -> None:
    everything = FakeHandler(category="connections")
    again = FakeHandler(category="connections")
    opened = FakeHandler(hub="chat", category="connections", event="Connected")
    closed = FakeHandler(hub="chat", category="connections", event="disconnected")
    elsewhere = FakeHandler(hub="other", category="connections")
    messages = FakeHandler(category="messages")
    dispatch = Dispatch([everything, again, opened, closed, elsewhere, messages])
    found = dispatch.find_for_connection("CHAT", "connected")
    assert [id(one) for one in found] == [id(one) for one in (everything, again, opened)]


_PATTERNS = st.sampled_from(["*", "chat", "Chat", "news"])
_EVENTS = st.sampled_from(["*", "connected", "Disconnected", "send"])
_HANDLERS = st.builds(
    FakeHandler,
    hub=_PATTERNS,
    category=st.sampled_from(["connections", "*"]),
    event=_EVENTS,
    source=st.uuids().map(str),
)


def matches(pattern: str, name: str) -> bool:
    return pattern in {"*", name} or pattern.lower() == name.lower()


@given(st.lists(_HANDLERS, max_size=5), st.sampled_from(["chat", "CHAT", "other"]))
def test_the_prepared_table_of_connection_events_is_what_the_patterns_say(all: list[FakeHandler], hub: str) -> None:
    with suppress(SettingsError):  # two of them answer the same messages
        dispatch = Dispatch(all)
        for event in ("connected", "disconnected"):
            expected = [one for one in all if matches(one.hub, hub) and matches(one.event, event)]
            assert [id(one) for one in dispatch.find_for_connection(hub, event)] == [id(one) for one in expected]


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        ("x", Returned("x")),
        (Rejected("no"), Refused("no")),
        (HubError("no"), Refused("no")),
        (ValueError("no"), Failed()),
        (asyncio.CancelledError(), Failed()),
    ],
)
async def test_how_a_message_ends(ending: object, expected: object) -> None:
    assert await answer_message(FakeHandler(ending), context()) == expected


class Own(BaseException):
    """A kind of an author's own."""


FINE, BROKEN, STRICT = None, RuntimeError(), Rejected("no")


@pytest.mark.parametrize(
    ("endings", "expected"),
    [
        ([], Returned()),
        ([FINE, FINE], Returned()),
        ([BROKEN, FINE], Failed()),
        ([FINE, BROKEN], Failed()),
        ([BROKEN, STRICT], Refused("no")),
        ([STRICT, BROKEN], Refused("no")),
        ([STRICT, Rejected("second")], Refused("no")),
        ([HubError("a failure here")], Failed()),
        ([NoHandler("a failure too"), FINE], Failed()),
        ([SystemExit(3), FINE], Failed()),
        ([KeyboardInterrupt(), STRICT], Refused("no")),
        ([BaseExceptionGroup("several", [SystemExit()]), STRICT], Refused("no")),
        ([GeneratorExit(), FINE], Failed()),
        ([asyncio.CancelledError(), STRICT], Refused("no")),
        ([Own(), STRICT], Refused("no")),
        ([Rejected("half \ud800")], Refused("half ?")),
        ([Rejected(5)], Refused("5")),
        ([Rejected()], Refused("")),
    ],
)
async def test_how_a_connection_event_ends(endings: list[object], expected: object) -> None:
    handlers = [FakeHandler(one) for one in endings]
    assert await answer_connection(handlers, context(category="connections")) == expected
    assert all(len(one.seen) == 1 for one in handlers)


async def test_a_call_that_is_given_up_stays_given_up() -> None:
    started = asyncio.Event()

    class Slow(FakeHandler):
        async def answer(self, context: object) -> None:
            started.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(answer_message(Slow(), context()))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
