"""The feed of events for those who watch. It keeps the last ones of each kind, hands on new ones, and never waits."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from heapq import merge
from operator import attrgetter
from typing import Any, ClassVar, Protocol, TypeVar

import msgspec

from signalr_bridge.errors import BridgeError, MalformedMessage
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.hub_message import Payload
from signalr_bridge.protocol.upstream_event import (
    DISCONNECTED,
    JSON,
    MESSAGES,
    EventHeaders,
    read_disconnected,
)
from signalr_bridge.runtime import Clock, WallClock
from signalr_bridge.upstream.codecs import CODECS
from signalr_bridge.upstream.dispatch import Ending, Failed, Handler, Refused
from signalr_bridge.upstream.values import cut, preview, preview_json

KEPT = 100
"""How many events of each kind are kept, so that one kind does not push the others out."""

MOST_WAITING = 300
"""How many events may wait for one stream, for each kind that it gets. These are more than are kept."""

PULSE_SECONDS = 15.0
"""After so many seconds without an event a stream gets a comment."""

# A longer event, in bytes, is written at once, because it takes less room when it is cut.
_LARGEST_UNWRITTEN = 8_192

_LOG = logging.getLogger("signalr_bridge.upstream")


class Kind(StrEnum):
    """What an event tells of."""

    UPSTREAM = "upstream"
    """A call of the service."""
    NEGOTIATE = "negotiate"
    """A request of a client, or of a caller on its behalf, that asks where to connect."""
    SEND = "send"
    """A message, group action, close or call of a client, and where it arrived."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """When an event began, in UTC, how long it took in seconds, and which process saw it."""

    time: datetime
    seconds: float
    replica: str

    def write(self, kind: Kind, hub: str, status: int, code: str | None, more: dict[str, Any]) -> bytes:
        """The event as one line of JSON: ``more``, with the members that every kind has.

        ``status`` and ``code`` are those of the answer. ``code`` is None for one that is not a problem.
        """
        common = {
            "kind": kind.value,
            "time": self.time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "hub": cut(hub),
            "replica": self.replica,
            "milliseconds": round(self.seconds * 1000, 2),
            "status": status,
            "code": code,
        }
        return json_text.encode(common | more)


class Record(Protocol):
    """What is kept of an event until somebody wants to see it."""

    kind: ClassVar[Kind]

    @property
    def size(self) -> int:
        """How many bytes it keeps, of those whose number others decide."""
        ...

    def describe(self, stamp: Stamp) -> bytes:
        """The event as one line of JSON."""
        ...


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
        detail: What an error without a handler is told in words.
    """

    kind: ClassVar = Kind.UPSTREAM

    headers: EventHeaders = field(repr=False)
    media_type: str = JSON
    body: bytes = field(default=b"", repr=False)
    handlers: tuple[str, ...] = ()
    outcome: str = "rejected"
    error: str | None = None
    status: int = 500
    answer: bytes = field(default=b"", repr=False)
    problem: str | None = None
    detail: str | None = None

    @property
    def size(self) -> int:
        """How many bytes it keeps."""
        return len(self.body) + len(self.answer)

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

    def describe(self, stamp: Stamp) -> bytes:
        """The event as one line of JSON."""
        headers = self.headers
        error = self.problem if self.outcome == "rejected" else self.error
        return stamp.write(
            self.kind,
            headers.hub,
            self.status,
            self.problem,
            {
                "category": cut(headers.category.lower()),
                "event": cut(headers.event),
                "connectionId": cut(headers.connection_id),
                "userId": cut(headers.user_id) or None,
                **self._describe_body(),
                "handler": ", ".join(self.handlers) or None,
                "outcome": self.outcome,
                **self._describe_answer(),
                **({} if error is None else {"error": cut(error)}),
                **({} if self.detail is None else {"detail": self.detail}),
            },
        )

    def _describe_body(self) -> dict[str, Any]:
        try:
            if self.headers.category.lower() == MESSAGES:
                message = CODECS[self.media_type].read_invocation(self.body)
                return {} if message.fault else {"arguments": _show(message.arguments)}
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
        return {"result": _show(completion.result)} if completion.has_result else {}


