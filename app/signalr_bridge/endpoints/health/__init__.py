"""Which endpoints are well: judged by probes and by how real calls went."""

from signalr_bridge.endpoints.health.health import Health, Report
from signalr_bridge.endpoints.health.state import State

__all__ = ["Health", "Report", "State"]
