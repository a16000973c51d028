"""One SignalR instance, its credential, its outcome of an operation, and the transport that reaches it, as types."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any, Protocol

import msgspec

from signalr_bridge.endpoints.access_key import AccessKey
from signalr_bridge.endpoints.pending import Pending
from signalr_bridge.endpoints.refreshing import Renewals
from signalr_bridge.protocol.connection_string import ConnectionString
from signalr_bridge.protocol.rest import Action, ClientAnswer, MemberPage, Message, Operation
from signalr_bridge.runtime import WallClock
from signalr_bridge.settings.model import EndpointType

LARGEST_MESSAGE = 1_000_000
"""The most bytes that a packed message may have. The service refuses larger ones."""


class Credential(Protocol):
    """The credential of an endpoint: it signs calls and clients' tokens, and verifies the service's calls."""

    def ready_token(self, url: str) -> str | None:
        """The bearer token for a REST call. ``url`` is the URL without its query. None when it has to be waited for."""
        ...

    async def rest_token(self, url: str) -> str:
        """The same token, waited for."""
        ...

    async def client_token(self, claims: dict[str, Any]) -> str:
        """A client's token with these claims."""
        ...

    @property
    def verifying_keys(self) -> tuple[str, ...]:
        """The keys with which this endpoint signs its calls to us."""
        ...

    @property
    def client_keys(self) -> tuple[str, ...]:
        """The keys that have signed the tokens of clients, as far as they are known."""
        ...

    def has_obtained(self, token: str, hub: str) -> bool:
        """Whether the service itself has made this token for a client of the hub, whose name is in lower case."""
        ...

    @property
    def refresh_failure(self) -> str | None:
        """Why the last refresh of a token or key failed, without any secret. None when it did not fail."""
        ...

    @property
    def refreshed(self) -> Sequence[Renewals]:
        """How often each token or key was renewed. It is empty for a credential that never expires."""
        ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One SignalR instance. URLs have no trailing slash.

    Args:
        name: Its name in settings and answers. Several endpoints may have the same.
        endpoint_type: ``Primary`` or ``Secondary``.
        url: The URL that identifies the instance.
        server_url: The URL at which the bridge calls it.
        client_url: The URL at which clients connect.
        credential: Its credential.
        weight: Its share of new clients. 0 drains it.
        lenient_404: Whether a 404 without a known error code means that the target is not there.
    """

    name: str
    endpoint_type: EndpointType
    url: str
    server_url: str
    client_url: str
    credential: Credential = field(repr=False, compare=False)
    weight: float = 1
    lenient_404: bool = False
    origin: str = field(init=False, repr=False, compare=False)
    """Scheme and authority of ``server_url``."""
    base_path: str = field(init=False, repr=False, compare=False)
    """What stands behind them, and before the path of each operation. It is usually empty."""

    def __post_init__(self) -> None:
        scheme, _, rest = self.server_url.partition("://")
        authority, slash, path = rest.partition("/")
        object.__setattr__(self, "origin", f"{scheme}://{authority}")
        object.__setattr__(self, "base_path", slash + path)


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
    """An endpoint from its connection string.

    Args:
        name: Its name.
        endpoint_type: ``Primary`` or ``Secondary``.
        connection: Its connection string. It has an access key if no ``credential`` is given.
        clock: Gives seconds since 1970.
        weight: Its share of new clients.
        lenient_404: See ``Endpoint``.
        credential: Its credential. None takes the access key.
    """
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
    """What an endpoint said to an operation. Source: the README's table of outcomes."""

    ACCEPTED = "accepted"
    ABSENT = "absent"
    REJECTED = "rejected"
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"
    OFFLINE = "offline"


ANSWERS = frozenset({Verdict.ACCEPTED, Verdict.ABSENT})
"""The verdicts of an endpoint that works, takes our credential, and said yes or no."""


class Code(StrEnum):
    """Why an outcome or a result is what it is, in one stable word. Callers read it in answers."""

    THROTTLED = "throttled"
    DENIED = "denied"
    NO_CREDENTIAL = "no-credential"
    ENDPOINT_MISROUTED = "endpoint-misrouted"
    NO_ENDPOINT_AVAILABLE = "no-endpoint-available"
    CLIENT_ERROR = "client-error"
    OVERLOADED = "overloaded"


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What one endpoint said to one operation.

    Args:
        name: The endpoint's name.
        endpoint_type: The endpoint's type.
        verdict: What it said.
        status_code: The HTTP status of a service that did not accept. None when there was no answer.
        code: Why it did not accept, in one word.
        retry_after: The seconds that the service asks us to wait.
        answer: The client's answer or the page of members that an accepted operation brought. None for other
            operations, and when the service's answer could not be read.
        why: More about the reason, in a few words without any secret.
    """

    name: str
    endpoint_type: EndpointType
    verdict: Verdict
    status_code: int | None = None
    code: Code | None = None
    retry_after: float | None = None
    answer: ClientAnswer | MemberPage | None = None
    why: str | None = None

    def __repr__(self) -> str:
        shown = {name: getattr(self, name) for name in self.__struct_fields__ if name != "answer"}
        return f"Outcome({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    @property
    def is_server_error(self) -> bool:
        """Whether the service was reached and failed. That may pass."""
        return self.status_code is not None and self.status_code >= 500

    @property
    def is_rate_limited(self) -> bool:
        """Whether the service works and asks for fewer calls. One that is unavailable asks for a pause instead."""
        return self.status_code == 429

    @property
    def has_timed_out(self) -> bool:
        """Whether the service says that the time was too short."""
        return self.status_code in {408, 504}

    def as_json(self) -> dict[str, Any]:
        """The outcome as it stands in answers."""
        known = {"name": self.name, "endpointType": self.endpoint_type, "outcome": self.verdict.value}
        more = {"statusCode": self.status_code, "code": None if self.code is None else self.code.value}
        return known | {name: value for name, value in more.items() if value is not None}


@lru_cache(maxsize=512)
def plain_outcome(name: str, endpoint_type: EndpointType, verdict: Verdict) -> Outcome:
    """An outcome that says no more than its verdict. Each endpoint has one object for it."""
    return Outcome(name, endpoint_type, verdict)


class Transport(Protocol):
    """Performs operations on endpoints. It packs messages, signs calls and reads answers by itself."""

    def fits(self, action: Action, message: Message) -> bool:
        """Whether the message, packed for the action, has at most ``LARGEST_MESSAGE`` bytes.

        Raises ``MalformedJson`` for arguments that cannot be packed. The packed form is kept for the sending.
        """
        ...

    def begin(
        self, endpoint: Endpoint, operation: Operation, message: Message | None, seconds: float
    ) -> Pending[Outcome]:
        """One attempt of at most ``seconds``. Failures of the endpoint and of the network are outcomes, not errors.

        When a token and a connection are at hand, the call has been written when this returns. Raises ``MalformedJson``
        and ``InvalidName``, before anything is written.
        """
        ...
