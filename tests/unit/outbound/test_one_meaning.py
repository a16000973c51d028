"""A result means the same to a caller over HTTP and to a handler: every action, every pair of outcomes."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product

import pytest
from msgspec import Raw
from msgspec.structs import replace
from signalr_bridge.endpoints.endpoint import Code, Outcome, Verdict
from signalr_bridge.endpoints.outcome import (
    SKIPPED,
    Judgement,
    Meaning,
    Result,
    describe,
    fails_outputs,
    judge,
    merge,
    stops_array,
)
from signalr_bridge.errors import BridgeError, ConnectionNotFound, DeliveryError, InvokeFailed, NoEndpointAvailable
from signalr_bridge.outbound.answers import answer_call, answer_change, answer_item, answer_items, answer_question
from signalr_bridge.outbound.items import Item, Kind
from signalr_bridge.outbound.members import list_members
from signalr_bridge.protocol.rest import Action, ClientAnswer, ListedConnection, MemberPage, Message, Operation
from signalr_bridge.upstream.recipients import check_delivery, read_existence
from signalr_bridge.wire.exchange import Answer

from tests.unit.endpoints.fakes import FakeTransport, endpoint, registry
from tests.unit.upstream.fakes import FakeOutbox, context

V = Verdict
QUESTIONS = [action for action in Action if action.is_question]
DEEDS = [action for action in Action if not action.is_question and not action.has_answer]
JOINS = [Action.ADD_CONNECTION, Action.ADD_USER]
SAID = [
    Outcome("e", "Primary", V.ACCEPTED),
    Outcome("e", "Primary", V.ABSENT),
    *(Outcome("e", "Primary", V.REJECTED, status) for status in (307, 400, 408, 413, 500, 504)),
    Outcome("e", "Primary", V.REJECTED, 401, Code.DENIED),
    Outcome("e", "Primary", V.REJECTED, 403, Code.DENIED),
    Outcome("e", "Primary", V.REJECTED, 404, Code.ENDPOINT_MISROUTED),
    Outcome("e", "Primary", V.REJECTED, 429, Code.THROTTLED, 7.0),
    Outcome("e", "Primary", V.REJECTED, 503, Code.THROTTLED),
    Outcome("e", "Primary", V.UNREACHABLE),
    Outcome("e", "Primary", V.UNREACHABLE, None, Code.NO_CREDENTIAL),
    Outcome("e", "Primary", V.UNREACHABLE, None, Code.OVERLOADED),
    *(Outcome("e", "Primary", V.UNKNOWN, status) for status in (None, 500, 504)),
    *(Outcome("e", "Primary", V.OFFLINE, None, code) for code in (None, Code.DENIED, Code.ENDPOINT_MISROUTED)),
]
ANSWERS = [
    Outcome("e", "Primary", V.ACCEPTED, answer=ClientAnswer(Raw(b"5"))),
    Outcome("e", "Primary", V.ACCEPTED, 400, Code.CLIENT_ERROR, answer=ClientAnswer(error="not today")),
]


def combinations(outcomes: Sequence[Outcome]) -> Iterator[list[Outcome]]:
    """None, one and every pair of them."""
    for count in range(3):
        for said in product(outcomes, repeat=count):
            yield [replace(one, name=f"e{index}") for index, one in enumerate(said)]


def attempt(call: Callable[[], object]) -> object:
    """What it returns, or the error that it raises."""
    try:
        return call()
    except BridgeError as error:
        return error


def over_http(answer: Callable[[], Answer]) -> tuple[int, str | None]:
    """The status, and the problem's code."""
    found = attempt(answer)
    if isinstance(found, BridgeError):
        assert ("Retry-After" in found.headers) is (found.status == 503)
        return found.status, found.code
    assert isinstance(found, Answer)
    return found.status, None


def in_handler(call: Callable[[], object], result: Result) -> tuple[int | None, str | None]:
    """The same of the error that a handler's call raises. One that raises nothing has neither."""
    found = attempt(call)
    if isinstance(found, DeliveryError):
        assert describe(result) in found.detail, "it names what each endpoint said"
        return found.status, found.code
    assert found is None
    return None, None


def test_the_outcomes_are_of_every_kind() -> None:
    assert {one.verdict for one in SAID} == set(Verdict)
    known = {one.code for one in [*SAID, *ANSWERS] if one.code is not None}
    assert known == set(Code) - {Code.NO_ENDPOINT_AVAILABLE}, "which is a result's"
    assert {*QUESTIONS, *DEEDS, Action.LIST_MEMBERS, Action.INVOKE} == set(Action)


@pytest.mark.parametrize("action", DEEDS)
def test_what_is_to_be_done(action: Action) -> None:
    operation = Operation(action, "chat")
    item = Item(Kind.MESSAGE, operation)
    for said in combinations(SAID):
        result = merge(action, said)
        status, code = over_http(partial(answer_item, action, result))
        assert (code is None) is (status in {202, 207})
        expected = (None, None) if code is None else (status, code)
        assert in_handler(partial(check_delivery, operation, result), result) == expected, said
        assert over_http(partial(answer_items, [item], [result])) == (status, code), said
        changed = 204 if status == 202 else status
        assert over_http(partial(answer_change, action, result)) == (changed, code), said


