"""Upstream traffic for those who watch: the last events kept, new ones handed on, and nobody waited for."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Protocol, TypeVar

from app.errors import BridgeError
from app.upstream.sighting import Sighting

_LOG = logging.getLogger("signalr_bridge.upstream")

KEPT = 200
MOST_WAITING = 500
PULSE_SECONDS = 15.0


class HasStatus(Protocol):
    @property
    def status(self) -> int: ...


Answer = TypeVar("Answer", bound=HasStatus)


class Listener:
    """One who watches. Whoever does not take what comes is let go: the stream ends, and may be asked for again."""

    def __init__(self, missed: list[bytes], most_waiting: int, pulse_seconds: float) -> None:
        self._waiting: deque[bytes] = deque(missed)
        self._most_waiting = most_waiting
        self._pulse_seconds = pulse_seconds
        self._news = asyncio.Event()
        self._ended = False

    def offer(self, event: bytes) -> bool:
        """Whether it is taken."""
        if len(self._waiting) >= self._most_waiting:
            self.end()
            return False
        self._waiting.append(event)
        self._news.set()
        return True

    def end(self) -> None:
        """Nothing more comes; what waits is dropped."""
        self._ended = True
        self._waiting.clear()
        self._news.set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Server-sent events; a comment when nothing has happened for a while, so that a dead connection is noticed."""
        yield b"retry: 1000\n\n"
        while not self._ended:
            while self._waiting:
                yield self._waiting.popleft()
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), self._pulse_seconds)
            except TimeoutError:
                yield b":\n\n"


class Events:
    """The feed. ``boot`` tells this process's event ids from those of another; clocks are in UTC and in seconds."""

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        boot: str,
        kept: int = KEPT,
        most_waiting: int = MOST_WAITING,
        pulse_seconds: float = PULSE_SECONDS,
    ) -> None:
        self._now = now
        self._clock = clock
        self._boot = boot
        self._count = 0
        self._recent: deque[bytes] = deque(maxlen=kept)
        self._most_waiting = most_waiting
        self._pulse_seconds = pulse_seconds
        self._listeners: set[Listener] = set()
        self._closed = False

    async def watch(self, sighting: Sighting, answering: Awaitable[Answer]) -> Answer:
        """The answer, or the error, of a call; what was seen of it is handed on."""
        began, started = self._now(), self._clock()
        try:
            answer = await answering
            sighting.status = answer.status
            return answer
        except BridgeError as error:
            sighting.status, sighting.problem = error.status, error.code
            raise
        finally:
            self._hand_on(sighting, began, self._clock() - started)

    def _hand_on(self, sighting: Sighting, began: datetime, seconds: float) -> None:
        try:
            event = sighting.describe(began, seconds)
        except Exception:  # the call itself went well, and must not suffer from being watched
            _LOG.exception("event cannot be shown")
            return
        self._count += 1
        line = b"id: %s-%d\ndata: %s\n\n" % (self._boot.encode(), self._count, event)
        self._recent.append(line)
        self._listeners = {one for one in self._listeners if one.offer(line)} if self._listeners else self._listeners

    @contextmanager
    def listen(self, after: str | None = None) -> Iterator[Listener]:
        """What is kept, without that up to the id ``after``, and from then on everything."""
        listener = Listener(self._missed_since(after), self._most_waiting, self._pulse_seconds)
        if self._closed:
            listener.end()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def _missed_since(self, after: str | None) -> list[bytes]:
        boot, _, number = (after or "").rpartition("-")
        if boot != self._boot or not number.isascii() or not number.isdecimal() or len(number) > 18:
            return list(self._recent)
        missed = min(max(self._count - int(number), 0), len(self._recent))
        return list(self._recent)[len(self._recent) - missed :]

    def close(self) -> None:
        """The process stops: every stream ends, and a new one ends at once."""
        self._closed = True
        for listener in self._listeners:
            listener.end()
