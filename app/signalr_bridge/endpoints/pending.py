"""A result that is on its way, what may have to follow it, and the wait for many of them at once."""

import asyncio
from collections.abc import Callable, Coroutine, Generator, Iterable, Iterator
from functools import partial
from typing import Any, Generic, Self, TypeAlias, TypeVar

T = TypeVar("T")
Source = TypeVar("Source")

Judge: TypeAlias = Callable[[T], Coroutine[Any, Any, T] | None]
"""Looks at a result. Gives the work that leads to another one, or None when this one stands."""

MOST_UNDER_WAY = 64
"""How many calls one request may have under way, whatever it asks for."""
BURST = 50
"""After so many calls that are begun, or items that are read, others get their turn."""


class Pending(Generic[T]):
    """A result that is on its way. It is awaited once, or handed to ``wait_for_all`` by what starts it.

    Its judges are asked one after the other, in the order in which they came. Work that one of them gives runs in a
    task of its own, and the judges behind are asked about what it leads to. A chain of futures would do the same, with
    a turn of the event loop for each judge.

    Args:
        source: What is waited for.
        read: The result, from the source when it is done. What it raises is raised to whoever waits.
    """

    __slots__ = ("_error", "_is_given_up", "_judges", "_listener", "_read", "_result", "_source")

    # Both are set when it has ended.
    _result: T
    _error: BaseException | None

    def __init__(self, source: asyncio.Future[Source], read: Callable[[asyncio.Future[Source]], T]) -> None:
        self._source: asyncio.Future[Any] | None = source
        self._read: Callable[[asyncio.Future[Any]], T] = read
        self._judges: list[Judge[T]] = []
        self._listener: Callable[[], None] | None = None
        self._is_given_up = False
        source.add_done_callback(self._source_ended)

    @staticmethod
    def known(result: T) -> "Pending[T]":
        """A result that is there. Its judges are asked in the next turn of the event loop."""
        source: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        source.set_result(result)
        return Pending(source, asyncio.Future.result)

    @staticmethod
    def run(work: Coroutine[Any, Any, T]) -> "Pending[T]":
        """The result of work that is done in a task of its own."""
        return Pending(asyncio.get_running_loop().create_task(work), asyncio.Future.result)

    def follow(self, judge: Judge[T]) -> Self:
        """Have ``judge`` look at the result, behind the judges that are there already."""
        self._judges.append(judge)
        return self

    def when_ended(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` once the result stands. Nobody else may listen, and it must not be ended yet."""
        self._listener = listener

    def result(self) -> T:
        """The result that stands. Raises what the source, its reader, a judge or its work has raised."""
        if self._error is not None:
            raise self._error
        return self._result

    def cancel(self) -> None:
        """Give up what is under way. No judge is asked any more, and nobody is told."""
        self._is_given_up = True
        if self._source is not None:
            self._source.cancel()

    def __await__(self) -> Generator[Any, None, T]:
        if self._source is not None:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._listener = partial(_release, waiter)
            try:
                yield from waiter.__await__()
            except asyncio.CancelledError:
                self.cancel()
                raise
        return self.result()

    def _source_ended(self, source: asyncio.Future[Any]) -> None:
        if self._is_given_up:
            _ = source.cancelled() or source.exception()  # else the loop would complain that nobody has looked
            return
        try:
            result = self._read(source)
            while self._judges:
                work = self._judges.pop(0)(result)
                if work is not None:
                    self._work(work)
                    return
        except (Exception, asyncio.CancelledError) as error:
            self._error = error
        else:
            self._result, self._error = result, None
        self._source = None
        if self._listener is not None:
            self._listener()
            self._listener = None

    def _work(self, work: Coroutine[Any, Any, T]) -> None:
        self._source = asyncio.get_running_loop().create_task(work)
        self._read = asyncio.Future.result
        self._source.add_done_callback(self._source_ended)


def _release(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


Start: TypeAlias = Callable[[], Pending[T]]
"""Begins something. What it can do at once, it has done when it returns."""


async def wait_for_all(starts: Iterable[Start[T]], most: int = MOST_UNDER_WAY) -> list[T]:
    """The results of all that ``starts`` begin, in their order. At most ``most`` are under way at once.

    All that may be is begun before anything is waited for. What fails stops nothing else, and its error is raised when
    all have ended. An error of the first start is raised at once, before anything has been begun.
    """
    return await _Wait(iter(starts), most).results()


class _Wait(Generic[T]):
    """The wait for many results. The place of one that has ended goes to the next start."""

    def __init__(self, starts: Iterator[Start[T]], most: int) -> None:
        self._starts = starts
        self._most = self._free = most
        self._is_exhausted = self._is_resting = False
        self._begun: list[Pending[T] | Exception] = []
        self._waiter: asyncio.Future[None] | None = None

    async def results(self) -> list[T]:
        self._begin()
        if not self._is_over:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            except asyncio.CancelledError:
                self._give_up()
                raise
        return [_result_of(one) for one in self._begun]

    @property
    def _is_over(self) -> bool:
        return self._is_exhausted and self._free == self._most

    def _begin(self) -> None:
        for _ in range(BURST):
            if self._is_resting or self._free == 0 or not self._begin_next():
                return
        self._is_resting = True
        asyncio.get_running_loop().call_soon(self._rested)

    def _rested(self) -> None:
        self._is_resting = False
        self._begin()
        if self._is_over and self._waiter is not None:
            _release(self._waiter)

    def _begin_next(self) -> bool:
        """Whether there was another one to begin."""
        try:
            start = next(self._starts, None)
            if start is None:
                self._is_exhausted = True
                return False
            pending = start()
        except Exception as error:
            if not self._begun:
                raise
            self._begun.append(error)
            return True
        self._begun.append(pending)
        self._free -= 1
        pending.when_ended(self._ended)
        return True

    def _ended(self) -> None:
        self._free += 1
        if not self._is_exhausted:
            self._begin()
        if self._free == self._most and self._is_exhausted and self._waiter is not None:
            _release(self._waiter)

    def _give_up(self) -> None:
        self._starts = iter(())
        for one in self._begun:
            if isinstance(one, Pending):
                one.cancel()


def _result_of(begun: Pending[T] | Exception) -> T:
    if isinstance(begun, Pending):
        return begun.result()
    raise begun
