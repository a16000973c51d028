"""What the service, the network or we ourselves did: every answer from 500 up."""

from app.errors.bridge_error import BridgeError

# --- 5xx: what the service or the network did


class InternalError(BridgeError):
    """A bug of ours; the log has the rest."""


class DeliveryFailed(BridgeError):
    code, title, status = "delivery-failed", "Delivery failed", 502


class NoEndpointAvailable(BridgeError):
    code, title, status = "no-endpoint-available", "No endpoint available", 503


class CredentialInsufficient(BridgeError):
    """The bridge's own identity has no role that allows what was asked for."""

    code, title, status = "credential-insufficient", "Credential insufficient", 503


class Throttled(BridgeError):
    code, title, status = "throttled", "Throttled", 503


class Overloaded(BridgeError):
    code, title, status = "overloaded", "Overloaded", 503


class ShuttingDown(BridgeError):
    code, title, status = "shutting-down", "Shutting down", 503


class DeliveryUnknown(BridgeError):
    code, title, status = "delivery-unknown", "Delivery unknown", 504


class InvokeFailed(BridgeError):
    code, title, status = "invoke-failed", "Invocation failed", 502


class ClientTimeout(BridgeError):
    code, title, status = "client-timeout", "The client did not answer", 504
