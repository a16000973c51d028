"""How handlers talk back: the seam that the assembly fulfils with the sender."""

from collections.abc import Sequence
from typing import Protocol

from signalr_bridge.endpoints.outcome import Judgement, Result
from signalr_bridge.protocol.rest import Message, Operation


class Outbox(Protocol):
    """What a handler can do with the hub's connections. The same code is behind the HTTP routes."""

    async def perform(
        self, operation: Operation, message: Message | None = None, *, endpoint: str | None = None
    ) -> Result:
        """One operation on every online endpoint, or on ``endpoint`` alone, with a message if it sends one.

        Never raises for what an endpoint says: that is in the result.
        """
        ...

    async def invoke(
        self, operation: Operation, message: Message, *, endpoint: str | None = None, seconds: float | None = None
    ) -> Judgement:
        """Call a client, wait for its answer, and judge what became of it."""
        ...

    async def send_outputs(self, hub: str, outputs: bytes) -> Sequence[Result]:
        """A JSON array of items (messages, group actions, closes), sent in order up to the first failure.

        Raises ``InvalidItem`` or ``MalformedJson``, and then nothing was sent.
        """
        ...
