"""The trace of a request, which all its work can ask for: its id, and the ``traceparent`` of the caller."""

import re
from contextvars import ContextVar

import msgspec

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.{0,200})?")


class Trace(msgspec.Struct, frozen=True, gc=False):
    """The trace of the request that a task answers.

    Args:
        request_id: The id of the request. It is empty outside of a request.
        traceparent: What is passed on. None when the caller sent none that is well-formed.
    """

    request_id: str = ""
    traceparent: str | None = None


NO_TRACE = Trace()
"""Stands outside of a request."""

TRACE: ContextVar[Trace] = ContextVar("trace", default=NO_TRACE)
"""It is set for every request."""


def read_traceparent(value: bytes) -> str | None:
    """The header's value. None for one that is malformed."""
    text = value.decode("latin-1")
    return text if _TRACEPARENT.fullmatch(text) else None
