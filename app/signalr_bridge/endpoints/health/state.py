"""The states of an endpoint, and what a probe's outcome says of it."""

from enum import StrEnum

from signalr_bridge.endpoints.outcome import Outcome, Verdict


class State(StrEnum):
    """Only an endpoint that is ``ONLINE`` gets new clients."""

    ONLINE = "online"
    OFFLINE = "offline"
    DENIED = "denied"
    MISROUTED = "misrouted"
    THROTTLED = "throttled"

    @property
    def is_down(self) -> bool:
        """Whether a call would certainly be of no use; one that is throttled may take it, or ask for a pause."""
        return self not in {State.ONLINE, State.THROTTLED}


_BY_CODE = {
    "denied": State.DENIED,
    "no-credential": State.DENIED,
    "endpoint-misrouted": State.MISROUTED,
}
WORKING = frozenset({Verdict.ACCEPTED, Verdict.ABSENT})


def judge_probe(outcome: Outcome) -> State:
    """What a probe found."""
    if outcome.verdict in WORKING:
        return State.ONLINE
    if outcome.status_code == 429:
        return State.THROTTLED
    return _BY_CODE.get(outcome.code or "", State.OFFLINE)


def counts_against(outcome: Outcome) -> bool:
    """Whether a call was refused or timed out. Any HTTP status, even a 500, is a sign of life."""
    return outcome.verdict in {Verdict.UNREACHABLE, Verdict.UNKNOWN} and outcome.status_code is None


def explain(outcome: Outcome) -> str | None:
    """What went wrong, in a few words without addresses; None when nothing did."""
    if outcome.verdict in WORKING:
        return None
    if outcome.status_code is not None:
        return f"status {outcome.status_code}"
    if outcome.code is not None:
        return outcome.code if outcome.why is None else f"{outcome.code}: {outcome.why}"
    return "could not be reached" if outcome.verdict is Verdict.UNREACHABLE else "no answer"
