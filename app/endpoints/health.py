"""Which endpoints are online, judged by how the last calls went."""

from collections.abc import Callable
from dataclasses import dataclass

from app.endpoints.outcome import Verdict

FAILURES_TO_OFFLINE = 3
"""So many refused or timed-out calls in a row take an endpoint offline."""
OFFLINE_SECONDS = 10.0
"""How long it is left alone before a call tries it again."""

_FAILED = frozenset({Verdict.UNREACHABLE, Verdict.UNKNOWN})


@dataclass(slots=True)
class _Record:
    failures: int = 0
    last_failure: float = 0.0


class Health:
    """Passive health of endpoints by name; ``clock`` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._records: dict[str, _Record] = {}

    def record(self, key: str, verdict: Verdict) -> None:
        """Take note of how a call of the endpoint ``key`` went."""
        if verdict is Verdict.OFFLINE:
            return
        record = self._records.setdefault(key, _Record())
        if verdict in _FAILED:
            record.failures += 1
            record.last_failure = self._clock()
        else:
            record.failures = 0

    def is_online(self, key: str) -> bool:
        """Whether the endpoint has not been failing lately; one that nobody has called counts as online."""
        record = self._records.get(key)
        if record is None or record.failures < FAILURES_TO_OFFLINE:
            return True
        return self._clock() - record.last_failure >= OFFLINE_SECONDS

    def has_answered(self, key: str) -> bool:
        """Whether the last call of the endpoint was answered."""
        record = self._records.get(key)
        return record is not None and record.failures == 0
