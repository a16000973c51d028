"""The messages of the SignalR hub protocol, whatever bytes carry them.

Source: ``docs/protocol/service-emulation.md`` 4.2.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Payload: TypeAlias = Any
"""What clients and handlers send each other: any JSON or MessagePack value; or, as a whole, ``msgspec.Raw`` JSON."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """A call of a hub method. Without ``invocation_id`` nobody waits for an answer."""

    target: str
    arguments: Sequence[Payload]
    invocation_id: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # some clients repeat their bearer token here
    stream_ids: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class StreamItem:
    invocation_id: str
    item: Payload


@dataclass(frozen=True, slots=True)
class Completion:
    """The answer to an invocation: an error, a result, or (``has_result`` False) neither."""

    invocation_id: str
    result: Payload = None
    error: str | None = None
    has_result: bool = False


@dataclass(frozen=True, slots=True)
class StreamInvocation:
    target: str
    arguments: Sequence[Payload]
    invocation_id: str


@dataclass(frozen=True, slots=True)
class CancelInvocation:
    invocation_id: str


@dataclass(frozen=True, slots=True)
class Ping:
    """Nothing but a sign of life."""


@dataclass(frozen=True, slots=True)
class Close:
    """The end; with ``allow_reconnect`` a client may come again."""

    error: str | None = None
    allow_reconnect: bool = False


@dataclass(frozen=True, slots=True)
class Closed:
    """Upstream only: a client has gone (type 11), with an error unless it left in peace."""

    error: str | None = None


HubMessage: TypeAlias = Invocation | StreamItem | Completion | StreamInvocation | CancelInvocation | Ping | Close
