"""One operation on all endpoints it concerns; one endpoint for a client."""

import asyncio

import pytest
from signalr_bridge.endpoints.attempts import CAPACITY
from signalr_bridge.endpoints.endpoint import Code, Endpoint, Outcome, Verdict
from signalr_bridge.endpoints.health import FIRST_PAUSE, Health, Report
from signalr_bridge.endpoints.outcome import Status, result_bytes
from signalr_bridge.endpoints.pending import Pending
from signalr_bridge.endpoints.registry import Registry
from signalr_bridge.errors import MalformedJson, NoEndpointAvailable, UnknownEndpoint
from signalr_bridge.protocol.rest import Action, Message, Operation
from signalr_bridge.web.observer import SILENT

from tests.unit.endpoints.fakes import Clock, FakeTransport, endpoint, new_health, offline, registry, said

ALL = Operation(Action.SEND_TO_ALL, "chat")
MESSAGE = Message("t")
JOIN = Operation(Action.ADD_CONNECTION, "chat", group="g", connection="c")
A, B, X = endpoint("a"), endpoint("b"), endpoint("x", "Secondary")


async def test_every_endpoint_is_asked_side_by_side() -> None:
    transport = FakeTransport(delay=0.01)
    result = await registry([A, B, X], transport).perform(ALL, MESSAGE, names=None, deadline=1010)
    assert sorted(transport.called) == ["a", "b", "x"]
    assert transport.most_running == 3
    assert result.status is Status.ACCEPTED
    assert [(one.name, one.endpoint_type) for one in result.outcomes] == [
        ("a", "Primary"),
        ("b", "Primary"),
        ("x", "Secondary"),
    ]
    assert {call.message for call in transport.calls} == {MESSAGE}


async def test_every_endpoint_has_been_asked_before_any_answer_is_waited_for() -> None:
    transport = FakeTransport(delay=60)
    asking = asyncio.ensure_future(registry([A, B, X], transport).perform(ALL, MESSAGE, names=None, deadline=1010))
    await asyncio.sleep(0)
    assert transport.called == ["a", "b", "x"], "in one turn of the event loop"
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.sleep(0)
    assert transport.running == 0, "nothing goes on for a caller that has gone"
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_slow_endpoint_keeps_no_other_from_its_next_attempt() -> None:
    transport = FakeTransport({"b": [said("b", Verdict.UNREACHABLE), said("b", Verdict.ACCEPTED)]})
    transport.delays = {"a": 60}
    asking = asyncio.ensure_future(registry([A, B], transport).perform(ALL, MESSAGE, names=None, deadline=1010))
    async with asyncio.timeout(5):
        while transport.called != ["a", "b", "b"]:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert not asking.done()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_a_caller_that_goes_between_two_attempts_leaves_nothing_running() -> None:
    transport = FakeTransport({"a": [said("a", Verdict.REJECTED, 429, "throttled")]})
    known = registry([A], transport, random=0.9)
    asking = asyncio.ensure_future(known.perform(ALL, MESSAGE, names=None, deadline=1010))
    async with asyncio.timeout(5):
        while not transport.called or transport.running:  # noqa: ASYNC110
            await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 3, "this one, the caller, and the one that waits for the next attempt"
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_what_is_wrong_with_the_message_is_said_before_anything_is_written() -> None:
    class Strict(FakeTransport):
        def begin(
            self, endpoint: Endpoint, operation: Operation, message: Message | None, seconds: float
        ) -> Pending[Outcome]:
            raise MalformedJson("too deep")

    transport = Strict()
    with pytest.raises(MalformedJson):
        await registry([A, B], transport).perform(ALL, MESSAGE, names=None, deadline=1010)
    assert not transport.calls


async def test_a_connection_that_was_not_free_says_nothing_about_the_endpoint() -> None:
    full = Outcome("a", "Primary", Verdict.UNREACHABLE, None, Code.OVERLOADED)
    transport = FakeTransport({"a": [full]})
    known = registry([A, B], transport)
    for _ in range(CAPACITY):
        assert (await known.perform(ALL, MESSAGE, names=None, deadline=1010)).outcomes[0] == full
    assert known.is_online(A)
    assert known.report(A) == Report()
    assert len(transport.calls) == CAPACITY * (3 + 1), "and retries are not switched off either"


