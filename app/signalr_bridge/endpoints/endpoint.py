"""One SignalR instance: its name, its type, its three addresses, and the credential that opens it."""

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from signalr_bridge.endpoints.access_key import AccessKey
from signalr_bridge.endpoints.outcome import Outcome
from signalr_bridge.protocol.connection_string import ConnectionString
from signalr_bridge.protocol.rest import Operation
from signalr_bridge.runtime import WallClock


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

    @property
    def refresh_failure(self) -> str | None:
        """Why what expires could not be renewed the last time, without any secret; None when all is well."""
        ...


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
    clock: WallClock,
    *,
    weight: float = 1,
    lenient_404: bool = False,
    credential: Credential | None = None,
) -> Endpoint:
    """An endpoint from its connection string, which has an access key where no ``credential`` is given."""
    return Endpoint(
        name=name,
        endpoint_type=endpoint_type,
        url=connection.endpoint,
        server_url=connection.server_endpoint or connection.endpoint,
        client_url=connection.client_endpoint or connection.endpoint,
        credential=credential or AccessKey(connection.access_key or "", clock),
        weight=weight,
        lenient_404=lenient_404,
    )


class Transport(Protocol):
    """How operations reach an endpoint."""

    async def perform(self, endpoint: Endpoint, operation: Operation, body: bytes | None, seconds: float) -> Outcome:
        """One attempt of at most ``seconds``. Never raises for what the endpoint or the network does."""
        ...
