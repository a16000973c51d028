"""One call of a function: what starts it, what it is given, and what comes of it.

A trigger makes an ``Invocation``. A ``Runner`` runs it: in this process, or in another one over HTTP.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol, TypeAlias

from signalr_bridge.functions.description import FunctionDescription
from signalr_bridge.protocol.hub_message import Payload
from signalr_bridge.upstream.context import Context
from signalr_bridge.upstream.dispatch import OutsideFailure

_NEVER_YET = datetime.min.replace(tzinfo=UTC)
_NEVER_AGAIN = datetime.max.replace(tzinfo=UTC)


class FunctionFailed(OutsideFailure):
    """A function, or one of its bindings, has failed. The text says which and how, without what was sent."""


@dataclass(frozen=True, slots=True)
class HttpCall:
    """A request to a function, as the app may see it: without the credentials that the bridge has checked.

    Attributes:
        method: The HTTP method.
        url: The absolute URL, with the query that the app may see.
        path: The path as it came.
        query: The values of each parameter, by name. ``access_token``, ``id`` and ``code`` are left out.
        headers: The values of each header, by its name in lower case. ``authorization`` and ``x-functions-key`` are
            left out, and the platform's headers where they are not believed.
        route: The parameters of the route, unescaped.
        body: The body as it came.
        authorization: The values of the header ``authorization``, which the app does not see. Bindings that name an id
            token or a claim read them.
    """

    method: str
    url: str
    path: str
    query: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    headers: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    route: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    authorization: Sequence[str] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class HttpReply:
    """What a function answers to a request. ``headers`` are in order, and a name may be repeated."""

    status: int = 200
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class TimerCall:
    """One run of a timer.

    Attributes:
        is_past_due: Whether a run was missed, and this one makes up for it. The bridge makes up for none.
        last: When it ran before. None for the first run.
        next: When this run was due. For a run at the start it is when the timer is due next, and None for one that is
            never due. So the host has it.
        updated: When this was worked out. None for the first run.
        follows_clock: Whether its schedule goes by the clock on the wall, and so with daylight saving time.
    """

    is_past_due: bool
    last: datetime | None
    next: datetime | None
    updated: datetime | None
    follows_clock: bool = True

    def describe(self) -> dict[str, object]:
        """The trigger's value as the host gives it, to be written as JSON."""
        return {
            "Schedule": {"AdjustForDST": self.follows_clock},
            "ScheduleStatus": {
                "Last": (self.last or _NEVER_YET).isoformat(),
                "LastUpdated": (self.updated or _NEVER_YET).isoformat(),
                "Next": (self.next or _NEVER_AGAIN).isoformat(),
            },
            "IsPastDue": self.is_past_due,
        }


TriggerData: TypeAlias = Context | HttpCall | TimerCall
"""What started a function: an event of a hub, a request, or a timer."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of a function.

    Attributes:
        function: Which one.
        id: The id of the call. It stands in logs.
        trigger: What started it.
        inputs: The values of its input bindings by their names, as JSON has them. They hold tokens.
        named: The arguments of a message by the names that the trigger gives them, and the parameters of a route.
    """

    function: FunctionDescription
    id: str
    trigger: TriggerData
    inputs: Mapping[str, object] = field(default_factory=dict, repr=False)
    named: Mapping[str, Payload] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class FunctionResult:
    """What a function has given.

    Attributes:
        outputs: What its ``signalR`` outputs are to send, as JSON text by the name of the binding. ``$return`` is one.
        result: What it has returned, where no binding takes that.
        reply: What it answers to a request. None where it was not a request.
    """

    outputs: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    result: Payload = None
    reply: HttpReply | None = None


class Runner(Protocol):
    """Runs functions."""

    async def run(self, invocation: Invocation) -> FunctionResult:
        """Run a function to its end.

        Raises:
            FunctionFailed: It failed outside of this process, or the call could not be made.
            HubError: It refuses the event with a text for the client.
            Exception: Whatever the function itself raises.
        """
        ...
