"""What the parts tell a tracer, where the process has one: the requests that they answer, and the calls that they make.

OpenTelemetry has one tracer for a process, too. Nothing of it is imported here, and ``telemetry`` sets the tracer.
"""

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol, TypeAlias

import msgspec

NoteValue: TypeAlias = str | int | list[str]
"""What a span may hold. It is never a user, a group, a connection, a query or a credential."""

_OF_TRACES = frozenset({"traceparent", "tracestate"})


class Called(msgspec.Struct, frozen=True, gc=False):
    """What a span says of a call. All of it is written down in our code, or in the settings.

    Args:
        template: The path, with the names of its parameters in the place of names, as ``/users/{user}``.
        of: What is called, such as ``service`` or ``backend``.
        notes: Further facts by the names of their attributes.
        judge: Gives the outcome of a call that has ended, and whether it is not a failure. None leaves that to the
            status.
    """

    template: str = ""
    of: str = ""
    notes: Mapping[str, str] = {}
    judge: Callable[[asyncio.Future[Any]], tuple[str, bool]] | None = None


UNNAMED = Called()
"""A call of which nothing is said but its server."""


class Span(Protocol):
    """The work of one request, or one call.

    Attributes:
        traceparent: What is handed on to whoever is called, as W3C Trace Context has it.
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.
    """

    traceparent: str
    trace_id: str
    span_id: str

    def note(self, name: str, value: NoteValue) -> None:
        """Add a fact. ``name`` is that of an attribute."""
        ...

    def append(self, name: str, value: str) -> None:
        """Add a text to the list that is the attribute of this name."""
        ...

    def end(self, status: int, error: str | None = None) -> None:
        """The work has ended.

        Args:
            status: The HTTP status. 0 where there is none.
            error: The kind of failure in one word. An empty one is none, and None leaves it to the status.
        """
        ...


class Tracer(Protocol):
    """Begins spans."""

    def begin_request(self, method: str, template: str, traceparent: str | None, of: str) -> Span:
        """A request that we answer. What its task does from now on belongs to it, until it ends.

        Args:
            method: As it came.
            template: The template of the path. It is empty where no route has the path.
            traceparent: The trace that whoever asks is believed to be in. None begins a new one.
            of: Which part answers: ``bridge`` or ``emulator``.
        """
        ...

    def begin_call(self, method: str, origin: str, called: Called) -> Span:
        """A call that we make. ``origin`` is scheme, host and port."""
        ...


class Tracing:
    """Holds the tracer of the process. None means that no span is made."""

    tracer: Tracer | None = None


TRACING = Tracing()
"""That of this process."""


def drop_trace(headers: Mapping[str, str]) -> Mapping[str, str]:
    """The headers without those of a trace, because the span of the call brings its own."""
    return {name: value for name, value in headers.items() if name.lower() not in _OF_TRACES}


@contextmanager
def tracing_call(method: str, origin: str, called: Called) -> Iterator[None]:
    """Runs a block in which a library makes calls that ``wire.client`` does not see.

    Instrumentation that others have installed does not see them either. It would export the whole URL, and headers.
    """
    span = None if (tracer := TRACING.tracer) is None else tracer.begin_call(method, origin, called)
    error: str | None = None
    try:
        with _unseen():
            yield
    except BaseException as raised:
        error = type(raised).__name__
        raise
    finally:
        if span is not None:
            span.end(0, error)


@contextmanager
def _unseen() -> Iterator[None]:
    """What instrumentation takes for the sign not to make spans. It is loaded where somebody has installed some."""
    found = sys.modules.get("opentelemetry.instrumentation.utils")
    with nullcontext() if found is None else found.suppress_instrumentation():
        yield
