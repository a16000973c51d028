"""How handlers talk back: the seam that the assembly fulfils with the sender."""

from collections.abc import Sequence
from typing import Protocol

from signalr_bridge.endpoints.outcome import Result
from signalr_bridge.protocol.rest import ClientAnswer, Operation


class Outbox(Protocol):
    """What a handler can do with the hub's connections; the same code as behind the HTTP routes."""

    async def perform(self, operation: Operation, body: bytes | None = None, *, endpoint: str | None = None) -> Result:
        """One operation on every online endpoint, or on ``endpoint`` alone. ``body`` is a message's JSON.

        Never raises for what an endpoint says: that is in the result.
        """
        ...

    async def invoke(
        self, operation: Operation, body: bytes, *, endpoint: str | None = None, seconds: float | None = None
    ) -> ClientAnswer:
        """Call a client and wait for its answer. Raises ``ConnectionNotFound``, ``ClientTimeout``, ``InvokeFailed``,
        and what says that no endpoint could be asked.
        """
        ...

    async def send_outputs(self, hub: str, outputs: bytes) -> Sequence[Result]:
        """A JSON array of items (messages, group actions, closes), sent in order up to the first failure.

        Raises ``InvalidItem`` or ``MalformedJson``, and then nothing was sent.
        """
        ...
