"""A breaker: after so many failures in a row a backend is left alone for a while, then asked by one call."""

from dataclasses import dataclass

FAILURES_TO_OPEN = 5
"""So many calls in a row that were refused or not answered."""
OPEN_SECONDS = 1.0


@dataclass(slots=True)
class Breaker:
    """For one backend. Moments are monotonic seconds. Whoever was allowed a call says how it went, or ``forget``."""

    failures: int = 0
    _retry_at: float = 0.0
    _probing: bool = False

    @property
    def is_open(self) -> bool:
        return self.failures >= FAILURES_TO_OPEN

    def allow(self, now: float) -> bool:
        """Whether to call: always while closed; of those that ask after a while, the first one is the probe."""
        if not self.is_open:
            return True
        if self._probing or now < self._retry_at:
            return False
        self._probing = True
        return True

    def record_answer(self) -> None:
        """Any answer is a sign of life, even a 500."""
        self.failures, self._probing = 0, False

    def record_failure(self, now: float) -> None:
        self.failures += 1
        self._probing = False
        self._retry_at = now + OPEN_SECONDS

    def forget(self) -> None:
        """The call ended and says nothing of the backend."""
        self._probing = False
