"""Items on their way: in order, side by side, and what stops the rest."""

import asyncio
import json
from typing import Any

import pytest
from signalr_bridge.endpoints.endpoint import Endpoint, Outcome, Verdict
from signalr_bridge.endpoints.outcome import judge, merge
from signalr_bridge.errors import DeliveryFailed, InvalidItem, NoEndpointAvailable, UrlTooLong
from signalr_bridge.outbound.items import Item
from signalr_bridge.outbound.sender import ALL_KINDS, Sender
from signalr_bridge.protocol.rest import Action, Message, Operation, write_target

from tests.unit.endpoints.fakes import Clock, FakeTransport, directory, endpoint, offline, registry, said
from tests.unit.observed import Recorder

REFUSED = said("a", Verdict.REJECTED, 400)
ACCEPTED, ABSENT = said("a", Verdict.ACCEPTED), said("a", Verdict.ABSENT)
MESSAGE: dict[str, Any] = {"target": "t"}
JOIN = {"action": "add", "connectionId": "c", "groupName": "g"}
LEAVE = JOIN | {"action": "remove"}


def sender(transport: FakeTransport, *more: Endpoint, clock: Clock | None = None) -> Sender:
    clock = clock or Clock()
    known = registry([endpoint("a"), *more], transport, clock=clock)
    return Sender(directory(known), clock=clock, default_seconds=10)


async def items(one: Sender, *values: Any) -> list[Item]:
    return await one.read(json.dumps(values).encode(), "chat", ALL_KINDS)


async def test_what_each_send_brought_is_told_and_what_was_skipped_is_not() -> None:
    recorder, clock = Recorder(), Clock()
    wire = transport(ACCEPTED, REFUSED, ACCEPTED, ABSENT, ACCEPTED, REFUSED, ACCEPTED)
    known = directory(registry([endpoint("a")], wire, clock=clock))
    one = Sender(known, clock=clock, default_seconds=10, auditor=recorder)
    await one.send_in_order(await items(one, MESSAGE, MESSAGE, MESSAGE))
    await one.send_side_by_side(await items(one, MESSAGE, MESSAGE))
    await one.send_side_by_side(await items(one, MESSAGE), seconds=0)
    operation = Operation(Action.SEND_TO_ALL, "chat")
    await one.perform(operation, Message("t", b"[]"))
    await one.perform_each([operation, operation], Message("t", b"[]"))
    told = [(facts["operation"].action, facts["result"].status) for facts in recorder.of("send_ended")]
    brought = ["accepted", "rejected", "accepted", "absent", "accepted", "rejected", "accepted"]
    assert told == [(Action.SEND_TO_ALL, one) for one in brought]


def transport(*outcomes: Outcome) -> FakeTransport:
    return FakeTransport({"a": list(outcomes)})


async def test_in_order_each_after_the_answer_to_the_one_before() -> None:
    wire = FakeTransport(delay=0.002)
    one = sender(wire)
    results = await one.send_in_order(await items(one, *({"target": str(index)} for index in range(5))))
    assert [call.message and call.message.target for call in wire.calls] == ["0", "1", "2", "3", "4"]
    assert wire.most_running == 1
    assert [result.status for result in results] == ["accepted"] * 5


async def test_the_first_failure_stops_the_rest() -> None:
    wire = transport(ACCEPTED, REFUSED, ACCEPTED)
    one = sender(wire)
    results = await one.send_in_order(await items(one, MESSAGE, MESSAGE, MESSAGE, MESSAGE))
    assert [result.status for result in results] == ["accepted", "rejected", "skipped", "skipped"]
    assert len(wire.calls) == 2


async def test_a_partial_item_is_a_failure() -> None:
    wire = FakeTransport({"b": [REFUSED]})
    one = sender(wire, endpoint("b"))
    results = await one.send_in_order(await items(one, MESSAGE, MESSAGE))
    assert [result.status for result in results] == ["partial", "skipped"]


async def test_continue_goes_on() -> None:
    wire = transport(REFUSED, ACCEPTED)
    one = sender(wire)
    results = await one.send_in_order(await items(one, MESSAGE, MESSAGE), stop_at_failure=False)
    assert [result.status for result in results] == ["rejected", "accepted"]


@pytest.mark.parametrize(("given", "stops"), [(JOIN, False), (LEAVE, False), (MESSAGE, True)])
async def test_an_absent_join_is_reported_and_does_not_stop(given: dict[str, Any], stops: bool) -> None:
    wire = transport(ABSENT, ACCEPTED)
    one = sender(wire)
    results = await one.send_in_order(await items(one, given, MESSAGE))
    assert [result.status for result in results] == ["absent", "skipped" if stops else "accepted"]


