"""A breaker for each endpoint: while most of what it is asked fails, nothing is asked a second time.

First attempts are always let through: what is down is health's business, and these show when it is well again.
"""

from dataclasses import dataclass

from signalr_bridge.endpoints.outcome import Outcome, Verdict

CAPACITY = 100
"""So many attempts more may fail than succeed; at half of that retries end."""


@dataclass(slots=True)
class Breaker:
    """Every failed attempt takes a token, every answered one gives one back."""

    tokens: int = CAPACITY

    @property
    def is_open(self) -> bool:
        """Whether retries are off."""
        return self.tokens <= CAPACITY // 2

    def record(self, outcome: Outcome) -> None:
        if _has_failed(outcome):
            self.tokens = max(self.tokens - 1, 0)
        elif self.tokens < CAPACITY:
            self.tokens += 1


def _has_failed(outcome: Outcome) -> bool:
    """In a way that one may want to try again."""
    if outcome.verdict in {Verdict.UNREACHABLE, Verdict.UNKNOWN}:
        return True
    return outcome.code == "throttled" or (outcome.status_code or 0) >= 500
