"""What all the work of a request can ask for: its id, the caller's ``traceparent``, and a note of who acts."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec

from signalr_bridge.tracing import TRACING, Span, Tracer

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.{0,200})?")


class Trace(msgspec.Struct, gc=False):
    """The trace of the request that a task answers.

    Args:
        request_id: The id of the request. It is empty outside of a request.
        traceparent: What is passed on. None when the caller sent none that is well-formed. With a span it is that of
            the span.
        span: The span of the request. None where no spans are made.
        event: What the log keeps of an upstream call until the request has ended, and one line tells of both.
        sent: What became of what was sent, as the log keeps it. None while nothing was.
        is_told: Whether the log has told of the request. What is sent later needs a line of its own.
    """

    request_id: str = ""
    traceparent: str | None = None
    span: Span | None = None
    event: object | None = None
    sent: object | None = None
    is_told: bool = False


NO_TRACE = Trace()
"""Stands outside of a request, and is never changed."""

TRACE: ContextVar[Trace] = ContextVar("trace", default=NO_TRACE)
"""It is set for every request."""


CLIENT = "client"
"""Stands for every client, in the place of a caller's name."""


class Note(msgspec.Struct):
    """Who acts, and what becomes known of a negotiation. It is for audits and for those who watch, and decides nothing.

    Args:
        by: The name of the caller, the source of the handler, or ``CLIENT``.
        hub: The hub that a client is sent to. It is empty until that is known, as are the others.
        user_id: The client's user.
        endpoint: The name of the endpoint that the client is sent to.
    """

    by: str = ""
    hub: str = ""
    user_id: str | None = None
    endpoint: str | None = None


NOTE: ContextVar[Note | None] = ContextVar("note", default=None)
"""It is set for every request while somebody may watch, or that may close connections, for every event of a handler,
and by ``acting``. None means that nothing is noted."""


@contextmanager
def acting(by: str) -> Iterator[None]:
    """What runs in this block, and the tasks that it starts, act under this name."""
    token = NOTE.set(Note(by))
    try:
        yield
    finally:
        NOTE.reset(token)


_UNTRACED = ("/health/", "/metrics")
"""What is asked every few seconds by machines, and would hide all else."""


def begin_trace(tracer: Tracer, request_id: str, traceparent: str | None, method: str, template: str) -> Trace:
    """The trace of a request, with a span for all but what machines ask every few seconds."""
    if template.startswith(_UNTRACED):
        return Trace(request_id, traceparent)
    span = tracer.begin_request(method, template, traceparent, "bridge")
    return Trace(request_id, span.traceparent, span)


def tell_span(name: str, value: str) -> None:
    """Say a fact in the span of the request that this task answers. ``name`` is that of an attribute."""
    if TRACING.tracer is not None and (span := TRACE.get().span) is not None:
        span.note(name, value)


def read_traceparent(value: bytes) -> str | None:
    """The header's value. None for one that is malformed."""
    text = value.decode("latin-1")
    return text if _TRACEPARENT.fullmatch(text) else None
