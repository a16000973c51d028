"""TELEMETRY: traces by OpenTelemetry, where its extra is installed and its variables say where they go."""

from signalr_bridge.telemetry.export import exporting, use_provider
from signalr_bridge.telemetry.host_spans import clean_spans, prepare_provider
from signalr_bridge.telemetry.observer import make_observers

__all__ = ["clean_spans", "exporting", "make_observers", "prepare_provider", "use_provider"]