async def test_a_join_of_a_connection_that_an_endpoint_which_is_offline_may_have_stops() -> None:
    known = registry([endpoint("a"), endpoint("b")], transport(ABSENT, ACCEPTED), health=offline("b"))
    one = Sender(directory(known), clock=Clock(), default_seconds=10)
    results = await one.send_in_order(await items(one, JOIN, MESSAGE))
    assert [result.status for result in results] == ["absent", "skipped"]


async def test_a_leave_that_may_be_waiting_at_an_endpoint_that_is_offline_stops() -> None:
    known = registry([endpoint("a"), endpoint("b")], transport(ABSENT, ACCEPTED), health=offline("b"))
    one = Sender(directory(known), clock=Clock(), default_seconds=10)
    results = await one.send_in_order(await items(one, LEAVE, MESSAGE))
    assert [result.status for result in results] == ["absent", "skipped"]


async def test_side_by_side() -> None:
    wire = FakeTransport({"a": [REFUSED]}, delay=0.01)
    one = sender(wire)
    results = await one.send_side_by_side(await items(one, *[MESSAGE] * 40))
    assert [result.status for result in results] == ["rejected"] * 40
    assert wire.most_running == 40


async def test_the_deadline_is_for_all_and_after_it_nothing_goes_out() -> None:
    clock = Clock()
    wire = FakeTransport(before=lambda _: setattr(clock, "now", clock.now + 4))
    one = sender(wire, clock=clock)
    for stop in (True, False):
        clock.now, wire.calls = 1000, []
        results = await one.send_in_order(await items(one, *[MESSAGE] * 5), seconds=8, stop_at_failure=stop)
        assert [result.status for result in results] == ["accepted"] * 2 + ["skipped"] * 3
        assert [call.seconds for call in wire.calls] == [8, 4]


async def test_without_a_deadline_of_its_own_a_call_gets_the_default() -> None:
    wire = FakeTransport()
    await sender(wire).perform(Operation(Action.SEND_TO_ALL, "chat"), Message("t"))
    await sender(wire).perform(Operation(Action.SEND_TO_ALL, "chat"), Message("t"), seconds=3)
    assert [call.seconds for call in wire.calls] == [10, 3]


async def test_a_message_to_many_users_has_few_calls_under_way() -> None:
    wire = FakeTransport({"b": [said("b", Verdict.REJECTED, 400)]}, delay=0.002)
    one = sender(wire, endpoint("b"))
    users = [Operation(Action.SEND_TO_USER, "chat", user=str(number)) for number in range(100)]
    results = await one.perform_each(users, Message("t"))
    assert [result.status for result in results] == ["partial"] * 100
    assert [(call.endpoint, call.operation) for call in wire.calls] == [(name, one) for one in users for name in "ab"]
    assert wire.most_running == 64
    wire.calls.clear()
    assert len(await one.perform_each(users[:2], Message("t"), endpoint="B")) == 2
    assert wire.called == ["b", "b"]
    assert await one.perform_each([], Message("t")) == []


async def test_of_several_operations_none_is_done_when_one_has_a_url_that_is_too_long() -> None:
    wire = FakeTransport()
    long = Operation(Action.SEND_TO_ALL, "chat", excluded=("x" * 100,) * 80)
    with pytest.raises(UrlTooLong):
        await sender(wire).perform_each([Operation(Action.SEND_TO_ALL, "chat"), long], Message("t"))
    assert not wire.calls


async def test_one_endpoint_can_be_asked_alone() -> None:
    wire = FakeTransport()
    await sender(wire, endpoint("B")).perform(Operation(Action.CLOSE_ALL, "chat"), endpoint="b")
    assert wire.called == ["B"]


async def test_a_url_that_is_too_long_is_never_tried() -> None:
    wire = FakeTransport()
    with pytest.raises(UrlTooLong):
        await sender(wire).perform(Operation(Action.CLOSE_ALL, "chat", excluded=("x" * 100,) * 80))
    assert not wire.calls


async def test_a_url_has_8000_bytes_with_its_host() -> None:
    wire = FakeTransport()
    one = sender(wire, endpoint("b", url="https://a.longer.name.example"))
    empty = Operation(Action.CLOSE_ALL, "chat", reason="")
    room = 8000 - len("https://a.longer.name.example" + write_target(empty))
    await one.perform(Operation(Action.CLOSE_ALL, "chat", reason="x" * room))
    with pytest.raises(UrlTooLong):
        await one.perform(Operation(Action.CLOSE_ALL, "chat", reason="x" * (room + 1)))
    assert len(await items(one, {"action": "close", "userId": "u", "reason": "x" * (room - 9)})) == 1
    with pytest.raises(InvalidItem):
        await items(one, {"action": "close", "userId": "u", "reason": "x" * (room + 1)})


