"""The seam to the service: one operation on one endpoint, and what it said."""

from typing import Protocol

from signalr_bridge.endpoints.endpoint import Endpoint
from signalr_bridge.endpoints.outcome import Outcome
from signalr_bridge.protocol.rest import Operation


class Transport(Protocol):
    """How operations reach an endpoint."""

    async def perform(self, endpoint: Endpoint, operation: Operation, body: bytes | None, seconds: float) -> Outcome:
        """One attempt of at most ``seconds``. Never raises for what the endpoint or the network does."""
        ...
