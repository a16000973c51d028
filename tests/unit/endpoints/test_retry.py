"""Only what certainly did not happen is tried again, and what may happen twice; never a message that may be there."""

import pytest
from signalr_bridge.endpoints.attempts import RetryPolicy, attempt_seconds, next_delay, settle
from signalr_bridge.endpoints.directory import make_policy
from signalr_bridge.endpoints.endpoint import Code, Outcome, Verdict
from signalr_bridge.protocol.rest import Action
from signalr_bridge.settings.model import CallSettings, RetrySettings

from tests.unit.endpoints.fakes import said

ACCEPTED, ABSENT = said("e", Verdict.ACCEPTED), said("e", Verdict.ABSENT)
REFUSED, TIMED_OUT = said("e", Verdict.UNREACHABLE), said("e", Verdict.UNKNOWN)
BAD, DENIED = said("e", Verdict.REJECTED, 400), said("e", Verdict.REJECTED, 401, "denied")
FAILED_MESSAGE = said("e", Verdict.UNKNOWN, 500)
FAILED, BUSY = said("e", Verdict.REJECTED, 500), said("e", Verdict.REJECTED, 429, "throttled")
MISROUTED = said("e", Verdict.REJECTED, 404, "endpoint-misrouted")
MESSAGES = [action for action in Action if action.is_message]
OTHERS = [action for action in Action if action.may_repeat]
POLICY = RetryPolicy()
FIRST_DELAY, MOST_ATTEMPTS = POLICY.first_delay, POLICY.most_attempts


def delay(action: Action, outcome: Outcome, attempt: int = 1, remaining: float = 10, random: float = 1) -> float | None:
    return next_delay(POLICY, action, outcome, attempt, remaining, lambda: random)


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
    busy = Outcome("e", "Primary", Verdict.REJECTED, 503, Code.THROTTLED, 3.0)
    assert delay(Action.SEND_TO_ALL, busy) == 3


@pytest.mark.parametrize(("remaining", "again"), [(3.5, True), (3.0, False), (0.0, False), (-1.0, False)])
def test_no_wait_goes_beyond_the_deadline(remaining: float, again: bool) -> None:
    busy = Outcome("e", "Primary", Verdict.REJECTED, 503, Code.THROTTLED, 3.0)
    assert (delay(Action.SEND_TO_ALL, busy, remaining=remaining) is not None) is again


def test_a_failure_is_tried_a_few_times_a_throttled_call_to_the_end_of_its_deadline() -> None:
    assert delay(Action.SEND_TO_ALL, REFUSED, MOST_ATTEMPTS - 1) is not None
    assert delay(Action.SEND_TO_ALL, REFUSED, MOST_ATTEMPTS) is None
    assert delay(Action.ADD_USER, FAILED, MOST_ATTEMPTS) is None
    assert delay(Action.SEND_TO_ALL, BUSY, MOST_ATTEMPTS, remaining=10) is not None


def test_where_the_retries_of_throttled_calls_are_counted_they_end_there() -> None:
    counted = RetryPolicy(most_attempts=4, most_throttled=4)
    tries = [next_delay(counted, Action.SEND_TO_ALL, BUSY, attempt, 1000, lambda: 1) for attempt in (1, 2, 3, 4)]
    assert [one is None for one in tries] == [False, False, False, True]


@pytest.mark.parametrize(
    ("retry", "most"),
    [
        (None, (3, None)),
        (RetrySettings(max_retries=3), (4, 4)),
        (RetrySettings(max_retries=0), (1, 1)),
        (RetrySettings(delay_seconds=1), (4, None)),
    ],
)
def test_only_a_count_that_is_set_holds_for_throttled_calls(
    retry: RetrySettings | None, most: tuple[int, int | None]
) -> None:
    policy = make_policy(CallSettings(retry=retry))
    assert (policy.most_attempts, policy.most_throttled) == most


@pytest.mark.parametrize("outcome", [REFUSED, TIMED_OUT, FAILED_MESSAGE, BUSY, MISROUTED])
def test_a_client_is_never_called_again(outcome: Outcome) -> None:
    assert delay(Action.INVOKE, outcome) is None


def test_without_a_credential_there_is_nothing_to_try() -> None:
    assert delay(Action.ADD_USER, said("e", Verdict.UNREACHABLE, None, "no-credential")) is None


def test_the_delays_of_a_function_app() -> None:
    fixed = RetryPolicy(most_attempts=2, first_delay=0.8, fixed=True)
    assert [fixed.delay(attempt, lambda: 0.1) for attempt in (1, 2, 9)] == [0.8] * 3
    assert next_delay(fixed, Action.SEND_TO_ALL, REFUSED, 1, 10, lambda: 1) == 0.8
    assert next_delay(fixed, Action.SEND_TO_ALL, REFUSED, 2, 10, lambda: 1) is None
    doubling = RetryPolicy(first_delay=1, longest_delay=5)
    assert [doubling.delay(attempt, lambda: 1) for attempt in (1, 2, 3, 4, 50)] == [1, 2, 4, 5, 5]


def test_an_attempt_that_may_be_repeated_leaves_time_for_the_next() -> None:
    assert [attempt_seconds(POLICY, Action.ADD_USER, attempt, 8) for attempt in (1, 2, 3)] == [4, 4, 8]
    assert attempt_seconds(POLICY, Action.SEND_TO_ALL, 1, 8) == 8
    assert attempt_seconds(POLICY, Action.INVOKE, 1, 8) == 8
    capped = RetryPolicy(attempt_seconds=2)
    assert [attempt_seconds(capped, action, 1, 8) for action in (Action.ADD_USER, Action.SEND_TO_ALL)] == [2, 2]
    assert attempt_seconds(capped, Action.SEND_TO_ALL, 1, 1) == 1


@pytest.mark.parametrize(
    ("earlier", "last", "said_in_the_end"),
    [
        (None, REFUSED, REFUSED),
        (REFUSED, TIMED_OUT, TIMED_OUT),
        (TIMED_OUT, REFUSED, TIMED_OUT),
        (TIMED_OUT, BAD, TIMED_OUT),
        (TIMED_OUT, ACCEPTED, ACCEPTED),
        (TIMED_OUT, ABSENT, ABSENT),
        (BUSY, BAD, BAD),
    ],
)
def test_what_may_have_been_done_is_not_undone_by_a_later_refusal(
    earlier: Outcome | None, last: Outcome, said_in_the_end: Outcome
) -> None:
    assert settle(earlier, last) is said_in_the_end
