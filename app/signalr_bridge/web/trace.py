"""What goes with a request wherever it leads: its id, and the caller's ``traceparent`` for the calls made for it."""

import re
from contextvars import ContextVar

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.{0,200})?")
_current: ContextVar[str | None] = ContextVar("traceparent", default=None)
_request_id: ContextVar[str] = ContextVar("request_id", default="")


def set_request_id(value: str) -> None:
    _request_id.set(value)


def request_id() -> str:
    """The id of the request that is being answered: for log lines."""
    return _request_id.get()


def set_traceparent(value: str | None) -> None:
    """Take the header's value for the rest of this request; a malformed one is dropped."""
    _current.set(value if value is not None and _TRACEPARENT.fullmatch(value) else None)


def trace_headers() -> dict[str, str]:
    """The headers that pass the trace on; empty when there is none."""
    value = _current.get()
    return {} if value is None else {"traceparent": value}
