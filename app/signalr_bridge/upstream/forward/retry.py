"""Whether and when an event is posted again: decided from how the last attempt failed."""

from collections.abc import Callable

from signalr_bridge.upstream.forward.reply import BackendFailed, NeverArrived, NoAnswer, Spared, Unwell

FIRST_DELAY = 0.1
"""Seconds; doubles with each attempt, with full jitter."""
LONGEST_DELAY = 5.0
MOST_ATTEMPTS = 3
"""Of a message; a connection event is tried as long as the rule says."""

# A message may be posted twice only when the first one certainly never arrived; a connection event at least once.
_AGAIN_FOR_MESSAGES = (NeverArrived,)
_AGAIN_FOR_CONNECTIONS = (NeverArrived, NoAnswer, Spared, Unwell)


def may_repeat(failure: BackendFailed) -> bool:
    """Whether a connection event that failed so is worth another attempt."""
    return isinstance(failure, _AGAIN_FOR_CONNECTIONS)


def delay_for_message(
    failure: BackendFailed, attempt: int, remaining: float, random: Callable[[], float]
) -> float | None:
    """Seconds until a message's next attempt, or None to leave it at ``failure``. ``attempt`` counts from 1."""
    if not isinstance(failure, _AGAIN_FOR_MESSAGES) or attempt >= MOST_ATTEMPTS:
        return None
    return _within(_back_off(attempt, random), remaining)


def delay_for_connection(
    failure: BackendFailed, attempt: int, remaining: float, random: Callable[[], float]
) -> float | None:
    """The same for a connection event, which also waits as long as the backend asks for, if there is the time."""
    if not may_repeat(failure):
        return None
    asked = failure.retry_after if isinstance(failure, Unwell) else None
    return _within(max(_back_off(attempt, random), _within(asked or 0.0, remaining) or 0.0), remaining)


def _back_off(attempt: int, random: Callable[[], float]) -> float:
    return random() * min(FIRST_DELAY * 2.0 ** min(attempt - 1, 16), LONGEST_DELAY)


def _within(delay: float, remaining: float) -> float | None:
    return delay if delay < remaining else None
