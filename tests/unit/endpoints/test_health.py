"""What takes an endpoint offline, and what brings it back."""

import asyncio

import pytest

from app.endpoints.health import FAILURES_TO_OFFLINE, Health
from app.endpoints.outcome import Verdict
from app.endpoints.prober import PROBE, PROBE_SECONDS, Prober
from tests.unit.endpoints.fakes import FakeTransport, endpoint, registry, said

URL = "https://a.example"
GOOD = [Verdict.ACCEPTED, Verdict.ABSENT]
BAD = [Verdict.UNREACHABLE, Verdict.UNKNOWN]


def test_nobody_has_called_yet() -> None:
    assert Health().is_online(URL)
    assert not Health().has_worked(URL)


@pytest.mark.parametrize("verdict", BAD)
def test_three_failures_in_a_row_take_it_offline(verdict: Verdict) -> None:
    health = Health()
    for _ in range(FAILURES_TO_OFFLINE - 1):
        health.record_call(URL, verdict)
    assert health.is_online(URL)
    health.record_call(URL, verdict)
    assert not health.is_online(URL)
    assert health.is_online("https://other.example")


@pytest.mark.parametrize("verdict", [*GOOD, Verdict.REJECTED])
def test_an_answer_between_begins_anew(verdict: Verdict) -> None:
    health = Health()
    for one in [Verdict.UNKNOWN, Verdict.UNKNOWN, verdict, Verdict.UNKNOWN, Verdict.UNKNOWN]:
        health.record_call(URL, one)
    assert health.is_online(URL)


def test_an_error_that_was_answered_is_a_sign_of_life() -> None:
    health = Health()
    for _ in range(FAILURES_TO_OFFLINE):
        health.record_call(URL, Verdict.UNKNOWN, answered=True)
    assert health.is_online(URL)


@pytest.mark.parametrize("verdict", [*BAD, Verdict.REJECTED])
def test_one_bad_probe_takes_it_offline_and_a_good_one_brings_it_back(verdict: Verdict) -> None:
    health = Health()
    health.record_probe(URL, verdict)
    assert not health.is_online(URL)
    health.record_probe(URL, Verdict.ABSENT)
    assert health.is_online(URL)


def test_only_a_probe_brings_it_back() -> None:
    health = Health()
    health.record_probe(URL, Verdict.UNREACHABLE)
    health.record_call(URL, Verdict.ACCEPTED)
    assert not health.is_online(URL), "that call was on its way before"


@pytest.mark.parametrize(
    ("verdict", "worked"), [*((one, True) for one in GOOD), *((one, False) for one in [*BAD, Verdict.REJECTED])]
)
def test_it_has_worked_once_the_credential_was_taken(verdict: Verdict, worked: bool) -> None:
    called, probed = Health(), Health()
    called.record_call(URL, verdict)
    probed.record_probe(URL, verdict)
    assert (called.has_worked(URL), probed.has_worked(URL)) == (worked, worked)
    called.record_call(URL, Verdict.UNREACHABLE)
    assert called.has_worked(URL) is worked, "an outage later does not change it"


async def test_the_prober_asks_everybody_again_and_again() -> None:
    health, transport = Health(), FakeTransport({"b": [said("b", Verdict.UNREACHABLE), said("b", Verdict.ABSENT)]})
    known = registry([endpoint("a"), endpoint("b")], transport, health=health)
    states = set()
    transport.before = lambda one: states.add((one.name, known.is_online(one)))
    async with Prober(known, transport, health, interval=0.01):
        for _ in range(1000):
            if transport.called.count("b") >= 4:
                break
            await asyncio.sleep(0.005)
    assert ("b", False) in states, "one failed probe"
    assert known.is_online(known.endpoints[1]), "one good probe"
    assert known.has_worked()
    assert {call.operation for call in transport.calls} == {PROBE}
    assert {call.seconds for call in transport.calls} == {PROBE_SECONDS}
    asked = len(transport.calls)
    await asyncio.sleep(0.03)
    assert len(transport.calls) == asked, "it ends with the application"


async def test_a_prober_that_is_left_in_the_middle_of_a_probe_ends() -> None:
    transport = FakeTransport(delay=60)
    known = registry([endpoint("a")], transport)
    async with Prober(known, transport, Health(), interval=0.01):
        await asyncio.sleep(0.01)
    assert transport.called == ["a"]


async def test_there_may_be_nobody_to_probe() -> None:
    transport = FakeTransport()
    async with Prober(registry([], transport), transport, Health()):
        await asyncio.sleep(0)
    assert not transport.calls
