"""Names the function of an author that holds up the event loop, and with it everybody else."""

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import CodeType, CoroutineType, FrameType
from typing import Any

from signalr_bridge.upstream.python.handler import HubHandler
from signalr_bridge.upstream.python.hub_lifespan import run_function, start_function
from signalr_bridge.upstream.python.negotiate_handler import PythonNegotiateHandler

INTERVAL_SECONDS = 0.1
"""From one look to the next. What holds the loop up for a shorter time is not seen."""

LONGEST_SECONDS = 1.0
"""A stretch may take so long. One that takes longer is told of."""

QUIET_SECONDS = 60.0
"""A function is told of once in this time."""

_TOLD_AFTER_SECONDS = 5.0
"""A stretch that has not ended by then is told of while it runs, because it may never end."""

_LOG = logging.getLogger("signalr_bridge.upstream")


@dataclass(frozen=True, slots=True)
class Stretch:
    """What an author's function does between two points at which it waits.

    ``frame`` belongs to the call of the function. ``hub`` and ``event`` are empty where the function has none.
    """

    frame: FrameType
    handler: str
    hub: str = ""
    event: str = ""

    def is_same(self, other: "Stretch | None") -> bool:
        return other is not None and other.frame is self.frame


Reader = Callable[[FrameType, Mapping[str, Any]], Stretch]
"""Reads a stretch from the frame of the call, and from its local variables."""

_CALLS: dict[CodeType, Reader] = {
    HubHandler.answer.__code__: lambda frame, of: Stretch(
        frame, of["self"].source, of["context"].hub, of["context"].event
    ),
    PythonNegotiateHandler.admit.__code__: lambda frame, of: Stretch(
        frame, of["self"].source, of["request"].hub, "negotiate"
    ),
    start_function.__code__: lambda frame, of: Stretch(frame, of["function"].source),
    run_function.__code__: lambda frame, of: Stretch(frame, of["function"].source),
}
"""What awaits functions of authors, and how its frame says which."""

_OURS = {"signalr_bridge", "asyncio", "uvicorn", "starlette", "fastapi"}
"""Whose tasks are not those of authors."""


class LoopWatch:
    """A thread that looks, ten times a second, at what the event loop's thread does. It costs calls nothing.

    It tells of a function that holds the loop up for a second. A function that is not ``async`` runs in a thread, and
    holds nothing up. Enter it in the loop.

    Args:
        interval_seconds: Seconds between two looks.
        longest_seconds: How long a stretch may take.
    """

    def __init__(self, *, interval_seconds: float = INTERVAL_SECONDS, longest_seconds: float = LONGEST_SECONDS) -> None:
        self._interval_seconds, self._longest_seconds = interval_seconds, longest_seconds
        self._quiet_until: dict[str, float] = {}

    async def __aenter__(self) -> None:
        self._loop, self._thread_id = asyncio.get_running_loop(), threading.get_ident()
        self._ended = threading.Event()
        threading.Thread(target=self._run, name="loop watch", daemon=True).start()

    async def __aexit__(self, *_: object) -> None:
        self._ended.set()

    def _run(self) -> None:
        followed: _Followed | None = None
        before, computed = time.monotonic(), time.process_time()
        while not self._ended.wait(self._interval_seconds):
            now, stretch = time.monotonic(), self._find_stretch()
            if followed is not None and (followed.has_ended() or not followed.stretch.is_same(stretch)):
                # It was seen up to one interval after its begin, and for the last time up to one before its end.
                self._tell(followed, self._longest_seconds - 2 * self._interval_seconds)
                followed = None
            if followed is not None:
                followed.seen = now
                self._tell(followed, _TOLD_AFTER_SECONDS)
            elif stretch is not None:
                # A stretch that computes in C may have kept this thread from looking. A machine that slept did not.
                is_late = now - before > self._longest_seconds / 2
                was_busy = time.process_time() - computed > self._longest_seconds / 2
                followed = _Followed(stretch, before if is_late and was_busy else now, now)
                followed.begin(self._loop)
            before, computed = now, time.process_time()

    def _find_stretch(self) -> Stretch | None:
        """The stretch that the loop's thread is in.

        Source: https://docs.python.org/3/library/sys.html#sys._current_frames.
        """
        frame = sys._current_frames().get(self._thread_id)
        for one in _walk(frame):
            if (read := _CALLS.get(one.f_code)) is not None:
                return read(one, one.f_locals)
        return _read_task(asyncio.current_task(self._loop))

    def _tell(self, followed: "_Followed", seconds: float) -> None:
        """Log a stretch that has taken so long, unless its function has been told of."""
        stretch, took = followed.stretch, followed.seen - followed.began
        if took < seconds or self._quiet_until.get(stretch.handler, 0.0) > followed.seen:
            return
        self._quiet_until[stretch.handler] = followed.seen + QUIET_SECONDS
        extra: dict[str, Any] = {"handler": stretch.handler}
        extra |= {"hub": stretch.hub, "event": stretch.event} if stretch.hub else {}
        _LOG.warning("handler holds everybody up", extra=extra | {"milliseconds": round(took * 1000)})


@dataclass(slots=True)
class _Followed:
    """A stretch that was seen, from ``began`` on, and up to ``seen``."""

    stretch: Stretch
    began: float
    seen: float
    _goes_on: threading.Event = field(default_factory=threading.Event)

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let the loop say when it goes on."""
        with suppress(RuntimeError):  # it has ended
            loop.call_soon_threadsafe(self._goes_on.set)

    def has_ended(self) -> bool:
        """Whether the loop has gone on.

        A task runs at most once before what was put behind it. So a frame that is seen again before is in this stretch.
        """
        return self._goes_on.is_set()


def _read_task(task: "asyncio.Task[Any] | None") -> Stretch | None:
    """The stretch of a task that a function of an author has started. None for a task of the bridge."""
    coroutine = None if task is None else task.get_coro()
    frame = coroutine.cr_frame if isinstance(coroutine, CoroutineType) else None
    if frame is None or (module := frame.f_globals.get("__name__", "")).partition(".")[0] in _OURS:
        return None
    return Stretch(frame, f"{module}:{frame.f_code.co_qualname}")


def _walk(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back
