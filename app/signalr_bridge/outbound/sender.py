"""The sender: it sends items and operations to the endpoints of a hub, in order or side by side."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeAlias, TypeVar

from signalr_bridge.endpoints.directory import EndpointDirectory
from signalr_bridge.endpoints.endpoint import Outcome
from signalr_bridge.endpoints.outcome import SKIPPED, Judgement, Meaning, Result, fails_outputs, judge, stops_array
from signalr_bridge.endpoints.pending import BURST, Start, wait_for_all
from signalr_bridge.endpoints.registry import Plan, Registry
from signalr_bridge.errors import UrlTooLong
from signalr_bridge.outbound.client_calls import invoke
from signalr_bridge.outbound.items import LONGEST_TARGET, Item, Kind, read_item, read_items
from signalr_bridge.protocol.rest import Action, Message, Operation, write_target
from signalr_bridge.runtime import Clock
from signalr_bridge.web.observer import SILENT, Observer
from signalr_bridge.web.trace import NOTE, TRACE

ALL_KINDS = frozenset(Kind)

_AUDITED = {
    Action.CLOSE_USER: "close the connections of a user in hub {hub}",
    Action.CLOSE_GROUP: "close the connections of group {group} in hub {hub}",
    Action.CLOSE_ALL: "close all connections of hub {hub}",
}
"""The actions that close many connections at once, as an audit says them. A user is a person, and not named in logs."""

TURN_SECONDS = 0.01
"""For so long one request may compute before others get their turn."""

LARGE = 65_536
"""A text of more bytes is read in a thread, because that may take a second."""

_WORKERS = 2

T = TypeVar("T")

Stops: TypeAlias = Callable[[Item, Result], bool]
"""Whether the items behind one with this result are skipped."""


class Turn:
    """A turn of the event loop, which ends when it has taken too long, or for the ``BURST``-th time it is asked.

    Args:
        clock: Gives monotonic seconds.
    """

    __slots__ = ("_clock", "_ends", "_left")

    def __init__(self, clock: Clock) -> None:
        self._clock, self._ends, self._left = clock, clock() + TURN_SECONDS, BURST

    def is_over(self) -> bool:
        """Whether others are to get their turn now."""
        self._left -= 1
        return self._left <= 0 or self._clock() >= self._ends


class Sender:
    """Sends to the endpoints of a hub.

    Args:
        directory: The endpoints of each hub.
        clock: Gives monotonic seconds.
        default_seconds: How long a call may take that names no deadline.
        observer: Is told what became of each item. None where nobody may watch, so that nothing is done for it.
        auditor: Is told what each item brought, and of each close of a user, a group or a hub.
        empty_means_all: Whether an empty destination of an item counts as absent, as in the Functions binding.
    """

    def __init__(
        self,
        directory: EndpointDirectory,
        *,
        clock: Clock,
        default_seconds: float,
        observer: Observer | None = None,
        auditor: Observer = SILENT,
        empty_means_all: bool = False,
    ) -> None:
        self._directory, self._observer, self._auditor = directory, observer, auditor
        self._clock, self._empty_means_all = clock, empty_means_all
        self._default_seconds = default_seconds
        # Not the event loop's own threads, which look up the names of hosts for everybody.
        self._workers = ThreadPoolExecutor(_WORKERS, "read items")

    def registry(self, hub: str) -> Registry:
        """The endpoints of a hub, whose name may be in any case."""
        return self._directory.find(hub)

    def longest_target(self, hub: str) -> int:
        """The most bytes of path and query, at the endpoint of the hub with the longest URL."""
        return LONGEST_TARGET - self.registry(hub).longest_url

    async def perform(
        self,
        operation: Operation,
        message: Message | None = None,
        *,
        endpoint: str | None = None,
        seconds: float | None = None,
    ) -> Result:
        """The result of one operation on every online endpoint, or on ``endpoint`` alone.

        That endpoint is asked whatever its health, because it has just called us and it alone has the connection.
        Raises ``UrlTooLong``, and ``MalformedJson`` for a message that cannot be packed.

        Args:
            operation: What is done.
            message: What is sent. None for an operation that sends nothing.
            endpoint: The name of the only endpoint to ask, in any case. None means all.
            seconds: The deadline. None takes the default.
        """
        check_target(operation, self.longest_target(operation.hub))
        names = None if endpoint is None else {endpoint.lower()}
        registry, deadline = self.registry(operation.hub), self.deadline(seconds)
        down_too = endpoint is not None
        performing = registry.perform(operation, message, names=names, deadline=deadline, down_too=down_too)
        result = await (self._watch(operation, message, performing) if self._is_told(operation) else performing)
        self._auditor.send_ended(operation=operation, result=result)
        return result

    async def perform_each(
        self, operations: Sequence[Operation], message: Message, *, endpoint: str | None = None
    ) -> list[Result]:
        """The results of several operations that send the same message, side by side. Raises as ``perform`` does.

        All together have at most ``MOST_UNDER_WAY`` calls under way. The arguments are those of ``perform``.
        """
        for one in operations:
            check_target(one, self.longest_target(one.hub))
        names = None if endpoint is None else {endpoint.lower()}
        deadline, down_too, began = self.deadline(None), endpoint is not None, self._clock()
        results = await _perform_all(
            self.registry(one.hub).plan(one, message, names=names, deadline=deadline, down_too=down_too)
            for one in operations
        )
        for operation, result in zip(operations, results, strict=True):
            self._auditor.send_ended(operation=operation, result=result)
            if self._observer is not None:
                self._tell(operation, message, judge(operation.action, result), began)
        return results

    async def invoke(
        self, operation: Operation, message: Message, *, endpoint: str | None = None, seconds: float | None = None
    ) -> Judgement:
        """Calls a client, waits for its answer, and judges the result. Raises ``UrlTooLong``.

        The arguments are those of ``perform``.
        """
        check_target(operation, self.longest_target(operation.hub))
        registry, deadline = self.registry(operation.hub), self.deadline(seconds)
        began = self._clock()
        judgement = await invoke(registry, operation, message, endpoint, deadline, self._clock)
        self._tell(operation, message, judgement, began)
        self._auditor.send_ended(operation=operation, result=judgement.result)
        return judgement

    async def send(self, item: Item, *, seconds: float | None = None) -> Result:
        """The result of one item."""
        return await self._send(item, self.deadline(seconds))

    async def send_in_order(
        self, items: Sequence[Item], *, seconds: float | None = None, stop_at_failure: bool = True
    ) -> list[Result]:
        """The results of items that are sent one after the other. The deadline is for all of them.

        Unless ``stop_at_failure`` is False, the items behind a failed one are skipped.
        """
        return await self._send_in_order(items, self.deadline(seconds), _stops if stop_at_failure else _never_stops)

    async def _send_in_order(self, items: Sequence[Item], deadline: float, stops: Stops) -> list[Result]:
        results: list[Result] = []
        turn = Turn(self._clock)
        for item in items:
            results.append(await self._send(item, deadline))
            if turn.is_over():
                await asyncio.sleep(0)
                turn = Turn(self._clock)
            if stops(item, results[-1]):
                return results + [SKIPPED] * (len(items) - len(results))
        return results

    async def send_side_by_side(self, items: Sequence[Item], *, seconds: float | None = None) -> list[Result]:
        """The results of items that are sent at the same time. The deadline is for all of them.

        All together have at most ``MOST_UNDER_WAY`` calls under way.
        """
        deadline, began = self.deadline(seconds), self._clock()
        results = await _perform_all(None if self._clock() >= deadline else self._plan(one, deadline) for one in items)
        turn = Turn(self._clock)
        for item, result in zip(items, results, strict=True):
            if result is not SKIPPED:
                self._auditor.send_ended(operation=item.operation, result=result)
            if self._is_told(item.operation):
                self._tell(item.operation, item.message, judge(item.operation.action, result), began)
            if turn.is_over():
                await asyncio.sleep(0)
                turn = Turn(self._clock)
        return results

    async def send_outputs(self, hub: str, outputs: bytes) -> Sequence[Judgement]:
        """What became of a JSON array of items, sent in order up to the first that fails the call.

        Raises ``InvalidItem`` and ``MalformedJson`` before anything is sent.
        """
        items = await self.read(outputs, hub, ALL_KINDS)
        results = await self._send_in_order(items, self.deadline(None), _stops_outputs)
        return [judge(item.operation.action, result) for item, result in zip(items, results, strict=True)]

    async def read(self, text: bytes, hub: str, kinds: frozenset[Kind]) -> list[Item]:
        """The items of a JSON array, all checked. Raises ``InvalidItem`` and ``MalformedJson``."""
        if len(text) <= LARGE:
            return self._read(text, hub, kinds)
        return await self.work_apart(lambda: self._read(text, hub, kinds))

    def _read(self, text: bytes, hub: str, kinds: frozenset[Kind]) -> list[Item]:
        registry = self.registry(hub)
        longest = LONGEST_TARGET - registry.longest_url
        read = read_items(
            text,
            hub,
            kinds,
            registry.has_name,
            registry.fits,
            longest_target=longest,
            empty_means_all=self._empty_means_all,
        )
        return [item for item in read if item is not None]

    async def work_apart(self, work: Callable[[], T]) -> T:
        """What ``work`` makes, in a thread, so that others get their turn meanwhile. Raises what ``work`` raises."""
        return await asyncio.get_running_loop().run_in_executor(self._workers, work)

    def read_one(self, text: bytes, hub: str, kinds: frozenset[Kind]) -> Item:
        """One item from a JSON object. Raises ``InvalidItem`` and ``MalformedJson``."""
        registry = self.registry(hub)
        longest = LONGEST_TARGET - registry.longest_url
        return read_item(
            text,
            hub,
            kinds,
            registry.has_name,
            registry.fits,
            longest_target=longest,
            empty_means_all=self._empty_means_all,
        )

    async def _send(self, item: Item, deadline: float) -> Result:
        if self._clock() >= deadline:
            return SKIPPED  # an attempt without time would only become unknown
        registry = self.registry(item.operation.hub)
        performing = registry.perform(item.operation, item.message, names=item.endpoints, deadline=deadline)
        watched = self._is_told(item.operation)
        result = await (self._watch(item.operation, item.message, performing) if watched else performing)
        self._auditor.send_ended(operation=item.operation, result=result)
        return result

    def _is_told(self, operation: Operation) -> bool:
        """Whether somebody is told what became of it."""
        return self._observer is not None or operation.action in _AUDITED

    async def _watch(self, operation: Operation, message: Message | None, performing: Awaitable[Result]) -> Result:
        began = self._clock()
        try:
            result = await performing
        except asyncio.CancelledError:
            if operation.action in _AUDITED:
                self._audit(operation, "unknown")  # it may have happened
            raise
        self._tell(operation, message, judge(operation.action, result), began)
        return result

    def _tell(self, operation: Operation, message: Message | None, judgement: Judgement, began: float) -> None:
        """Tells the observer, if there is one, what became of an item that was not skipped, and audits a close."""
        if judgement.result is SKIPPED:
            return
        if operation.action in _AUDITED:
            self._audit(operation, judgement.result.status.value)
        if self._observer is None:
            return
        error, is_call = judgement.error, operation.action is Action.INVOKE
        done = 207 if judgement.meaning is Meaning.PARTIAL else 200 if is_call else 202
        self._observer.item_ended(
            operation=operation,
            message=message,
            result=judgement.result,
            status=done if error is None else error.status,
            code=None if error is None else error.code,
            answer=judgement.answer if is_call and error is None else None,
            seconds=self._clock() - began,
        )

    def _audit(self, operation: Operation, result: str) -> None:
        note = NOTE.get()
        self._auditor.connections_closed(
            who="program" if note is None or not note.by else note.by,
            what=_AUDITED[operation.action].format(group=operation.group, hub=operation.hub),
            hub=operation.hub,
            result=result,
            request_id=TRACE.get().request_id,
        )

    def _plan(self, item: Item, deadline: float) -> Plan:
        registry = self.registry(item.operation.hub)
        return registry.plan(item.operation, item.message, names=item.endpoints, deadline=deadline)

    def deadline(self, seconds: float | None) -> float:
        """The time of the clock in ``seconds`` from now. None takes the default."""
        return self._clock() + (self._default_seconds if seconds is None else seconds)


async def _perform_all(plans: Iterable[Plan | None]) -> list[Result]:
    """The results of all plans, each of which is made when its turn comes. None stands for what is skipped."""
    made: list[Plan | None] = []

    def starts() -> Iterator[Start[Outcome]]:
        for plan in plans:
            made.append(plan)
            yield from () if plan is None else plan.starts

    outcomes = iter(await wait_for_all(starts()))
    return [SKIPPED if plan is None else plan.merge(list(islice(outcomes, len(plan.starts)))) for plan in made]


def check_target(operation: Operation, longest: int = LONGEST_TARGET) -> None:
    """Raises ``UrlTooLong`` when path and query of the operation's URL have more than ``longest`` bytes."""
    if len(write_target(operation)) > longest:
        raise UrlTooLong(
            f"The URL of this call would be longer than {LONGEST_TARGET:,} bytes: exclude fewer connections."
        )


def _stops(item: Item, result: Result) -> bool:
    return stops_array(item.operation.action, result)


def _never_stops(item: Item, result: Result) -> bool:
    return False


def _stops_outputs(item: Item, result: Result) -> bool:
    return fails_outputs(judge(item.operation.action, result))