async def test_what_all_accept_is_one_and_the_same_result() -> None:
    known = registry([A, B], FakeTransport())
    one = await known.perform(ALL, MESSAGE, names=None, deadline=1010)
    assert await known.perform(JOIN, None, names=None, deadline=1010) == one
    assert result_bytes(one) is result_bytes(one)


async def test_one_that_fails_cancels_no_other() -> None:
    transport = FakeTransport({"a": [said("a", Verdict.REJECTED, 400)]}, delay=0.01)
    result = await registry([A, B], transport).perform(ALL, MESSAGE, names=None, deadline=1010)
    assert [one.verdict for one in result.outcomes] == [Verdict.REJECTED, Verdict.ACCEPTED]
    assert result.status is Status.PARTIAL


async def test_offline_endpoints_are_reported_and_not_tried() -> None:
    transport = FakeTransport()
    known = registry([A, B, X], transport, health=offline("b"))
    result = await known.perform(ALL, MESSAGE, names=None, deadline=1010)
    assert sorted(transport.called) == ["a", "x"]
    assert result.outcomes[-1] == Outcome("b", "Primary", Verdict.OFFLINE)
    assert result.status is Status.ACCEPTED
    assert (await known.perform(JOIN, None, names=None, deadline=1010)).status is Status.PARTIAL


async def test_a_change_of_health_is_seen_by_the_next_operation_and_the_next_client() -> None:
    transport, health = FakeTransport(), new_health()
    known = registry([A, B, X], transport, health=health)
    for verdict, asked, chosen in (
        (Verdict.UNREACHABLE, ["b", "x"], B),
        (Verdict.ACCEPTED, ["a", "b", "x"], A),
        (Verdict.UNREACHABLE, ["b", "x"], B),
    ):
        health.record_probe(A.url, said("a", verdict))
        await known.perform(ALL, MESSAGE, names=None, deadline=1010)
        assert transport.called == asked
        assert known.choose_for_client() is chosen
        transport.calls.clear()


async def test_named_endpoints_are_asked_alone() -> None:
    transport = FakeTransport()
    await registry([A, B, X], transport).perform(ALL, MESSAGE, names={"x", "b"}, deadline=1010)
    assert sorted(transport.called) == ["b", "x"]


async def test_one_that_is_down_is_asked_when_it_must_be() -> None:
    transport = FakeTransport()
    known = registry([A, B], transport, health=offline("a"))
    result = await known.perform(JOIN, None, names={"a"}, deadline=1010, down_too=True)
    assert (transport.called, result.status) == (["a"], Status.ACCEPTED)


async def test_all_offline_is_a_result_too() -> None:
    transport = FakeTransport()
    result = await registry([A, B], transport, health=offline("a", "b")).perform(
        ALL, MESSAGE, names=None, deadline=1010
    )
    assert (result.status, result.code, transport.calls) == (Status.REJECTED, "no-endpoint-available", [])


async def test_no_endpoint_at_all() -> None:
    result = await registry([], FakeTransport()).perform(ALL, MESSAGE, names=None, deadline=1010)
    assert (result.status, result.code) == (Status.REJECTED, "no-endpoint-available")


async def test_a_single_endpoint_is_used_whatever_its_state() -> None:
    transport = FakeTransport()
    result = await registry([A], transport, health=offline("a")).perform(ALL, MESSAGE, names=None, deadline=1010)
    assert result.status is Status.ACCEPTED


@pytest.mark.parametrize(
    ("operation", "outcome", "attempts"),
    [
        (ALL, said("a", Verdict.UNKNOWN), 1),
        (ALL, said("a", Verdict.UNKNOWN, 500), 1),
        (ALL, said("a", Verdict.REJECTED, 400), 1),
        (ALL, said("a", Verdict.UNREACHABLE), 3),
        (JOIN, said("a", Verdict.UNKNOWN), 3),
        (JOIN, said("a", Verdict.REJECTED, 500), 3),
        (JOIN, said("a", Verdict.ABSENT), 1),
    ],
)
async def test_what_is_tried_again(operation: Operation, outcome: Outcome, attempts: int) -> None:
    transport = FakeTransport({"a": [outcome]})
    result = await registry([A, B], transport).perform(operation, None, names={"a"}, deadline=1010)
    assert transport.called == ["a"] * attempts
    assert result.outcomes[0].verdict is outcome.verdict


