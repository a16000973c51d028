"""Where settings come from (command line, environment, files) and the one frozen object they become."""

from app.settings.loading import check_servable, gather, load, unknown_names
from app.settings.model import EndpointSettings, ForwardSettings, NegotiateSettings, Settings, UpstreamSettings

__all__ = [
    "EndpointSettings",
    "ForwardSettings",
    "NegotiateSettings",
    "Settings",
    "UpstreamSettings",
    "check_servable",
    "gather",
    "load",
    "unknown_names",
]
