"""When a backend is left alone, and when it is asked again."""

from signalr_bridge.upstream.forward.backends import FAILURES_TO_OPEN, OPEN_SECONDS, BackendBreaker


def opened() -> BackendBreaker:
    breaker = BackendBreaker()
    for _ in range(FAILURES_TO_OPEN):
        assert breaker.allow(0)
        breaker.record_failure(0)
    return breaker


def test_it_opens_after_failures_in_a_row() -> None:
    breaker = opened()
    assert breaker.is_open
    assert not breaker.allow(0)
    assert not breaker.allow(OPEN_SECONDS - 0.01)


def test_an_answer_between_them_begins_anew() -> None:
    breaker = BackendBreaker()
    for _ in range(3):
        for _ in range(FAILURES_TO_OPEN - 1):
            breaker.record_failure(0)
        breaker.record_answer()
    assert breaker.allow(0)


def test_after_a_while_one_call_asks_and_the_others_wait_for_what_it_hears() -> None:
    breaker = opened()
    assert breaker.allow(OPEN_SECONDS)
    assert not breaker.allow(OPEN_SECONDS)
    breaker.record_answer()
    assert breaker.allow(OPEN_SECONDS)
    assert not breaker.is_open


def test_a_probe_that_fails_opens_it_again() -> None:
    breaker = opened()
    assert breaker.allow(OPEN_SECONDS)
    breaker.record_failure(OPEN_SECONDS)
    assert not breaker.allow(OPEN_SECONDS + 0.5)
    assert breaker.allow(2 * OPEN_SECONDS)


def test_a_probe_that_says_nothing_leaves_the_next_one_to_ask() -> None:
    breaker = opened()
    assert breaker.allow(OPEN_SECONDS)
    breaker.forget()
    assert breaker.is_open
    assert breaker.allow(OPEN_SECONDS)
