"""The caller's ``traceparent``, on its way from a request to the calls that are made for it."""

import re
from contextvars import ContextVar

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.{0,200})?")
_current: ContextVar[str | None] = ContextVar("traceparent", default=None)


def set_traceparent(value: str | None) -> None:
    """Take the header's value for the rest of this request; a malformed one is dropped."""
    _current.set(value if value is not None and _TRACEPARENT.fullmatch(value) else None)


def trace_headers() -> dict[str, str]:
    """The headers that pass the trace on; empty when there is none."""
    value = _current.get()
    return {} if value is None else {"traceparent": value}
