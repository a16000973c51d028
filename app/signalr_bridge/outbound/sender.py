"""The sender: items and operations to the endpoints, in order or side by side."""

import asyncio
from collections.abc import Callable, Sequence

from signalr_bridge.endpoints.directory import Registries
from signalr_bridge.endpoints.outcome import SKIPPED, Result, Status, is_done
from signalr_bridge.endpoints.registry import Registry
from signalr_bridge.errors import UrlTooLong
from signalr_bridge.outbound.client_calls import invoke
from signalr_bridge.outbound.items import LONGEST_TARGET, Item, Kind, read_item, read_items
from signalr_bridge.protocol.payload import pack
from signalr_bridge.protocol.rest import Action, ClientAnswer, Operation, write_target
from signalr_bridge.runtime import Clock

ALL_KINDS = frozenset(Kind)

Stops = Callable[[Item, Result], bool]


class Sender:
    """Sends over the endpoints of a hub. ``clock`` gives monotonic seconds, ``default_seconds`` is the usual deadline.

    ``messagepack``: messages go out finished for clients of JSON and of MessagePack, and not as JSON alone.
    """

    def __init__(
        self, registries: Registries, *, clock: Clock, default_seconds: float, messagepack: bool = False
    ) -> None:
        self._registries = registries
        self._clock = clock
        self._default_seconds = default_seconds
        self._encode = pack if messagepack else None

    def registry(self, hub: str) -> Registry:
        return self._registries.find(hub)

    def longest_target(self, hub: str) -> int:
        """How many bytes path and query may have at the hub's endpoint with the longest address."""
        return LONGEST_TARGET - max((len(one.server_url) for one in self.registry(hub).endpoints), default=0)

    async def perform(
        self,
        operation: Operation,
        body: bytes | None = None,
        *,
        endpoint: str | None = None,
        seconds: float | None = None,
    ) -> Result:
        """One operation on every online endpoint, or on ``endpoint`` alone. Raises ``UrlTooLong``.

        That one is asked whatever health says of it: it has just called us, and only there is the connection.
        """
        check_target(operation, self.longest_target(operation.hub))
        names = None if endpoint is None else {endpoint.lower()}
        if body is not None and self._encode is not None and operation.action.is_message:
            body = self._encode(body)
        registry, deadline = self.registry(operation.hub), self.deadline(seconds)
        return await registry.perform(operation, body, names=names, deadline=deadline, down_too=endpoint is not None)

    async def invoke(
        self, operation: Operation, body: bytes, *, endpoint: str | None = None, seconds: float | None = None
    ) -> ClientAnswer:
        """Call a client and wait for its answer. Raises ``ConnectionNotFound``, ``ClientTimeout``, ``InvokeFailed``,
        and what says that no endpoint could be asked; never tried again.
        """
        check_target(operation, self.longest_target(operation.hub))
        return await invoke(
            self.registry(operation.hub), operation, body, endpoint, self.deadline(seconds), self._clock
        )

    async def send(self, item: Item, *, seconds: float | None = None) -> Result:
        return await self._send(item, self.deadline(seconds))

    async def send_in_order(
        self, items: Sequence[Item], *, seconds: float | None = None, stop_at_failure: bool = True
    ) -> list[Result]:
        """Each after the answer to the one before; after a failure the rest is skipped. The deadline is for all."""
        return await self._send_in_order(items, self.deadline(seconds), _stops if stop_at_failure else _never_stops)

    async def _send_in_order(self, items: Sequence[Item], deadline: float, stops: Stops) -> list[Result]:
        results: list[Result] = []
        for item in items:
            results.append(await self._send(item, deadline))
            if stops(item, results[-1]):
                return results + [SKIPPED] * (len(items) - len(results))
        return results

    async def send_side_by_side(self, items: Sequence[Item], *, seconds: float | None = None) -> list[Result]:
        deadline = self.deadline(seconds)
        gate = asyncio.Semaphore(32)

        async def send(item: Item) -> Result:
            async with gate:
                return await self._send(item, deadline)

        return list(await asyncio.gather(*map(send, items)))

    async def send_outputs(self, hub: str, outputs: bytes) -> Sequence[Result]:
        """A JSON array of items, in order up to the first that nobody took or that may have been done: what was
        delivered in part, or found nobody, stops nothing. Raises ``InvalidItem`` and ``MalformedJson``.
        """
        items = self.read(outputs, hub, ALL_KINDS)
        return await self._send_in_order(items, self.deadline(None), _stops_outputs)

    def read(self, text: bytes, hub: str, kinds: frozenset[Kind]) -> list[Item]:
        """The items of a JSON array, all checked. Raises ``InvalidItem`` and ``MalformedJson``."""
        return read_items(
            text, hub, kinds, self.registry(hub).has_name, longest_target=self.longest_target(hub), encode=self._encode
        )

    def read_one(self, text: bytes, hub: str, kinds: frozenset[Kind]) -> Item:
        """One item from a JSON object. Raises ``InvalidItem`` and ``MalformedJson``."""
        return read_item(
            text, hub, kinds, self.registry(hub).has_name, longest_target=self.longest_target(hub), encode=self._encode
        )

    async def _send(self, item: Item, deadline: float) -> Result:
        if self._clock() >= deadline:
            return SKIPPED  # with no time left it would only become unknown
        registry = self.registry(item.operation.hub)
        return await registry.perform(item.operation, item.body, names=item.endpoints, deadline=deadline)

    def deadline(self, seconds: float | None) -> float:
        """The moment of the clock after ``seconds``, or after the default."""
        return self._clock() + (self._default_seconds if seconds is None else seconds)


def check_target(operation: Operation, longest: int = LONGEST_TARGET) -> None:
    """``UrlTooLong`` when path and query of the operation's URL have more than ``longest`` bytes."""
    if len(write_target(operation)) > longest:
        raise UrlTooLong(
            f"The URL of this call would be longer than {LONGEST_TARGET:,} bytes: exclude fewer connections."
        )


def _stops(item: Item, result: Result) -> bool:
    action = item.operation.action
    if result.status is Status.ABSENT and action in {Action.ADD_CONNECTION, Action.ADD_USER}:
        return False  # the binding swallows a join of a connection that has gone
    return not is_done(action, result)


def _never_stops(item: Item, result: Result) -> bool:
    return False


def _stops_outputs(item: Item, result: Result) -> bool:
    return result.status in {Status.REJECTED, Status.UNKNOWN, Status.SKIPPED}
