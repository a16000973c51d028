"""One SignalR instance: its name, its type, its three addresses, and the credential that opens it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from app.protocol.access_token import rest_claims, sign_token
from app.protocol.connection_string import ConnectionString

REST_TOKEN_SECONDS = 300
"""How long the token of one REST call is valid: it is made for that call alone."""


class Credential(Protocol):
    """What opens an endpoint."""

    async def rest_token(self, url: str) -> str:
        """The bearer token for a call of ``url`` (without query)."""
        ...

    async def client_token(self, claims: dict[str, Any]) -> str:
        """A client's token that says ``claims``."""
        ...

    @property
    def verifying_keys(self) -> tuple[str, ...]:
        """The keys with which this endpoint signs its calls to us."""
        ...


class AccessKey:
    """A static access key; ``clock`` gives seconds since 1970."""

    def __init__(self, key: str, clock: Callable[[], float]) -> None:
        self._key = key
        self._clock = clock

    async def rest_token(self, url: str) -> str:
        return sign_token(rest_claims(url, now=int(self._clock()), lifetime=REST_TOKEN_SECONDS), self._key)

    async def client_token(self, claims: dict[str, Any]) -> str:
        return sign_token(claims, self._key)

    @property
    def verifying_keys(self) -> tuple[str, ...]:
        return (self._key,)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """URLs have no trailing slash. ``url`` names the instance; ``server_url`` is for us, ``client_url`` for clients.

    Clients come in proportion to ``weight``; 0 drains. ``lenient_404``: a bare 404 says that somebody is not there.
    """

    name: str
    endpoint_type: Literal["Primary", "Secondary"]
    url: str
    server_url: str
    client_url: str
    credential: Credential = field(repr=False, compare=False)
    weight: float = 1
    lenient_404: bool = False


def make_endpoint(
    name: str,
    endpoint_type: Literal["Primary", "Secondary"],
    connection: ConnectionString,
    clock: Callable[[], float],
    *,
    weight: float = 1,
    lenient_404: bool = False,
) -> Endpoint:
    """An endpoint from its connection string, which has an access key."""
    return Endpoint(
        name=name,
        endpoint_type=endpoint_type,
        url=connection.endpoint,
        server_url=connection.server_endpoint or connection.endpoint,
        client_url=connection.client_endpoint or connection.endpoint,
        credential=AccessKey(connection.access_key or "", clock),
        weight=weight,
        lenient_404=lenient_404,
    )
