"""Results as HTTP answers: the status, the code, and how long to wait."""

import json
from typing import Any

import pytest
from msgspec.structs import replace
from signalr_bridge.endpoints.endpoint import Code, Outcome, Verdict
from signalr_bridge.endpoints.outcome import SKIPPED, Result, merge
from signalr_bridge.errors import BridgeError
from signalr_bridge.outbound.answers import answer_change, answer_item, answer_items, answer_question
from signalr_bridge.outbound.items import Item, Kind
from signalr_bridge.protocol.rest import Action, Operation
from signalr_bridge.wire.exchange import Answer

from tests.unit.endpoints.fakes import said

YES, ABSENT, OFFLINE = (said("e", one) for one in (Verdict.ACCEPTED, Verdict.ABSENT, Verdict.OFFLINE))
LOST, REFUSED = said("e", Verdict.UNKNOWN), said("e", Verdict.UNREACHABLE)
BAD, DENIED = said("e", Verdict.REJECTED, 400), said("e", Verdict.REJECTED, 401, "denied")
MISROUTED = said("e", Verdict.REJECTED, 404, "endpoint-misrouted")
BUSY = Outcome("e", "Primary", Verdict.REJECTED, 429, Code.THROTTLED, 7.0)
SEND, JOIN, LEAVE = Action.SEND_TO_ALL, Action.ADD_CONNECTION, Action.REMOVE_CONNECTION
CLOSE = Action.CLOSE_CONNECTION


def status_of(answer: Answer) -> tuple[int, str | None, str | None]:
    return answer.status, None, None


def problem(error: BridgeError) -> tuple[int, str | None, str | None]:
    return error.status, error.code, error.headers.get("Retry-After")


def ask(answer: Any, *given: Any) -> tuple[int, str | None, str | None]:
    try:
        return status_of(answer(*given))
    except BridgeError as error:
        return problem(error)


CASES: list[tuple[Action, list[Outcome], tuple[int, str | None, str | None]]] = [
    (SEND, [YES], (202, None, None)),
    (SEND, [YES, OFFLINE], (202, None, None)),
    (SEND, [YES, BAD], (207, None, None)),
    (SEND, [YES, LOST], (207, None, None)),
    (JOIN, [YES, ABSENT], (202, None, None)),
    (JOIN, [YES, OFFLINE], (207, None, None)),
    (JOIN, [ABSENT, ABSENT], (404, "connection-not-found", None)),
    (LEAVE, [ABSENT, ABSENT], (202, None, None)),
    (CLOSE, [ABSENT], (202, None, None)),
    (CLOSE, [YES, OFFLINE], (202, None, None)),
    (JOIN, [ABSENT, OFFLINE], (503, "no-endpoint-available", "1")),
    (LEAVE, [ABSENT, OFFLINE], (503, "no-endpoint-available", "1")),
    (SEND, [OFFLINE, OFFLINE], (503, "no-endpoint-available", "1")),
    (SEND, [], (503, "no-endpoint-available", "1")),
    (SEND, [BAD], (502, "delivery-failed", None)),
    (SEND, [DENIED], (502, "delivery-failed", None)),
    (SEND, [MISROUTED], (502, "delivery-failed", None)),
    (SEND, [REFUSED], (502, "delivery-failed", None)),
    (SEND, [ABSENT, BAD], (502, "delivery-failed", None)),
    (SEND, [BUSY], (503, "throttled", "7")),
    (SEND, [BUSY, OFFLINE], (503, "throttled", "7")),
    (CLOSE, [BUSY, ABSENT], (503, "throttled", "7")),
    (SEND, [BUSY, BAD], (502, "delivery-failed", None)),
    (SEND, [LOST], (504, "delivery-unknown", None)),
    (SEND, [LOST, BAD], (504, "delivery-unknown", None)),
    (SEND, [said("e", Verdict.UNKNOWN, 500)], (504, "delivery-unknown", None)),
]


@pytest.mark.parametrize(("action", "outcomes", "expected"), CASES)
def test_a_single_item_and_a_single_change(
    action: Action, outcomes: list[Outcome], expected: tuple[int, str | None, str | None]
) -> None:
    result = merge(action, outcomes)
    assert ask(answer_item, action, result) == expected
    changed = (204, None, None) if expected[0] == 202 else expected
    assert ask(answer_change, action, result) == changed


def test_a_result_is_the_body_and_a_problem_says_what_each_endpoint_said() -> None:
    result = merge(SEND, [YES, BAD])
    assert json.loads(bytes(answer_item(SEND, result).body)) == result.as_json()
    assert json.loads(bytes(answer_change(JOIN, merge(JOIN, [YES, BAD])).body))["status"] == "partial"
    assert answer_change(SEND, merge(SEND, [YES])).body == b""
    with pytest.raises(BridgeError) as caught:
        answer_item(SEND, merge(SEND, [DENIED]))
    assert caught.value.extensions == {"endpoints": [DENIED.as_json()]}


