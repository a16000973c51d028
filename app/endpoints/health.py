"""Which endpoints are online, judged by how the last calls and probes went."""

from dataclasses import dataclass

from app.endpoints.outcome import Verdict

FAILURES_TO_OFFLINE = 3
"""So many refused or timed-out calls in a row take an endpoint offline; one failed probe does, too."""

_FAILED = frozenset({Verdict.UNREACHABLE, Verdict.UNKNOWN})
_WORKING = frozenset({Verdict.ACCEPTED, Verdict.ABSENT})


@dataclass(slots=True)
class _Record:
    failures: int = 0
    worked: bool = False


class Health:
    """The health of endpoints by their URL. An endpoint that nobody has called yet counts as online."""

    def __init__(self) -> None:
        self._records: dict[str, _Record] = {}

    def record_call(self, url: str, verdict: Verdict, *, answered: bool = False) -> None:
        """Take note of how a call of ours went. ``answered``: with an HTTP status, so even a 500 is a sign of life.

        Of an endpoint that is offline only a probe says that it is back: this may have been on its way since before.
        """
        record = self._records.setdefault(url, _Record())
        record.worked |= verdict in _WORKING
        if record.failures < FAILURES_TO_OFFLINE:
            record.failures = record.failures + 1 if verdict in _FAILED and not answered else 0

    def record_probe(self, url: str, verdict: Verdict) -> None:
        """Take note of a probe: anything but a good answer takes the endpoint offline, a good one brings it back."""
        record = self._records.setdefault(url, _Record())
        record.failures = 0 if verdict in _WORKING else FAILURES_TO_OFFLINE
        record.worked |= verdict in _WORKING

    def is_online(self, url: str) -> bool:
        return self._records.get(url, _Record()).failures < FAILURES_TO_OFFLINE

    def has_worked(self, url: str) -> bool:
        """Whether the endpoint has ever answered to our credential."""
        return self._records.get(url, _Record()).worked