async def test_a_later_attempt_may_succeed() -> None:
    transport = FakeTransport({"a": [said("a", Verdict.UNREACHABLE), said("a", Verdict.ACCEPTED)]})
    assert (await registry([A], transport).perform(ALL, MESSAGE, names=None, deadline=1010)).status is Status.ACCEPTED


async def test_every_attempt_gets_what_is_left_of_the_deadline() -> None:
    clock = Clock()
    transport = FakeTransport({"a": [said("a", Verdict.REJECTED, 429, "throttled")]})
    transport.before = lambda _: setattr(clock, "now", clock.now + 4)
    result = await registry([A], transport, clock=clock).perform(ALL, MESSAGE, names=None, deadline=1010)
    assert [call.seconds for call in transport.calls] == [10, 6, 2], "to the end of the deadline, and not beyond"
    assert (result.status, result.code) == (Status.REJECTED, "throttled")


async def test_calls_that_fail_take_the_endpoint_offline() -> None:
    transport = FakeTransport({"a": [said("a", Verdict.UNREACHABLE)]})
    known = registry([A, B], transport)
    await known.perform(ALL, MESSAGE, names=None, deadline=1010)
    assert [known.is_online(one) for one in (A, B)] == [False, True]


async def test_errors_that_were_answered_do_not() -> None:
    transport = FakeTransport({"a": [said("a", Verdict.UNKNOWN, 500)]})
    known = registry([A, B], transport)
    for _ in range(4):
        await known.perform(ALL, MESSAGE, names=None, deadline=1010)
    assert known.is_online(A)


@pytest.mark.parametrize(("random", "name"), [(0.0, "a"), (0.49, "a"), (0.5, "b"), (0.999999, "b")])
def test_a_client_goes_to_a_random_primary(random: float, name: str) -> None:
    assert registry([A, B, X], FakeTransport(), random=random).choose_for_client().name == name


def test_a_client_goes_to_a_secondary_when_the_primaries_are_offline() -> None:
    assert registry([A, B, X], FakeTransport(), health=offline("a", "b")).choose_for_client() is X


def test_nobody_for_a_client() -> None:
    with pytest.raises(NoEndpointAvailable) as caught:
        registry([A, B], FakeTransport(), health=offline("a", "b")).choose_for_client()
    assert int(caught.value.headers["Retry-After"]) > 0


def test_an_endpoint_can_be_pinned_ignoring_case() -> None:
    known = registry([A, B, X], FakeTransport(), health=offline("a"))
    assert known.choose_for_client("X") is X
    with pytest.raises(UnknownEndpoint):
        known.choose_for_client("nowhere")
    with pytest.raises(NoEndpointAvailable):
        known.choose_for_client("a")


def test_a_single_endpoint_can_be_pinned_whatever_its_state() -> None:
    assert registry([A], FakeTransport(), health=offline("a")).choose_for_client("a") is A


def test_readiness_looks_back_or_at_this_moment() -> None:
    health = new_health()
    known = registry([A, B], FakeTransport(), health=health)
    assert not known.has_worked()
    health.record_probe(A.url, said("a", Verdict.ACCEPTED))
    assert known.has_worked()
    assert known.has_worked(now=True)
    health.record_probe(A.url, said("a", Verdict.UNREACHABLE))
    assert known.has_worked()
    assert not known.has_worked(now=True)


