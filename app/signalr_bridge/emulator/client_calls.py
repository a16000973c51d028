"""Calls of a client that wait for its answer."""

import asyncio
import itertools

from signalr_bridge.protocol.hub_message import Completion


class ClientGone(Exception):
    """The client went before it answered."""


class ClientCalls:
    """Of one connection, by invocation id."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[Completion]] = {}
        self._ids = itertools.count(1)
        self._ended = False

    def begin(self) -> tuple[str, asyncio.Future[Completion]]:
        """An id, and what will be the client's answer. Raises ``ClientGone``, as the future does."""
        if self._ended:
            raise ClientGone
        invocation_id = f"s-{next(self._ids)}"
        future = asyncio.get_running_loop().create_future()
        self._waiting[invocation_id] = future
        future.add_done_callback(lambda _: self._waiting.pop(invocation_id, None))
        return invocation_id, future

    def complete(self, completion: Completion) -> None:
        """The client has answered; what nobody waits for is dropped."""
        future = self._waiting.get(completion.invocation_id)
        if future is not None and not future.done():
            future.set_result(completion)

    def end(self) -> None:
        """The client has gone."""
        self._ended = True
        for future in list(self._waiting.values()):
            if not future.done():
                future.set_exception(ClientGone())
