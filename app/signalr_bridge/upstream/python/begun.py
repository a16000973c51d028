"""A coroutine that has begun, up to where it first waits."""

from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class Begun(Generic[Result]):
    """Runs a coroutine up to where it first waits. Awaiting this runs the rest of it, in the same task.

    So a time limit, which costs a timer, is needed only for what waits. Raises what the coroutine raises.

    Attributes:
        has_returned: Whether the coroutine has returned without waiting. Then there is nothing to await.
        result: What it has returned.
    """

    __slots__ = ("_coroutine", "_waits_for", "has_returned", "result")

    result: Result

    def __init__(self, coroutine: Coroutine[Any, Any, Result]) -> None:
        self._coroutine = coroutine
        try:
            self._waits_for = coroutine.send(None)
            self.has_returned = False
        except StopIteration as stop:
            self.result = stop.value
            self.has_returned = True

    def __await__(self) -> Generator[Any, Any, Result]:
        """The rest of the coroutine. The loop sees what it waits for as if the coroutine itself were awaited."""
        try:
            while True:
                try:
                    sent = yield self._waits_for
                except BaseException as error:
                    self._waits_for = self._coroutine.throw(error)
                else:
                    self._waits_for = self._coroutine.send(sent)
        except StopIteration as stop:
            result: Result = stop.value
            return result
