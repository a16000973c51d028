"""One SignalR instance, what it says to an operation, and the seam to whatever transport reaches it."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from signalr_bridge.endpoints.access_key import AccessKey
from signalr_bridge.protocol.connection_string import ConnectionString
from signalr_bridge.protocol.rest import Action, ClientAnswer, MemberPage, Message, Operation
from signalr_bridge.runtime import WallClock
from signalr_bridge.settings.model import EndpointType


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
        """Why what expires could not be renewed the last time, without any secret. It is None when all is well."""
        ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One instance. URLs have no trailing slash.

    Args:
        url: names the instance.
        server_url: where the bridge calls it.
        client_url: where clients connect to it.
        weight: its share of new clients; 0 drains it.
        lenient_404: a bare 404 says that somebody is not there.
    """

    name: str
    endpoint_type: EndpointType
    url: str
    server_url: str
    client_url: str
    credential: Credential = field(repr=False, compare=False)
    weight: float = 1
    lenient_404: bool = False


def make_endpoint(
    name: str,
    endpoint_type: EndpointType,
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


class Verdict(StrEnum):
    """What an endpoint made of an operation. Source: the README's table of outcomes."""

    ACCEPTED = "accepted"
    ABSENT = "absent"
    REJECTED = "rejected"
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"
    OFFLINE = "offline"


class Code(StrEnum):
    """Why an outcome or a result is what it is, in one stable word. Callers read it in answers."""

    THROTTLED = "throttled"
    DENIED = "denied"
    NO_CREDENTIAL = "no-credential"
    ENDPOINT_MISROUTED = "endpoint-misrouted"
    NO_ENDPOINT_AVAILABLE = "no-endpoint-available"
    CLIENT_ERROR = "client-error"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one endpoint said to one operation.

    Args:
        name: the endpoint's name.
        status_code: the HTTP status of a service that did not accept; None when there was no answer.
        retry_after: how many seconds the service wants to be left alone.
        answer: what an accepted call of a client or question for members brought. It is None for all other
            operations, and where the service's answer could not be read.
        why: what the code alone does not say, in a few words that hold no secret.
    """

    name: str
    endpoint_type: EndpointType
    verdict: Verdict
    status_code: int | None = None
    code: Code | None = None
    retry_after: float | None = None
    answer: ClientAnswer | MemberPage | None = field(default=None, repr=False)
    why: str | None = None

    def as_json(self) -> dict[str, Any]:
        known = {"name": self.name, "endpointType": self.endpoint_type, "outcome": self.verdict.value}
        more = {"statusCode": self.status_code, "code": None if self.code is None else self.code.value}
        return known | {name: value for name, value in more.items() if value is not None}


LARGEST_MESSAGE = 1_000_000
"""The most bytes that a message may have when it is packed: the service refuses larger ones."""


class Transport(Protocol):
    """How operations reach an endpoint. How it packs, signs and reads is its own affair."""

    def fits(self, action: Action, message: Message) -> bool:
        """Whether the message, packed for the action, has at most ``LARGEST_MESSAGE`` bytes.

        Raises ``MalformedJson`` for arguments that cannot be packed. What was packed here is not packed again.
        """
        ...

    async def perform(
        self, endpoint: Endpoint, operation: Operation, message: Message | None, seconds: float
    ) -> Outcome:
        """One attempt of at most ``seconds``. Never raises for what the endpoint or the network does."""
        ...
