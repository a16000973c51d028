"""The places where settings stand: command line, environment, secrets directory, stores, file; first match wins."""

from signalr_bridge.settings.sources.sources import Sources
from signalr_bridge.settings.sources.value import Value, Values, first_of

__all__ = ["Sources", "Value", "Values", "first_of"]
