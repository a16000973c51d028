"""The negotiator: an endpoint for a client, and a token that lets it in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from app.endpoints.registry import Registry
from app.protocol.access_token import check_length, client_audience, client_claims, client_url
from app.protocol.claims import ClaimValues


@dataclass(frozen=True, slots=True)
class Admission:
    """Who may connect and how: what a token will say. ``endpoint`` pins one by name."""

    user_id: str | None = None
    claims: Mapping[str, ClaimValues] = field(default_factory=dict)
    lifetime_seconds: int = 3600
    endpoint: str | None = None
    close_on_expiry: bool = False


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """Where a client connects, with which token."""

    url: str
    access_token: str = field(repr=False)

    def as_json(self) -> dict[str, str]:
        return {"url": self.url, "accessToken": self.access_token}


class Negotiator:
    """Chooses an endpoint and signs a token. ``clock`` gives seconds since 1970."""

    def __init__(self, registry: Registry, *, clock: Callable[[], float], lossless_claims: bool = True) -> None:
        self._registry = registry
        self._clock = clock
        self._lossless_claims = lossless_claims

    async def negotiate(self, hub: str, admission: Admission) -> ConnectionInfo:
        """Raises ``UnknownEndpoint``, ``NoEndpointAvailable`` and ``TokenTooLong``."""
        endpoint = self._registry.choose_for_client(admission.endpoint)
        claims = client_claims(
            audience=client_audience(endpoint.url, hub),
            user_id=admission.user_id,
            claims=admission.claims,
            now=int(self._clock()),
            lifetime=admission.lifetime_seconds,
            close_on_expiry=admission.close_on_expiry,
            lossless=self._lossless_claims,
        )
        token = check_length(await endpoint.credential.client_token(claims))
        return ConnectionInfo(client_url(endpoint.client_url, hub), token)
