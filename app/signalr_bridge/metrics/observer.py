"""The observer that counts what happens. Names and labels are those of the contract, for dashboards and alerts."""

import functools
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram

from signalr_bridge.protocol.rest import Action
from signalr_bridge.web.observer import Observer
from signalr_bridge.web.table import METHODS

OTHER = "other"
"""Stands for what is not configured: a text of somebody else's must never become a label."""

_PREFIX = "signalr_bridge_"
_REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_HANDLER_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_DONE, _REFUSED, _FAILED = "done", "refused", "failed"
_CATEGORIES = frozenset({"connections", "messages"})


class MetricsObserver(Observer):
    """Counts facts in a registry of its own, because two bridges may live in one process.

    The methods are those of ``Observer``. A labelled counter is looked up once, because that costs more than counting.

    Args:
        is_known_hub: Whether settings or handlers name a hub, whose name is in lower case.

    Attributes:
        registry: What is counted.
        is_known_hub: As above. It may be set later.
    """

    def __init__(self, is_known_hub: Callable[[str], bool] = lambda _: False) -> None:
        self.registry = CollectorRegistry()
        self.is_known_hub = is_known_hub
        count = functools.partial(_count, self.registry)
        measure = functools.partial(_measure, self.registry)
        self._requests = count("requests", "HTTP requests that were answered.", "route", "method", "status")
        self._request_seconds = measure("request_seconds", "Their durations.", _REQUEST_SECONDS, "route")
        self._deliveries = count("deliveries", "Operations at endpoints.", "endpoint", "action", "outcome")
        self._retries = count("delivery_retries", "Attempts at endpoints that were repeated.", "endpoint")
        self._negotiations = count("negotiations", "Requests to negotiate.", "hub", "result")
        self._events = count("events", "Upstream events.", "hub", "category", "event", "result")
        self._handler_seconds = measure("handler_seconds", "What handlers took.", _HANDLER_SECONDS, "hub", "event")
        self._refused = count("events_refused", "Upstream calls that were not taken.", "reason")
        self._attempts = count("forward_attempts", "Events that were posted to backends.", "forward", "result")
        self._given_up = count("forward_given_up", "Events that a backend may never have seen.", "forward")
        self._changes = count("settings_changes", "Changes of settings.", "result")
        for reason in ("code", "signature", "entra", "routing", "body"):
            self._refused(reason)
        for result in (_DONE, _REFUSED):
            self._changes(result)

    def request_ended(
        self, *, method: str, path: str, route: str, status: int, seconds: float, caller: str | None, request_id: str
    ) -> None:
        route = route or OTHER
        self._requests(route, method if method in METHODS else OTHER, str(status)).inc()
        self._request_seconds(route).observe(seconds)

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
        self._deliveries(endpoint, action.name.lower(), outcome).inc()

    def operation_retried(
        self, *, endpoint: str, hub: str, action: Action, outcome: str, code: str | None, attempt: int, delay: float
    ) -> None:
        self._retries(endpoint).inc()

    def negotiation_ended(
        self,
        *,
        hub: str,
        by: str,
        user_id: str | None,
        endpoint: str | None,
        status: int,
        code: str | None,
        seconds: float,
    ) -> None:
        result = "admitted" if status < 400 else _REFUSED if status < 500 else _FAILED
        self._negotiations(self._name_hub(hub), result).inc()

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
        known, name = self._name_hub(hub), registered_event or OTHER
        self._events(known, category if category in _CATEGORIES else OTHER, name, result).inc()
        if handler_seconds is not None:
            self._handler_seconds(known, name).observe(handler_seconds)

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
        self._refused(reason).inc()

    def forward_attempted(self, *, handler: str, result: str) -> None:
        self._attempts(name_forward(handler), result).inc()

    def forward_given_up(self, *, handler: str) -> None:
        self._given_up(name_forward(handler)).inc()

    def settings_changed(self, *, changes: Sequence[str]) -> None:
        self._changes(_DONE).inc()

    def settings_opening(self, *, openings: Sequence[str]) -> None:
        self._changes(_REFUSED).inc()

    def settings_refused(self, *, reason: str) -> None:
        self._changes(_REFUSED).inc()

    def _name_hub(self, hub: str) -> str:
        hub = hub.lower()
        return hub if self.is_known_hub(hub) else OTHER


def name_forward(source: str) -> str:
    """A handler's source is ``forward.<name>``, and the label is the name."""
    return source.removeprefix("forward.")


def _count(registry: CollectorRegistry, name: str, what: str, *labels: str) -> Callable[..., Counter]:
    counter = Counter(_PREFIX + name, what, labels, registry=registry)
    return functools.cache(counter.labels)


def _measure(
    registry: CollectorRegistry, name: str, what: str, buckets: Sequence[float], *labels: str
) -> Callable[..., Histogram]:
    histogram = Histogram(_PREFIX + name, what, labels, registry=registry, buckets=buckets)
    return functools.cache(histogram.labels)
