"""The feed of upstream events for those who watch. It keeps the last events, hands on new ones, and never waits."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from signalr_bridge.errors import BridgeError, MalformedMessage
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.upstream_event import (
    DISCONNECTED,
    JSON,
    MESSAGES,
    EventHeaders,
    read_arguments,
    read_disconnected,
)
from signalr_bridge.runtime import Clock, WallClock
from signalr_bridge.upstream.codecs import CODECS
from signalr_bridge.upstream.dispatch import Ending, Failed, Handler, Refused
from signalr_bridge.upstream.values import cut, preview

KEPT = 100
"""How many events are kept."""

MOST_WAITING = 300
"""How many events may wait for one stream. These are more than are kept, or a new stream would end at once."""

PULSE_SECONDS = 15.0
"""After so many seconds without an event a stream gets a comment."""

# A longer event, in bytes, is written at once, because it takes less room when it is cut.
_LARGEST_UNWRITTEN = 8_192

_LOG = logging.getLogger("signalr_bridge.upstream")


@dataclass(slots=True)
class EventRecord:
    """What is known of one upstream call. It is filled in as the call goes on.

    Only bytes and names are kept, because a handler's objects may change later, or be large.

    Attributes:
        headers: The headers that describe the event.
        media_type: The media type of ``body``.
        body: The body of the call.
        handlers: The sources of the handlers that were asked.
        outcome: ``returned``, ``refused`` or ``failed``. It is ``rejected`` until a handler was asked.
        error: The reason of a refusal, or the name of the error's class.
        status: The HTTP status of the answer.
        answer: The body of the answer.
        problem: The code of an answer that is an error.
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
        """Note which handlers were asked, and how the event ended."""
        self.handlers = tuple(one.source for one in handlers)
        self.outcome = ending.word
        match ending:
            case Refused(reason):
                self.error = reason
            case Failed(kind):
                self.error = kind or None
            case _:
                self.error = None

    def describe(self, time: datetime, seconds: float) -> bytes:
        """The event as one line of JSON. ``time`` is when it began, in UTC, and ``seconds`` how long it took."""
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
                message = CODECS[self.media_type].read_invocation(self.body)
                return {"arguments": preview(read_arguments(message.arguments))}
            if self.headers.event.lower() == DISCONNECTED and self.media_type == JSON:
                reason = read_disconnected(self.body).error
                return {} if reason is None else {"reason": cut(reason)}
        except MalformedMessage:
            pass  # then it was refused for that
        return {}

    def _describe_answer(self) -> dict[str, Any]:
        """The result as the client was told it."""
        if self.outcome != "returned" or not self.answer:
            return {}
        completion = CODECS[self.media_type].read_completion(self.answer)
        return {"result": preview(completion.result)} if completion.has_result else {}


class AnswerLike(Protocol):
    """What the feed looks at in an answer."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def body(self) -> bytes:
        """The body. It is empty when there is no completion."""
        ...


Answer = TypeVar("Answer", bound=AnswerLike)


class EventStream:
    """The stream of one connection that watches. It ends when too many events wait in it. The client may reconnect.

    Args:
        missed: The events to begin with.
        most_waiting: How many events may wait.
        pulse_seconds: After so many seconds without an event a comment is sent.
    """

    def __init__(self, missed: list[bytes], most_waiting: int, pulse_seconds: float) -> None:
        self.waiting: deque[bytes] = deque(missed)
        self._most_waiting = most_waiting
        self._pulse_seconds = pulse_seconds
        self._news = asyncio.Event()
        self._ended = False

    def offer(self, event: bytes) -> bool:
        """Put the event into the stream. False when the stream is full, and so has ended."""
        if len(self.waiting) >= self._most_waiting:
            self.end()
            return False
        self.waiting.append(event)
        self._news.set()
        return True

    def end(self) -> None:
        """End the stream, and drop what waits in it."""
        self._ended = True
        self.waiting.clear()
        self._news.set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Server-sent events. The comments between them let us notice a connection that is dead."""
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
    """An event that is written when a stream first needs it, so that the feed costs little without streams."""

    __slots__ = ("_facts", "_line")

    def __init__(self, id: str, record: EventRecord, began: float, seconds: float) -> None:
        self._facts: tuple[str, EventRecord, float, float] | None = (id, record, began, seconds)
        self._line = b""
        if len(record.body) + len(record.answer) > _LARGEST_UNWRITTEN:
            self.write()

    def write(self) -> bytes:
        if self._facts is not None:
            id, record, began, seconds = self._facts
            self._line, self._facts = _write(id, record, began, seconds), None
        return self._line


