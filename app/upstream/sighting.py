"""What may be shown of an upstream call: names, values cut short, how it ended; never claims, queries or tokens."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from app.protocol import json_text
from app.protocol.hub_message import Payload
from app.protocol.upstream_event import MESSAGES, EventHeaders
from app.upstream.context import Context
from app.upstream.dispatch import Ending, Failed, Handler, Refused, Returned
from app.upstream.python.results import to_plain

LONGEST_TEXT = 200
MOST_VALUES = 60
MOST_NESTING = 5
_LARGEST_RAW = 16_384
_MORE = "…"


@dataclass(slots=True)
class Sighting:
    """Filled in as the call goes on; what it got to is what is shown. ``problem`` is the code of an error answer."""

    headers: EventHeaders
    context: Context | None = None
    handlers: tuple[str, ...] = ()
    ending: Ending | None = None
    status: int = 500
    problem: str | None = None

    def see(self, handlers: Iterable[Handler], ending: Ending) -> None:
        self.handlers = tuple(one.source for one in handlers)
        self.ending = ending

    def describe(self, time: datetime, seconds: float) -> bytes:
        """One JSON object in a line. ``time`` is the beginning, in UTC."""
        headers = self.headers
        return json_text.encode(
            {
                "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "hub": cut(headers.hub),
                "category": cut(headers.category.lower()),
                "event": cut(headers.event),
                "connectionId": cut(headers.connection_id),
                "userId": cut(headers.user_id) or None,
                **self._describe_context(),
                "handler": ", ".join(self.handlers) or None,
                "milliseconds": round(seconds * 1000, 2),
                "status": self.status,
                **self._describe_ending(),
            }
        )

    def _describe_context(self) -> dict[str, Any]:
        context = self.context
        if context is None:
            return {}
        if context.category != MESSAGES:
            return {} if context.error is None else {"reason": cut(context.error)}
        return {"arguments": preview(context.arguments), "waited": context.invocation_id is not None}

    def _describe_ending(self) -> dict[str, Any]:
        match self.ending:
            case Returned(result) if self.problem is None:
                waited = self.context is not None and self.context.invocation_id is not None
                return {"outcome": "returned"} | ({"result": preview(result)} if waited else {})
            case Refused(reason):
                return {"outcome": "refused", "error": cut(reason)}
            case Failed(kind):
                return {"outcome": "failed", "error": kind or None}
        return {"outcome": "rejected", "error": self.problem}


def cut(text: str) -> str:
    """The text's beginning, in characters that UTF-8 has."""
    short = text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + _MORE
    return short if short.isascii() else short.encode("utf-8", "replace").decode()


def preview(value: Payload) -> Any:
    """A small copy of a value: long texts cut, bytes by their number, of many items the first ones. Never raises."""
    try:
        return _Preview().show(value)
    except Exception:  # whatever an author's objects raise when they are looked at
        return f"<{type(value).__name__}>"


class _Preview:
    def __init__(self) -> None:
        self._left = MOST_VALUES

    def show(self, value: Any, nesting: int = 0) -> Any:
        self._left -= 1
        match value:
            case None | bool() | float():
                return value
            case str():
                return cut(value)
            case int():
                return value if value.bit_length() <= 64 else f"<{value.bit_length()} bits>"
            case bytes() | bytearray() | memoryview():
                return f"<{len(value):,} bytes>"
            case dict() | list() | tuple() if nesting >= MOST_NESTING and value:
                return _MORE
            case dict():
                return self._show_members(value, nesting + 1)
            case list() | tuple():
                return self._show_items(value, nesting + 1)
        return self._show_other(value, nesting)

    def _show_other(self, value: Any, nesting: int) -> Any:
        if isinstance(value, msgspec.Raw):
            size = memoryview(value).nbytes
            return self.show(json_text.decode(value), nesting) if size <= _LARGEST_RAW else f"<{size:,} bytes of JSON>"
        if isinstance(value, datetime):
            return value.isoformat()
        if isinstance(value, msgspec.msgpack.Ext):
            return f"<{memoryview(value.data).nbytes:,} bytes>"
        return self.show(to_plain(value), nesting)

    def _show_items(self, values: list[Any] | tuple[Any, ...], nesting: int) -> list[Any]:
        shown: list[Any] = []
        for one in values:
            if self._left <= 0:
                return [*shown, f"{_MORE} {len(values) - len(shown):,} more"]
            shown.append(self.show(one, nesting))
        return shown

    def _show_members(self, members: dict[Any, Any], nesting: int) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        for name, one in members.items():
            if self._left <= 0:
                return shown | {_MORE: f"{len(members) - len(shown):,} more"}
            shown[cut(name if isinstance(name, str) else str(preview(name)))] = self.show(one, nesting)
        return shown
