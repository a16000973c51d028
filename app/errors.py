"""Every error raised on purpose: one tree, with code, title and status.

    BridgeError
    ├── SettingsError                      start-up only: the sentence says which setting, never its value
    │   └── MalformedConnectionString
    ├── protocol: MalformedMessage, BadToken, BadSignature
    ├── handlers: HubError, Rejected       what a handler raises; their text reaches the client
    └── one leaf for each code of the HTTP contract (README, error table)

A problem holds ``detail``, so a ``detail`` never holds a key, a token, a connection string or a value the caller sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


class BridgeError(Exception):
    """What went wrong, as an answer: ``code`` is the stable word, ``status`` the HTTP status, ``detail`` what to do."""

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


# --- start-up


class SettingsError(BridgeError):
    """A setting is missing or wrong; the process does not start."""

    code, title = "bad-settings", "Bad settings"


class MalformedConnectionString(SettingsError):
    """A connection string that cannot be used; names the key and its position, never the value."""

    title = "Malformed connection string"


# --- protocol


class MalformedMessage(BridgeError):
    """Bytes that are no message of the hub protocol."""

    code, title, status = "malformed-message", "Malformed message", 400


class BadToken(BridgeError):
    """A JSON Web Token that is malformed, expired or signed by somebody else."""

    code, title, status = "unauthenticated", "Bad token", 401


class BadSignature(BridgeError):
    """No signature in ``X-ASRS-Signature`` was made with a key we know."""

    code, title, status = "unauthenticated", "Bad signature", 401


# --- handlers


class HubError(BridgeError):
    """Raised by a handler to refuse a message: this text, and only this, reaches the client."""

    code, title, status = "hub-error", "Refused by the handler", 200


class Rejected(HubError):
    """Raised by a handler to refuse a message or, in ``connected``, the connection."""

    code, title, status = "rejected", "Refused by the handler", 403


# --- 400: wrong in the URL, the query or a header, or a body that does not parse


class MalformedJson(BridgeError):
    code, title, status = "malformed-json", "Malformed JSON", 400


class InvalidName(BridgeError):
    code, title, status = "invalid-name", "Invalid name", 400


class InvalidQuery(BridgeError):
    code, title, status = "invalid-query", "Invalid query", 400


class InvalidHeader(BridgeError):
    code, title, status = "invalid-header", "Invalid header", 400


class TokenTooLong(BridgeError):
    code, title, status = "token-too-long", "Access token too long", 400


class ConfirmationRequired(BridgeError):
    code, title, status = "confirmation-required", "Confirmation required", 400


# --- 401, 403


class Unauthenticated(BridgeError):
    code, title, status = "unauthenticated", "Unauthenticated", 401


class Forbidden(BridgeError):
    code, title, status = "forbidden", "Forbidden", 403


# --- 404, 405


class RouteNotFound(BridgeError):
    code, title, status = "route-not-found", "Route not found", 404


class HubNotFound(BridgeError):
    code, title, status = "hub-not-found", "Hub not found", 404


class NoDefaultHub(BridgeError):
    code, title, status = "no-default-hub", "No default hub", 404


class ConnectionNotFound(BridgeError):
    code, title, status = "connection-not-found", "Connection not found", 404


class NotPresent(BridgeError):
    code, title, status = "not-present", "Not present", 404


class NoHandler(BridgeError):
    code, title, status = "no-handler", "No handler", 404


class MethodNotAllowed(BridgeError):
    code, title, status = "method-not-allowed", "Method not allowed", 405


# --- 413, 415


class BodyTooLarge(BridgeError):
    code, title, status = "body-too-large", "Body too large", 413


class UnsupportedMediaType(BridgeError):
    code, title, status = "unsupported-media-type", "Unsupported media type", 415


# --- 422: wrong inside well-formed JSON


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake in a body: where (a JSON pointer), which kind of error, and what to do about it."""

    pointer: str
    kind: type[BridgeError]
    detail: str

    def as_json(self) -> dict[str, str]:
        return {"pointer": self.pointer, "code": self.kind.code, "detail": self.detail}


class InvalidItem(BridgeError):
    """A body with one or more faults; its code and title are those of the first."""

    code, title, status = "invalid-item", "Invalid item", 422

    def __init__(self, faults: Sequence[Fault]) -> None:
        first = faults[0]
        errors = [fault.as_json() for fault in faults]
        super().__init__(f"{first.pointer}: {first.detail}", extensions={"errors": errors})
        self.code, self.title = first.kind.code, first.kind.title
        self.faults = tuple(faults)


class UnknownProperty(BridgeError):
    code, title, status = "unknown-property", "Unknown property", 422


class UnknownEndpoint(BridgeError):
    code, title, status = "unknown-endpoint", "Unknown endpoint", 422


class ReservedClaim(BridgeError):
    code, title, status = "reserved-claim", "Reserved claim", 422


class UrlTooLong(BridgeError):
    code, title, status = "url-too-long", "URL too long", 422


# --- 5xx: what the service or the network did


class InternalError(BridgeError):
    """A bug of ours; the log has the rest."""


class DeliveryFailed(BridgeError):
    code, title, status = "delivery-failed", "Delivery failed", 502


class NoEndpointAvailable(BridgeError):
    code, title, status = "no-endpoint-available", "No endpoint available", 503


class Throttled(BridgeError):
    code, title, status = "throttled", "Throttled", 503


class Overloaded(BridgeError):
    code, title, status = "overloaded", "Overloaded", 503


class ShuttingDown(BridgeError):
    code, title, status = "shutting-down", "Shutting down", 503


class DeliveryUnknown(BridgeError):
    code, title, status = "delivery-unknown", "Delivery unknown", 504
