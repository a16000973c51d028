"""Watches the files that settings come from, and reads everything again when one of them changes."""

import asyncio
import logging
from collections.abc import Callable, Hashable
from contextlib import suppress
from types import TracebackType
from typing import Self

from signalr_bridge.errors import SettingsError
from signalr_bridge.settings.live import refuse
from signalr_bridge.settings.sources import Sources, Values

LOOK_SECONDS = 0.5
"""How often files are looked at: a change is in force well within two seconds."""
SETTLE_SECONDS = 0.1
"""A file that changes again within this time is still being written."""
FORCED_SECONDS = 1.0
"""So often at most everything is read although no file has changed."""
_MOST_READINGS = 20
_LOG = logging.getLogger("signalr_bridge.settings")


class Watcher:
    """A background task, entered and left with the application. ``take`` gets the values; ``clock`` gives seconds."""

    def __init__(
        self,
        sources: Sources,
        take: Callable[[Values], None],
        *,
        clock: Callable[[], float],
        interval: float = LOOK_SECONDS,
        settle: float = SETTLE_SECONDS,
    ) -> None:
        self._sources, self._take, self._clock = sources, take, clock
        self._interval, self._settle = interval, settle
        self._seen: Hashable = None  # what was read before may have changed since
        self._forced_at = clock() - FORCED_SECONDS
        self._refused: str | None = None
        self._reading: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in (self._watching, self._reading):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def read_again(self) -> None:
        """Reads everything now; whoever asks meanwhile waits for the same reading."""
        if self._reading is None:
            now = self._clock()
            unchanged = self._sources.look() == self._seen
            if unchanged and now < self._forced_at + FORCED_SECONDS:
                return
            self._forced_at = now
            self._reading = asyncio.create_task(self._read())
        await asyncio.shield(self._reading)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            try:
                if self._reading is None and await asyncio.to_thread(self._sources.look) != self._seen:
                    await self._start_reading()
            except Exception as error:  # whatever it is, the next look may go well
                self._refuse_unexpected(error)

    async def _start_reading(self) -> None:
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        await asyncio.shield(self._reading)

    async def _read(self) -> None:
        try:
            self._take(await self._read_settled())
            self._refused = None
        except SettingsError as error:
            self._refuse(error)
        except Exception as error:  # whatever it is, the old settings stay and watching goes on
            self._refuse_unexpected(error)
        finally:
            self._reading = None

    async def _read_settled(self) -> Values:
        """What the sources say once nobody writes to them any more."""
        self._seen = await asyncio.to_thread(self._sources.look)
        for _ in range(_MOST_READINGS):
            await asyncio.sleep(self._settle)
            values = await asyncio.to_thread(self._sources.read)
            before, self._seen = self._seen, await asyncio.to_thread(self._sources.look)
            if before == self._seen:
                return values
        raise SettingsError("The files change faster than they can be read.")

    def _refuse_unexpected(self, error: Exception) -> None:
        """By its kind alone: its text may quote a value."""
        self._refuse(SettingsError(f"They cannot be read: {type(error).__name__}."))

    def _refuse(self, error: SettingsError) -> None:
        """Says it once, however often the same is read."""
        if error.detail != self._refused:
            self._refused = error.detail
            refuse(error)
