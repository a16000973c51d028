"""From what each endpoint said to what became of the item: every combination of two."""

import itertools

import pytest
from signalr_bridge.endpoints.endpoint import Code, Outcome, Verdict
from signalr_bridge.endpoints.outcome import SKIPPED, Result, Status, merge, result_bytes
from signalr_bridge.protocol.rest import Action, ClientAnswer
from starlette.responses import JSONResponse

V = Verdict
SPREAD = {
    Action.ADD_CONNECTION,
    Action.REMOVE_CONNECTION,
    Action.REMOVE_CONNECTION_FROM_ALL,
    Action.ADD_USER,
    Action.REMOVE_USER,
    Action.REMOVE_USER_FROM_ALL,
    Action.CLOSE_ALL,
    Action.CLOSE_USER,
    Action.CLOSE_GROUP,
}
"""Group actions, and closes of users, groups and hubs."""


def outcomes(*verdicts: Verdict) -> list[Outcome]:
    return [Outcome(f"e{index}", "Primary", verdict) for index, verdict in enumerate(verdicts)]


def expected(action: Action, verdicts: tuple[Verdict, ...]) -> Status:
    """The contract's sentences, one line each, in its order."""
    tried = [one for one in verdicts if one is not V.OFFLINE]
    if not tried:
        return Status.REJECTED
    spoilt = action in SPREAD and V.OFFLINE in verdicts
    if V.ACCEPTED in tried:
        good = all(one in {V.ACCEPTED, V.ABSENT} for one in tried)
        return Status.ACCEPTED if good and not spoilt else Status.PARTIAL
    if all(one is V.ABSENT for one in tried):
        return Status.ABSENT
    return Status.UNKNOWN if V.UNKNOWN in tried else Status.REJECTED


@pytest.mark.parametrize("action", Action)
def test_every_combination_of_up_to_three_outcomes(action: Action) -> None:
    for count in range(4):
        for verdicts in itertools.product(Verdict, repeat=count):
            assert merge(action, outcomes(*verdicts)).status is expected(action, verdicts), (action, verdicts)


@pytest.mark.parametrize(
    ("verdicts", "message", "leave"),
    [
        ([V.ACCEPTED], "accepted", "accepted"),
        ([V.ACCEPTED, V.ABSENT], "accepted", "accepted"),
        ([V.ACCEPTED, V.OFFLINE], "accepted", "partial"),
        ([V.ACCEPTED, V.REJECTED], "partial", "partial"),
        ([V.ACCEPTED, V.UNREACHABLE], "partial", "partial"),
        ([V.ACCEPTED, V.UNKNOWN], "partial", "partial"),
        ([V.ABSENT, V.ABSENT], "absent", "absent"),
        ([V.ABSENT, V.OFFLINE], "absent", "absent"),
        ([V.ABSENT, V.UNKNOWN], "unknown", "unknown"),
        ([V.REJECTED, V.UNKNOWN], "unknown", "unknown"),
        ([V.ABSENT, V.REJECTED], "rejected", "rejected"),
        ([V.UNREACHABLE, V.UNREACHABLE], "rejected", "rejected"),
        ([V.OFFLINE, V.OFFLINE], "rejected", "rejected"),
        ([], "rejected", "rejected"),
    ],
)
def test_the_rows_by_hand(verdicts: list[Verdict], message: str, leave: str) -> None:
    assert merge(Action.SEND_TO_ALL, outcomes(*verdicts)).status == message
    assert merge(Action.REMOVE_USER, outcomes(*verdicts)).status == leave


def test_closing_one_connection_is_not_spoilt_by_an_endpoint_that_is_offline() -> None:
    assert merge(Action.CLOSE_CONNECTION, outcomes(V.ACCEPTED, V.OFFLINE)).status is Status.ACCEPTED


