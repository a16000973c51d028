"""When retries end, and when they begin again."""

import pytest
from signalr_bridge.endpoints.attempts import CAPACITY, RetryBreaker
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
    assert not breaker.is_open
    breaker.record(outcome)
    assert breaker.is_open


@pytest.mark.parametrize("outcome", GOOD)
def test_answers_close_it_again(outcome: Outcome) -> None:
    breaker = RetryBreaker()
    record(breaker, BAD[0], 10 * CAPACITY)
    record(breaker, outcome, CAPACITY // 2)
    assert breaker.is_open
    breaker.record(outcome)
    assert not breaker.is_open


def test_a_few_failures_among_answers_do_not_open_it() -> None:
    breaker = RetryBreaker()
    for _ in range(10 * CAPACITY):
        record(breaker, BAD[0], 1)
        record(breaker, GOOD[0], 1)
    assert not breaker.is_open
