"""What the observer is told of upstream calls and of the keys of those who issue tokens."""

from contextlib import suppress

import pytest
from signalr_bridge.errors import BridgeError, HubError, NoHandler
from signalr_bridge.upstream.event_feed import EventFeed
from signalr_bridge.web.issuer_keys import SECONDS_BETWEEN_FETCHES, KeyCache

from tests.unit.observed import Recorder
from tests.unit.upstream.fakes import Caller, FakeHandler
from tests.unit.upstream.issued import FakeClock, FakeIssuer

SEND = b'{"type":1,"target":"send","arguments":["hi"]}'


def feed() -> EventFeed:
    return EventFeed(wall_clock=lambda: 0.0, clock=lambda: 0.0, boot="boot")


CALL = {
    "hub": "chat",
    "category": "messages",
    "event": "send",
    "connection_id": "c1",
    "user_id": "",
}
TAKEN = CALL | {"endpoint": "eastus", "seconds": 0.75}


@pytest.mark.parametrize("events", [None, feed()], ids=["unwatched", "watched"])
@pytest.mark.parametrize(
    ("result", "ending"),
    [("fine", "returned"), (HubError("not you"), "refused"), (RuntimeError("broken"), "failed")],
)
async def test_every_event_is_told_once_with_its_result(events: EventFeed | None, result: object, ending: str) -> None:
    recorder, seconds = Recorder(), iter((1.0, 1.25, 1.5, 1.75))
    service = Caller(FakeHandler(result, event="send"), events=events, observer=recorder, clock=lambda: next(seconds))
    with suppress(BridgeError):
        await service.message(SEND)
    seen = {"handler": "fake", "result": ending, "registered_event": "send", "handler_seconds": 0.25}
    assert recorder.facts == [("event_ended", TAKEN | seen)]


@pytest.mark.parametrize("events", [None, feed()], ids=["unwatched", "watched"])
async def test_an_event_that_only_a_handler_of_all_takes_is_not_registered(events: EventFeed | None) -> None:
    recorder = Recorder()
    await Caller(FakeHandler("fine"), events=events, observer=recorder).message(SEND)
    ((_, facts),) = recorder.facts
    assert (facts["event"], facts["registered_event"], facts["result"]) == ("send", None, "returned")


async def test_the_registered_event_is_spelt_as_the_handler_spells_it() -> None:
    recorder = Recorder()
    await Caller(FakeHandler("fine", event="send"), observer=recorder).message(
        SEND.replace(b"send", b"SEND"), event="SEND"
    )
    ((_, facts),) = recorder.facts
    assert (facts["event"], facts["registered_event"]) == ("SEND", "send")


@pytest.mark.parametrize("is_fine", [False, True])
async def test_a_message_without_a_handler_is_unhandled_whatever_the_answer(is_fine: bool) -> None:
    recorder = Recorder()
    service = Caller(FakeHandler("fine", event="other"), observer=recorder, unhandled_is_fine=is_fine)
    with suppress(NoHandler):
        await service.message(SEND)
    ((told, facts),) = recorder.facts
    assert (told, facts["result"], facts["handler"], facts["handler_seconds"]) == ("event_ended", "unhandled", "", None)


@pytest.mark.parametrize("events", [None, feed()], ids=["unwatched", "watched"])
@pytest.mark.parametrize(
    ("body", "more", "reason"),
    [
        (b"nonsense", {}, "body"),
        (SEND, {"media_type": "text/plain"}, "body"),
        (SEND, {"event": "another"}, "routing"),
    ],
)
async def test_a_call_that_is_not_in_order_is_refused(
    events: EventFeed | None, body: bytes, more: dict[str, str], reason: str
) -> None:
    recorder = Recorder()
    with pytest.raises(BridgeError):
        await Caller(FakeHandler(), events=events, observer=recorder).message(body, **more)
    ((told, facts),) = recorder.facts
    assert (told, facts["reason"]) == ("event_refused", reason)
    assert facts["connection_id"] == "c1"


async def test_a_call_of_a_stranger_is_refused() -> None:
    recorder = Recorder()
    with pytest.raises(BridgeError):
        await Caller(FakeHandler(), observer=recorder, keys=(), clock=lambda: 1.0).message(SEND)
    assert recorder.facts == [("event_refused", CALL | {"reason": "signature", "seconds": 0.0})]


async def test_every_fetch_of_keys_is_told() -> None:
    recorder, clock, issuer = Recorder(), FakeClock(0.0), FakeIssuer("first")
    cache = KeyCache(issuer.fetch, clock, issuer="https://issuer", observer=recorder)
    await cache.find("first")
    clock.now += SECONDS_BETWEEN_FETCHES
    issuer.broken = OSError("canary")
    await cache.find("second")
    assert recorder.facts == [
        ("keys_fetched", {"issuer": "https://issuer", "seconds": 0.0}),
        ("key_fetch_failed", {"issuer": "https://issuer", "error": "OSError", "seconds": 0.0}),
    ]
