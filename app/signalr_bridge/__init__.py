"""signalr-bridge: the Azure Functions SignalR Service bindings as a container that any backend can call.

This module holds what authors of handlers need: ``Hub`` and ``event`` to write handlers, ``Context`` for the type of
their first argument, ``NegotiateRequest`` and ``Admission`` for negotiate handlers, ``outbox`` to send outside an
event, ``HubError``, ``Rejected`` and ``Unauthenticated`` to refuse, and the errors that deliveries raise, which are all
``DeliveryError``. A name is imported when it is first used, so ``import signalr_bridge`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from signalr_bridge.asgi import connect as connect
    from signalr_bridge.errors import ClientTimeout as ClientTimeout
    from signalr_bridge.errors import ConnectionNotFound as ConnectionNotFound
    from signalr_bridge.errors import DeliveryError as DeliveryError
    from signalr_bridge.errors import DeliveryFailed as DeliveryFailed
    from signalr_bridge.errors import DeliveryUnknown as DeliveryUnknown
    from signalr_bridge.errors import HubError as HubError
    from signalr_bridge.errors import InvalidName as InvalidName
    from signalr_bridge.errors import InvokeFailed as InvokeFailed
    from signalr_bridge.errors import NoEndpointAvailable as NoEndpointAvailable
    from signalr_bridge.errors import NotPresent as NotPresent
    from signalr_bridge.errors import NotRunning as NotRunning
    from signalr_bridge.errors import Rejected as Rejected
    from signalr_bridge.errors import Throttled as Throttled
    from signalr_bridge.errors import Unauthenticated as Unauthenticated
    from signalr_bridge.errors import UrlTooLong as UrlTooLong
    from signalr_bridge.protocol.admission import Admission as Admission
    from signalr_bridge.protocol.admission import NegotiateRequest as NegotiateRequest
    from signalr_bridge.upstream.context import Context as Context
    from signalr_bridge.upstream.hub_api import HubOutbox as HubOutbox
    from signalr_bridge.upstream.hub_api import outbox as outbox
    from signalr_bridge.upstream.python.hub import Hub as Hub
    from signalr_bridge.upstream.python.hub import event as event

__version__ = "0.1.0"
__all__ = [
    "Admission",
    "ClientTimeout",
    "ConnectionNotFound",
    "Context",
    "DeliveryError",
    "DeliveryFailed",
    "DeliveryUnknown",
    "Hub",
    "HubError",
    "HubOutbox",
    "InvalidName",
    "InvokeFailed",
    "NegotiateRequest",
    "NoEndpointAvailable",
    "NotPresent",
    "NotRunning",
    "Rejected",
    "Throttled",
    "Unauthenticated",
    "UrlTooLong",
    "connect",
    "event",
    "outbox",
]

_ELSEWHERE = {
    "Admission": "signalr_bridge.protocol.admission",
    "Context": "signalr_bridge.upstream.context",
    "Hub": "signalr_bridge.upstream.python.hub",
    "HubOutbox": "signalr_bridge.upstream.hub_api",
    "NegotiateRequest": "signalr_bridge.protocol.admission",
    "connect": "signalr_bridge.asgi",
    "event": "signalr_bridge.upstream.python.hub",
    "outbox": "signalr_bridge.upstream.hub_api",
}


def __getattr__(name: str) -> Any:
    """A public name, imported from the module that defines it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_ELSEWHERE.get(name, "signalr_bridge.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
