"""The health of all endpoints: the state of each, since when, and its last error."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from signalr_bridge.endpoints.endpoint import ANSWERS, Code, Outcome, Verdict
from signalr_bridge.runtime import WallClock

FAILURES_TO_OFFLINE = 3
"""How many refused or timed-out calls in a row take an endpoint offline. One failed probe is enough."""


class State(StrEnum):
    """The state of an endpoint. Only an endpoint that is ``ONLINE`` gets new clients."""

    ONLINE = "online"
    OFFLINE = "offline"
    DENIED = "denied"
    MISROUTED = "misrouted"
    THROTTLED = "throttled"

    @property
    def is_down(self) -> bool:
        """Whether a call would certainly fail. A throttled endpoint may accept it, or ask for a pause."""
        return self not in {State.ONLINE, State.THROTTLED}


_FAILURES = frozenset({Verdict.UNREACHABLE, Verdict.UNKNOWN})
_BY_CODE = {
    Code.DENIED: State.DENIED,
    Code.NO_CREDENTIAL: State.DENIED,
    Code.ENDPOINT_MISROUTED: State.MISROUTED,
}


def judge_probe(outcome: Outcome) -> State:
    """The state of an endpoint after a probe with this outcome."""
    if outcome.verdict in ANSWERS:
        return State.ONLINE
    if outcome.is_rate_limited:
        return State.THROTTLED
    return State.OFFLINE if outcome.code is None else _BY_CODE.get(outcome.code, State.OFFLINE)


def counts_against(outcome: Outcome) -> bool:
    """Whether a call was refused or timed out. After any HTTP status, even 500, the endpoint counts as reached.

    A call for which no connection of ours was free says nothing about the endpoint.
    """
    return outcome.verdict in _FAILURES and outcome.status_code is None and outcome.code is not Code.OVERLOADED


def explain(outcome: Outcome) -> str | None:
    """The error in a few words, without addresses. None when there was none."""
    if outcome.verdict in ANSWERS:
        return None
    if outcome.status_code is not None:
        return f"status {outcome.status_code}"
    if outcome.code is not None:
        return outcome.code.value if outcome.why is None else f"{outcome.code}: {outcome.why}"
    return "could not be reached" if outcome.verdict is Verdict.UNREACHABLE else "no answer"


@dataclass(frozen=True, slots=True)
class Report:
    """The health of an endpoint. ``since`` is in seconds since 1970, and None before the first probe or outage."""

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
    """What is known of each endpoint, by its URL. An endpoint that was never called counts as online.

    ``now`` gives seconds since 1970. The attribute ``on_offline`` is called with the URL of an endpoint when calls, and
    not a probe, take it offline.
    """

    def __init__(self, now: WallClock) -> None:
        self.on_offline: Callable[[str], None] = lambda url: None
        self.changes = 0
        """How often the state of an endpoint has changed."""
        self._now = now
        self._records: dict[str, _Record] = {}

    def period(self, url: str) -> int:
        """How often the endpoint has recovered. Get it before a call, and hand it to ``record_call``."""
        record = self._records.get(url)
        return 0 if record is None else record.recoveries

    def record_call(self, url: str, outcome: Outcome, period: int) -> None:
        """Records the outcome of a call. A call from before the last recovery does not count against the endpoint.

        Only a probe brings an endpoint back, because a call may have begun before the outage.
        """
        record = self._record(url)
        if outcome.verdict in ANSWERS:
            record.worked, record.failures = True, 0
        elif counts_against(outcome):
            self._count(record, url, outcome, period)
        else:
            record.failures = 0

    def _count(self, record: _Record, url: str, outcome: Outcome, period: int) -> None:
        """Counts a call that was refused or timed out."""
        record.last_error = explain(outcome)
        if record.state is not State.ONLINE or period != record.recoveries:
            return
        record.failures += 1
        if record.failures >= FAILURES_TO_OFFLINE:
            record.outages += 1
            self._turn(record, State.OFFLINE)
            self.on_offline(url)

    def outages(self, url: str) -> int:
        """How often calls have taken the endpoint offline. Get it before a probe, and hand it to ``record_probe``."""
        record = self._records.get(url)
        return 0 if record is None else record.outages

    def record_probe(self, url: str, outcome: Outcome, outages: int | None = None) -> None:
        """Records the outcome of a probe. A good answer brings the endpoint back, anything else takes it offline.

        A good answer to a probe that began before calls took the endpoint offline is out of date, and changes nothing.
        """
        record = self._record(url)
        record.worked |= outcome.verdict in ANSWERS
        record.last_error = explain(outcome) or record.last_error
        state = judge_probe(outcome)
        if state is not State.ONLINE or outages in {None, record.outages}:
            self._turn(record, state)

    def is_online(self, url: str) -> bool:
        """Whether the endpoint may get new clients."""
        return self.state(url) is State.ONLINE

    def state(self, url: str) -> State:
        """The endpoint's state."""
        record = self._records.get(url)
        return State.ONLINE if record is None else record.state

    def report(self, url: str) -> Report:
        """The endpoint's state, since when, and its last error."""
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
        if record.state is not state:
            self.changes += 1
        record.state, record.since = state, self._now()
