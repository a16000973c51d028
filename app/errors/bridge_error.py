"""The root of all errors, and those that are no answer of a route: at start-up, in the protocol, from handlers."""

from collections.abc import Mapping
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
    """Raised by a handler to refuse a message: this text, and only this, reaches the client.

    What is no text becomes one, or it could not be told.
    """

    code, title, status = "hub-error", "Refused by the handler", 200

    def __init__(self, detail: object = "", **more: Any) -> None:
        super().__init__(str(detail).encode("utf-8", "replace").decode(), **more)


class Rejected(HubError):
    """Raised by a handler to refuse a message or, in ``connected``, the connection."""

    code, title, status = "rejected", "Refused by the handler", 403
