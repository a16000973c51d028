"""How often the issuer is asked for its keys, and what holds while it does not answer."""

import asyncio
import logging

import pytest
from signalr_bridge.web.issuer_keys import (
    FIRST_REST_SECONDS,
    FRESH_SECONDS,
    KEPT_SECONDS,
    SECONDS_BETWEEN_FETCHES,
    KeyCache,
)
from signalr_bridge.web.log_observer import LogObserver

from tests.unit.upstream.issued import FakeClock, FakeIssuer, published


class Cache(KeyCache):
    def __init__(self, *names: str, fetch_seconds: float = 5.0) -> None:
        self.issuer, self.clock = FakeIssuer(*names), FakeClock(0.0)
        super().__init__(self.issuer.fetch, self.clock, fetch_seconds, issuer="https://issuer", observer=LogObserver())


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_key_is_asked_for_once() -> None:
    cache = Cache("first", "second")
    for name in ("first", "second", "first"):
        assert await cache.find(name) == published(name)
    assert cache.issuer.asked == 1


async def test_unknown_keys_are_asked_for_once_a_minute() -> None:
    cache = Cache("first")
    for number in range(50):
        assert await cache.find(f"unknown-{number}") is None
    cache.clock.now += SECONDS_BETWEEN_FETCHES - 1
    assert await cache.find("unknown") is None
    assert cache.issuer.asked == 1
    cache.clock.now += 1
    assert await cache.find("unknown") is None
    assert cache.issuer.asked == 2


async def test_a_new_key_is_found_within_a_minute() -> None:
    cache = Cache("first")
    assert await cache.find("first") is not None
    cache.issuer.names = ("first", "second")
    assert await cache.find("second") is None
    cache.clock.now += SECONDS_BETWEEN_FETCHES
    assert await cache.find("second") == published("second")
    assert await cache.find("first") == published("first")
    assert cache.issuer.asked == 2


async def test_many_who_wait_ask_once() -> None:
    cache = Cache("first")
    cache.issuer.ready.clear()
    waiting = [asyncio.create_task(cache.find("first")) for _ in range(20)]
    await settle()
    cache.clock.now += 10 * SECONDS_BETWEEN_FETCHES  # not even when the first answer takes long
    waiting.append(asyncio.create_task(cache.find("first")))
    await settle()
    cache.issuer.ready.set()
    assert await asyncio.gather(*waiting) == [published("first")] * 21
    assert cache.issuer.asked == 1


async def test_one_who_goes_takes_nothing_from_the_others() -> None:
    cache = Cache("first")
    cache.issuer.ready.clear()
    impatient, patient = (asyncio.create_task(cache.find("first")) for _ in range(2))
    await settle()
    impatient.cancel()
    await settle()
    cache.issuer.ready.set()
    assert await patient == published("first")
    assert cache.issuer.asked == 1


async def test_nobody_waits_while_another_key_is_fetched() -> None:
    cache = Cache("first")
    assert await cache.find("first") is not None
    cache.clock.now += SECONDS_BETWEEN_FETCHES
    cache.issuer.ready.clear()
    stranger = asyncio.create_task(cache.find("unknown"))
    await settle()
    assert await cache.find("first") == published("first")
    cache.issuer.ready.set()
    assert await stranger is None


async def test_an_issuer_that_is_down_opens_nothing_and_shuts_nothing(caplog: pytest.LogCaptureFixture) -> None:
    cache = Cache("first")
    cache.issuer.broken = OSError("canary")
    assert await cache.find("first") is None
    assert await cache.find("first") is None
    assert cache.issuer.asked == 1
    cache.issuer.broken = None
    cache.clock.now += SECONDS_BETWEEN_FETCHES
    assert await cache.find("first") == published("first")
    cache.issuer.broken = OSError("canary")
    cache.clock.now += SECONDS_BETWEEN_FETCHES
    assert await cache.find("second") is None
    assert await cache.find("first") == published("first")
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert "canary" not in caplog.text


async def test_an_issuer_that_fails_is_asked_again_soon_and_then_ever_more_seldom() -> None:
    cache = Cache("first")
    cache.issuer.broken = OSError()
    for number, rest in enumerate([2, 4, 8, 16, 32, 60, 60], start=1):
        assert await cache.find("first") is None
        cache.clock.now += rest - 0.1
        assert await cache.find("first") is None
        assert cache.issuer.asked == number
        cache.clock.now += 0.1
    cache.issuer.broken = None
    assert await cache.find("first") == published("first")


async def test_after_an_answer_the_minute_holds_again_and_the_rest_is_short_again() -> None:
    cache = Cache("first")
    cache.issuer.broken = OSError()
    for _ in range(2):
        assert await cache.find("first") is None
        cache.clock.now += 2 * FIRST_REST_SECONDS
    cache.issuer.broken = None
    assert await cache.find("unknown") is None
    cache.clock.now += SECONDS_BETWEEN_FETCHES - 1
    assert await cache.find("unknown") is None
    assert cache.issuer.asked == 3
    cache.clock.now += 1
    cache.issuer.broken = OSError()
    assert await cache.find("unknown") is None
    cache.issuer.broken, cache.issuer.names = None, ("first", "second")
    cache.clock.now += FIRST_REST_SECONDS
    assert await cache.find("second") == published("second")
    assert cache.issuer.asked == 5


async def test_a_rest_begins_when_the_failure_is_known() -> None:
    cache = Cache("first")
    cache.issuer.ready.clear()
    waiting = [asyncio.create_task(cache.find("first")) for _ in range(20)]
    await settle()
    cache.clock.now += 5.0
    cache.issuer.broken = TimeoutError()
    cache.issuer.ready.set()
    assert await asyncio.gather(*waiting) == [None] * 20
    assert await cache.find("first") is None
    assert cache.issuer.asked == 1


async def test_a_slow_issuer_is_cut_off() -> None:
    cache = Cache("first", fetch_seconds=0.01)
    cache.issuer.ready.clear()
    assert await cache.find("first") is None
    cache.issuer.ready.set()
    cache.clock.now += SECONDS_BETWEEN_FETCHES
    assert await cache.find("first") == published("first")


async def test_old_keys_verify_while_they_are_asked_for_again() -> None:
    cache = Cache("first")
    assert await cache.find("first") is not None
    cache.clock.now += FRESH_SECONDS + 1
    cache.issuer.names, cache.issuer.broken = ("second",), OSError()
    assert await cache.find("first") == published("first")
    await settle()
    assert await cache.find("first") == published("first")
    cache.issuer.broken = None
    cache.clock.now += SECONDS_BETWEEN_FETCHES
    assert await cache.find("first") == published("first")
    await settle()
    assert await cache.find("first") is None  # withdrawn
    assert await cache.find("second") == published("second")


async def test_keys_of_an_issuer_that_went_are_forgotten() -> None:
    cache = Cache("first")
    assert await cache.find("first") is not None
    cache.issuer.broken = OSError()
    cache.clock.now += KEPT_SECONDS
    assert await cache.find("first") is not None
    cache.clock.now += 1
    assert await cache.find("first") is None
