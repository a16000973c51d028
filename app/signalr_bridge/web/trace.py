"""The trace of a request, which all its work can ask for: its id, and the ``traceparent`` of the caller."""

import re
from contextvars import ContextVar

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.{0,200})?")
_current: ContextVar[str | None] = ContextVar("traceparent", default=None)
_request_id: ContextVar[str] = ContextVar("request_id", default="")


def set_request_id(value: str) -> None:
    """Set the id of the request that this task answers."""
    _request_id.set(value)


def request_id() -> str:
    """The id of the request that this task answers, for log lines. It is empty outside of a request."""
    return _request_id.get()


def set_traceparent(value: str | None) -> None:
    """Take the header's value for the rest of this request. A malformed value is dropped."""
    _current.set(value if value is not None and _TRACEPARENT.fullmatch(value) else None)


def trace_headers() -> dict[str, str]:
    """The headers that pass the trace on. There are none when the request has no trace."""
    value = _current.get()
    return {} if value is None else {"traceparent": value}
