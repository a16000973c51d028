"""The observer that says in the span of a request what becomes known while it is answered, and ends it."""

from signalr_bridge.protocol.rest import Action
from signalr_bridge.tracing import TRACING
from signalr_bridge.web.observer import Observer
from signalr_bridge.web.trace import TRACE


def make_observers() -> "list[Observer]":
    """The observers that a bridge needs for its spans. There is none where the process has no tracer."""
    return [] if TRACING.tracer is None else [TraceObserver()]


class TraceObserver(Observer):
    """Adds facts to the span of the request in whose task they are told. The methods are those of ``Observer``."""

    def request_ended(
        self, *, method: str, path: str, status: int, seconds: float, caller: str | None, request_id: str
    ) -> None:
        if (span := TRACE.get().span) is not None:
            span.end(status, None if status else "no_answer")

    def operation_ended(
        self,
        *,
        endpoint: str,
        hub: str,
        action: Action,
        outcome: str,
        code: str | None,
        reason: str | None,
        has_credential: bool,
        seconds: float,
    ) -> None:
        if (span := TRACE.get().span) is not None:
            span.note("signalr.hub", hub.lower())
            span.append("signalr.outcomes", f"{endpoint}={outcome}")
