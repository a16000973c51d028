"""The result of an operation over all endpoints, and the one judgement of what it means.

HTTP answers and the errors of handlers' calls are both made from the judgement. Source of the words: the README's
tables of outcomes and results.
"""

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import msgspec

from signalr_bridge.endpoints.endpoint import ANSWERS, Code, Outcome, Verdict
from signalr_bridge.errors import (
    ClientTimeout,
    ConnectionNotFound,
    DeliveryError,
    DeliveryFailed,
    DeliveryUnknown,
    InvokeFailed,
    NoEndpointAvailable,
    NotPresent,
    Throttled,
)
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.rest import Action, ClientAnswer, MemberPage

# The users and connections that these concern may be at any endpoint, so an endpoint that is offline leaves the
# operation half done. A leave that is lost there is a right that was not revoked.
_SPREAD = frozenset(
    {
        Action.ADD_CONNECTION,
        Action.REMOVE_CONNECTION,
        Action.REMOVE_CONNECTION_FROM_ALL,
        Action.ADD_USER,
        Action.REMOVE_USER,
        Action.REMOVE_USER_FROM_ALL,
        Action.CLOSE_ALL,
        Action.CLOSE_USER,
        Action.CLOSE_GROUP,
    }
)


class Status(StrEnum):
    """What became of an item over all endpoints. Source: the README's table of results."""

    ACCEPTED = "accepted"
    PARTIAL = "partial"
    ABSENT = "absent"
    UNKNOWN = "unknown"
    REJECTED = "rejected"
    SKIPPED = "skipped"


class Result(msgspec.Struct, frozen=True, gc=False):
    """What became of one item.

    Args:
        status: The result in one word.
        outcomes: What each endpoint said.
        code: Why it was rejected, in one word.
    """

    status: Status
    outcomes: tuple[Outcome, ...] = ()
    code: Code | None = None

    @property
    def retry_after(self) -> float | None:
        """The longest wait, in seconds, that an endpoint asked for."""
        return max((one.retry_after for one in self.outcomes if one.retry_after is not None), default=None)

    @property
    def complete(self) -> bool:
        """Whether every endpoint that matters was asked, and said yes or no."""
        return all(one.verdict in ANSWERS for one in self.outcomes)

    def as_json(self) -> dict[str, Any]:
        """The result as it stands in answers."""
        answer: dict[str, Any] = {"status": self.status.value}
        if self.status is not Status.SKIPPED:
            answer["endpoints"] = [outcome.as_json() for outcome in self.outcomes]
        return answer if self.code is None else answer | {"code": self.code.value}


SKIPPED = Result(Status.SKIPPED)

_MOST_TEXTS = 64
_TEXTS: dict[int, tuple[Result, bytes]] = {}
"""The texts of results by the identity of the result, which is kept so that no other object gets its identity."""


def result_bytes(result: Result) -> bytes:
    """The JSON text of ``result.as_json()``.

    Those of some results are kept. A registry gives the same object each time all of its endpoints accept.
    """
    known = _TEXTS.get(id(result))
    if known is None:
        if len(_TEXTS) >= _MOST_TEXTS:
            _TEXTS.clear()
        known = _TEXTS[id(result)] = result, json_text.encode(result.as_json())
    return known[1]


def merge(action: Action, outcomes: Sequence[Outcome]) -> Result:
    """The result of an action from the outcomes of all endpoints."""
    tried = {one.verdict for one in outcomes if one.verdict is not Verdict.OFFLINE}
    if not tried:
        return Result(Status.REJECTED, tuple(outcomes), Code.NO_ENDPOINT_AVAILABLE)
    if Verdict.ACCEPTED in tried:
        spoilt = action in _SPREAD and any(one.verdict is Verdict.OFFLINE for one in outcomes)
        whole = tried <= ANSWERS and not spoilt
        return Result(Status.ACCEPTED if whole else Status.PARTIAL, tuple(outcomes))
    if tried == {Verdict.ABSENT}:
        return Result(Status.ABSENT, tuple(outcomes))
    if Verdict.UNKNOWN in tried:
        return Result(Status.UNKNOWN, tuple(outcomes))
    code = next((one.code for one in outcomes if one.code is not None), None)
    return Result(Status.REJECTED, tuple(outcomes), code)


