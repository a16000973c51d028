"""The interface by which handlers talk back. The assembly fulfils it with the sender."""

from collections.abc import Sequence
from typing import Protocol

from signalr_bridge.endpoints.outcome import Judgement, Result
from signalr_bridge.protocol.rest import Message, Operation


class Outbox(Protocol):
    """What a handler can do with the hub's connections. The HTTP routes run the same code."""

    async def perform(
        self, operation: Operation, message: Message | None = None, *, endpoint: str | None = None
    ) -> Result:
        """Do one operation on every online endpoint, or on ``endpoint`` alone.

        It does not raise for what an endpoint says, because the result holds that.

        Args:
            operation: What to do.
            message: What is sent, if the operation sends something.
            endpoint: The name of the only endpoint to ask.
        """
        ...

    async def perform_each(
        self, operations: Sequence[Operation], message: Message, *, endpoint: str | None = None
    ) -> Sequence[Result]:
        """Do several operations that send the same message, side by side. The arguments are those of ``perform``.

        Few of their calls are under way at the same time, however many operations there are.
        """
        ...

    async def invoke(
        self, operation: Operation, message: Message, *, endpoint: str | None = None, seconds: float | None = None
    ) -> Judgement:
        """Call a method of a client, wait for its answer, and judge the result.

        Args:
            operation: Which client is called.
            message: The method and its arguments.
            endpoint: The name of the only endpoint to ask.
            seconds: How long the client may take.
        """
        ...

    async def send_outputs(self, hub: str, outputs: bytes) -> Sequence[Judgement]:
        """Send a JSON array of items (messages, group actions, closes) in order, up to the first failure.

        Gives the judgement of each item. Raises ``InvalidItem`` or ``MalformedJson`` before anything is sent.
        """
        ...
