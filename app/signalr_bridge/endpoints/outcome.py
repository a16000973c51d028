"""What one endpoint said to an operation (outcome), and what became of it over all of them (result).

Source of the words: the README's tables of outcomes and results.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from signalr_bridge.protocol.rest import Action


class Verdict(StrEnum):
    """What an endpoint made of an operation."""

    ACCEPTED = "accepted"
    ABSENT = "absent"
    REJECTED = "rejected"
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"
    OFFLINE = "offline"


class Status(StrEnum):
    """What became of an item over all endpoints."""

    ACCEPTED = "accepted"
    PARTIAL = "partial"
    ABSENT = "absent"
    UNKNOWN = "unknown"
    REJECTED = "rejected"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the endpoint ``name`` said. ``code`` is one of our stable words; ``retry_after`` is in seconds.

    ``why`` says in a few words, which hold no secret, what a code alone does not.
    ``body`` is what it answered, for the few operations whose answer has one that matters.
    """

    name: str
    endpoint_type: str
    verdict: Verdict
    status_code: int | None = None
    code: str | None = None
    retry_after: float | None = None
    body: bytes = field(default=b"", repr=False)
    why: str | None = None

    def as_json(self) -> dict[str, Any]:
        known = {"name": self.name, "endpointType": self.endpoint_type, "outcome": self.verdict.value}
        more = {"statusCode": self.status_code, "code": self.code}
        return known | {name: value for name, value in more.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one item."""

    status: Status
    outcomes: tuple[Outcome, ...] = ()
    code: str | None = None

    @property
    def retry_after(self) -> float | None:
        """The longest wait, in seconds, that an endpoint asked for."""
        return max((one.retry_after for one in self.outcomes if one.retry_after is not None), default=None)

    @property
    def complete(self) -> bool:
        """Whether every endpoint that could matter was asked and gave an answer."""
        return all(one.verdict in {Verdict.ACCEPTED, Verdict.ABSENT} for one in self.outcomes)

    def as_json(self) -> dict[str, Any]:
        endpoints = [outcome.as_json() for outcome in self.outcomes]
        answer: dict[str, Any] = {"status": self.status.value}
        if self.status is not Status.SKIPPED:
            answer["endpoints"] = endpoints
        return answer if self.code is None else answer | {"code": self.code}


SKIPPED = Result(Status.SKIPPED)

# Whom these concern may be connected anywhere, so an endpoint that is offline leaves the work half done:
# a lost leave is a right that was not revoked.
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


def merge(action: Action, outcomes: Sequence[Outcome]) -> Result:
    """The result of an operation from what each endpoint said."""
    tried = {one.verdict for one in outcomes if one.verdict is not Verdict.OFFLINE}
    if not tried:
        return Result(Status.REJECTED, tuple(outcomes), "no-endpoint-available")
    if Verdict.ACCEPTED in tried:
        spoilt = action in _SPREAD and any(one.verdict is Verdict.OFFLINE for one in outcomes)
        whole = tried <= {Verdict.ACCEPTED, Verdict.ABSENT} and not spoilt
        return Result(Status.ACCEPTED if whole else Status.PARTIAL, tuple(outcomes))
    if tried == {Verdict.ABSENT}:
        return Result(Status.ABSENT, tuple(outcomes))
    if Verdict.UNKNOWN in tried:
        return Result(Status.UNKNOWN, tuple(outcomes))
    code = next((one.code for one in outcomes if one.code is not None), None)
    return Result(Status.REJECTED, tuple(outcomes), code)


def is_done(action: Action, result: Result) -> bool:
    """Whether an item did what it was meant to: a leave or close of somebody who is not there is done."""
    if result.status is Status.ACCEPTED:
        return True
    return result.status is Status.ABSENT and action.is_removal and result.complete
