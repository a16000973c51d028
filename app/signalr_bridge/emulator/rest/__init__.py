"""The service's REST API: operations on the hubs of this process."""

from signalr_bridge.emulator.rest.issuing import Issuing, is_issuing
from signalr_bridge.emulator.rest.rest_api import RestApi

__all__ = ["Issuing", "RestApi", "is_issuing"]
