"""Whether and when to try an operation again: only what certainly did not happen, or what may happen twice."""

from collections.abc import Callable
from dataclasses import dataclass

from signalr_bridge.endpoints.outcome import Outcome, Verdict
from signalr_bridge.protocol.rest import Action

LEAST_SECONDS = 0.1
"""An attempt with less time than this is not begun: it would turn a certain no into a perhaps."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and after how many seconds. ``attempt_seconds`` caps one attempt.

    Delays double up to ``longest_delay``, with full jitter; ``fixed`` ones stay as they are. A call that is throttled
    is tried to the end of its deadline, however many attempts that takes.
    """

    most_attempts: int = 3
    first_delay: float = 0.1
    longest_delay: float = 60.0
    fixed: bool = False
    attempt_seconds: float | None = None

    def delay(self, attempt: int, random: Callable[[], float]) -> float:
        """Seconds to wait after the attempt of this number, from 1."""
        if self.fixed:
            return self.first_delay
        return min(self.first_delay * float(1 << min(attempt - 1, 30)), self.longest_delay) * random()


def next_delay(
    policy: RetryPolicy, action: Action, outcome: Outcome, attempt: int, remaining: float, random: Callable[[], float]
) -> float | None:
    """Seconds to wait before trying again, or None to leave it at ``outcome``.

    ``attempt`` counts from 1; ``remaining`` is what is left of the deadline; ``random`` gives a number from 0 to 1.
    """
    throttled = outcome.code == "throttled"
    if (attempt >= policy.most_attempts and not throttled) or not _is_worth_another(action, outcome):
        return None
    delay = max(policy.delay(attempt, random), outcome.retry_after or 0.0)
    return delay if delay + LEAST_SECONDS <= remaining else None


def _is_worth_another(action: Action, outcome: Outcome) -> bool:
    if action is Action.INVOKE or outcome.code == "no-credential":
        return False
    if outcome.verdict is Verdict.UNREACHABLE or outcome.code == "throttled":
        return True
    if not action.may_repeat:
        return False  # it may have been delivered
    return outcome.verdict is Verdict.UNKNOWN or (outcome.status_code or 0) >= 500


def attempt_seconds(policy: RetryPolicy, action: Action, attempt: int, remaining: float) -> float:
    """How long an attempt may take. What may happen twice leaves half of the time for another one."""
    share = (
        max(remaining / 2, min(LEAST_SECONDS, remaining))
        if action.may_repeat and attempt < policy.most_attempts
        else remaining
    )
    return share if policy.attempt_seconds is None else min(share, policy.attempt_seconds)


def settle(earlier: Outcome | None, last: Outcome) -> Outcome:
    """What to say after several attempts: if an earlier one may have been done, a later refusal does not undo it."""
    undecided = earlier is not None and earlier.verdict is Verdict.UNKNOWN
    if earlier is not None and undecided and last.verdict in {Verdict.UNREACHABLE, Verdict.REJECTED}:
        return earlier
    return last