@pytest.mark.parametrize("action", DEEDS)
def test_what_fails_a_backends_outputs_is_an_error_of_a_handlers_call(action: Action) -> None:
    operation = Operation(action, "chat")
    for said in [*combinations(SAID), None]:
        result = SKIPPED if said is None else merge(action, said)
        error = attempt(partial(check_delivery, operation, result))
        expected = error is not None and not isinstance(error, ConnectionNotFound)
        assert fails_outputs(judge(action, result)) is expected, said


@pytest.mark.parametrize("action", DEEDS)
def test_what_stops_an_array_is_all_but_done(action: Action) -> None:
    for said in combinations(SAID):
        result = merge(action, said)
        done, gone = (202, None), (404, "connection-not-found")
        passing = {done, gone} if action in JOINS else {done}
        assert stops_array(action, result) is (over_http(partial(answer_item, action, result)) not in passing), said


async def test_a_list_of_members() -> None:
    page = MemberPage([ListedConnection("c1")])
    told = [*SAID, *ANSWERS, Outcome("e", "Primary", V.ACCEPTED, answer=page)]
    for said in told:
        known = registry([endpoint("e")], FakeTransport({"e": [said]}))
        judgement = judge(Action.LIST_MEMBERS, merge(Action.LIST_MEMBERS, [said]))
        assert judgement.is_done is (said.verdict is V.ABSENT or said.answer is page)
        # no time for a second attempt
        listing = list_members(known, "chat", "g", top=9, token=None, deadline=1000.05)
        if judgement.error is None:
            assert judgement.meaning is Meaning.DONE, said
            assert len((await listing)["value"]) == (said.answer is page)
            continue
        with pytest.raises(NoEndpointAvailable) as caught:
            await listing
        assert judgement.error is NoEndpointAvailable
        assert caught.value.headers == {"Retry-After": str(judgement.retry_after)}
        assert caught.value.extensions == {"endpoints": [said.as_json()]}
        assert caught.value.detail == "An endpoint that may have members could not be asked; 'endpoints' names it."
    for pair in product(told, repeat=2):
        each = [judge(Action.LIST_MEMBERS, merge(Action.LIST_MEMBERS, [one])).is_done for one in pair]
        assert judge(Action.LIST_MEMBERS, merge(Action.LIST_MEMBERS, pair)).is_done is all(each), pair


@pytest.mark.parametrize("action", QUESTIONS)
def test_what_is_asked(action: Action) -> None:
    operation = Operation(action, "chat")
    for said in combinations(SAID):
        result = merge(action, said)
        status, code = over_http(partial(answer_question, action, result))
        if code in {None, "not-present"}:
            assert read_existence(operation, result) is (status == 200), said
        else:
            assert in_handler(partial(read_existence, operation, result), result) == (status, code), said


class Line(FakeOutbox):
    """Every call of a client ends as it is told."""

    def __init__(self, judgement: Judgement) -> None:
        super().__init__()
        self._judgement = judgement

    async def invoke(
        self, operation: Operation, message: Message, *, endpoint: str | None = None, seconds: float | None = None
    ) -> Judgement:
        return self._judgement


@pytest.mark.parametrize("timed_out", [False, True])
async def test_a_client_that_is_called(timed_out: bool) -> None:
    for said in combinations([*SAID, *ANSWERS]):
        result = merge(Action.INVOKE, said)
        judgement = judge(Action.INVOKE, result, timed_out=timed_out)
        status, code = over_http(partial(answer_call, judgement))
        connections = context(Line(judgement)).connections
        if code is not None or judgement.answer.error is not None:
            with pytest.raises(DeliveryError) as caught:
                await connections.invoke("c2", "t")
            expected = (InvokeFailed.code, "not today") if code is None else (code, caught.value.detail)
            assert (caught.value.code, caught.value.detail) == expected, said
            assert code is None or (caught.value.status == status and describe(result) in caught.value.detail)
        else:
            assert (status, await connections.invoke("c2", "t")) == (200, 5), said


def test_what_was_not_reached_is_not_done() -> None:
    for action in DEEDS:
        assert over_http(partial(answer_item, action, SKIPPED)) == (502, "delivery-failed")
        skipped = partial(check_delivery, Operation(action, "chat"), SKIPPED)
        assert in_handler(skipped, SKIPPED) == (502, "delivery-failed")


@pytest.mark.parametrize(("status", "meaning"), [(408, "client silent"), (504, "client silent"), (500, "call failed")])
def test_a_service_that_says_that_the_time_was_too_short(status: int, meaning: str) -> None:
    for verdict in (V.REJECTED, V.UNKNOWN):
        result = merge(Action.INVOKE, [Outcome("e", "Primary", verdict, status)])
        assert judge(Action.INVOKE, result).meaning == meaning
