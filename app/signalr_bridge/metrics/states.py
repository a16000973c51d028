"""The states that are read when Prometheus asks: endpoints, breakers, credentials, queues, shares and the log."""

import platform
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from signalr_bridge import __version__
from signalr_bridge.endpoints.directory import EndpointDirectory
from signalr_bridge.endpoints.health import State
from signalr_bridge.metrics.observer import name_forward
from signalr_bridge.outbound.idempotency import Idempotency
from signalr_bridge.upstream.forward.backends import Backends
from signalr_bridge.upstream.forward.queue import Backlog
from signalr_bridge.web.shares import Shares

_PREFIX = "signalr_bridge_"


@dataclass(frozen=True, slots=True)
class Observed:
    """The parts whose states are read."""

    directory: EndpointDirectory
    backends: Backends
    backlog: Backlog
    idempotency: Idempotency
    shares: Shares
    forwards: Callable[[], Iterable[str]]
    """The names of the forwards in force."""
    dropped_lines: Callable[[], int]
    """How many lines of the log were dropped."""


class StateCollector(Collector):
    """Reads the states of a bridge. Several endpoints of one name are one label: the worst counts, and weights add."""

    def __init__(self, observed: Observed) -> None:
        self._observed = observed

    def collect(self) -> Iterator[Metric]:
        """The metrics at this moment."""
        yield from self._collect_endpoints()
        yield from self._collect_credentials()
        yield self._collect_breakers()
        yield from self._collect_requests()
        yield _counter(
            "log_lines_dropped", "Lines of the log that found no room.", [((), self._observed.dropped_lines())]
        )
        build = (__version__, platform.python_version())
        yield _gauge("build_info", "The version of the bridge and of Python.", [(build, 1)], "version", "python")

    def _collect_endpoints(self) -> Iterator[Metric]:
        states: dict[tuple[str, ...], float] = {}
        weights: dict[tuple[str, ...], float] = {}
        last_ok: dict[tuple[str, ...], float] = {}
        for registry in self._observed.directory.registries:
            for endpoint in registry.endpoints:
                report = registry.report(endpoint)
                for state in State:
                    key = (endpoint.name, state.value)
                    states[key] = max(states.get(key, 0), report.state is state)
                if report.last_ok is not None:
                    last_ok[endpoint.name,] = min(last_ok.get((endpoint.name,), report.last_ok), report.last_ok)
        for endpoint in self._observed.directory.endpoints:
            weights[endpoint.name,] = weights.get((endpoint.name,), 0) + endpoint.weight
        yield _gauge("endpoint_state", "Whether an endpoint is in this state.", states.items(), "endpoint", "state")
        yield _gauge("endpoint_weight", "An endpoint's share of new clients.", weights.items(), "endpoint")
        what = "When a probe last found an endpoint well, in seconds since 1970."
        yield _gauge("endpoint_last_ok_timestamp_seconds", what, last_ok.items(), "endpoint")

    def _collect_credentials(self) -> Iterator[Metric]:
        renewals: Tally[tuple[str, ...]] = Tally()
        expires: dict[tuple[str, ...], float] = {}
        for endpoint in self._observed.directory.endpoints:
            for one in endpoint.credential.refreshed:
                for result, count in one.renewals.items():
                    renewals[endpoint.name, result] += count
                if one.expires_at is not None:
                    known = expires.get((endpoint.name,), one.expires_at)
                    expires[endpoint.name,] = min(known, one.expires_at)
        what = "Attempts to renew an endpoint's token or signing key."
        yield _counter("credential_renewals", what, renewals.items(), "endpoint", "result")
        what = "When the first of an endpoint's token and signing key expires, in seconds since 1970."
        yield _gauge("credential_expires_timestamp_seconds", what, expires.items(), "endpoint")

    def _collect_breakers(self) -> Metric:
        found: dict[tuple[str, ...], float] = {}
        for registry in self._observed.directory.registries:
            for endpoint in registry.endpoints:
                key = ("endpoint", endpoint.name)
                found[key] = max(found.get(key, 0), registry.has_open_breaker(endpoint))
        for origin, is_open in self._observed.backends.open_breakers.items():
            found["backend", origin] = is_open
        what = "Whether retries to an endpoint, or calls to a backend, are held back."
        return _gauge("breaker_open", what, found.items(), "kind", "name")

    def _collect_requests(self) -> Iterator[Metric]:
        observed = self._observed
        waiting = Tally({name_forward(one): count for one, count in observed.backlog.queue.count_by_source().items()})
        names = {*observed.forwards(), *waiting}
        values = [((one,), waiting[one]) for one in sorted(names)]
        yield _gauge("forward_waiting", "Events that are on their way to a backend.", values, "forward")
        kept = len(observed.idempotency)
        yield _gauge("idempotency_kept", "Answers that are kept for an Idempotency-Key.", [((), kept)])
        replayed = observed.idempotency.replayed
        yield _counter("idempotency_replayed", "Answers that were given again.", [((), replayed)])
        in_flight = [((name.value,), count) for name, count in observed.shares.count_in_flight().items()]
        yield _gauge("in_flight", "Requests that hold a place.", in_flight, "share")
        shed = [
            ((one.name.value, reason.value), count)
            for one in observed.shares.every
            for reason, count in one.shed.items()
        ]
        yield _counter("shed", "Requests that were turned away under load.", shed, "share", "reason")


_Values = Iterable[tuple[tuple[str, ...], float]]


def _gauge(name: str, what: str, values: _Values, *labels: str) -> Metric:
    metric = GaugeMetricFamily(_PREFIX + name, what, labels=labels)
    for key, value in values:
        metric.add_metric(key, value)
    return metric


def _counter(name: str, what: str, values: _Values, *labels: str) -> Metric:
    metric = CounterMetricFamily(_PREFIX + name, what, labels=labels)
    for key, value in values:
        metric.add_metric(key, value)
    return metric