async def test_nothing_is_sent_of_an_array_with_an_error() -> None:
    wire = FakeTransport()
    with pytest.raises(InvalidItem):
        await sender(wire).send_outputs("chat", b'[{"target":"t"},{"target":""}]')
    assert not wire.calls


async def test_others_get_their_turn_while_a_large_text_is_read() -> None:
    large = [{"action": "add", "userId": "u" * 500, "groupName": "g" * 500} for _ in range(1000)]
    for given, needs_turns in ((large, True), (large[:1], False)):
        reading, turns = asyncio.ensure_future(items(sender(transport()), *given)), 0
        while not reading.done():
            turns += 1
            await asyncio.sleep(0)
        assert len(await reading) == len(given)
        assert (turns > 10) is needs_turns
    with pytest.raises(InvalidItem) as caught:
        await items(sender(transport()), *[one | {"x": 0} for one in large])
    assert len(caught.value.faults) == 1000


async def test_outputs_of_a_handler() -> None:
    wire = FakeTransport()
    judgements = await sender(wire).send_outputs("chat", json.dumps([MESSAGE, JOIN]).encode())
    assert [judgement.result.status for judgement in judgements] == ["accepted"] * 2
    assert [call.operation.action for call in wire.calls] == [Action.SEND_TO_ALL, Action.ADD_CONNECTION]
    assert await sender(wire).send_outputs("chat", b"[]") == []


@pytest.mark.parametrize(
    ("action", "outcomes", "done"),
    [
        (Action.REMOVE_CONNECTION, [ABSENT, ABSENT], True),
        (Action.CLOSE_CONNECTION, [ABSENT], True),
        (Action.CLOSE_USER, [ABSENT], True),
        (Action.ADD_CONNECTION, [ABSENT], False),
        (Action.SEND_TO_CONNECTION, [ABSENT], False),
        (Action.REMOVE_CONNECTION, [ABSENT, said("b", Verdict.OFFLINE)], False),
        (Action.REMOVE_CONNECTION, [ACCEPTED, ABSENT], True),
        (Action.REMOVE_CONNECTION, [ACCEPTED, said("b", Verdict.OFFLINE)], False),
        (Action.SEND_TO_ALL, [REFUSED], False),
    ],
)
def test_what_is_done(action: Action, outcomes: list[Outcome], done: bool) -> None:
    assert judge(action, merge(action, outcomes)).is_done is done


async def test_outputs_go_on_after_one_that_was_delivered_in_part() -> None:
    wire = FakeTransport({"b": [said("b", Verdict.REJECTED, 400)]})
    judgements = await sender(wire, endpoint("b")).send_outputs("chat", json.dumps([MESSAGE, MESSAGE]).encode())
    assert [judgement.result.status for judgement in judgements] == ["partial", "partial"]


async def test_outputs_go_on_after_one_that_found_nobody() -> None:
    wire = transport(ABSENT, ABSENT, ACCEPTED)
    judgements = await sender(wire).send_outputs(
        "chat", json.dumps([JOIN, {**MESSAGE, "connectionId": "c"}, MESSAGE]).encode()
    )
    assert [judgement.result.status for judgement in judgements] == ["absent", "absent", "accepted"]


async def test_outputs_stop_at_a_connection_that_an_endpoint_which_is_offline_may_have() -> None:
    known = registry([endpoint("a"), endpoint("b")], transport(ABSENT, ACCEPTED), health=offline("b"))
    one = Sender(directory(known), clock=Clock(), default_seconds=10)
    judgements = await one.send_outputs("chat", json.dumps([{**MESSAGE, "connectionId": "c"}, MESSAGE]).encode())
    assert [judgement.result.status for judgement in judgements] == ["absent", "skipped"]
    assert [judgement.error for judgement in judgements] == [NoEndpointAvailable, DeliveryFailed]


@pytest.mark.parametrize("verdict", [Verdict.REJECTED, Verdict.UNKNOWN])
async def test_outputs_stop_at_one_that_was_not_or_may_not_have_been_delivered(verdict: Verdict) -> None:
    wire = transport(ACCEPTED, said("a", verdict))
    judgements = await sender(wire).send_outputs("chat", json.dumps([MESSAGE] * 4).encode())
    assert [judgement.result.status for judgement in judgements] == ["accepted", verdict.value, "skipped", "skipped"]
    assert len(wire.calls) == 2
