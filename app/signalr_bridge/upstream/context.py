"""The context of an event: what a handler is told, and with what it talks back."""

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property

import msgspec

from signalr_bridge.protocol.claims import Claims, are_forged, read_claims_line
from signalr_bridge.protocol.hub_message import Payload
from signalr_bridge.protocol.platform_headers import is_platform_header
from signalr_bridge.protocol.upstream_event import (
    EventHeaders,
    HeaderLines,
    decode_header,
    read_arguments,
    read_client_query,
)
from signalr_bridge.upstream.hub_api import Clients, Connections, Groups, Users
from signalr_bridge.upstream.outbox import Outbox

_LOG = logging.getLogger("signalr_bridge.upstream")

# These prove who is calling, or hold the client's token.
_SECRET_HEADERS = frozenset(
    {b"authorization", b"x-functions-key", b"x-asrs-signature", b"x-asrs-client-query", b"cookie"}
)


class Context:
    """One event of one connection. What is costly to read is read when it is first asked for.

    Attributes:
        hub: The hub, as the service spells it.
        category: ``connections`` or ``messages``.
        event: ``connected``, ``disconnected``, or the target that a client called.
        connection_id: The connection.
        user_id: The user of the connection. None when it has none.
        sent_arguments: The arguments of a message, as ``msgspec.Raw`` JSON when they came so.
        invocation_id: The id of a message. None when the client does not wait for an answer.
        error: Why a connection ended. None when it was closed in good order.
        endpoint: The name of the endpoint that told us. None when that is not known.
        outbox: By which ``clients``, ``groups``, ``users`` and ``connections`` talk back.
    """

    def __init__(
        self,
        event: EventHeaders,
        outbox: Outbox,
        lines: HeaderLines = (),
        arguments: Sequence[Payload] = (),
        invocation_id: str | None = None,
        error: str | None = None,
        endpoint: str | None = None,
        lossless_claims: bool = True,
        *,
        platform: bool = False,
    ) -> None:
        self.hub = event.hub
        self.category = event.category.lower()
        self.event = event.event
        self.connection_id = event.connection_id
        self.user_id = event.user_id or None
        self.sent_arguments = arguments
        if not isinstance(arguments, msgspec.Raw):
            self.arguments = arguments
        self.invocation_id = invocation_id
        self.error = error
        self.endpoint = endpoint
        self._event = event
        self._lines = lines
        self.outbox = outbox
        self._lossless_claims, self._platform = lossless_claims, platform

    def __repr__(self) -> str:
        return f"Context(hub={self.hub!r}, category={self.category!r}, event={self.event!r})"

    @cached_property
    def arguments(self) -> Sequence[Payload]:
        """The arguments of a message as values."""
        return read_arguments(self.sent_arguments)

    @property
    def claims(self) -> Mapping[str, list[str]]:
        """All values of each claim. Do not grant rights for them unless ``claims_exact``."""
        return self._claims.values

    @property
    def claims_exact(self) -> bool:
        """Whether the claims are exactly those given at negotiate, so that no client can have forged one."""
        return self._claims.exact

    @property
    def negotiated_groups(self) -> Sequence[str]:
        """The groups that a negotiate handler named. Nobody can forge them. Only ``connected`` joins them."""
        return self._claims.groups

    @property
    def negotiation_mark(self) -> str:
        """What tells the client's negotiation from others. Nobody can forge it. It is empty without one."""
        return self._claims.mark

    @cached_property
    def _claims(self) -> Claims:
        line, user_id = self._event.claims_line, self._event.user_id
        if are_forged(line, user_id):
            _LOG.warning("claims dropped: somebody forges bridge.claims", extra={"hub": self.hub})
        return read_claims_line(line, user_id, lossless=self._lossless_claims)

    @cached_property
    def query(self) -> Mapping[str, list[str]]:
        """All values of each parameter of the client's query, without those that are secret or the service's own."""
        return read_client_query(self._event.client_query)

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """The call's headers by lower-case name, without the secret ones. Repeated headers are joined with a comma.

        Those of the platform are there where the hub's rules believe them.
        """
        joined: dict[str, str] = {}
        for name, value in self._lines:
            key = name.decode("latin-1")
            if name not in _SECRET_HEADERS and (self._platform or not is_platform_header(key)):
                text = decode_header(value)
                joined[key] = f"{joined[key]},{text}" if key in joined else text
        return joined

    @property
    def clients(self) -> Clients:
        """Sends messages to clients of the hub."""
        return Clients(self.outbox, self.hub, self.connection_id, self.endpoint)

    @property
    def groups(self) -> Groups:
        """Changes who is in which group of the hub."""
        return Groups(self.outbox, self.hub, self.connection_id, self.endpoint)

    @property
    def users(self) -> Users:
        """Closes users of the hub, asks for them, and takes them out of groups."""
        return Users(self.outbox, self.hub)

    @property
    def connections(self) -> Connections:
        """Closes connections of the hub, asks for them, and calls methods of their clients."""
        return Connections(self.outbox, self.hub, self.connection_id, self.endpoint)
