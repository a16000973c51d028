"""Which failures are tried again, and when."""

import pytest
from signalr_bridge.upstream.forward.backends import (
    LONGEST_DELAY,
    MOST_ATTEMPTS,
    delay_for_connection,
    delay_for_message,
)
from signalr_bridge.upstream.forward.formats import BackendFailed, BackendUnavailable, CircuitOpen, NoResponse, NotSent

ALL = [NotSent("x"), NoResponse("x"), CircuitOpen("x"), BackendUnavailable("x"), BackendFailed("x")]


def most() -> float:
    return 1.0


@pytest.mark.parametrize("failure", ALL)
def test_a_message_only_when_it_certainly_was_not_sent(failure: BackendFailed) -> None:
    assert (delay_for_message(failure, 1, 10, most) is not None) == isinstance(failure, NotSent)


@pytest.mark.parametrize("failure", ALL)
def test_a_connection_event_unless_the_backend_has_spoken(failure: BackendFailed) -> None:
    assert (delay_for_connection(failure, 1, 10, most) is not None) == (type(failure) is not BackendFailed)


def test_a_message_is_not_tried_for_ever() -> None:
    delays = [delay_for_message(NotSent("x"), attempt, 10, most) for attempt in range(1, MOST_ATTEMPTS + 1)]
    assert delays == [0.1, 0.2, None]


def test_the_delay_doubles_up_to_a_bound_with_full_jitter() -> None:
    delays = [delay_for_connection(NoResponse("x"), attempt, 100, most) for attempt in (1, 2, 3, 6, 7, 1000)]
    assert delays == pytest.approx([0.1, 0.2, 0.4, 3.2, LONGEST_DELAY, LONGEST_DELAY])
    assert delay_for_connection(NoResponse("x"), 5, 100, lambda: 0.0) == 0
    assert delay_for_connection(NoResponse("x"), 5, 100, lambda: 0.5) == pytest.approx(0.8)


def test_the_backend_may_ask_for_more() -> None:
    assert delay_for_connection(BackendUnavailable("x", 7.0), 1, 100, most) == 7
    assert delay_for_connection(BackendUnavailable("x", 0.0), 1, 100, most) == 0.1
    assert delay_for_connection(BackendUnavailable("x", 7.0), 1, 6, most) == 0.1, "there is not the time for that"


def test_there_is_no_attempt_after_the_end() -> None:
    assert delay_for_connection(NoResponse("x"), 1, 0.1, most) is None
    assert delay_for_message(NotSent("x"), 1, 0.05, most) is None