def describe(result: Result) -> str:
    """What each endpoint said, in one line."""
    outcomes = ", ".join(map(_describe_outcome, result.outcomes))
    return outcomes or result.code or result.status.value


def _describe_outcome(outcome: Outcome) -> str:
    more = " ".join(str(one) for one in (outcome.status_code, outcome.code) if one is not None)
    more += "" if outcome.why is None else f": {outcome.why}"
    return f"{outcome.name} {outcome.verdict.value}" + (f" ({more})" if more else "")


class Meaning(StrEnum):
    """What a result means to the one that asked for the operation."""

    DONE = "done"
    PARTIAL = "partial"
    NOT_THERE = "not there"
    """Every endpoint says that the target is not there."""
    UNKNOWN = "unknown"
    """It may have been done."""
    UNAVAILABLE = "unavailable"
    """An endpoint that matters could not be asked."""
    THROTTLED = "throttled"
    FAILED = "failed"

    PRESENT = "present"
    """The answer yes to a question."""
    NOT_PRESENT = "not present"
    """The answer no to a question."""
    NOT_KNOWN = "not known"
    """No answer to a question: no endpoint said yes, and one that may know could not be asked."""

    CLIENT_SILENT = "client silent"
    """A client was called and did not answer in time."""
    CALL_FAILED = "call failed"
    UNREADABLE = "unreadable"
    """A client was called, and the service's answer cannot be read."""


_ERRORS: dict[Meaning, type[DeliveryError]] = {
    Meaning.NOT_THERE: ConnectionNotFound,
    Meaning.UNKNOWN: DeliveryUnknown,
    Meaning.UNAVAILABLE: NoEndpointAvailable,
    Meaning.THROTTLED: Throttled,
    Meaning.FAILED: DeliveryFailed,
    Meaning.NOT_PRESENT: NotPresent,
    Meaning.NOT_KNOWN: NoEndpointAvailable,
    Meaning.CLIENT_SILENT: ClientTimeout,
    Meaning.CALL_FAILED: InvokeFailed,
    Meaning.UNREADABLE: InvokeFailed,
}
_WAITING = frozenset({Meaning.UNAVAILABLE, Meaning.THROTTLED, Meaning.NOT_KNOWN})
_PASSING_OUTPUTS = frozenset({Meaning.DONE, Meaning.PARTIAL, Meaning.NOT_THERE})


class Judgement(msgspec.Struct, frozen=True, gc=False):
    """What a result means. HTTP answers with its error as a problem, and a handler's call raises it."""

    meaning: Meaning
    result: Result

    @property
    def error(self) -> type[DeliveryError] | None:
        """The error of this meaning. None for ``DONE``, ``PARTIAL`` and ``PRESENT``."""
        return _ERRORS.get(self.meaning)

    @property
    def is_done(self) -> bool:
        """Whether all that was asked for is done. A target that is not there counts as removed and as closed."""
        return self.meaning is Meaning.DONE

    @property
    def was_taken(self) -> bool:
        """Whether at least one endpoint has done it."""
        return self.result.status in {Status.ACCEPTED, Status.PARTIAL}

    @property
    def retry_after(self) -> int | None:
        """How many seconds to wait before the next try, at least 1. None when waiting does not help."""
        helps = self.meaning in _WAITING and not self.reasons
        return whole_seconds(self.result.retry_after) if helps else None

    @property
    def reasons(self) -> Sequence[str]:
        """Why endpoints can never do it as they are, in a few words each. Empty when that is not so, or not known."""
        return [
            f"Endpoint '{one.name}': {one.why}."
            for one in self.result.outcomes
            if one.code is Code.ENDPOINT_MISROUTED and one.why is not None
        ]

    @property
    def answer(self) -> ClientAnswer:
        """The answer of a client that was called. It is empty when no client was called."""
        return _find_answer(self.result) or ClientAnswer()


