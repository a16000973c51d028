"""What a negotiate handler is asked and what it answers, in Python and over HTTP, as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

NEGOTIATE = "negotiate"
"""The category and the event of a negotiation."""


@dataclass(frozen=True, slots=True)
class NegotiateRequest:
    """A client wants to connect. Nothing in it is trusted but what ``user_id`` and ``claims`` say.

    Attributes:
        hub: The hub, in lower case.
        user_id: The user that the hub's rules verified. None when they verified nobody.
        claims: The claims that the rules verified and copy, each with all its values as texts.
        query: All values of each parameter of the query, without those that are secret or the service's own.
        headers: All values of each header, by its name in lower case.
        address: The client's address. None when it is not known.
        origin: The origin of the web page that asks. None for a client that is not in a page.
        scope: The ASGI scope of the request, where the bridge is mounted in another application. Else None.
    """

    hub: str
    user_id: str | None = None
    claims: Mapping[str, list[str]] = field(default_factory=dict)
    query: Mapping[str, list[str]] = field(default_factory=dict)
    headers: Mapping[str, list[str]] = field(default_factory=dict)
    address: str | None = None
    origin: str | None = None
    scope: Mapping[str, Any] | None = None

    def __repr__(self) -> str:
        return f"NegotiateRequest(hub={self.hub!r})"  # the rest may hold secrets


@dataclass(frozen=True, slots=True)
class Admission:
    """The client may connect. What is None stays as the hub's rules say it.

    A handler that returns a wrong type, a reserved claim, or a name that nobody may have admits nobody.

    Attributes:
        user_id: The user. None is an anonymous client, where the rules verified nobody.
        claims: The claims by type: a text, a number, a boolean, or a list of these. ``{}`` takes all claims away.
        groups: The groups that the client joins before a handler of ``connected`` runs. 100 at most.
        lifetime_seconds: How long the token is valid, from 1 to 86,400 seconds.
        endpoint: The name of the endpoint where the client connects.
        close_on_expiry: Whether the service closes the connection when the token expires.
    """

    user_id: str | None = None
    claims: Mapping[str, Any] | None = field(default=None, repr=False)
    groups: Sequence[str] = ()
    lifetime_seconds: int | None = None
    endpoint: str | None = None
    close_on_expiry: bool | None = None


class NegotiateHandler(Protocol):
    """Decides about the clients of ``hub``, which is a name in lower case, or ``*``."""

    @property
    def hub(self) -> str:
        """The hub, or ``*`` for every hub that is named elsewhere."""
        ...

    @property
    def source(self) -> str:
        """Where people find the handler."""
        ...

    async def admit(self, request: NegotiateRequest) -> Admission | None:
        """What becomes of the client. None leaves it to the hub's rules.

        Whatever this raises besides ``Rejected``, ``Unauthenticated`` and ``Overloaded`` is a failure. The text of
        ``NegotiateFailed`` is for the log alone.
        """
        ...
