"""When retries end, and when they begin again."""

import pytest
from signalr_bridge.endpoints.attempts import CAPACITY, MOST_TOKENS, RetryBreaker
from signalr_bridge.endpoints.endpoint import Outcome, Verdict

from tests.unit.endpoints.fakes import said

GOOD = [said("e", Verdict.ACCEPTED), said("e", Verdict.ABSENT), said("e", Verdict.REJECTED, 400)]
BAD = [
    said("e", Verdict.UNREACHABLE),
    said("e", Verdict.UNKNOWN),
    said("e", Verdict.UNKNOWN, 500),
    said("e", Verdict.REJECTED, 500),
    said("e", Verdict.REJECTED, 429, "throttled"),
]


def record(breaker: RetryBreaker, outcome: Outcome, times: int) -> None:
    for _ in range(times):
        breaker.record(outcome)


@pytest.mark.parametrize("outcome", BAD)
def test_half_of_what_it_holds_in_failures_opens_it(outcome: Outcome) -> None:
    breaker = RetryBreaker()
    record(breaker, outcome, CAPACITY // 2 - 1)
    assert not breaker.ends_retries(outcome)
    breaker.record(outcome)
    assert breaker.ends_retries(outcome)


@pytest.mark.parametrize("outcome", GOOD)
@pytest.mark.parametrize("bad", [BAD[0], BAD[-1]])
def test_answers_close_it_again(outcome: Outcome, bad: Outcome) -> None:
    breaker = RetryBreaker()
    record(breaker, bad, 10 * CAPACITY)
    record(breaker, outcome, CAPACITY // 2)
    assert breaker.ends_retries(bad)
    breaker.record(outcome)
    assert not breaker.ends_retries(bad)


def test_one_call_takes_a_few_tokens_however_often_it_is_tried() -> None:
    breaker = RetryBreaker()
    for attempt in range(1, 10 * CAPACITY):
        breaker.record(BAD[0], attempt)
        breaker.record(BAD[-1], attempt)
    assert (breaker.tokens, breaker.throttled_tokens) == (CAPACITY - MOST_TOKENS, CAPACITY - 1)


def test_a_pause_that_was_asked_for_ends_no_other_retries_and_the_other_way_round() -> None:
    throttled, failing = RetryBreaker(), RetryBreaker()
    record(throttled, BAD[-1], 10 * CAPACITY)
    record(failing, BAD[0], 10 * CAPACITY)
    assert [throttled.ends_retries(one) for one in BAD] == [False, False, False, False, True]
    assert [failing.ends_retries(one) for one in BAD] == [True, True, True, True, False]


def test_a_few_failures_among_answers_do_not_open_it() -> None:
    breaker = RetryBreaker()
    for _ in range(10 * CAPACITY):
        record(breaker, BAD[0], 1)
        record(breaker, GOOD[0], 1)
    assert not breaker.ends_retries(BAD[0])
