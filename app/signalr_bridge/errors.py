"""Every error raised on purpose: one tree, with code, title and status.

    BridgeError
    ├── SettingsError                      at start: the sentence names the setting, never its value
    │   └── MalformedConnectionString
    ├── MalformedMessage, BadToken, BadSignature      raised by the protocol, translated by its callers
    │   └── UnheldValue
    ├── HubError                           raised by a handler: its text reaches the client
    │   └── Rejected
    ├── DeliveryError                      raised to a handler by what it sends
    │   └── DeliveryFailed, DeliveryUnknown, NoEndpointAvailable, Throttled, ConnectionNotFound, NotPresent,
    │       ClientTimeout, InvokeFailed, UrlTooLong, NotRunning
    └── one leaf for each other code of the HTTP contract (README, error table)

A ``detail`` stands in an answer. It never holds a key, a token, a connection string or a value that the caller sent.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar


class BridgeError(Exception):
    """The root of all errors that are raised on purpose.

    ``code`` is one stable word, ``title`` names the error, ``status`` is the HTTP status, ``detail`` says what to do.
    """

    code: str = "internal-error"
    title: str = "Internal error"
    status: ClassVar[int] = 500

    def __init__(
        self,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = dict(headers or {})
        self.extensions = dict(extensions or {})


class SettingsError(BridgeError):
    """A setting is missing or wrong. The process does not start, or a change is refused.

    ``detail`` is one line of setting, place and sentence.

    Args:
        sentence: What is wrong, and what to write.
        setting: The name of the setting. It is empty where the sentence names it.
        place: Where the setting was found, such as ``environment`` or ``bridge.toml``.
        line: Its line in that file, from 1.
        column: Where in the line, from 1.
    """

    code, title = "bad-settings", "Bad settings"

    def __init__(
        self,
        sentence: str = "",
        *,
        setting: str = "",
        place: str = "",
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        self.sentence, self.setting, self.place, self.line, self.column = sentence, setting, place, line, column
        where = place if line is None else f"{place}, line {line}"
        where = where if column is None else f"{where}, column {column}"
        name = f"{setting} ({where})" if where else setting
        super().__init__(f"{name}: {sentence}" if setting else sentence)


@contextmanager
def blame(setting: str) -> Iterator[None]:
    """Names ``setting`` in a ``SettingsError`` that is raised inside and names none."""
    try:
        yield
    except SettingsError as error:
        if error.setting or not setting:
            raise
        raise SettingsError(error.sentence, setting=setting) from error.__cause__


class MalformedConnectionString(SettingsError):
    """A connection string cannot be used. The text names the key and its position, never the value."""

    title = "Malformed connection string"


class MalformedMessage(BridgeError):
    """Bytes are not a message of the hub protocol."""

    code, title, status = "malformed-message", "Malformed message", 400


class UnheldValue(MalformedMessage):
    """A message is well formed, and has a value that Python cannot hold, or is nested too deeply."""


class BadToken(BridgeError):
    """A JSON Web Token is malformed, expired or signed with another key."""

    code, title, status = "unauthenticated", "Bad token", 401


class BadSignature(BridgeError):
    """No signature in ``X-ASRS-Signature`` was made with a known key."""

    code, title, status = "unauthenticated", "Bad signature", 401


class HubError(BridgeError):
    """Raise it in a handler to refuse a message. Its text, and only its text, reaches the client.

    A value that is not text is converted, because a client cannot be told anything else.
    """

    code, title, status = "hub-error", "Refused by the handler", 200

    def __init__(self, detail: object = "", **more: Any) -> None:
        super().__init__(str(detail).encode("utf-8", "replace").decode(), **more)


class Rejected(HubError):
    """Raise it in a handler to refuse a message or, in ``connected`` and in negotiate handlers, the connection."""

    code, title, status = "rejected", "Refused by the handler", 403


class DeliveryError(BridgeError):
    """The base of all errors that a handler's sends, group changes, closes and questions raise.

    ``detail`` names what each endpoint said.
    """


class DeliveryFailed(DeliveryError):
    """It was not delivered: an endpoint refused it or could not be reached, and none accepted it."""

    code, title, status = "delivery-failed", "Delivery failed", 502


class DeliveryUnknown(DeliveryError):
    """It may or may not have been delivered: the connection broke or the time was over before the service answered."""

    code, title, status = "delivery-unknown", "Delivery unknown", 504


class NoEndpointAvailable(DeliveryError):
    """No endpoint that matters can be called at the moment. Nothing was done. Try again later."""

    code, title, status = "no-endpoint-available", "No endpoint available", 503


class Throttled(DeliveryError):
    """The service asks for fewer calls. Nothing was done. Try again later."""

    code, title, status = "throttled", "Throttled", 503


class ConnectionNotFound(DeliveryError):
    """Every endpoint says that the connection is not there, or that the user has none."""

    code, title, status = "connection-not-found", "Connection not found", 404


class NotPresent(DeliveryError):
    """Every endpoint says that there is no such connection, user, group or member: the answer no to a question."""

    code, title, status = "not-present", "Not present", 404


class ClientTimeout(DeliveryError):
    """The client was called and did not answer in time. It may have run the method."""

    code, title, status = "client-timeout", "The client did not answer", 504


class InvokeFailed(DeliveryError):
    """The client was called and answered with an error, which ``detail`` holds, or its answer cannot be read."""

    code, title, status = "invoke-failed", "Invocation failed", 502


class UrlTooLong(DeliveryError):
    """The service takes no URL as long as this call's: exclude fewer connections, or use shorter names."""

    code, title, status = "url-too-long", "URL too long", 422


