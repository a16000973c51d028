"""Results as HTTP answers: which status, which problem.

Source: the README's tables of outcomes, results and statuses.
"""

from collections.abc import Sequence
from typing import Any

from starlette.responses import JSONResponse, Response

from signalr_bridge.endpoints.outcome import Result, Status, Verdict, is_done
from signalr_bridge.errors import (
    BridgeError,
    ConnectionNotFound,
    DeliveryFailed,
    DeliveryUnknown,
    NoEndpointAvailable,
    NotPresent,
    Throttled,
)
from signalr_bridge.outbound.items import Item
from signalr_bridge.protocol.rest import Action


def answer_item(action: Action, result: Result) -> Response:
    """The answer to a single item: 202, 207, or the result's problem."""
    if is_done(action, result):
        return JSONResponse(result.as_json(), 202)
    if result.status is Status.PARTIAL:
        return JSONResponse(result.as_json(), 207)
    raise problem_of(action, result)


def answer_items(items: Sequence[Item], results: Sequence[Result]) -> Response:
    """The answer to an array: 202 when all is done, 207 when something is, else the first failure's problem."""
    body = {"results": [result.as_json() for result in results]}
    pairs = [(item.operation.action, result) for item, result in zip(items, results, strict=True)]
    if all(is_done(action, result) for action, result in pairs):
        return JSONResponse(body, 202)
    if any(result.status in {Status.ACCEPTED, Status.PARTIAL} for result in results):
        return JSONResponse(body, 207)
    action, failure = next((action, result) for action, result in pairs if not is_done(action, result))
    error = problem_of(action, failure)
    error.extensions = body
    raise error


def answer_change(action: Action, result: Result) -> Response:
    """The answer to a change of one membership or connection: 204, 207, or the result's problem."""
    if is_done(action, result):
        return Response(status_code=204)
    if result.status is Status.PARTIAL:
        return JSONResponse(result.as_json(), 207)
    raise problem_of(action, result)


def answer_question(result: Result) -> Response:
    """The answer to whether somebody is there: one yes is enough, a no needs everybody's."""
    if any(outcome.verdict is Verdict.ACCEPTED for outcome in result.outcomes):
        return JSONResponse({"exists": True})
    endpoints = [outcome.as_json() for outcome in result.outcomes]
    if result.complete and result.outcomes:
        raise NotPresent("Nobody of this name is connected.", extensions={"exists": False})
    raise NoEndpointAvailable(
        "An endpoint that may know could not be asked, and no other said yes.",
        headers={"Retry-After": _seconds(result)},
        extensions={"endpoints": endpoints},
    )


def problem_of(action: Action, result: Result) -> BridgeError:
    """The problem that a result is when it is a failure."""
    more: dict[str, Any] = {"endpoints": [outcome.as_json() for outcome in result.outcomes]}
    wait = {"Retry-After": _seconds(result)}
    if result.status is Status.ABSENT and result.complete:
        return ConnectionNotFound("The connection is not there; it may have ended.", extensions=more)
    if result.status is Status.UNKNOWN:
        return DeliveryUnknown("The service did not answer in time; it may have been done.", extensions=more)
    if result.code == "no-endpoint-available" or result.status is Status.ABSENT:
        return NoEndpointAvailable("No endpoint could be asked; try again.", headers=wait, extensions=more)
    refusals = [one.code for one in result.outcomes if one.verdict not in {Verdict.ABSENT, Verdict.OFFLINE}]
    if refusals and all(code == "throttled" for code in refusals):
        return Throttled("The service asks for a pause.", headers=wait, extensions=more)
    return DeliveryFailed("No endpoint accepted this; 'endpoints' says why.", extensions=more)


def _seconds(result: Result) -> str:
    return str(max(1, round(result.retry_after or 1)))
