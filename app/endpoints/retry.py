"""Whether and when to try an operation again: only what certainly did not happen, or what may happen twice."""

from collections.abc import Callable

from app.endpoints.outcome import Outcome, Verdict
from app.protocol.rest import Action

MOST_ATTEMPTS = 3
"""Of a call that failed; one that is throttled is tried to the end of its deadline."""
FIRST_DELAY = 0.1
"""Seconds; doubles with each attempt, with full jitter."""


def next_delay(
    action: Action, outcome: Outcome, attempt: int, remaining: float, random: Callable[[], float]
) -> float | None:
    """Seconds to wait before trying again, or None to leave it at ``outcome``.

    ``attempt`` counts from 1; ``remaining`` is what is left of the deadline; ``random`` gives a number from 0 to 1.
    """
    throttled = outcome.code == "throttled"
    if (attempt >= MOST_ATTEMPTS and not throttled) or not _may_repeat(action, outcome):
        return None
    delay = max(random() * FIRST_DELAY * 2 ** (attempt - 1), outcome.retry_after or 0.0)
    return delay if delay < remaining else None


def _may_repeat(action: Action, outcome: Outcome) -> bool:
    if outcome.verdict is Verdict.UNREACHABLE or outcome.code == "throttled":
        return True
    if action.is_message:
        return False  # it may have been delivered
    return outcome.verdict is Verdict.UNKNOWN or (outcome.status_code or 0) >= 500
