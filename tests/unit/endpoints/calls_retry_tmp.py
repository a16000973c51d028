"""Only what certainly did not happen is tried again, and what may happen twice; never a message that may be there."""

import pytest

from app.endpoints.outcome import Outcome, Verdict
from app.endpoints.retry import FIRST_DELAY, MOST_ATTEMPTS, next_delay
from app.protocol.rest import Action
from tests.unit.endpoints.fakes import said

ACCEPTED, ABSENT = said("e", Verdict.ACCEPTED), said("e", Verdict.ABSENT)
REFUSED, TIMED_OUT = said("e", Verdict.UNREACHABLE), said("e", Verdict.UNKNOWN)
BAD, DENIED = said("e", Verdict.REJECTED, 400), said("e", Verdict.REJECTED, 401, "denied")
FAILED_MESSAGE = said("e", Verdict.UNKNOWN, 500)
FAILED, BUSY = said("e", Verdict.REJECTED, 500), said("e", Verdict.REJECTED, 429, "throttled")
MISROUTED = said("e", Verdict.REJECTED, 404, "endpoint-misrouted")
MESSAGES = [action for action in Action if action.is_message]
OTHERS = [action for action in Action if not action.is_message]


def delay(action: Action, outcome: Outcome, attempt: int = 1, remaining: float = 10, random: float = 1) -> float | None:
    return next_delay(action, outcome, attempt, remaining, lambda: random)


@pytest.mark.parametrize("action", MESSAGES)
@pytest.mark.parametrize(
    ("outcome", "again"),
    [
        (ACCEPTED, False),
        (ABSENT, False),
        (REFUSED, True),
        (TIMED_OUT, False),
        (FAILED_MESSAGE, False),
        (BAD, False),
        (DENIED, False),
        (MISROUTED, False),
        (BUSY, True),
    ],
)
def test_a_message(action: Action, outcome: Outcome, again: bool) -> None:
    assert (delay(action, outcome) is not None) is again


@pytest.mark.parametrize("action", OTHERS)
@pytest.mark.parametrize(
    ("outcome", "again"),
    [
        (ACCEPTED, False),
        (ABSENT, False),
        (REFUSED, True),
        (TIMED_OUT, True),
        (FAILED, True),
        (BAD, False),
        (DENIED, False),
        (MISROUTED, False),
        (BUSY, True),
    ],
)
def test_what_may_happen_twice(action: Action, outcome: Outcome, again: bool) -> None:
    assert (delay(action, outcome) is not None) is again


def test_the_wait_doubles_with_full_jitter() -> None:
    assert [delay(Action.SEND_TO_ALL, BUSY, attempt) for attempt in (1, 2, 3)] == [
        FIRST_DELAY,
        FIRST_DELAY * 2,
        FIRST_DELAY * 4,
    ]
    assert delay(Action.SEND_TO_ALL, BUSY, random=0) == 0
    assert delay(Action.SEND_TO_ALL, BUSY, random=0.5) == FIRST_DELAY / 2


def test_the_service_may_ask_for_a_longer_wait() -> None:
    busy = Outcome("e", "Primary", Verdict.REJECTED, 503, "throttled", 3.0)
    assert delay(Action.SEND_TO_ALL, busy) == 3


@pytest.mark.parametrize(("remaining", "again"), [(3.5, True), (3.0, False), (0.0, False), (-1.0, False)])
def test_no_wait_goes_beyond_the_deadline(remaining: float, again: bool) -> None:
    busy = Outcome("e", "Primary", Verdict.REJECTED, 503, "throttled", 3.0)
    assert (delay(Action.SEND_TO_ALL, busy, remaining=remaining) is not None) is again


def test_a_failure_is_tried_a_few_times_a_throttled_call_to_the_end_of_its_deadline() -> None:
    assert delay(Action.SEND_TO_ALL, REFUSED, MOST_ATTEMPTS - 1) is not None
    assert delay(Action.SEND_TO_ALL, REFUSED, MOST_ATTEMPTS) is None
    assert delay(Action.ADD_USER, FAILED, MOST_ATTEMPTS) is None
    assert delay(Action.SEND_TO_ALL, BUSY, MOST_ATTEMPTS, remaining=10) is not None
