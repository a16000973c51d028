"""The trace of a request, which all its work can ask for: its id, and the ``traceparent`` of the caller."""

import re
from contextvars import ContextVar

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.{0,200})?")
_current: ContextVar[tuple[str, str | None]] = ContextVar("trace", default=("", None))


def set_trace(request_id: str, traceparent: str | None) -> None:
    """Set the trace of the request that this task answers.

    Both are set for every request. The task of a pipelined request may begin in the context of the one before it, and
    would find that one's trace.

    Args:
        request_id: The id of the request.
        traceparent: The header's value. A malformed one is dropped.
    """
    if traceparent is not None and not _TRACEPARENT.fullmatch(traceparent):
        traceparent = None
    _current.set((request_id, traceparent))


def request_id() -> str:
    """The id of the request that this task answers, for log lines. It is empty outside of a request."""
    return _current.get()[0]


def trace_headers() -> dict[str, str]:
    """The headers that pass the trace on. There are none when the request has no trace."""
    traceparent = _current.get()[1]
    return {} if traceparent is None else {"traceparent": traceparent}
