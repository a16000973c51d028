"""From the result of a delivery to what a handler sees: nothing, an answer, or an error that names the outcomes."""

import logging

from signalr_bridge.endpoints.outcome import Outcome, Result, Status, Verdict
from signalr_bridge.errors import (
    BridgeError,
    ConnectionNotFound,
    DeliveryFailed,
    DeliveryUnknown,
    NoEndpointAvailable,
    Throttled,
)
from signalr_bridge.protocol.rest import Action, Operation

_LOG = logging.getLogger("signalr_bridge.upstream")
_BY_CODE: dict[str | None, type[BridgeError]] = {
    NoEndpointAvailable.code: NoEndpointAvailable,
    Throttled.code: Throttled,
}


def check_delivery(operation: Operation, result: Result) -> None:
    """Silent when it is done, a log line when it is done in part; else raises what became of it.

    Somebody who is not there has left and is closed, but can neither join nor be sent to (``ConnectionNotFound``).
    """
    match result.status:
        case Status.ACCEPTED:
            return
        case Status.PARTIAL:
            extra = {"hub": operation.hub, "operation": operation.action.name, "outcomes": describe(result)}
            _LOG.warning("delivered in part", extra=extra)
        case Status.ABSENT:
            _check_absent(operation.action, result)
        case Status.UNKNOWN:
            raise DeliveryUnknown(f"It may have been delivered: {describe(result)}.")
        case _:
            raise _failure(result)


def read_existence(result: Result) -> bool:
    """Yes when any endpoint says so, no when all say so; raises when that leaves it open."""
    if any(one.verdict is Verdict.ACCEPTED for one in result.outcomes):
        return True
    if result.status is Status.ABSENT and result.complete:
        return False
    raise NoEndpointAvailable(f"Whether it exists cannot be known: {describe(result)}.")


def describe(result: Result) -> str:
    """What each endpoint said, in one line."""
    outcomes = ", ".join(map(_describe_outcome, result.outcomes))
    return outcomes or result.code or result.status.value


def _describe_outcome(outcome: Outcome) -> str:
    more = [str(one) for one in (outcome.status_code, outcome.code) if one is not None]
    return f"{outcome.name} {outcome.verdict.value}" + (f" ({' '.join(more)})" if more else "")


def _check_absent(action: Action, result: Result) -> None:
    if action is Action.ADD_CONNECTION or action.is_message:
        raise ConnectionNotFound(f"The connection is not there: {describe(result)}.")
    if not result.complete:
        raise DeliveryFailed(f"It may be where nobody could ask: {describe(result)}.")


def _failure(result: Result) -> BridgeError:
    return _BY_CODE.get(result.code, DeliveryFailed)(f"Not delivered: {describe(result)}.")
