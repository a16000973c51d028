"""One client's messages over the limit: answered in its protocol or dropped, counted, and nobody else's business."""

import logging

import pytest
from signalr_bridge.errors import NoHandler
from signalr_bridge.upstream.dispatch import Dispatch
from signalr_bridge.upstream.message_limit import SECONDS_BETWEEN_LINES, MessageLimit
from signalr_bridge.upstream.receiver import Receiver

from tests.unit.observed import Recorder
from tests.unit.upstream.fakes import Caller, FakeHandler, FakeOutbox, authenticator
from tests.unit.upstream.issued import FakeClock
from tests.unit.upstream.speech import SPEECHES, Speech
from tests.unit.upstream.test_receiver import EMPTY

TOLD = "Method 'send' was not called: you may send 2 messages per second."


class Limited(Caller):
    """Two messages per second."""

    def __init__(self, *handlers: FakeHandler) -> None:
        super().__init__(*handlers)
        known, self.clock, self.recorder = authenticator(), FakeClock(0.0), Recorder()
        self.limit = MessageLimit(2, self.clock, self.recorder)
        self.receiver = Receiver(
            lambda: known,
            Dispatch(handlers),
            FakeOutbox(),
            most_bytes=1000,
            observer=self.recorder,
            clock=self.clock,
            message_limit=self.limit,
        )


@pytest.fixture(params=SPEECHES, ids=lambda speech: speech.media_type)
def speech(request: pytest.FixtureRequest) -> Speech:
    spoken: Speech = request.param
    return spoken


async def test_what_is_over_the_limit_is_answered_or_dropped(speech: Speech, caplog: pytest.LogCaptureFixture) -> None:
    handler = FakeHandler("done")
    caller = Limited(handler)
    waiting, silent = speech.invocation(id="7"), speech.invocation()
    done, refused = speech.completion(result="done"), speech.completion(error=TOLD)
    with caplog.at_level(logging.WARNING):
        answers = [await caller.message(waiting, speech.media_type) for _ in range(4)]
        dropped = await caller.message(silent, speech.media_type)
    assert answers == [done, done, refused, refused]
    assert dropped == EMPTY
    assert len(handler.seen) == 2
    assert await caller.message(waiting, speech.media_type, connection_id="c2") == done, "a neighbour notices nothing"
    assert caller.limit.dropped == 3
    facts = {"hub": "chat", "event": "send"}
    assert caller.recorder.of("message_limited") == [
        facts | {"answered": True},
        facts | {"answered": True},
        facts | {"answered": False},
    ]
    assert [one["result"] for one in caller.recorder.of("event_ended")].count("refused") == 3
    assert [one.message for one in caplog.records] == ["messages over the limit"], "and no line for each"
    caller.clock.now += SECONDS_BETWEEN_LINES
    assert await caller.message(waiting, speech.media_type) == done


async def test_connection_events_are_never_limited_and_the_end_forgets(speech: Speech) -> None:
    caller = Limited(FakeHandler())
    for _ in range(5):
        assert await caller.connection("connected", media_type=speech.media_type) == EMPTY
    for _ in range(3):
        await caller.message(speech.invocation(), speech.media_type)
    assert caller.limit.dropped == 1
    assert await caller.connection("disconnected", media_type=speech.media_type) == EMPTY
    await caller.message(speech.invocation(), speech.media_type)
    assert caller.limit.dropped == 1, "nothing is kept of a connection that has ended"


async def test_messages_that_nobody_handles_count_as_well() -> None:
    caller = Limited()
    for _ in range(2):
        with pytest.raises(NoHandler):
            await caller.message(SPEECHES[0].invocation())
    assert await caller.message(SPEECHES[0].invocation()) == EMPTY