def whole_seconds(retry_after: float | None) -> int:
    """A wait in whole seconds, at least 1 and never shorter, for the header ``Retry-After``. None is 1."""
    return max(1, math.ceil(retry_after or 1))


def judge(action: Action, result: Result, *, timed_out: bool = False) -> Judgement:
    """What the result of an action means. ``timed_out`` says that the time of a client that was called is over."""
    if action.is_question:
        return Judgement(_judge_question(result), result)
    if action is Action.LIST_MEMBERS:
        return Judgement(_judge_list(result), result)
    if action is Action.INVOKE:
        return Judgement(_judge_call(action, result, timed_out), result)
    return Judgement(_judge_deed(action, result), result)


def _judge_question(result: Result) -> Meaning:
    """One yes is enough. A no needs the no of every endpoint."""
    if any(one.verdict is Verdict.ACCEPTED for one in result.outcomes):
        return Meaning.PRESENT
    return Meaning.NOT_PRESENT if result.complete and result.outcomes else Meaning.NOT_KNOWN


def _judge_list(result: Result) -> Meaning:
    """A list is done when every endpoint gave a page of it, or says that it has none."""
    known = [one.verdict is Verdict.ABSENT or isinstance(one.answer, MemberPage) for one in result.outcomes]
    return Meaning.DONE if known and all(known) else Meaning.NOT_KNOWN


def _judge_deed(action: Action, result: Result) -> Meaning:
    match result.status:
        case Status.ACCEPTED:
            return Meaning.DONE
        case Status.PARTIAL:
            return Meaning.PARTIAL
        case Status.UNKNOWN:
            return Meaning.UNKNOWN
        case Status.ABSENT if not result.complete:
            return Meaning.UNAVAILABLE
        case Status.ABSENT:
            return Meaning.DONE if action.is_removal else Meaning.NOT_THERE
    return _judge_refusal(result)


def _judge_refusal(result: Result) -> Meaning:
    if result.code is Code.NO_ENDPOINT_AVAILABLE:
        return Meaning.UNAVAILABLE
    refusals = [one.code for one in result.outcomes if one.verdict not in {Verdict.ABSENT, Verdict.OFFLINE}]
    if refusals and all(code is Code.THROTTLED for code in refusals):
        return Meaning.THROTTLED
    return Meaning.FAILED


def _judge_call(action: Action, result: Result, timed_out: bool) -> Meaning:
    """The meaning of a client's call, which one endpoint makes. Its answer is all that counts."""
    if any(one.verdict is Verdict.ACCEPTED for one in result.outcomes):
        return Meaning.UNREADABLE if _find_answer(result) is None else Meaning.DONE
    meaning = _judge_deed(action, result)
    if meaning not in {Meaning.UNKNOWN, Meaning.FAILED}:
        return meaning
    timed_out = timed_out or any(one.has_timed_out for one in result.outcomes)
    return Meaning.CLIENT_SILENT if timed_out else Meaning.CALL_FAILED


def _find_answer(result: Result) -> ClientAnswer | None:
    answered = next((one for one in result.outcomes if one.verdict is Verdict.ACCEPTED), None)
    return answered.answer if answered is not None and isinstance(answered.answer, ClientAnswer) else None


def stops_array(action: Action, result: Result) -> bool:
    """Whether the items behind this one are skipped when an array is sent in order.

    A join of a connection or user that has gone does not stop them, because the Functions binding swallows it.
    """
    judgement = judge(action, result)
    if judgement.meaning is Meaning.NOT_THERE and action in {Action.ADD_CONNECTION, Action.ADD_USER}:
        return False
    return not judgement.is_done


def fails_outputs(judgement: Judgement) -> bool:
    """Whether an output of a handler that is judged so fails the call, and stops the outputs behind it.

    An output that was delivered in part, or whose target is not there, does neither.
    """
    return judgement.meaning not in _PASSING_OUTPUTS
