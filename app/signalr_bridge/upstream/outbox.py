"""The interface by which handlers talk back, and whose it is outside an event. The assembly fulfils it."""

import asyncio
import weakref
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Protocol, TypeAlias

from signalr_bridge.endpoints.outcome import Judgement, Result
from signalr_bridge.errors import NotRunning
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


Owned: TypeAlias = tuple[Outbox, asyncio.AbstractEventLoop]
"""An outbox, and the event loop in which alone it works."""

_CURRENT: ContextVar[Owned] = ContextVar("signalr_bridge_outbox")
"""The outbox of the bridge that runs the code. Tasks and threads that the code starts inherit it."""

_running: list[Owned] = []
"""The outboxes of all bridges that run in this process. A process that is forked inherits those of its parent."""

_ended: list[weakref.ref[Outbox]] = []
"""The outboxes of bridges that have ended, as long as somebody still has them."""


class OutboxScope:
    """What runs in this block acts for the bridge with this outbox, and so do the tasks and threads that it starts.

    Args:
        outbox: The bridge's outbox.
    """

    __slots__ = ("_outbox", "_token")

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def __enter__(self) -> None:
        self._token = _CURRENT.set((self._outbox, asyncio.get_running_loop()))

    def __exit__(self, *_: object) -> None:
        _CURRENT.reset(self._token)


class RunningBridge:
    """Entered while a bridge runs. Meanwhile code that no bridge runs may find the bridge's outbox, too.

    Args:
        outbox: The bridge's outbox.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def __aenter__(self) -> None:
        _ended[:] = [one for one in _ended if one() is not self._outbox]
        _running.append((self._outbox, asyncio.get_running_loop()))

    async def __aexit__(self, *_: object) -> None:
        # It is found by identity, because two outboxes may be equal.
        del _running[next(place for place, (one, _) in enumerate(_running) if one is self._outbox)]
        _ended[:] = [*(one for one in _ended if one() is not None), weakref.ref(self._outbox)]


def find_outbox() -> Outbox:
    """The outbox of the bridge that runs the caller, or else of the only bridge of this process.

    Raises ``NotRunning`` when there is none, when no bridge runs the caller and several run, when the caller's bridge
    has ended, and when the caller runs in another event loop than its bridge.
    """
    found = _CURRENT.get(None)
    outbox, loop = _find_only() if found is None else found
    if any(one() is outbox for one in _ended):
        raise NotRunning("The bridge that ran this code has ended: cancel your tasks in @chat.shutdown.")
    if loop is not asyncio.get_running_loop():
        raise NotRunning("The bridge runs in another event loop or process: send from a coroutine that runs there.")
    return outbox


def _find_only() -> Owned:
    running = _running[:]
    if not running:
        raise NotRunning("No bridge runs in this process: send from a handler, from startup, or once it runs.")
    if len(running) > 1:
        raise NotRunning(f"{len(running)} bridges run in this process, and none of them runs this code.")
    return running[0]


class FoundOutbox:
    """An outbox that is found when it is used. So it may be made before any bridge runs.

    Each method raises ``NotRunning`` as ``find_outbox`` does, and is otherwise that of ``Outbox``.
    """

    async def perform(
        self, operation: Operation, message: Message | None = None, *, endpoint: str | None = None
    ) -> Result:
        """Do one operation by the outbox that is found."""
        return await find_outbox().perform(operation, message, endpoint=endpoint)

    async def perform_each(
        self, operations: Sequence[Operation], message: Message, *, endpoint: str | None = None
    ) -> Sequence[Result]:
        """Do several operations by the outbox that is found."""
        return await find_outbox().perform_each(operations, message, endpoint=endpoint)

    async def invoke(
        self, operation: Operation, message: Message, *, endpoint: str | None = None, seconds: float | None = None
    ) -> Judgement:
        """Call a method of a client by the outbox that is found."""
        return await find_outbox().invoke(operation, message, endpoint=endpoint, seconds=seconds)

    async def send_outputs(self, hub: str, outputs: bytes) -> Sequence[Judgement]:
        """Send a JSON array of items by the outbox that is found."""
        return await find_outbox().send_outputs(hub, outputs)
