"""The observer that says in the span of a request what becomes known while it is answered, and ends it."""

from signalr_bridge.protocol.rest import Action
from signalr_bridge.protocol.upstream_event import CONNECTIONS, MESSAGES
from signalr_bridge.tracing import TRACING
from signalr_bridge.web.observer import Observer
from signalr_bridge.web.trace import TRACE, tell_span

_CATEGORIES = frozenset({CONNECTIONS, MESSAGES})


def make_observers() -> "list[Observer]":
    """The observers that a bridge needs for its spans. There is none where the process has no tracer."""
    return [] if TRACING.tracer is None else [TraceObserver()]


class TraceObserver(Observer):
    """Adds facts to the span of the request in whose task they are told. The methods are those of ``Observer``."""

    def request_ended(
        self, *, method: str, path: str, route: str, status: int, seconds: float, caller: str | None, request_id: str
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

    def event_ended(
        self,
        *,
        hub: str,
        category: str,
        event: str,
        registered_event: str | None,
        connection_id: str,
        user_id: str,
        handler: str,
        result: str,
        endpoint: str | None,
        handler_seconds: float | None,
        seconds: float,
    ) -> None:
        tell_span("signalr.result", result)
        tell_span("signalr.hub", hub.lower())
        tell_span("signalr.category", category.lower() if category.lower() in _CATEGORIES else "other")
        tell_span("signalr.event", registered_event or "other")  # another one is a client's text
        if endpoint is not None:
            tell_span("signalr.endpoint", endpoint)

    def event_refused(
        self,
        *,
        reason: str,
        hub: str,
        category: str,
        event: str,
        connection_id: str,
        user_id: str,
        seconds: float,
    ) -> None:
        tell_span("signalr.result", "rejected")  # its names have not been checked
        tell_span("signalr.reason", reason)
