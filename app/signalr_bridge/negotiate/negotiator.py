"""The negotiator: it chooses an endpoint for a client and has the client's token signed."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from signalr_bridge.endpoints.directory import EndpointDirectory
from signalr_bridge.endpoints.endpoint import Endpoint
from signalr_bridge.errors import TokenTooLong
from signalr_bridge.protocol.access_token import (
    check_length,
    client_audience,
    client_claims,
    client_url,
    is_ascii,
)
from signalr_bridge.protocol.claims import ClaimValues
from signalr_bridge.runtime import WallClock
from signalr_bridge.tracing import TRACING
from signalr_bridge.web.trace import NOTE, tell_span

_ENCODER = msgspec.json.Encoder()
_LOST_EVENTS = (
    "the events of such a client have it in a header, and the reference emulator, perhaps the service too, "
    "sends none of them"
)
_LOG = logging.getLogger("signalr_bridge.negotiate")


class ClientToken(msgspec.Struct, frozen=True):
    """What the token of a client that may connect says, and where it is valid.

    Args:
        user_id: The user. None for an anonymous client.
        claims: The claims by type.
        lifetime_seconds: How long the token is valid.
        endpoint: The name of the endpoint. None leaves the choice to the bridge.
        close_on_expiry: Whether the service closes the connection when the token expires.
        groups: The groups that the client joins when it has connected. A hub without lossless claims has none.
        mark: What tells the negotiation from others, if a refusal of the connection is to count for the next ones.
    """

    user_id: str | None = None
    claims: Mapping[str, ClaimValues] = msgspec.field(default_factory=dict)
    lifetime_seconds: int = 3600
    endpoint: str | None = None
    close_on_expiry: bool = False
    groups: Sequence[str] = ()
    mark: str = ""


class ConnectionInfo(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Where a client connects, and with which token."""

    url: str
    access_token: str

    def __repr__(self) -> str:
        return f"ConnectionInfo(url={self.url!r})"

    def as_json(self) -> dict[str, str]:
        """The answer that SignalR clients read."""
        return {"url": self.url, "accessToken": self.access_token}

    def write(self) -> bytes:
        """The answer as JSON text, as it is sent."""
        return _ENCODER.encode(self)


@dataclass(frozen=True, slots=True)
class Choice:
    """An endpoint that a client may be sent to. ``info`` is None when no token could be made."""

    endpoint: Endpoint
    online: bool
    info: ConnectionInfo | None

    def describe(self) -> dict[str, Any]:
        """The endpoint alone."""
        return {
            "endpointType": self.endpoint.endpoint_type,
            "name": self.endpoint.name,
            "endpoint": self.endpoint.url,
            "online": self.online,
        }

    def as_json(self) -> dict[str, Any]:
        """The endpoint and its connection info as they stand in answers."""
        return {**self.describe(), "connectionInfo": self.info and self.info.as_json()}


class Negotiator:
    """Chooses an endpoint and has a token signed.

    Args:
        directory: The endpoints of each hub.
        clock: Gives seconds since 1970.
        is_lossless: Whether the tokens of a hub carry the claim ``bridge.claims``.
    """

    def __init__(
        self,
        directory: EndpointDirectory,
        *,
        clock: WallClock,
        is_lossless: Callable[[str], bool] = lambda hub: True,
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._is_lossless = is_lossless
        self._warned: set[str] = set()

    async def negotiate(self, hub: str, wanted: ClientToken) -> ConnectionInfo:
        """Where a client connects, with which token.

        Raises ``UnknownEndpoint``, ``NoEndpointAvailable``, ``CredentialInsufficient``, ``ReservedClaim`` and
        ``TokenTooLong``.
        """
        endpoint = self._directory.find(hub).choose_for_client(wanted.endpoint, hub=hub, user_id=wanted.user_id)
        if (note := NOTE.get()) is not None:
            note.hub, note.user_id, note.endpoint = hub, wanted.user_id, endpoint.name
        if TRACING.tracer is not None:
            tell_span("signalr.hub", hub.lower())
            tell_span("signalr.endpoint", endpoint.name)
        return await self._sign(endpoint, hub, wanted)

    async def negotiate_all(self, hub: str, wanted: ClientToken) -> list[Choice]:
        """Every endpoint of the hub, online or not, each with a token of its own. Raises ``TokenTooLong``."""
        registry = self._directory.find(hub)
        return [
            Choice(one, registry.is_online(one), await self._try_to_sign(one, hub, wanted))
            for one in registry.endpoints
        ]

    async def _try_to_sign(self, endpoint: Endpoint, hub: str, wanted: ClientToken) -> ConnectionInfo | None:
        try:
            return await self._sign(endpoint, hub, wanted)
        except TokenTooLong:
            raise
        except Exception as error:  # credential libraries raise many types, and their texts may hold a secret
            extra = {"endpoint": endpoint.name, "error": type(error).__name__}
            _LOG.warning("no token for clients could be made", extra=extra)
            return None

    def _check_ascii(self, hub: str, wanted: ClientToken, *, lossless: bool) -> None:
        """Say once of user ids, and once of claims, that the events of clients that have such may never come."""
        if not (wanted.user_id or "").isascii():
            self._warn("user id outside ASCII", hub, "give users ASCII ids, and put their names into claims")
        if not lossless and not all(map(is_ascii, wanted.claims, wanted.claims.values())):
            self._warn("claim outside ASCII", hub, "with LOSSLESS_CLAIMS it would travel encoded")

    def _warn(self, what: str, hub: str, advice: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            _LOG.warning(what, extra={"hub": hub, "reason": f"{_LOST_EVENTS}: {advice}"})

    async def _sign(self, endpoint: Endpoint, hub: str, wanted: ClientToken) -> ConnectionInfo:
        lossless = self._is_lossless(hub)
        self._check_ascii(hub, wanted, lossless=lossless)
        try:
            token = check_length(await self._sign_with(endpoint, hub, wanted, wanted.mark, lossless=lossless))
        except TokenTooLong:
            if not wanted.mark:
                raise
            token = check_length(await self._sign_with(endpoint, hub, wanted, "", lossless=lossless))
        return ConnectionInfo(client_url(endpoint.client_url, hub), token)

    async def _sign_with(self, endpoint: Endpoint, hub: str, wanted: ClientToken, mark: str, *, lossless: bool) -> str:
        claims = client_claims(
            audience=client_audience(endpoint.url, hub),
            user_id=wanted.user_id,
            claims=wanted.claims,
            now=int(self._clock()),
            lifetime=wanted.lifetime_seconds,
            close_on_expiry=wanted.close_on_expiry,
            lossless=lossless,
            groups=wanted.groups,
            mark=mark,
        )
        return await endpoint.credential.client_token(claims)
