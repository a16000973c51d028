"""Watches the sources of the settings, and reads them when they have stopped changing. No file can hang it."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from threading import Thread
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from signalr_bridge.errors import SettingsError
from signalr_bridge.runtime import Clock
from signalr_bridge.settings.live import Change
from signalr_bridge.settings.sources import Look, Reading, Sources
from signalr_bridge.settings.value import Values

LOOK_SECONDS = 0.5
"""Seconds between two looks at the files. A change is in force within two seconds."""
SETTLE_SECONDS = 1.0
"""Seconds between the two readings of changed files that must say the same."""
FORCED_SECONDS = 1.0
"""The least seconds between two readings that are asked for although no file has changed."""
LONGEST_SECONDS = 15.0
"""A reading that takes longer is refused. The stores have less time."""

_MOST_READINGS = 20
_LOG = logging.getLogger("signalr_bridge.settings")
_Result = TypeVar("_Result")


class Follower(Protocol):
    """Changes the settings to what was read."""

    def plan(self, values: Values) -> Change:
        """What would change. It is called in a thread of its own. Raises ``SettingsError``."""
        ...

    def take(self, change: Change, values: Values) -> None:
        """Changes it. Raises ``SettingsError``."""
        ...


class Refuser(Protocol):
    """Is told why nothing changes."""

    def settings_refused(self, *, reason: str) -> None:
        """A change was refused as a whole."""
        ...


class DaemonThread:
    """Runs one function at a time in a thread that the end of the process does not wait for.

    A file on a mount that is dead hangs its reader, and nothing can end that. ``asyncio.to_thread`` would then keep the
    process from ending.

    Args:
        seconds: How long a function may take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._turn = asyncio.Lock()
        self._is_running = False

    async def run(self, function: Callable[[], _Result]) -> _Result:
        """What the function gives. Raises what it raises, and ``SettingsError`` when it takes too long.

        A function that hangs is not given up: as long as it does, no other one is run.
        """
        async with self._turn:
            if self._is_running:
                raise self._hang()
            future = self._start(function, asyncio.get_running_loop())
            try:
                async with asyncio.timeout(self._seconds):
                    return await future
            except TimeoutError:
                raise self._hang() from None

    def _start(self, function: Callable[[], _Result], loop: asyncio.AbstractEventLoop) -> asyncio.Future[_Result]:
        future: asyncio.Future[_Result] = loop.create_future()
        self._is_running = True
        try:
            Thread(target=self._work, args=(function, future, loop), name="settings", daemon=True).start()
        except RuntimeError:  # there are too many threads
            self._is_running = False
            raise
        return future

    def _hang(self) -> SettingsError:
        return SettingsError(
            f"They cannot be read within {self._seconds:g} seconds: look whether a folder of theirs is on a dead mount."
        )

    def _work(
        self, function: Callable[[], _Result], future: asyncio.Future[_Result], loop: asyncio.AbstractEventLoop
    ) -> None:
        deliver: Callable[[], None]
        try:
            deliver = partial(_deliver, future, future.set_result, function())
        except Exception as error:
            deliver = partial(_deliver, future, future.set_exception, error)
        self._is_running = False
        with suppress(RuntimeError):  # the loop may have been closed meanwhile
            loop.call_soon_threadsafe(deliver)


def _deliver(future: asyncio.Future[Any], deliver: Callable[[Any], None], result: object) -> None:
    if not future.done():
        deliver(result)


class Watcher:
    """Reads the sources when they have changed, in a background task that is entered and left with the application.

    Args:
        sources: What is read.
        follower: Gets what was read.
        listener: Is told when values are refused.
        clock: Gives monotonic seconds.
        interval: Seconds between two looks at the sources.
        settle: Seconds between two readings of changed files, which must say the same.
        longest: The most seconds that a reading may take.

    Attributes:
        settle: As above. It may be changed at any time.
    """

    def __init__(
        self,
        sources: Sources,
        follower: Follower,
        listener: Refuser,
        *,
        clock: Clock,
        interval: float = LOOK_SECONDS,
        settle: float = SETTLE_SECONDS,
        longest: float = LONGEST_SECONDS,
    ) -> None:
        self._sources, self._follower, self._listener, self._clock = sources, follower, listener, clock
        self._interval, self.settle = interval, settle
        self._thread = DaemonThread(longest)
        self._seen: Look | None = None  # what was read before may have changed since
        self._settled: bytes | None = None  # of the reading, which itself would keep secrets
        self._forced_at = clock() - FORCED_SECONDS
        self._refused: str | None = None
        self._reading: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._asked: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in (self._watching, *self._asked, self._reading):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        self._watching = None

    def hang_up(self) -> None:
        """Begins to read all sources, as SIGHUP asks for it. It is logged, also where there is nothing to read."""
        if self._watching is None or not self._sources.are_watched:
            _LOG.info("asked to read the settings again, but there is no file, folder or store to read")
            return
        _LOG.info("asked to read the settings again")
        asked = asyncio.create_task(self.read_again())
        self._asked.add(asked)  # the loop itself keeps no task alive
        asked.add_done_callback(self._asked.discard)

    async def read_again(self) -> None:
        """Reads all sources now. Calls that come meanwhile wait for the same reading."""
        if self._reading is not None:
            await asyncio.shield(self._reading)  # which may have begun before the last change
        if self._reading is None:
            self._begin(self._read_if_due())
        if self._reading is not None:
            await asyncio.shield(self._reading)

    def _begin(self, reading: Coroutine[Any, Any, None]) -> None:
        self._reading = asyncio.create_task(self._run(reading))

    async def _run(self, reading: Coroutine[Any, Any, None]) -> None:
        try:
            await self._guard(reading)
        finally:
            self._reading = None

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            if self._reading is None:
                await self._guard(self._look())

    async def _look(self) -> None:
        """Reads what has changed, unless it is being read since the look."""
        seen = await self._thread.run(self._sources.look)
        if seen != self._seen and self._reading is None:
            self._begin(self._read(seen))

    async def _guard(self, reading: Coroutine[Any, Any, None]) -> None:
        """Whatever goes wrong, the old settings stay and watching goes on."""
        try:
            await reading
        except SettingsError as error:
            self._refuse(error)
        except Exception as error:
            # By the type of the error alone, because its text may quote a value.
            self._refuse(SettingsError(f"They cannot be read: {type(error).__name__}."))

    async def _read_if_due(self) -> None:
        now = self._clock()
        seen = await self._thread.run(self._sources.look)
        if seen != self._seen or now >= self._forced_at + FORCED_SECONDS:
            self._forced_at = now
            await self._read(seen)

    async def _read(self, seen: Look) -> None:
        self._seen = seen  # what is refused is read again when it changes
        reading = await self._read_settled()
        self._seen, self._settled = reading.look, reading.digest
        values = await self._thread.run(partial(self._sources.complete, reading))
        change = await self._thread.run(partial(self._follower.plan, values))
        self._follower.take(change, values)
        self._refused = None

    async def _read_settled(self) -> Reading:
        """What the files say when two readings have said the same. Raises ``SettingsError``."""
        before = self._settled
        for _ in range(_MOST_READINGS):
            reading = await self._thread.run(self._sources.read_files)
            if reading.digest == before:
                return reading
            before = reading.digest
            await asyncio.sleep(self.settle)
        raise SettingsError("The files change faster than they can be read.")

    def _refuse(self, error: SettingsError) -> None:
        """Tells the listener of a refusal, once as long as its text stays the same."""
        if error.detail != self._refused:
            self._refused = error.detail
            self._listener.settings_refused(reason=error.detail)
