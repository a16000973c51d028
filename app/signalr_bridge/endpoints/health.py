"""The health of all endpoints: what was last seen of each, since when, and what went wrong last."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from signalr_bridge.endpoints.endpoint import Code, Outcome, Verdict
from signalr_bridge.runtime import WallClock


class State(StrEnum):
    """Only an endpoint that is ``ONLINE`` gets new clients."""

    ONLINE = "online"
    OFFLINE = "offline"
    DENIED = "denied"
    MISROUTED = "misrouted"
    THROTTLED = "throttled"

    @property
    def is_down(self) -> bool:
        """Whether a call would certainly be of no use. One that is throttled may take it, or ask for a pause."""
        return self not in {State.ONLINE, State.THROTTLED}


_BY_CODE = {
    Code.DENIED: State.DENIED,
    Code.NO_CREDENTIAL: State.DENIED,
    Code.ENDPOINT_MISROUTED: State.MISROUTED,
}
WORKING = frozenset({Verdict.ACCEPTED, Verdict.ABSENT})


def judge_probe(outcome: Outcome) -> State:
    """What a probe found."""
    if outcome.verdict in WORKING:
        return State.ONLINE
    if outcome.status_code == 429:
        return State.THROTTLED
    return State.OFFLINE if outcome.code is None else _BY_CODE.get(outcome.code, State.OFFLINE)


def counts_against(outcome: Outcome) -> bool:
    """Whether a call was refused or timed out. Any HTTP status, even a 500, is a sign of life."""
    return outcome.verdict in {Verdict.UNREACHABLE, Verdict.UNKNOWN} and outcome.status_code is None


def explain(outcome: Outcome) -> str | None:
    """What went wrong, in a few words without addresses. None when nothing did."""
    if outcome.verdict in WORKING:
        return None
    if outcome.status_code is not None:
        return f"status {outcome.status_code}"
    if outcome.code is not None:
        return outcome.code.value if outcome.why is None else f"{outcome.code}: {outcome.why}"
    return "could not be reached" if outcome.verdict is Verdict.UNREACHABLE else "no answer"


FAILURES_TO_OFFLINE = 3
"""So many refused or timed-out calls in a row take an endpoint offline. One failed probe does so, too."""


@dataclass(frozen=True, slots=True)
class Report:
    """How an endpoint is. ``since`` is in seconds since 1970, and None before anything was heard."""

    state: State = State.ONLINE
    since: float | None = None
    last_error: str | None = None


@dataclass(slots=True)
class _Record:
    state: State = State.ONLINE
    since: float | None = None
    last_error: str | None = None
    failures: int = 0
    recoveries: int = 0
    outages: int = 0
    worked: bool = False


class Health:
    """What is known of each endpoint, by its URL. One that nobody has called yet counts as online.

    ``now`` gives seconds since 1970. ``on_offline`` is told the URL of an endpoint that calls, and not a probe, have
    found to be down.
    """

    def __init__(self, now: WallClock) -> None:
        self.on_offline: Callable[[str], None] = lambda url: None
        self._now = now
        self._records: dict[str, _Record] = {}

    def period(self, url: str) -> int:
        """Remember this before a call, and hand it to ``record_call``."""
        record = self._records.get(url)
        return 0 if record is None else record.recoveries

    def record_call(self, url: str, outcome: Outcome, period: int) -> None:
        """Take note of how a call of ours went. One from before the last recovery says nothing of the present.

        Only a probe says that an endpoint is back: a call may have been on its way since before.
        """
        record = self._record(url)
        record.worked |= outcome.verdict in WORKING
        if not counts_against(outcome):
            record.failures = 0
            return
        record.last_error = explain(outcome)
        if record.state is not State.ONLINE or period != record.recoveries:
            return
        record.failures += 1
        if record.failures >= FAILURES_TO_OFFLINE:
            record.outages += 1
            self._turn(record, State.OFFLINE)
            self.on_offline(url)

    def outages(self, url: str) -> int:
        """Remember this before a probe, and hand it to ``record_probe``."""
        record = self._records.get(url)
        return 0 if record is None else record.outages

    def record_probe(self, url: str, outcome: Outcome, outages: int | None = None) -> None:
        """Take note of a probe. Anything but a good answer takes the endpoint off, a good one brings it back.

        A good one that was on its way already when calls found the endpoint down does not: it is news from before.
        """
        record = self._record(url)
        record.worked |= outcome.verdict in WORKING
        record.last_error = explain(outcome) or record.last_error
        state = judge_probe(outcome)
        if state is not State.ONLINE or outages in {None, record.outages}:
            self._turn(record, state)

    def is_online(self, url: str) -> bool:
        return self.state(url) is State.ONLINE

    def state(self, url: str) -> State:
        record = self._records.get(url)
        return State.ONLINE if record is None else record.state

    def report(self, url: str) -> Report:
        record = self._records.get(url)
        return Report() if record is None else Report(record.state, record.since, record.last_error)

    def has_worked(self, url: str) -> bool:
        """Whether the endpoint has ever answered to our credential."""
        record = self._records.get(url)
        return record is not None and record.worked

    def _record(self, url: str) -> _Record:
        record = self._records.get(url)
        if record is None:
            record = self._records[url] = _Record()
        return record

    def _turn(self, record: _Record, state: State) -> None:
        if state is State.ONLINE:
            record.failures = 0
        if record.state is state and record.since is not None:
            return
        if state is State.ONLINE and record.since is not None:
            record.recoveries += 1
        record.state, record.since = state, self._now()
