"""Every error raised on purpose: one tree, with code, title and status.

    BridgeError
    ├── SettingsError                      start-up only: the sentence says which setting, never its value
    │   └── MalformedConnectionString
    ├── protocol: MalformedMessage, BadToken, BadSignature
    ├── handlers: HubError, Rejected       what a handler raises; their text reaches the client
    └── one leaf for each code of the HTTP contract (README, error table)

A problem holds ``detail``, so a ``detail`` never holds a key, a token, a connection string or a value the caller sent.
"""

from app.errors.bridge_error import (
    BadSignature,
    BadToken,
    BridgeError,
    HubError,
    MalformedConnectionString,
    MalformedMessage,
    Rejected,
    SettingsError,
)
from app.errors.failures import (
    ClientTimeout,
    DeliveryFailed,
    DeliveryUnknown,
    InternalError,
    InvokeFailed,
    NoEndpointAvailable,
    Overloaded,
    ShuttingDown,
    Throttled,
)
from app.errors.refusals import (
    BodyTooLarge,
    ConfirmationRequired,
    ConnectionNotFound,
    Fault,
    Forbidden,
    HubNotFound,
    IdempotencyInProgress,
    IdempotencyMismatch,
    InvalidContinuationToken,
    InvalidHeader,
    InvalidItem,
    InvalidName,
    InvalidQuery,
    MalformedJson,
    MethodNotAllowed,
    NoDefaultHub,
    NoHandler,
    NotPresent,
    RateLimited,
    ReservedClaim,
    RouteNotFound,
    TokenTooLong,
    Unauthenticated,
    UnknownEndpoint,
    UnknownProperty,
    UnsupportedMediaType,
    UrlTooLong,
)

__all__ = [
    "BadSignature",
    "BadToken",
    "BodyTooLarge",
    "BridgeError",
    "ClientTimeout",
    "ConfirmationRequired",
    "ConnectionNotFound",
    "DeliveryFailed",
    "DeliveryUnknown",
    "Fault",
    "Forbidden",
    "HubError",
    "HubNotFound",
    "IdempotencyInProgress",
    "IdempotencyMismatch",
    "InternalError",
    "InvalidContinuationToken",
    "InvalidHeader",
    "InvalidItem",
    "InvalidName",
    "InvalidQuery",
    "InvokeFailed",
    "MalformedConnectionString",
    "MalformedJson",
    "MalformedMessage",
    "MethodNotAllowed",
    "NoDefaultHub",
    "NoEndpointAvailable",
    "NoHandler",
    "NotPresent",
    "Overloaded",
    "RateLimited",
    "Rejected",
    "ReservedClaim",
    "RouteNotFound",
    "SettingsError",
    "ShuttingDown",
    "Throttled",
    "TokenTooLong",
    "Unauthenticated",
    "UnknownEndpoint",
    "UnknownProperty",
    "UnsupportedMediaType",
    "UrlTooLong",
]
