"""Upstream traffic for those who watch: the last events kept, new ones handed on, and nobody waited for."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar

from signalr_bridge.errors import BridgeError, MalformedMessage
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.upstream_event import DISCONNECTED, JSON, MESSAGES, EventHeaders, read_disconnected
from signalr_bridge.runtime import Clock
from signalr_bridge.upstream.codecs import CODECS
from signalr_bridge.upstream.dispatch import Ending, Failed, Handler, Refused
from signalr_bridge.upstream.values import cut, preview


@dataclass(slots=True)
class EventRecord:
    """Filled in as the call goes on; what it got to is what is shown.

    Only bytes and names are kept: a handler's objects may change later, or be large. ``problem`` is the code of an
    error answer.
    """

    headers: EventHeaders = field(repr=False)
    media_type: str = JSON
    body: bytes = field(default=b"", repr=False)
    handlers: tuple[str, ...] = ()
    outcome: str = "rejected"
    error: str | None = None
    status: int = 500
    answer: bytes = field(default=b"", repr=False)
    problem: str | None = None

    def see(self, handlers: Iterable[Handler], ending: Ending) -> None:
        self.handlers = tuple(one.source for one in handlers)
        match ending:
            case Refused(reason):
                self.outcome, self.error = "refused", reason
            case Failed(kind):
                self.outcome, self.error = "failed", kind or None
            case _:
                self.outcome, self.error = "returned", None

    def describe(self, time: datetime, seconds: float) -> bytes:
        """One JSON object in a line. ``time`` is the beginning, in UTC."""
        headers = self.headers
        error = self.problem if self.outcome == "rejected" else self.error
        return json_text.encode(
            {
                "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "hub": cut(headers.hub),
                "category": cut(headers.category.lower()),
                "event": cut(headers.event),
                "connectionId": cut(headers.connection_id),
                "userId": cut(headers.user_id) or None,
                **self._describe_body(),
                "handler": ", ".join(self.handlers) or None,
                "milliseconds": round(seconds * 1000, 2),
                "status": self.status,
                "outcome": self.outcome,
                **self._describe_answer(),
                **({} if error is None else {"error": cut(error)}),
            }
        )

    def _describe_body(self) -> dict[str, Any]:
        try:
            if self.headers.category.lower() == MESSAGES:
                return {"arguments": preview(CODECS[self.media_type].read_invocation(self.body).arguments)}
            if self.headers.event.lower() == DISCONNECTED and self.media_type == JSON:
                reason = read_disconnected(self.body).error
                return {} if reason is None else {"reason": cut(reason)}
        except MalformedMessage:
            pass  # then it was refused for that
        return {}

    def _describe_answer(self) -> dict[str, Any]:
        """What the client was told, as it was told."""
        if self.outcome != "returned" or not self.answer:
            return {}
        completion = CODECS[self.media_type].read_completion(self.answer)
        return {"result": preview(completion.result)} if completion.has_result else {}


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

    def __init__(self, id: str, record: EventRecord, began: datetime, seconds: float) -> None:
        self._facts: tuple[str, EventRecord, datetime, float] | None = (id, record, began, seconds)
        self._line = b""
        if len(record.body) + len(record.answer) > _LARGEST_UNWRITTEN:
            self.write()

    def write(self) -> bytes:
        if self._facts is not None:
            id, record, began, seconds = self._facts
            self._line, self._facts = _write(id, record, began, seconds), None
        return self._line


def _write(id: str, record: EventRecord, began: datetime, seconds: float) -> bytes:
    try:
        return b"id: %s\ndata: %s\n\n" % (id.encode(), record.describe(began, seconds))
    except Exception:  # the call itself went well, and must not suffer from being watched
        _LOG.exception("event cannot be shown")
        return b":\n\n"


class EventFeed:
    """The feed. ``boot`` tells this process's event ids from those of another; clocks are in UTC and in seconds."""

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        clock: Clock,
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

    async def watch(self, record: EventRecord, answering: Awaitable[Answer]) -> Answer:
        """The answer, or the error, of a call; what was seen of it is handed on."""
        began, started = self._now(), self._clock()
        try:
            answer = await answering
            record.status, record.answer = answer.status, answer.body
            return answer
        except BridgeError as error:
            record.status, record.problem = error.status, error.code
            raise
        finally:
            self._hand_on(record, began, self._clock() - started)

    def _hand_on(self, record: EventRecord, began: datetime, seconds: float) -> None:
        self._count += 1
        entry = _Entry(f"{self._boot}-{self._count}", record, began, seconds)
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
