"""A call of one client: read from JSON, made at the endpoint that has the client, and judged."""

from dataclasses import dataclass

from signalr_bridge.endpoints.endpoint import LARGEST_MESSAGE, Verdict
from signalr_bridge.endpoints.outcome import Judgement, judge
from signalr_bridge.endpoints.registry import Registry
from signalr_bridge.errors import Fault, InvalidItem
from signalr_bridge.outbound.items import Fits, ItemReader
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.rest import Action, Message, Operation
from signalr_bridge.runtime import Clock

TIMEOUT_SECONDS = 10.0
"""How many seconds a client may take when the call does not say."""
LEAST_SECONDS, MOST_SECONDS = 1, 100

_PROPERTIES = ("target", "arguments", "timeoutSeconds")
_TIMER_SECONDS = 0.01
"""By how many seconds a timer may ring too early."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a client is sent, and how many seconds it may take to answer."""

    message: Message
    seconds: float


async def invoke(
    registry: Registry,
    operation: Operation,
    message: Message,
    endpoint: str | None,
    deadline: float,
    clock: Clock,
) -> Judgement:
    """The judgement of a call, which is made once and never repeated.

    With several endpoints, the one that has the connection is found first and called alone. What an instance answers to
    the call of a client that it does not have is published nowhere.

    Args:
        registry: The endpoints of the hub.
        operation: The call: its hub and its connection.
        message: What the client is sent.
        endpoint: The name of the endpoint that has the connection, in any case. None when that is not known.
        deadline: A time of the clock.
        clock: Gives monotonic seconds.
    """
    names = None if endpoint is None else {endpoint.lower()}
    if names is None and len(registry.instances()) > 1:
        question = Operation(Action.CONNECTION_EXISTS, operation.hub, connection=operation.connection)
        found = await registry.perform(question, None, names=None, deadline=deadline)
        names = {one.name.lower() for one in found.outcomes if one.verdict is Verdict.ACCEPTED}
        if not names:
            return judge(Action.INVOKE, found)
    result = await registry.perform(operation, message, names=names, deadline=deadline)
    return judge(Action.INVOKE, result, timed_out=clock() >= deadline - _TIMER_SECONDS)


def read_call(text: bytes, fits: Fits) -> Call:
    """A call from a JSON object. ``fits`` says whether a message is small enough.

    Raises ``InvalidItem`` with all faults, and ``MalformedJson``.
    """
    if json_text.first_character(text) != b"{":
        json_text.check_roughly(text)  # what does not parse at all is another error
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
    message = Message(target or "", arguments)
    if not fits(Action.INVOKE, message):
        reader.fault("", InvalidItem, f"The call is larger than {LARGEST_MESSAGE:,} bytes, which the service refuses.")
    reader.refuse_unknown(_PROPERTIES)
    reader.raise_faults()
    return Call(message, TIMEOUT_SECONDS if seconds is None else seconds)
