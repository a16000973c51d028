"""What may be shown of an upstream call: names, values cut short, how it ended; never claims, queries or tokens."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from signalr_bridge.errors import MalformedMessage
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.upstream_event import DISCONNECTED, JSON, MESSAGES, EventHeaders, read_disconnected
from signalr_bridge.upstream.codecs import CODECS
from signalr_bridge.upstream.dispatch import Ending, Failed, Handler, Refused
from signalr_bridge.upstream.preview import cut, preview


@dataclass(slots=True)
class Sighting:
    """Filled in as the call goes on; what it got to is what is shown.

    Only bytes and names are kept: a handler's objects may change later, or be large. ``problem`` is the code of an
    error answer.
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
        self.handlers = tuple(one.source for one in handlers)
        match ending:
            case Refused(reason):
                self.outcome, self.error = "refused", reason
            case Failed(kind):
                self.outcome, self.error = "failed", kind or None
            case _:
                self.outcome, self.error = "returned", None

    def describe(self, time: datetime, seconds: float) -> bytes:
        """One JSON object in a line. ``time`` is the beginning, in UTC."""
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
                return {"arguments": preview(CODECS[self.media_type].read_invocation(self.body).arguments)}
            if self.headers.event.lower() == DISCONNECTED and self.media_type == JSON:
                reason = read_disconnected(self.body).error
                return {} if reason is None else {"reason": cut(reason)}
        except MalformedMessage:
            pass  # then it was refused for that
        return {}

    def _describe_answer(self) -> dict[str, Any]:
        """What the client was told, as it was told."""
        if self.outcome != "returned" or not self.answer:
            return {}
        completion = CODECS[self.media_type].read_completion(self.answer)
        return {"result": preview(completion.result)} if completion.has_result else {}
