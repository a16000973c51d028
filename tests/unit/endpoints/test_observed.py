"""What the observer is told of endpoints: every operation at each of them, retries, probes, and credentials."""

import asyncio

import pytest
from signalr_bridge.endpoints.attempts import RetryPolicy
from signalr_bridge.endpoints.endpoint import Code, Outcome, Verdict
from signalr_bridge.endpoints.prober import Prober
from signalr_bridge.endpoints.refreshing import CachedToken, CredentialFailure, RefreshingToken
from signalr_bridge.endpoints.registry import Registry
from signalr_bridge.protocol.rest import Action, Message, Operation

from tests.unit.endpoints.fakes import Clock, FakeTransport, endpoint, new_health, offline, said
from tests.unit.observed import Recorder

A, B = endpoint("a"), endpoint("b")
SEND = Operation(Action.SEND_TO_ALL, "chat")
COMMON = {"hub": "chat", "action": Action.SEND_TO_ALL}
READY = {"has_credential": True}


def observed(transport: FakeTransport, recorder: Recorder, *down: str) -> Registry:
    clock = Clock()
    transport.before = lambda _: setattr(clock, "now", clock.now + 0.25)
    policy = RetryPolicy(first_delay=0.001, fixed=True)
    return Registry(
        [A, B], transport, offline(*down), clock=clock, random=lambda: 0.0, policy=policy, observer=recorder
    )


async def test_each_endpoint_of_an_operation_is_told_once_and_each_retry_too() -> None:
    recorder = Recorder()
    transport = FakeTransport({"a": [said("a", Verdict.UNREACHABLE), said("a", Verdict.REJECTED, 401, Code.DENIED)]})
    await observed(transport, recorder, "b").perform(SEND, Message("t"), names=None, deadline=2000)
    assert recorder.of("operation_retried") == [
        {"endpoint": "a", **COMMON, "outcome": "unreachable", "code": None, "attempt": 1, "delay": 0.001}
    ]
    assert recorder.of("operation_ended") == [
        {"endpoint": "a", **COMMON, "outcome": "rejected", "code": "denied", "reason": None, **READY, "seconds": 0.5},
        {"endpoint": "b", **COMMON, "outcome": "offline", "code": None, "reason": None, **READY, "seconds": 0.0},
    ]


async def test_one_endpoint_is_told_too() -> None:
    recorder = Recorder()
    registry = observed(FakeTransport(), recorder, "b")
    for one in (A, B):
        await registry.perform_at(one, SEND, deadline=2000)
    told = [(one["endpoint"], one["outcome"]) for one in recorder.of("operation_ended")]
    assert told == [("a", "accepted"), ("b", "offline")]


async def test_a_probe_is_no_operation() -> None:
    recorder, transport = Recorder(), FakeTransport({"a": [said("a", Verdict.REJECTED, 403, Code.DENIED)]})
    async with Prober([A], transport, new_health(), random=lambda: 0.0, interval=0.01, observer=recorder):
        async with asyncio.timeout(5):
            while not recorder.facts:  # noqa: ASYNC110 - it tells nobody else
                await asyncio.sleep(0.002)
    assert recorder.facts[0] == (
        "probe_ended",
        {"endpoint": "a", "outcome": "rejected", "code": "denied", "reason": None, **READY},
    )


async def test_a_credential_that_is_missing_is_told_of_operations_and_probes() -> None:
    missing = Outcome("a", "Primary", Verdict.UNREACHABLE, code=Code.NO_CREDENTIAL, why="status 500")
    recorder, transport = Recorder(), FakeTransport({"a": [missing]})
    await observed(transport, recorder).perform_at(A, SEND, deadline=2000)
    async with Prober([A], transport, new_health(), random=lambda: 0.0, interval=0.01, observer=recorder):
        async with asyncio.timeout(5):
            while not recorder.of("probe_ended"):  # noqa: ASYNC110 - it tells nobody else
                await asyncio.sleep(0.002)
    for told in (recorder.of("operation_ended")[0], recorder.of("probe_ended")[0]):
        assert (told["has_credential"], told["reason"]) == (False, "status 500")


async def test_every_refresh_of_a_credential_is_told() -> None:
    recorder, clock, errors = Recorder(), Clock(), [CredentialFailure("status 500")] * 2 + [CredentialFailure("no")]

    async def fetch() -> CachedToken[str]:
        if errors:
            raise errors.pop(0)
        return CachedToken("canary", clock.now + 10, clock.now + 20)

    token = RefreshingToken("key", fetch, clock=clock, random=lambda: 1.0, seconds=5, observer=recorder)
    for _ in range(3):
        with pytest.raises(CredentialFailure):
            await token.get()
        clock.now += 60
    for _ in range(2):
        await token.get()
        clock.now += 60
    assert recorder.facts == [
        ("credential_failed", {"credential": "key", "reason": "status 500", "failures": 1, "is_news": True}),
        ("credential_failed", {"credential": "key", "reason": "status 500", "failures": 2, "is_news": False}),
        ("credential_failed", {"credential": "key", "reason": "no", "failures": 3, "is_news": True}),
        ("credential_refreshed", {"credential": "key", "failures": 3}),
        ("credential_refreshed", {"credential": "key", "failures": 0}),
    ]
