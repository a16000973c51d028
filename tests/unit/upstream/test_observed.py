"""What the observer is told of upstream calls and of the keys of those who issue tokens."""

from contextlib import suppress

import pytest
from signalr_bridge.errors import BridgeError, HubError
from signalr_bridge.upstream.event_feed import EventFeed
from signalr_bridge.web.issuer_keys import SECONDS_BETWEEN_FETCHES, KeyCache

from tests.unit.observed import Recorder
from tests.unit.upstream.fakes import Caller, FakeHandler
from tests.unit.upstream.issued import FakeClock, FakeIssuer

SEND = b'{"type":1,"target":"send","arguments":["hi"]}'


def feed() -> EventFeed:
    return EventFeed(wall_clock=lambda: 0.0, clock=lambda: 0.0, boot="boot")


@pytest.mark.parametrize("events", [None, feed()], ids=["unwatched", "watched"])
@pytest.mark.parametrize(
    ("result", "body", "ending"),
    [
        ("fine", SEND, "returned"),
        (HubError("not you"), SEND, "refused"),
        (RuntimeError("broken"), SEND, "failed"),
        ("fine", b"nonsense", "rejected"),
    ],
)
async def test_every_event_is_told_once_with_its_ending(
    events: EventFeed | None, result: object, body: bytes, ending: str
) -> None:
    recorder, seconds = Recorder(), iter((1.0, 1.25))
    service = Caller(FakeHandler(result), events=events, observer=recorder, clock=lambda: next(seconds))
    with suppress(BridgeError):
        await service.message(body)
    told = {"hub": "chat", "category": "messages", "event": "send", "endpoint": "eastus", "seconds": 0.25}
    assert recorder.facts == [("event_ended", told | {"ending": ending})]


async def test_a_call_of_a_stranger_is_no_event() -> None:
    recorder = Recorder()
    with pytest.raises(BridgeError):
        await Caller(FakeHandler(), observer=recorder, keys=()).message(SEND)
    assert recorder.facts == []


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
