"""A refreshing token: one attempt at a time, no needless waiting, rests after failures. The clock is the tests'."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from signalr_bridge.endpoints.refreshing import CachedToken, CredentialFailure, RefreshingToken
from signalr_bridge.web.log_observer import LogObserver
from signalr_bridge.web.observer import SILENT

from tests.unit.endpoints.fakes import Clock


class Issuer:
    """Gives "1", "2", ... valid for 100 s and to be refreshed after 60. ``error`` is raised instead."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.asked = clock, 0
        self.error: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self) -> CachedToken[str]:
        self.asked += 1
        await self.open.wait()
        if self.error is not None:
            raise self.error
        return CachedToken(str(self.asked), self.clock.now + 60, self.clock.now + 100)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(clock: Clock) -> Issuer:
    return Issuer(clock)


@pytest.fixture
async def token(issuer: Issuer, clock: Clock) -> AsyncIterator[RefreshingToken[str]]:
    made = RefreshingToken("token", issuer, clock=clock, random=lambda: 1.0, seconds=5, observer=LogObserver())
    yield made
    await made.close()


async def settle(until: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not until():  # noqa: ASYNC110
            await asyncio.sleep(0)


async def refused(token: RefreshingToken[str]) -> str:
    with pytest.raises(CredentialFailure) as caught:
        await token.get()
    return caught.value.reason


async def test_a_thousand_at_once_ask_once(token: RefreshingToken[str], issuer: Issuer) -> None:
    issuer.open.clear()
    waiting = [asyncio.create_task(token.get()) for _ in range(1000)]
    await settle(lambda: issuer.asked == 1)
    issuer.open.set()
    assert set(await asyncio.gather(*waiting)) == {"1"}
    assert issuer.asked == 1


async def test_a_good_value_is_used_without_asking(token: RefreshingToken[str], issuer: Issuer, clock: Clock) -> None:
    await token.get()
    clock.now += 59
    assert [await token.get() for _ in range(3)] == ["1"] * 3
    assert issuer.asked == 1


async def test_what_is_at_hand_is_given_without_a_wait_and_refreshed_when_it_is_time(
    token: RefreshingToken[str], issuer: Issuer, clock: Clock
) -> None:
    assert (token.ready(), issuer.asked) == (None, 0), "nothing is there yet"
    await token.get()
    clock.now += 59
    assert (token.ready(), issuer.asked) == ("1", 1)
    clock.now += 1
    assert token.ready() == "1"
    await settle(lambda: token.ready() == "2")
    assert issuer.asked == 2
    issuer.error = ValueError()
    clock.now += 99
    assert token.ready() == "2"
    clock.now += 1
    assert token.ready() is None, "it is over"
    await refused(token)
    assert token.ready() is None, "and the issuer rests"


async def test_nobody_waits_while_the_old_one_is_good(
    token: RefreshingToken[str], issuer: Issuer, clock: Clock
) -> None:
    await token.get()
    issuer.open.clear()
    clock.now += 99
    assert [await token.get() for _ in range(1000)] == ["1"] * 1000
    await settle(lambda: issuer.asked == 2)
    issuer.open.set()
    await settle(lambda: token._task is not None and token._task.done())
    assert await token.get() == "2"
    assert issuer.asked == 2


async def test_once_it_is_over_everybody_waits_for_one_attempt(
    token: RefreshingToken[str], issuer: Issuer, clock: Clock
) -> None:
    await token.get()
    clock.now += 100
    assert set(await asyncio.gather(*(token.get() for _ in range(1000)))) == {"2"}
    assert issuer.asked == 2


async def test_a_failed_refresh_is_tried_again_after_a_rest(
    token: RefreshingToken[str], issuer: Issuer, clock: Clock
) -> None:
    await token.get()
    issuer.error = CredentialFailure("status 500")
    clock.now += 60
    for rest in (1, 2, 4):  # what the first, second and third failure cost
        asked = issuer.asked
        assert await token.get() == "1"
        await settle(lambda asked=asked: issuer.asked == asked + 1)  # type: ignore[misc]
        await settle(lambda: token._task is not None and token._task.done())
        assert token.refresh_failure == "status 500"
        clock.now += rest - 0.5
        assert await token.get() == "1"
        assert issuer.asked == asked + 1, "it is left alone"
        clock.now += 0.5
    issuer.error = None
    await token.get()
    await settle(lambda: token.refresh_failure is None)
    assert await token.get() == "5"


async def test_without_a_value_a_rest_is_a_refusal_at_once(
    token: RefreshingToken[str], issuer: Issuer, clock: Clock
) -> None:
    issuer.error = CredentialFailure("status 429", retry_after=20)
    assert await refused(token) == "status 429"
    clock.now += 19
    assert {await refused(token) for _ in range(1000)} == {"status 429"}
    assert issuer.asked == 1
    issuer.error = None
    clock.now += 1
    assert await token.get() == "2"
    assert token.refresh_failure is None


async def test_whoever_gives_up_takes_nobody_along(token: RefreshingToken[str], issuer: Issuer) -> None:
    issuer.open.clear()
    first, second = asyncio.create_task(token.get()), asyncio.create_task(token.get())
    await settle(lambda: issuer.asked == 1)
    first.cancel()
    issuer.open.set()
    assert await second == "1"
    assert issuer.asked == 1


async def test_an_issuer_that_hangs_is_given_up(issuer: Issuer, clock: Clock) -> None:
    token = RefreshingToken("token", issuer, clock=clock, random=lambda: 1.0, seconds=0.01, observer=SILENT)
    issuer.open.clear()
    assert await refused(token) == "no answer in time"
    issuer.open.set()
    clock.now += 1
    assert await token.get() == "2"


async def test_whatever_a_library_raises_its_words_stay_inside(
    token: RefreshingToken[str], issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.error = RuntimeError("canary")
    assert await refused(token) == "failed: RuntimeError"
    assert "canary" not in caplog.text + repr(token.refresh_failure)


async def test_a_reason_is_logged_once(
    token: RefreshingToken[str], issuer: Issuer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.error = CredentialFailure("status 401")
    for _ in range(5):
        await refused(token)
        clock.now += 60
    assert [record.message for record in caplog.records] == ["no credential"]


async def test_what_comes_too_old_is_not_used(token: RefreshingToken[str], issuer: Issuer, clock: Clock) -> None:
    issuer.clock = Clock(clock.now - 1000)
    assert "clock" in await refused(token)


async def test_closing_ends_what_is_under_way(token: RefreshingToken[str], issuer: Issuer) -> None:
    issuer.open.clear()
    token.nudge()
    await settle(lambda: issuer.asked == 1)
    await token.close()
    assert token._task is not None
    assert token._task.cancelled()


async def test_what_is_stopped_fetches_nothing_more_and_whoever_waits_is_told(
    token: RefreshingToken[str], issuer: Issuer
) -> None:
    issuer.open.clear()
    waiting = [asyncio.create_task(token.get()) for _ in range(3)]
    await settle(lambda: issuer.asked == 1)
    token.stop()
    for one in waiting:
        with pytest.raises(CredentialFailure, match="no more"):
            await one
    token.nudge()
    assert "no more" in await refused(token)
    assert token._task is not None
    assert token._task.cancelled()
    assert issuer.asked == 1


async def test_what_is_stopped_and_still_good_is_given(token: RefreshingToken[str], issuer: Issuer) -> None:
    assert await token.get() == "1"
    token.stop()
    assert await token.get() == "1"
    assert issuer.asked == 1
