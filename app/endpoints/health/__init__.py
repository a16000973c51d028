"""Which endpoints are well: judged by probes and by how real calls went."""

from app.endpoints.health.health import Health, Report
from app.endpoints.health.state import State

__all__ = ["Health", "Report", "State"]
