"""Backends that call us: who they are, what they may do, and how often."""

from app.web.callers.caller import ALL_RIGHTS, Caller, Grant, Right
from app.web.callers.callers import CHALLENGE, Callers, Credentials
from app.web.callers.door import OptionalCaller, RequiredCaller

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