class NotRunning(DeliveryError):
    """Outside an event something was sent, and no bridge runs that could send it, or it is not clear which one."""

    code, title, status = "not-running", "No bridge runs", 503


class MalformedJson(BridgeError):
    """A body does not parse."""

    code, title, status = "malformed-json", "Malformed JSON", 400


class MalformedMessagePack(MalformedJson):
    """A body is not a message in MessagePack. Its code is that of a body in JSON."""

    title = "Malformed MessagePack"


class InvalidName(BridgeError):
    """A hub, group, user id or connection id is one that the service does not take."""

    code, title, status = "invalid-name", "Invalid name", 400


class InvalidQuery(BridgeError):
    """A query has a parameter that is unknown, repeated or malformed."""

    code, title, status = "invalid-query", "Invalid query", 400


class InvalidHeader(BridgeError):
    """A header is missing or malformed, or the bytes are not HTTP."""

    code, title, status = "invalid-header", "Invalid header", 400


class TokenTooLong(BridgeError):
    """The client's access token would be longer than the service takes."""

    code, title, status = "token-too-long", "Access token too long", 400


class ConfirmationRequired(BridgeError):
    """An operation that concerns all clients was requested without the parameter that confirms it."""

    code, title, status = "confirmation-required", "Confirmation required", 400


class InvalidContinuationToken(BridgeError):
    """The token of a further page was not given out for this list."""

    code, title, status = "invalid-continuation-token", "Invalid continuation token", 400


class Unauthenticated(BridgeError):
    """The request has no valid credential. Raise it in a negotiate handler, with a text for the client."""

    code, title, status = "unauthenticated", "Unauthenticated", 401


class Forbidden(BridgeError):
    """The caller is known, but may not do this."""

    code, title, status = "forbidden", "Forbidden", 403


class RouteNotFound(BridgeError):
    """No route has this path."""

    code, title, status = "route-not-found", "Route not found", 404


class HubNotFound(BridgeError):
    """No setting and no handler names the hub, and only named hubs are served."""

    code, title, status = "hub-not-found", "Hub not found", 404


class NoDefaultHub(BridgeError):
    """A route without a hub was called, and no hub is the default."""

    code, title, status = "no-default-hub", "No default hub", 404


class NoHandler(BridgeError):
    """No handler answers the event."""

    code, title, status = "no-handler", "No handler", 404


class MethodNotAllowed(BridgeError):
    """The route takes other methods."""

    code, title, status = "method-not-allowed", "Method not allowed", 405


class IdempotencyInProgress(BridgeError):
    """The first request with this ``Idempotency-Key`` is still being answered."""

    code, title, status = "idempotency-in-progress", "In progress", 409


class BodyTooLarge(BridgeError):
    """A body has more bytes than the route takes."""

    code, title, status = "body-too-large", "Body too large", 413


class UnsupportedMediaType(BridgeError):
    """A body has a media type or an encoding that the route does not take."""

    code, title, status = "unsupported-media-type", "Unsupported media type", 415


@dataclass(frozen=True, slots=True)
class Fault:
    """One error in a body: where it is (a JSON pointer), its kind, and what to do about it."""

    pointer: str
    kind: type[BridgeError]
    detail: str

    def as_json(self) -> dict[str, str]:
        """The fault as it stands in a problem."""
        return {"pointer": self.pointer, "code": self.kind.code, "detail": self.detail}


class InvalidItem(BridgeError):
    """A body has one or more faults. The code and the title are those of the first."""

    code, title, status = "invalid-item", "Invalid item", 422

    def __init__(self, faults: Sequence[Fault]) -> None:
        first = faults[0]
        errors = [fault.as_json() for fault in faults]
        super().__init__(f"{first.pointer}: {first.detail}", extensions={"errors": errors})
        self.code, self.title = first.kind.code, first.kind.title
        self.faults = tuple(faults)


class UnknownProperty(BridgeError):
    """A body has a property that is not known there."""

    code, title, status = "unknown-property", "Unknown property", 422


class UnknownEndpoint(BridgeError):
    """No endpoint of the hub has this name."""

    code, title, status = "unknown-endpoint", "Unknown endpoint", 422


class ReservedClaim(BridgeError):
    """A claim has a name that the service or the bridge uses itself."""

    code, title, status = "reserved-claim", "Reserved claim", 422


class IdempotencyMismatch(BridgeError):
    """The ``Idempotency-Key`` was used before, for another body."""

    code, title, status = "idempotency-mismatch", "Idempotency key used for another body", 422


class RateLimited(BridgeError):
    """The caller or the address calls more often than it may."""

    code, title, status = "rate-limited", "Rate limited", 429


class InternalError(BridgeError):
    """A bug of the bridge or of a handler. The log has the rest."""


class CredentialInsufficient(BridgeError):
    """The bridge's own identity has no role that allows what was asked for."""

    code, title, status = "credential-insufficient", "Credential insufficient", 503


class Overloaded(BridgeError):
    """Too many requests or events are under way."""

    code, title, status = "overloaded", "Overloaded", 503


class NegotiateFailed(BridgeError):
    """The hub's negotiate handler failed, was silent or answered nonsense. So nobody is admitted."""

    code, title, status = "negotiate-failed", "Negotiation failed", 503


class ShuttingDown(BridgeError):
    """The replica is stopping and could not finish."""

    code, title, status = "shutting-down", "Shutting down", 503


class NotStarted(BridgeError):
    """The bridge is mounted in another application, whose lifespan does not run the bridge's."""

    code, title, status = "not-started", "Not started", 503
