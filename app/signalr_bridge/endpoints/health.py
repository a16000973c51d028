"""The health of all endpoints: the state of each, since when, and its last error."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from signalr_bridge.endpoints.endpoint import ANSWERS, Code, Outcome, Verdict
from signalr_bridge.runtime import RUNTIME, Clock, WallClock

FAILURES_TO_OFFLINE = 3
"""How many refused or timed-out calls in a row take an endpoint offline. One failed probe is enough."""

FIRST_PAUSE = 1.0
"""Seconds from a trial call that failed to the next one. They double up to ``LONGEST_PAUSE``."""

LONGEST_PAUSE = 30.0
"""In seconds. A trial call of which nobody tells how it ended, because its caller has gone, is over by then as well."""


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


def is_well(outcome: Outcome) -> bool:
    """Whether the endpoint has answered a call as one that works. It may have refused a bad one."""
    refused = outcome.verdict is Verdict.REJECTED and outcome.code is None and not outcome.is_server_error
    return outcome.verdict in ANSWERS or refused


def explain(outcome: Outcome) -> str | None:
    """The error in a few words, without addresses. None when there was none."""
    if outcome.verdict in ANSWERS:
        return None
    if outcome.status_code is not None:
        return f"status {outcome.status_code}" + ("" if outcome.why is None else f": {outcome.why}")
    if outcome.code is not None:
        return outcome.code.value if outcome.why is None else f"{outcome.code}: {outcome.why}"
    return "could not be reached" if outcome.verdict is Verdict.UNREACHABLE else "no answer"


@dataclass(frozen=True, slots=True)
class Report:
    """The health of an endpoint.

    ``since`` is in seconds since 1970, and None before the first probe or outage. ``last_ok`` is when a probe last
    found the endpoint well, and None before that.
    """

    state: State = State.ONLINE
    since: float | None = None
    last_error: str | None = None
    last_ok: float | None = None


@dataclass(slots=True)
class _Record:
    """What is known of one endpoint. What probes say and what calls say are kept apart, and make its state together."""

    state: State = State.ONLINE
    since: float | None = None
    last_error: str | None = None
    last_ok: float | None = None
    worked: bool = False
    changes: int = 0
    """How often its state has changed."""

    probed: State = State.ONLINE
    """What the last probe says."""

    failures: int = 0
    """How many calls in a row have failed."""
    failed_messages: int = 0
    """How many messages in a row have failed, whatever other calls did in between."""
    was_silent: bool = False
    """Whether one of these calls had been sent, and was not answered. A probe that is answered says little of that."""
    is_failing: bool = False
    """Whether calls have taken the endpoint offline."""
    trusts_probes: bool = True
    """Whether a call was answered since a good probe last brought the endpoint back."""
    outages: int = 0
    may_try: bool = False
    """Whether a probe was good that began after calls took the endpoint offline."""
    trials: int = 0
    """How many trial calls have failed in a row."""
    is_trying: bool = False
    next_trial: float = 0.0

    def is_brought_back_by(self, is_message: bool) -> bool:
        """Whether an answer to such a call ends the outage. Where messages failed in a row, only a message does so."""
        return is_message or self.failed_messages < FAILURES_TO_OFFLINE

    def judge(self) -> State:
        """The state that follows from what probes and calls say."""
        return State.OFFLINE if self.is_failing and not self.probed.is_down else self.probed


class Health:
    """What is known of each endpoint, by its URL. An endpoint that was never called counts as online.

    Probes and calls are judged apart, because an endpoint may answer the ones and not the others. Calls that fail take
    it offline whatever its probes say. Then a good probe lets one trial call through at a time, with growing pauses.
    Only a good call brings the endpoint back. Where calls could not even be sent, a good probe does so once, because it
    shows that the endpoint can be reached again, and perhaps nobody calls.

    Args:
        now: Gives seconds since 1970.
        clock: Gives monotonic seconds.

    Attributes:
        on_offline: It is called with the URL of an endpoint when calls, and not a probe, take it offline.
    """

    def __init__(self, now: WallClock, clock: Clock = RUNTIME.clock) -> None:
        self.on_offline: Callable[[str], None] = lambda url: None
        self.changes = 0
        """How often the state of an endpoint has changed."""
        self._now, self._clock = now, clock
        self._records: dict[str, _Record] = {}

    def period(self, url: str) -> int:
        """The time between two changes of the state, as a number. Get it before a call, for ``record_call``."""
        record = self._records.get(url)
        return 0 if record is None else record.changes

    def record_call(self, url: str, outcome: Outcome, period: int, *, is_message: bool = False) -> None:
        """Records the outcome of a call. One that began before the endpoint's state changed says little of the present.

        It neither takes the endpoint offline nor brings it back.
        """
        record = self._record(url)
        if counts_against(outcome):
            self._count(record, url, outcome, period, is_message)
            return
        record.worked |= outcome.verdict in ANSWERS
        record.trusts_probes = True
        if record.is_failing:
            self._end_outage(record, outcome, period, is_message)
        else:
            record.failures, record.was_silent = 0, False
            record.failed_messages = 0 if is_message else record.failed_messages

    def _count(self, record: _Record, url: str, outcome: Outcome, period: int, is_message: bool) -> None:
        """Counts a call that was refused or timed out."""
        record.last_error = explain(outcome)
        if period != record.changes:
            return
        if record.is_failing:
            self._end_trial(record)
        elif not record.state.is_down:
            record.failures += 1
            record.failed_messages += is_message
            record.was_silent |= outcome.verdict is Verdict.UNKNOWN
            if max(record.failures, record.failed_messages) >= FAILURES_TO_OFFLINE:
                self._begin_outage(record, url)

    def _begin_outage(self, record: _Record, url: str) -> None:
        record.is_failing, record.may_try, record.is_trying = True, False, False
        record.outages += 1
        record.next_trial = self._clock()
        self._turn(record)
        self.on_offline(url)

    def _end_trial(self, record: _Record) -> None:
        """A call has failed while the endpoint was offline. If it was a trial, the next one follows after a pause."""
        if record.is_trying:
            pause = min(FIRST_PAUSE * float(1 << min(record.trials, 16)), LONGEST_PAUSE)
            record.trials += 1
            record.is_trying, record.next_trial = False, self._clock() + pause

    def _end_outage(self, record: _Record, outcome: Outcome, period: int, is_message: bool) -> None:
        """Brings the endpoint back when a call that began while it was offline has been answered well."""
        if not is_well(outcome):
            self._end_trial(record)
        elif period == record.changes and record.is_brought_back_by(is_message):
            record.is_failing, record.is_trying, record.trials = False, False, 0
            record.failures, record.was_silent = 0, False
            record.failed_messages = 0 if is_message else record.failed_messages
            self._turn(record)

    def begin_trial(self, url: str, is_message: bool) -> bool:
        """Whether a call may be tried at an offline endpoint. If it may, no other one may until it has ended."""
        record = self._records.get(url)
        if record is None or not (record.is_failing and record.may_try) or record.probed.is_down:
            return False
        now = self._clock()
        if now < record.next_trial or not record.is_brought_back_by(is_message):
            return False
        record.is_trying, record.next_trial = True, now + LONGEST_PAUSE
        return True

    def outages(self, url: str) -> int:
        """How often calls have taken the endpoint offline. Get it before a probe, and hand it to ``record_probe``."""
        record = self._records.get(url)
        return 0 if record is None else record.outages

    def record_probe(self, url: str, outcome: Outcome, outages: int | None = None) -> None:
        """Records the outcome of a probe. A bad answer takes the endpoint offline, and a good one brings it back.

        Where calls took it offline, a good answer mostly lets a trial call through and no more. One to a probe that
        began before that is out of date, and changes nothing.
        """
        record = self._record(url)
        record.worked |= outcome.verdict in ANSWERS
        record.last_error = explain(outcome) or record.last_error
        record.probed = judge_probe(outcome)
        if record.probed is State.ONLINE:
            record.last_ok = self._now()
        if outages in {None, record.outages} and not record.probed.is_down:
            record.may_try = True
            if record.is_failing and record.trusts_probes and not record.was_silent:
                record.is_failing = record.trusts_probes = False
        was_down = record.state.is_down
        self._turn(record)
        if was_down and not record.state.is_down:
            record.failures, record.failed_messages, record.was_silent = 0, 0, False

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
        return Report() if record is None else Report(record.state, record.since, record.last_error, record.last_ok)

    def has_worked(self, url: str) -> bool:
        """Whether the endpoint has ever answered to our credential."""
        record = self._records.get(url)
        return record is not None and record.worked

    def _record(self, url: str) -> _Record:
        record = self._records.get(url)
        if record is None:
            record = self._records[url] = _Record()
        return record

    def _turn(self, record: _Record) -> None:
        """Puts the state in force that probes and calls make together."""
        state = record.judge()
        if record.state is state and record.since is not None:
            return
        if record.state is not state:
            record.changes += 1
            self.changes += 1
        record.state, record.since = state, self._now()