def test_what_an_endpoint_cannot_do_is_told_and_nobody_is_asked_to_try_again() -> None:
    lacking = replace(MISROUTED, why="the service does not have this operation")
    with pytest.raises(BridgeError) as caught:
        answer_question(Action.USER_EXISTS, merge(Action.USER_EXISTS, [ABSENT, lacking]))
    assert problem(caught.value) == (503, "no-endpoint-available", None)
    assert caught.value.detail == "Endpoint 'e': the service does not have this operation."
    with pytest.raises(BridgeError) as caught:
        answer_item(SEND, merge(SEND, [replace(REFUSED, code=Code.NO_CREDENTIAL, why="status 500")]))
    assert "status 500" not in caught.value.detail, "that is between the bridge and its issuer"


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([YES], (200, None, None)),
        ([ABSENT, YES], (200, None, None)),
        ([YES, OFFLINE, LOST], (200, None, None)),
        ([ABSENT, ABSENT], (404, "not-present", None)),
        ([ABSENT, OFFLINE], (503, "no-endpoint-available", "1")),
        ([ABSENT, LOST], (503, "no-endpoint-available", "1")),
        ([ABSENT, DENIED], (503, "no-endpoint-available", "1")),
        ([BUSY], (503, "no-endpoint-available", "7")),
        ([], (503, "no-endpoint-available", "1")),
    ],
)
def test_a_question(outcomes: list[Outcome], expected: tuple[int, str | None, str | None]) -> None:
    assert ask(answer_question, Action.USER_EXISTS, merge(Action.USER_EXISTS, outcomes)) == expected


def test_what_a_question_is_answered() -> None:
    assert answer_question(Action.USER_EXISTS, merge(Action.USER_EXISTS, [YES])).body == b'{"exists":true}'
    with pytest.raises(BridgeError) as caught:
        answer_question(Action.USER_EXISTS, merge(Action.USER_EXISTS, [ABSENT]))
    assert caught.value.extensions == {"exists": False}


def array(*pairs: tuple[Action, Result]) -> tuple[list[Item], list[Result]]:
    return [Item(Kind.MESSAGE, Operation(action, "chat")) for action, _ in pairs], [result for _, result in pairs]


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([], (202, None, None)),
        ([(SEND, merge(SEND, [YES])), (LEAVE, merge(LEAVE, [ABSENT]))], (202, None, None)),
        ([(LEAVE, merge(LEAVE, [ABSENT]))], (202, None, None)),
        ([(SEND, merge(SEND, [YES])), (SEND, merge(SEND, [BAD])), (SEND, SKIPPED)], (207, None, None)),
        ([(JOIN, merge(JOIN, [ABSENT])), (SEND, merge(SEND, [YES]))], (207, None, None)),
        ([(SEND, merge(SEND, [YES, BAD])), (SEND, SKIPPED)], (207, None, None)),
        ([(SEND, merge(SEND, [BUSY])), (SEND, SKIPPED)], (503, "throttled", "7")),
        ([(SEND, merge(SEND, [LOST])), (SEND, SKIPPED)], (504, "delivery-unknown", None)),
        ([(SEND, merge(SEND, [OFFLINE])), (SEND, SKIPPED)], (503, "no-endpoint-available", "1")),
        ([(JOIN, merge(JOIN, [ABSENT])), (JOIN, merge(JOIN, [ABSENT]))], (404, "connection-not-found", None)),
        ([(LEAVE, merge(LEAVE, [ABSENT])), (SEND, merge(SEND, [BAD]))], (502, "delivery-failed", None)),
    ],
)
def test_an_array(pairs: list[tuple[Action, Result]], expected: tuple[int, str | None, str | None]) -> None:
    items, results = array(*pairs)
    assert ask(answer_items, items, results) == expected


def test_an_array_shows_every_result_also_when_all_failed() -> None:
    items, results = array((SEND, merge(SEND, [YES])), (SEND, merge(SEND, [BAD])), (SEND, SKIPPED))
    shown = {"results": [result.as_json() for result in results]}
    assert json.loads(bytes(answer_items(items, results).body)) == shown
    items, results = array((SEND, merge(SEND, [BAD])), (SEND, SKIPPED))
    with pytest.raises(BridgeError) as caught:
        answer_items(items, results)
    assert caught.value.extensions == {"results": [result.as_json() for result in results]}
