"""A call of one client: found among the endpoints, called once, and its answer or what became of it."""

from dataclasses import dataclass
from typing import Any

from signalr_bridge.endpoints.outcome import Outcome, Result, Verdict
from signalr_bridge.endpoints.registry import Registry
from signalr_bridge.endpoints.rest_transport import CLIENT_ERROR
from signalr_bridge.errors import BridgeError, ClientTimeout, Fault, InvalidItem, InvokeFailed, MalformedMessage
from signalr_bridge.outbound.answers import problem_of
from signalr_bridge.outbound.items import LARGEST_BODY, ItemReader
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.rest import Action, ClientAnswer, Operation, read_client_error, read_result, write_message
from signalr_bridge.runtime import Clock

_TIMER_SECONDS = 0.01
"""A timer may ring this much too early."""


async def invoke(
    registry: Registry,
    operation: Operation,
    body: bytes,
    endpoint: str | None,
    deadline: float,
    clock: Clock,
) -> ClientAnswer:
    """Never tried again. Among several endpoints it is asked first where the connection is: what an instance says of
    calling somebody it does not know is published nowhere.
    """
    names = None if endpoint is None else {endpoint.lower()}
    if names is None and len(registry.instances()) > 1:
        question = Operation(Action.CONNECTION_EXISTS, operation.hub, connection=operation.connection)
        found = await registry.perform(question, None, names=None, deadline=deadline)
        names = {one.name.lower() for one in found.outcomes if one.verdict is Verdict.ACCEPTED}
        if not names:
            raise explain(found, timed_out=False)
    result = await registry.perform(operation, body, names=names, deadline=deadline)
    return read_answer(result, timed_out=clock() >= deadline - _TIMER_SECONDS)


def read_answer(result: Result, *, timed_out: bool) -> ClientAnswer:
    """The client's answer; raises what became of the call when there is none."""
    answered = next((one for one in result.outcomes if one.verdict is Verdict.ACCEPTED), None)
    if answered is None:
        raise explain(result, timed_out=timed_out)
    try:
        return _read(answered)
    except MalformedMessage:
        raise InvokeFailed("The service's answer cannot be read.", extensions=_endpoints(result)) from None


def _read(outcome: Outcome) -> ClientAnswer:
    if outcome.code == CLIENT_ERROR:
        return ClientAnswer(error=read_client_error(outcome.body))
    return ClientAnswer(read_result(outcome.body))


def explain(result: Result, *, timed_out: bool) -> BridgeError:
    """The error that an unanswered call is."""
    problem = problem_of(Action.INVOKE, result)
    if problem.status in {404, 503}:
        return problem
    if timed_out or any(one.status_code in {408, 504} for one in result.outcomes):
        return ClientTimeout(
            "The client did not answer in time; it may have been called.", extensions=_endpoints(result)
        )
    return InvokeFailed("The call failed; 'endpoints' says why.", extensions=_endpoints(result))


def _endpoints(result: Result) -> dict[str, Any]:
    return {"endpoints": [one.as_json() for one in result.outcomes]}


TIMEOUT_SECONDS = 10.0
LEAST_SECONDS, MOST_SECONDS = 1, 100
_PROPERTIES = ("target", "arguments", "timeoutSeconds")


@dataclass(frozen=True, slots=True)
class Call:
    """``body`` is what goes to the service."""

    body: bytes
    seconds: float


def read_call(text: bytes) -> Call:
    """Raises ``InvalidItem`` with everything that is wrong, and ``MalformedJson``."""
    if json_text.first_character(text) != b"{":
        json_text.decode(text)  # what does not parse at all is another mistake
        raise InvalidItem([Fault("#", InvalidItem, "A call is a JSON object.")])
    reader = ItemReader(text, "#")
    target = reader.value("target", str, "a string")
    if not target:
        reader.fault("target", InvalidItem, "A call has a target that is not empty.")
    arguments = reader.raw("arguments") or b"[]"
    if json_text.first_character(arguments) != b"[":
        reader.fault("arguments", InvalidItem, "This is not an array.")
    seconds = reader.value("timeoutSeconds", float, "a number")
    if seconds is not None and not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        reader.fault(
            "timeoutSeconds", InvalidItem, f"This is a number of seconds from {LEAST_SECONDS} to {MOST_SECONDS}."
        )
    body = write_message(target or "", arguments)
    if len(body) > LARGEST_BODY:
        reader.fault("", InvalidItem, f"The call is larger than {LARGEST_BODY:,} bytes, which the service refuses.")
    reader.refuse_unknown(_PROPERTIES)
    reader.raise_faults()
    return Call(body, TIMEOUT_SECONDS if seconds is None else seconds)
