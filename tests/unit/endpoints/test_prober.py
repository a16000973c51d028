"""Who is asked, and how often."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from signalr_bridge.endpoints.endpoint import Endpoint, Outcome, Verdict
from signalr_bridge.endpoints.health import Health, Report
from signalr_bridge.endpoints.prober import PROBE, Prober
from signalr_bridge.web.observer import SILENT

from tests.unit.endpoints.fakes import FakeTransport, endpoint, new_health, said

A, B, C = (endpoint(name) for name in "abc")


def prober(endpoints: Sequence[Endpoint], transport: FakeTransport, health: Health, interval: float = 0.01) -> Prober:
    return Prober(endpoints, transport, health, random=lambda: 0.0, interval=interval, seconds=0.3, observer=SILENT)


async def until(look: Callable[[], bool]) -> None:
    for _ in range(2500):
        if look():
            return
        await asyncio.sleep(0.002)
    raise AssertionError("not within five seconds")


async def test_everybody_is_asked_again_and_again() -> None:
    health = new_health()
    transport = FakeTransport({"b": [said("b", Verdict.UNREACHABLE), said("b", Verdict.ABSENT)]})
    states = set()
    transport.before = lambda one: states.add((one.name, health.is_online(one.url)))
    async with prober([A, B], transport, health):
        await until(lambda: transport.called.count("b") >= 4)
    assert ("b", False) in states, "one failed probe"
    assert health.is_online(B.url), "one good probe"
    assert {call.operation for call in transport.calls} == {PROBE}
    assert {call.seconds for call in transport.calls} == {0.3}
    asked = len(transport.calls)
    await asyncio.sleep(0.03)
    assert len(transport.calls) == asked, "it ends with the application"


async def test_one_that_is_left_in_the_middle_of_a_probe_ends() -> None:
    transport = FakeTransport(delay=60)
    async with prober([A], transport, new_health()):
        await until(lambda: transport.called == ["a"])
    assert transport.called == ["a"]


async def test_a_probe_for_which_no_connection_was_free_changes_nothing() -> None:
    health = new_health()
    transport = FakeTransport({"a": [said("a", Verdict.UNREACHABLE, None, "overloaded")]})
    async with prober([A], transport, health):
        await until(lambda: len(transport.calls) > 2)
        assert health.report(A.url) == Report()


class Deaf(FakeTransport):
    """Takes a cancellation for a time-out of its own, as aiohttp can when both come at once."""

    async def answer(self, endpoint: Endpoint) -> Outcome:
        with suppress(asyncio.CancelledError):
            await super().answer(endpoint)
        return said(endpoint.name, Verdict.UNKNOWN)


async def test_a_cancellation_that_gets_lost_does_not_keep_the_end_waiting() -> None:
    transport = Deaf(delay=60)
    async with asyncio.timeout(5) as limit, prober([A], transport, new_health(), interval=3600):
        await until(lambda: transport.called == ["a"])
    assert not limit.expired()


async def test_there_may_be_nobody_to_probe() -> None:
    transport = FakeTransport()
    async with prober([], transport, new_health()):
        await asyncio.sleep(0)
    assert not transport.calls


async def test_an_instance_that_is_configured_twice_is_asked_once() -> None:
    transport = FakeTransport()
    async with prober([A, endpoint("again", url=A.url)], transport, new_health(), interval=60):
        await until(lambda: bool(transport.calls))
        await asyncio.sleep(0.01)
    assert transport.called == ["a"]


async def test_calls_that_find_it_down_ring_for_an_early_probe() -> None:
    health, transport = new_health(), FakeTransport()
    async with prober([A], transport, health, interval=1):
        await until(lambda: len(transport.calls) == 1)
        await asyncio.sleep(0.01)
        for _ in range(3):
            health.record_call(A.url, said("a", Verdict.UNREACHABLE), health.period(A.url))
        assert not health.is_online(A.url)
        await until(lambda: health.is_online(A.url))
    assert len(transport.calls) == 2


async def test_calls_that_find_it_down_during_a_probe_ring_too() -> None:
    health, transport = new_health(), FakeTransport()

    def fail(one: Endpoint) -> None:
        if len(transport.calls) == 1:
            for _ in range(3):
                health.record_call(A.url, said("a", Verdict.UNREACHABLE), health.period(A.url))

    transport.before = fail
    async with prober([A], transport, health, interval=1):
        await until(lambda: len(transport.calls) == 1)
        await asyncio.sleep(0.01)
        assert not health.is_online(A.url), "that probe was on its way before"
        await until(lambda: health.is_online(A.url))
    assert len(transport.calls) == 2


async def test_endpoints_come_and_go() -> None:
    transport = FakeTransport()
    one = prober([A, B], transport, new_health(), interval=0.5)
    async with one:
        await until(lambda: sorted(transport.called) == ["a", "b"])
        one.watch([B, C])
        await until(lambda: transport.called[2:] == ["c"])
        changed = endpoint("b")
        one.watch([changed, C])
        await until(lambda: transport.called[3:] == ["b"])
        one.watch([])
        asked = len(transport.calls)
        await asyncio.sleep(0.05)
        assert len(transport.calls) == asked


class Broken(FakeTransport):
    """Raises what no transport should, the first time."""

    async def answer(self, endpoint: Endpoint) -> Outcome:
        outcome = await super().answer(endpoint)
        if len(self.calls) == 1:
            raise ValueError("unexpected")
        return outcome


async def test_an_error_that_nobody_expects_does_not_end_the_watch() -> None:
    transport = Broken()
    async with prober([A], transport, new_health()):
        await until(lambda: len(transport.calls) >= 3)
