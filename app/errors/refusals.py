"""What a caller or a client did wrong: every answer from 400 to 429."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.errors.bridge_error import BridgeError

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


class InvalidContinuationToken(BridgeError):
    code, title, status = "invalid-continuation-token", "Invalid continuation token", 400


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


# --- 409


class IdempotencyInProgress(BridgeError):
    code, title, status = "idempotency-in-progress", "In progress", 409


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


class IdempotencyMismatch(BridgeError):
    code, title, status = "idempotency-mismatch", "Idempotency key used for another body", 422


# --- 429


class RateLimited(BridgeError):
    code, title, status = "rate-limited", "Rate limited", 429
