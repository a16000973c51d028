"""Settings: their sources (command line, environment, files, stores), their rules, and the one frozen object."""

from signalr_bridge.settings.loading import Review, find_connections, gather, load, review
from signalr_bridge.settings.model import (
    CallersSettings,
    EndpointSettings,
    EntraSettings,
    ForwardSettings,
    NegotiateSettings,
    Settings,
    UpstreamSettings,
)
from signalr_bridge.settings.rules import check_embedded, check_servable, judge_servable
from signalr_bridge.settings.sources import Sources
from signalr_bridge.settings.value import Diagnostic, Level

__all__ = [
    "CallersSettings",
    "Diagnostic",
    "EndpointSettings",
    "EntraSettings",
    "ForwardSettings",
    "Level",
    "NegotiateSettings",
    "Review",
    "Settings",
    "Sources",
    "UpstreamSettings",
    "check_embedded",
    "check_servable",
    "find_connections",
    "gather",
    "judge_servable",
    "load",
    "review",
]