@pytest.mark.parametrize("verdicts", [(), (V.OFFLINE,), (V.OFFLINE, V.OFFLINE)])
def test_nobody_to_try_has_a_word_of_its_own(verdicts: tuple[Verdict, ...]) -> None:
    assert merge(Action.SEND_TO_ALL, outcomes(*verdicts)).code == "no-endpoint-available"


def test_a_rejected_result_says_why() -> None:
    said = [Outcome("a", "Primary", V.ABSENT), Outcome("b", "Primary", V.REJECTED, 401, Code.DENIED)]
    result = merge(Action.SEND_TO_ALL, said)
    assert (result.status, result.code) == (Status.REJECTED, "denied")
    assert result.outcomes == tuple(said)


def test_the_shape_in_an_answer() -> None:
    said = [
        Outcome("eastus", "Primary", V.ACCEPTED),
        Outcome("westus", "Secondary", V.REJECTED, 429, Code.THROTTLED, 3.0),
        Outcome("uk", "Primary", V.OFFLINE),
    ]
    assert merge(Action.SEND_TO_ALL, said).as_json() == {
        "status": "partial",
        "endpoints": [
            {"name": "eastus", "endpointType": "Primary", "outcome": "accepted"},
            {
                "name": "westus",
                "endpointType": "Secondary",
                "outcome": "rejected",
                "statusCode": 429,
                "code": "throttled",
            },
            {"name": "uk", "endpointType": "Primary", "outcome": "offline"},
        ],
    }
    assert SKIPPED.as_json() == {"status": "skipped"}
    assert merge(Action.SEND_TO_ALL, []).as_json() == {
        "status": "rejected",
        "endpoints": [],
        "code": "no-endpoint-available",
    }


def test_the_longest_wait_counts() -> None:
    waits = [None, 2.0, 7.0]
    said = tuple(Outcome("e", "Primary", V.REJECTED, 429, Code.THROTTLED, wait) for wait in waits)
    assert Result(Status.REJECTED, said).retry_after == 7
    assert Result(Status.REJECTED, said[:1]).retry_after is None


@pytest.mark.parametrize(
    ("verdicts", "complete"),
    [
        ((V.ACCEPTED, V.ABSENT), True),
        ((V.ABSENT, V.OFFLINE), False),
        ((V.ACCEPTED, V.UNKNOWN), False),
        ((V.REJECTED,), False),
        ((V.UNREACHABLE,), False),
    ],
)
def test_complete_is_when_everybody_gave_an_answer(verdicts: tuple[Verdict, ...], complete: bool) -> None:
    assert Result(Status.ABSENT, tuple(outcomes(*verdicts))).complete is complete


@pytest.mark.parametrize(
    "result",
    [
        SKIPPED,
        merge(Action.SEND_TO_ALL, []),
        merge(Action.SEND_TO_ALL, outcomes(*Verdict)),
        Result(
            Status.REJECTED, (Outcome('é"\\\n\x7f\x1f/😀', "Secondary", V.REJECTED, 429, Code.THROTTLED),), Code.DENIED
        ),
    ],
)
def test_the_bytes_of_a_result_are_those_that_an_answer_has(result: Result) -> None:
    for _ in range(2):
        assert result_bytes(result) == JSONResponse(result.as_json()).body


def test_few_of_them_are_kept() -> None:
    texts = {
        result_bytes(Result(Status.ACCEPTED, (Outcome(f"e{number}", "Primary", V.ACCEPTED),))) for number in range(999)
    }
    assert len(texts) == 999


def test_an_outcome_shows_no_answer() -> None:
    outcome = Outcome("e", "Primary", V.ACCEPTED, answer=ClientAnswer(error="canary"))
    assert "canary" not in repr([outcome, Result(Status.ACCEPTED, (outcome,))])
    assert repr(outcome).startswith("Outcome(name='e', endpoint_type='Primary', verdict=<Verdict.ACCEPTED: 'accepted'>")
    assert len({outcome, Outcome("e", "Primary", V.ACCEPTED)}) == 2
