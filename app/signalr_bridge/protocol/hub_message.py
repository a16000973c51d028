"""The messages of the SignalR hub protocol, independent of their encoding.

Source: ``docs/protocol/service-emulation.md`` 4.2.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

Payload: TypeAlias = Any
"""What clients and handlers send each other: any JSON or MessagePack value, or ``msgspec.Raw`` JSON as a whole."""


UNHELD = "An argument or a result is a value that cannot be carried: out of range, of an unknown kind or too deep."
"""What the other side is told of a value that cannot be held."""
STREAMS_NOT_CARRIED = "Streams from clients are not carried in serverless mode: send the items as arguments."
"""What a client is told that calls a method with streams."""


class Invocation(msgspec.Struct, frozen=True):
    """A call of a hub method. Without ``invocation_id`` the caller does not wait for an answer.

    The arguments may be ``msgspec.Raw``, which is a JSON array as it came. ``fault`` is what the caller is told when
    they could not be read. Then there are none.
    """

    target: str
    arguments: Sequence[Payload]
    invocation_id: str | None = None
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    stream_ids: Sequence[str] = ()
    fault: str | None = None

    @property
    def refusal(self) -> str | None:
        """Why it cannot be carried out, for the one who called. None when it can."""
        return STREAMS_NOT_CARRIED if self.stream_ids else self.fault

    def __repr__(self) -> str:
        """The headers are left out, because some clients repeat their bearer token there."""
        return f"Invocation({self.target!r}, {self.arguments!r}, {self.invocation_id!r})"


@dataclass(frozen=True, slots=True)
class StreamItem:
    """One item of a stream."""

    invocation_id: str
    item: Payload


class Completion(msgspec.Struct, frozen=True):
    """The answer to an invocation: an error, a result, or neither (then ``has_result`` is False)."""

    invocation_id: str
    result: Payload = None
    error: str | None = None
    has_result: bool = False


@dataclass(frozen=True, slots=True)
class StreamInvocation:
    """A call of a hub method that answers with a stream."""

    target: str
    arguments: Sequence[Payload]
    invocation_id: str


@dataclass(frozen=True, slots=True)
class CancelInvocation:
    """A client wants no more items of a stream."""

    invocation_id: str


@dataclass(frozen=True, slots=True)
class Ping:
    """A sign that the connection is alive."""


@dataclass(frozen=True, slots=True)
class Close:
    """The end of a connection. With ``allow_reconnect`` the client may connect again."""

    error: str | None = None
    allow_reconnect: bool = False


@dataclass(frozen=True, slots=True)
class Closed:
    """Upstream only: a client has disconnected (type 11). ``error`` is None when it closed in the regular way."""

    error: str | None = None


HubMessage: TypeAlias = Invocation | StreamItem | Completion | StreamInvocation | CancelInvocation | Ping | Close
