"""Backends that call us: who they are, what they may do, and how often."""

from signalr_bridge.web.callers.caller import ALL_RIGHTS, Caller, Grant, Right
from signalr_bridge.web.callers.callers import CHALLENGE, Callers, Credentials
from signalr_bridge.web.callers.door import OptionalCaller, RequiredCaller

__all__ = [
    "ALL_RIGHTS",
    "CHALLENGE",
    "Caller",
    "Callers",
    "Credentials",
    "Grant",
    "OptionalCaller",
    "RequiredCaller",
    "Right",
]