@pytest.mark.parametrize(
    ("outcome", "tried", "code"),
    [
        (said("b", Verdict.UNREACHABLE), False, None),
        (said("b", Verdict.REJECTED, 401, "denied"), False, Code.DENIED),
        (said("b", Verdict.REJECTED, 404, "endpoint-misrouted"), False, Code.ENDPOINT_MISROUTED),
        (said("b", Verdict.REJECTED, 429, "throttled"), True, None),
    ],
)
async def test_what_is_down_is_not_tried(outcome: Outcome, tried: bool, code: Code | None) -> None:
    health, transport = new_health(), FakeTransport()
    health.record_probe(B.url, outcome)
    known = registry([A, B], transport, health=health)
    result = await known.perform(ALL, MESSAGE, names=None, deadline=1010)
    assert ("b" in transport.called) is tried
    assert result.outcomes[-1] == Outcome("b", "Primary", Verdict.ACCEPTED if tried else Verdict.OFFLINE, None, code)
    assert known.choose_for_client() is A, "no new clients, whatever the reason"
    assert (await known.perform_at(B, ALL, deadline=1010)).verdict is result.outcomes[-1].verdict


async def test_one_call_is_tried_where_calls_have_failed_and_a_good_one_ends_it() -> None:
    clock = Clock()
    health = Health(clock, clock)
    transport = FakeTransport({"b": [said("b", Verdict.UNKNOWN), said("b", Verdict.ACCEPTED)]})
    known = registry([A, B], transport, health=health)
    for _ in range(3):
        health.record_call(B.url, said("b", Verdict.UNKNOWN), health.period(B.url), is_message=True)
    join = Operation(Action.ADD_USER, "chat", user="u", group="g")

    async def outcome_of(operation: Operation) -> Verdict:
        result = await known.perform(operation, None, names=None, deadline=1010)
        return next(one.verdict for one in result.outcomes if one.name == "b")

    assert await outcome_of(ALL) is Verdict.OFFLINE, "no probe was good yet"
    health.record_probe(B.url, said("b", Verdict.ACCEPTED))
    assert await outcome_of(join) is Verdict.OFFLINE
    assert (await known.perform_at(B, join, deadline=1010)).verdict is Verdict.OFFLINE
    assert await outcome_of(ALL) is Verdict.UNKNOWN, "the trial"
    assert await outcome_of(ALL) is Verdict.OFFLINE, "and then a pause"
    assert known.choose_for_client() is A
    clock.now += FIRST_PAUSE
    assert [await outcome_of(ALL), await outcome_of(join)] == [Verdict.ACCEPTED, Verdict.ACCEPTED]
    assert known.is_online(B)
    assert transport.called.count("b") == 3


@pytest.mark.parametrize("verdict", [Verdict.UNKNOWN, Verdict.UNREACHABLE])
async def test_the_short_deadlines_of_one_caller_take_no_endpoint_from_the_others(verdict: Verdict) -> None:
    clock = Clock()
    health = Health(clock, clock)
    transport = FakeTransport({"b": [said("b", verdict)]})
    known = registry([A, B], transport, health=health)

    async def send(seconds: float) -> int:
        await known.perform(ALL, MESSAGE, names=None, deadline=clock.now + seconds)
        return transport.called.count("b")

    for _ in range(5):
        await send(0.8)
    assert known.is_online(B)
    before = await send(10)
    while known.is_online(B):
        before = await send(10)
    health.record_probe(B.url, said("b", Verdict.UNKNOWN))
    health.record_probe(B.url, said("b", Verdict.ACCEPTED))
    if verdict is Verdict.UNKNOWN:
        assert await send(0.8) == before, "such a call is no trial either"
        assert await send(10) == before + 1


def test_a_hub_has_its_own_strategy() -> None:
    def choose(random: float, hub: str) -> str:
        known = Registry(
            [A, B],
            FakeTransport(),
            new_health(),
            clock=Clock(),
            random=lambda: random,
            strategies={"sticky": "sticky-user"},
            observer=SILENT,
        )
        return known.choose_for_client(hub=hub, user_id="ann").name

    assert {choose(random, "chat") for random in (0.1, 0.9)} == {"a", "b"}
    assert len({choose(random, "Sticky") for random in (0.1, 0.9)}) == 1


def test_names_are_known_ignoring_case() -> None:
    known = registry([endpoint("EastUS")], FakeTransport())
    assert known.has_name("eastus")
    assert not known.has_name("east")