def _write(id: str, record: EventRecord, began: float, seconds: float) -> bytes:
    try:
        return b"id: %s\ndata: %s\n\n" % (id.encode(), record.describe(datetime.fromtimestamp(began, UTC), seconds))
    except Exception:  # the call itself went well, and must not suffer from being watched
        _LOG.exception("event cannot be shown")
        return b":\n\n"


class EventFeed:
    """Keeps the last events, and hands each new one to every stream.

    Args:
        wall_clock: Says when an event began.
        clock: Says how long it took.
        boot: A text that tells the event ids of this process from those of another one.
        kept: How many events are kept.
        most_waiting: How many events may wait for one stream.
        pulse_seconds: After so many seconds without an event a stream gets a comment.
    """

    def __init__(
        self,
        *,
        wall_clock: WallClock,
        clock: Clock,
        boot: str,
        kept: int = KEPT,
        most_waiting: int = MOST_WAITING,
        pulse_seconds: float = PULSE_SECONDS,
    ) -> None:
        self._wall_clock = wall_clock
        self._clock = clock
        self._boot = boot
        self._count = 0
        self._recent: deque[_Entry] = deque(maxlen=kept)
        self._most_waiting = most_waiting
        self._pulse_seconds = pulse_seconds
        self._streams: set[EventStream] = set()
        self._closed = False

    async def watch(self, record: EventRecord, answering: Awaitable[Answer]) -> Answer:
        """Await the answer of a call, and hand on what ``record`` then holds. Raises what ``answering`` raises."""
        began, started = self._wall_clock(), self._clock()
        try:
            answer = await answering
            record.status, record.answer = answer.status, answer.body
            return answer
        except BridgeError as error:
            record.status, record.problem = error.status, error.code
            raise
        finally:
            self._hand_on(record, began, self._clock() - started)

    def _hand_on(self, record: EventRecord, began: float, seconds: float) -> None:
        self._count += 1
        entry = _Entry(f"{self._boot}-{self._count}", record, began, seconds)
        self._recent.append(entry)
        if self._streams:
            self._streams = {one for one in self._streams if one.offer(entry.write())}

    @contextmanager
    def listen(self, after: str | None = None) -> Iterator[EventStream]:
        """A stream of the events that are kept, from the one behind the id ``after`` on, and of all new ones.

        Without ``after``, or with the id of another process, it begins with all events that are kept.
        """
        stream = EventStream(self._missed_since(after), self._most_waiting, self._pulse_seconds)
        if self._closed:
            stream.end()
        self._streams.add(stream)
        try:
            yield stream
        finally:
            self._streams.discard(stream)

    def _missed_since(self, after: str | None) -> list[bytes]:
        boot, _, number = (after or "").rpartition("-")
        if boot != self._boot or not number.isascii() or not number.isdecimal() or len(number) > 18:
            return [one.write() for one in self._recent]
        missed = min(max(self._count - int(number), 0), len(self._recent))
        return [one.write() for one in list(self._recent)[len(self._recent) - missed :]]

    def close(self) -> None:
        """End every stream, because the process stops. A new one ends at once."""
        self._closed = True
        for stream in self._streams:
            stream.end()