def _show(payload: Payload) -> Any:
    return preview_json(payload) if isinstance(payload, msgspec.Raw) else preview(payload)


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

    __slots__ = ("_facts", "_line", "number")

    def __init__(self, number: int, record: Record, stamp: Stamp) -> None:
        self.number = number
        self._facts: tuple[Record, Stamp] | None = (record, stamp)
        self._line = b""
        if record.size > _LARGEST_UNWRITTEN:
            self.write()

    def write(self) -> bytes:
        if self._facts is not None:
            self._line, self._facts = _write(self.number, *self._facts), None
        return self._line


def _write(number: int, record: Record, stamp: Stamp) -> bytes:
    try:
        return b"id: %s-%d\ndata: %s\n\n" % (stamp.replica.encode(), number, record.describe(stamp))
    except Exception:  # the call itself went well, and must not suffer from being watched
        _LOG.exception("event cannot be shown")
        return b":\n\n"


class EventFeed:
    """Keeps the last events, and hands each new one to every stream.

    Args:
        wall_clock: Says when an event began.
        clock: Says how long it took.
        boot: A text that tells the events of this process and their ids from those of another one.
        kept: How many events of each kind are kept.
        most_waiting: How many events may wait for one stream, for each kind that it gets.
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
        self.wall_clock = wall_clock
        """Gives seconds since 1970."""
        self._clock = clock
        self._boot = boot
        self._count = 0
        self._recent: dict[Kind, deque[_Entry]] = {kind: deque(maxlen=kept) for kind in Kind}
        self._most_waiting = most_waiting
        self._pulse_seconds = pulse_seconds
        self._streams: dict[EventStream, frozenset[Kind]] = {}
        self._closed = False

    async def watch(self, record: EventRecord, answering: Awaitable[Answer]) -> Answer:
        """Await the answer of a call, and hand on what ``record`` then holds. Raises what ``answering`` raises."""
        began, started = self.wall_clock(), self._clock()
        try:
            answer = await answering
            record.status, record.answer = answer.status, answer.body
            return answer
        except BridgeError as error:
            record.status, record.problem = error.status, error.code
            raise
        finally:
            self._hand_on(record, Stamp(_read_time(began), self._clock() - started, self._boot))

    def put(self, record: Record, seconds: float) -> None:
        """Hand on an event that has just ended, and that took so many seconds."""
        self._hand_on(record, Stamp(_read_time(self.wall_clock() - seconds), seconds, self._boot))

    def _hand_on(self, record: Record, stamp: Stamp) -> None:
        self._count += 1
        entry = _Entry(self._count, record, stamp)
        self._recent[record.kind].append(entry)
        for stream, kinds in list(self._streams.items()):
            if record.kind in kinds and not stream.offer(entry.write()):
                self._streams.pop(stream, None)

    @contextmanager
    def listen(
        self, after: str | None = None, kinds: Collection[Kind] = frozenset({Kind.UPSTREAM})
    ) -> Iterator[EventStream]:
        """A stream of the events that are kept, from the one behind the id ``after`` on, and of all new ones.

        Without ``after``, or with the id of another process, it begins with all events that are kept. Events that are
        not of one of ``kinds`` do not count, also not where it is judged whether too many wait.
        """
        kinds = frozenset(kinds)
        stream = EventStream(self._missed_since(after, kinds), self._most_waiting * len(kinds), self._pulse_seconds)
        if self._closed:
            stream.end()
        self._streams[stream] = kinds
        try:
            yield stream
        finally:
            self._streams.pop(stream, None)

    def _missed_since(self, after: str | None, kinds: Iterable[Kind]) -> list[bytes]:
        boot, _, number = (after or "").rpartition("-")
        is_ours = boot == self._boot and number.isascii() and number.isdecimal() and len(number) <= 18
        seen = int(number) if is_ours else 0
        recent = merge(*(self._recent[kind] for kind in kinds), key=attrgetter("number"))
        return [one.write() for one in recent if one.number > seen]

    def close(self) -> None:
        """End every stream, because the process stops. A new one ends at once."""
        self._closed = True
        for stream in self._streams:
            stream.end()


def _read_time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
