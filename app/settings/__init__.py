"""Where settings come from (command line, environment, files) and the one frozen object they become."""

from app.settings.loading import check_servable, describe, gather, load, unknown_names
from app.settings.model import (
    CallersSettings,
    EndpointSettings,
    EntraSettings,
    ForwardSettings,
    NegotiateSettings,
    Settings,
    UpstreamSettings,
)

__all__ = [
    "CallersSettings",
    "EndpointSettings",
    "EntraSettings",
    "ForwardSettings",
    "NegotiateSettings",
    "Settings",
    "UpstreamSettings",
    "check_servable",
    "describe",
    "gather",
    "load",
    "unknown_names",
]
