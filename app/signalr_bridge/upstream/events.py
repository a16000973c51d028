"""Upstream traffic for those who watch: the last events kept, new ones handed on, and nobody waited for."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Protocol, TypeVar

from signalr_bridge.errors import BridgeError
from signalr_bridge.upstream.sighting import Sighting

_LOG = logging.getLogger("signalr_bridge.upstream")

KEPT = 100
MOST_WAITING = 300  # more than are kept, or a newcomer would be let go at once
PULSE_SECONDS = 15.0


# What is longer is written at once: cut short, it takes less room.
_LARGEST_UNWRITTEN = 8_192


class AnAnswer(Protocol):
    @property
    def status(self) -> int: ...
    @property
    def body(self) -> bytes: ...


Answer = TypeVar("Answer", bound=AnAnswer)


class Listener:
    """One who watches. Whoever does not take what comes is let go: the stream ends, and may be asked for again."""

    def __init__(self, missed: list[bytes], most_waiting: int, pulse_seconds: float) -> None:
        self.waiting: deque[bytes] = deque(missed)
        self._most_waiting = most_waiting
        self._pulse_seconds = pulse_seconds
        self._news = asyncio.Event()
        self._ended = False

    def offer(self, event: bytes) -> bool:
        """Whether it is taken."""
        if len(self.waiting) >= self._most_waiting:
            self.end()
            return False
        self.waiting.append(event)
        self._news.set()
        return True

    def end(self) -> None:
        """Nothing more comes; what waits is dropped."""
        self._ended = True
        self.waiting.clear()
        self._news.set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Server-sent events; a comment when nothing has happened for a while, so that a dead connection is noticed."""
        yield b"retry: 1000\n\n"
        while not self._ended:
            while self.waiting:
                yield self.waiting.popleft()
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), self._pulse_seconds)
            except TimeoutError:
                yield b":\n\n"


class _Entry:
    """An event that is written when somebody first wants it: while nobody watches, watching costs next to nothing."""

    __slots__ = ("_facts", "_line")

    def __init__(self, id: str, sighting: Sighting, began: datetime, seconds: float) -> None:
        self._facts: tuple[str, Sighting, datetime, float] | None = (id, sighting, began, seconds)
        self._line = b""
        if len(sighting.body) + len(sighting.answer) > _LARGEST_UNWRITTEN:
            self.write()

    def write(self) -> bytes:
        if self._facts is not None:
            id, sighting, began, seconds = self._facts
            self._line, self._facts = _write(id, sighting, began, seconds), None
        return self._line


def _write(id: str, sighting: Sighting, began: datetime, seconds: float) -> bytes:
    try:
        return b"id: %s\ndata: %s\n\n" % (id.encode(), sighting.describe(began, seconds))
    except Exception:  # the call itself went well, and must not suffer from being watched
        _LOG.exception("event cannot be shown")
        return b":\n\n"


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
        self._recent: deque[_Entry] = deque(maxlen=kept)
        self._most_waiting = most_waiting
        self._pulse_seconds = pulse_seconds
        self._listeners: set[Listener] = set()
        self._closed = False

    async def watch(self, sighting: Sighting, answering: Awaitable[Answer]) -> Answer:
        """The answer, or the error, of a call; what was seen of it is handed on."""
        began, started = self._now(), self._clock()
        try:
            answer = await answering
            sighting.status, sighting.answer = answer.status, answer.body
            return answer
        except BridgeError as error:
            sighting.status, sighting.problem = error.status, error.code
            raise
        finally:
            self._hand_on(sighting, began, self._clock() - started)

    def _hand_on(self, sighting: Sighting, began: datetime, seconds: float) -> None:
        self._count += 1
        entry = _Entry(f"{self._boot}-{self._count}", sighting, began, seconds)
        self._recent.append(entry)
        if self._listeners:
            self._listeners = {one for one in self._listeners if one.offer(entry.write())}

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
            return [one.write() for one in self._recent]
        missed = min(max(self._count - int(number), 0), len(self._recent))
        return [one.write() for one in list(self._recent)[len(self._recent) - missed :]]

    def close(self) -> None:
        """The process stops: every stream ends, and a new one ends at once."""
        self._closed = True
        for listener in self._listeners:
            listener.end()
