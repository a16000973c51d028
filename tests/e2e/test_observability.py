"""Metrics, spans and log lines of a bridge whose every flow is driven, each with a fault, beside a ledger of it."""

import asyncio
import json
import platform
from collections import Counter
from importlib.metadata import version
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.counted import Sample
from tests.e2e.flows import (
    CODE,
    GROUP,
    KEY,
    NEXT_KEY,
    OTLP_KEY,
    SECRET,
    TEXT,
    TICKET,
    USER,
    WESTUS_KEY,
    Evidence,
    gather,
)
from tests.e2e.otlp_collector import Seen
from tests.e2e.processes import EMULATOR_KEY
from tests.prometheus.names import KNOWN
from tests.prometheus.queries import find_queries, find_unknown


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    return asyncio.run(gather(tmp_path_factory.mktemp("observed")))


def lines_of(evidence: Evidence, message: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in evidence.lines if line.startswith("{")]
    return [line for line in lines if line["message"] == message]


def spans_of(evidence: Evidence, service: str, kind: str) -> list[Seen]:
    return [span for span in evidence.spans if (span.service, span.kind) == (service, kind)]


def spans_to(evidence: Evidence, peer: str) -> list[Seen]:
    """The bridge's calls of a peer."""
    spans = spans_of(evidence, "bridge", "CLIENT")
    return [span for span in spans if span.attributes["server.port"] == getattr(evidence.ports, peer)]


def requests(evidence: Evidence) -> Counter[tuple[str, str, str]]:
    """Method, route and status of all that was asked of the bridge."""
    counted: Counter[tuple[str, str, str]] = Counter()
    for (metric, labels), number in evidence.ledger.counts.items():
        if metric == "requests_total":
            said = dict(labels)
            counted[said["method"], said["route"], said["status"]] += number
    return counted


def read_samples(text: str) -> dict[Sample, float]:
    """Those that are not 0, with neither the product's prefix nor what watches it."""
    families = text_string_to_metric_families(text)
    samples = [one for family in families for one in family.samples if one.value]
    named = {(one.name.removeprefix("signalr_bridge_"), frozenset(one.labels.items())): one.value for one in samples}
    return {sample: value for sample, value in named.items() if not is_watching(dict(sample[1]))}


def is_watching(labels: dict[str, str]) -> bool:
    return labels.get("route", "").startswith(("/health", "/metrics"))


COUNTED = {
    *("requests_total", "request_seconds_count", "deliveries_total", "delivery_retries_total", "negotiations_total"),
    *("events_total", "handler_seconds_count", "events_refused_total", "forward_attempts_total", "forward_waiting"),
    *("forward_given_up_total", "idempotency_kept", "idempotency_replayed_total", "shed_total", "in_flight"),
    *("settings_changes_total", "log_lines_dropped_total", "credential_renewals_total"),
}


def test_the_metrics_are_what_was_done(evidence: Evidence) -> None:
    """Number by number. How often calls to the endpoint that is gone were repeated, nobody but the bridge can say."""
    for scrape, beyond in ((evidence.before, set()), (evidence.after, {"delivery_retries_total"})):
        found = {sample: value for sample, value in read_samples(scrape.text).items() if sample[0] in COUNTED - beyond}
        assert found == {sample: value for sample, value in scrape.counts.items() if sample[0] not in beyond}


def test_the_metrics_say_how_endpoints_are(evidence: Evidence) -> None:
    before, after = read_samples(evidence.before.text), read_samples(evidence.after.text)
    states = [{labels for name, labels in found if name == "endpoint_state"} for found in (before, after)]
    assert states[0] == {frozenset({("endpoint", name), ("state", "online")}) for name in ("eastus", "westus")}
    assert states[1] == {
        frozenset({("endpoint", "eastus"), ("state", "online")}),
        frozenset({("endpoint", "westus"), ("state", "offline")}),
    }
    assert after["endpoint_weight", frozenset({("endpoint", "eastus")})] == 1
    assert ("endpoint_weight", frozenset({("endpoint", "westus")})) not in after
    running = {"version": version("signalr-bridge"), "python": platform.python_version()}
    assert after["build_info", frozenset(running.items())] == 1


WITH_IDENTITY = {"signalr_bridge_credential_renewals_total", "signalr_bridge_credential_expires_timestamp_seconds"}
"""These endpoints have keys, which are not renewed."""


def test_prometheus_has_the_same_numbers_and_the_dashboard_shows_them(evidence: Evidence) -> None:
    stored = evidence.stored
    watched = {"requests_total", "request_seconds_count", "delivery_retries_total"}
    for metric in {name for name, _ in evidence.ledger.counts} - watched:
        assert stored.sums[metric] == evidence.ledger.number_of(metric), metric
    known: dict[str, frozenset[str]] = {}
    for one in stored.series:
        labels = one.keys() - {"__name__", "job", "instance"}
        known[one["__name__"]] = known.get(one["__name__"], frozenset()) | labels
    assert {name for name in KNOWN if name not in known} == WITH_IDENTITY
    assert find_unknown(find_queries(), {name: KNOWN[name] for name in WITH_IDENTITY} | known) == []
    assert {rule["name"]: rule["health"] for rule in stored.rules if rule["health"] != "ok"} == {}
    raised = {(rule["name"], alert["labels"].get("endpoint")) for rule in stored.rules for alert in rule["alerts"]}
    assert ("SignalRBridgeEndpointOffline", "westus") in raised


def describe(span: Seen) -> tuple[str, str, str]:
    found = [span.attributes[f"http.{name}"] for name in ("request.method", "route", "response.status_code")]
    method, route, status = map(str, found)
    return method, route, status


def test_each_request_is_one_span_and_one_line_and_these_name_each_other(evidence: Evidence) -> None:
    spans = spans_of(evidence, "bridge", "SERVER")
    assert Counter(map(describe, spans)) == requests(evidence)
    assert all(span.is_error is (int(describe(span)[2]) >= 500) for span in spans)
    lines = [line for line in lines_of(evidence, "request") if line["path"] != "/metrics"]
    lines += lines_of(evidence, "upstream call")
    named = Counter((line["trace_id"], line["span_id"]) for line in lines)
    assert named == Counter((span.trace_id, span.span_id) for span in spans)
    by_id = {line["request_id"]: line for line in lines}
    for asked in evidence.ledger.asked:
        line = by_id[asked.id]
        assert (line.get("method", "POST"), line["status"]) == (asked.method, asked.status)
        assert (line["trace_id"] == asked.trace) is not asked.route.endswith("/negotiate"), "clients are not believed"


def test_line_and_span_of_a_send_say_what_became_of_it_at_each_endpoint(evidence: Evidence) -> None:
    lines = {line["request_id"]: line for line in lines_of(evidence, "request")}
    spans = {span.span_id: span for span in spans_of(evidence, "bridge", "SERVER")}
    for sent in evidence.ledger.sent:
        line = lines[sent.request_id]
        assert sorted(line["outcomes"].split(", ")) == sorted(" ".join(said) for said in sent.outcomes.items())
        outcomes = spans[line["span_id"]].attributes["signalr.outcomes"]
        assert isinstance(outcomes, list)
        assert sorted(outcomes) == sorted(f"{name}={outcome}" for name, outcome in sent.outcomes.items())


def test_the_line_of_an_upstream_call_says_who_called_what_and_how_it_ended(evidence: Evidence) -> None:
    lines = lines_of(evidence, "upstream call")
    refused = [line["reason"] for line in lines if line["result"] == "rejected"]
    assert sorted(refused) == ["body", "code", "routing", "signature"]
    handled = [line for line in lines if line["result"] != "rejected"]
    facts = ("hub", "category", "event", "handler", "result")
    done = Counter(
        (one.hub, one.category, one.event, one.handler or None, one.result) for one in evidence.ledger.events
    )
    assert Counter(tuple(line[fact] for fact in facts) for line in handled) == done
    connections = Counter(one.connection for one in evidence.ledger.events if one.connection)
    assert connections - Counter(line["connection"] for line in handled) == Counter()
    users = {line["user"] for line in handled if line["connection"] == evidence.ledger.events[0].connection}
    assert [len(user) for user in users] == [12], "the same stands for one user in all lines"


def test_the_span_of_an_upstream_call_says_what_it_was_and_how_it_ended(evidence: Evidence) -> None:
    """What names a client is not in it, nor a method that nobody registered."""
    spans = [span for span in spans_of(evidence, "bridge", "SERVER") if span.attributes["http.route"] == "/upstream"]
    facts = [f"signalr.{name}" for name in ("hub", "category", "event", "result", "reason")]
    said: Counter[tuple[str, ...]] = Counter(tuple(str(span.attributes.get(fact)) for fact in facts) for span in spans)
    done: Counter[tuple[str, ...]] = Counter(
        (one.hub, one.category, one.registered, one.result, "None") for one in evidence.ledger.events
    )
    assert done - said == Counter()
    refused = sorted((said - done).elements())
    assert refused == [("None",) * 3 + ("rejected", reason) for reason in ("body", "code", "routing", "signature")]


def test_each_call_is_a_span_that_whoever_is_called_has_for_a_parent(evidence: Evidence) -> None:
    """Attempts that reached nobody have a span without a status."""
    answered = [span for span in spans_to(evidence, "westus") if "http.response.status_code" in span.attributes]
    told = Counter(request.headers["traceparent"] for request in evidence.received)
    assert told == Counter(f"00-{span.trace_id}-{span.span_id}-01" for span in answered)

    service = spans_of(evidence, "emulator", "SERVER")
    assert Counter(span.parent for span in service) == Counter(span.span_id for span in spans_to(evidence, "emulator"))
    events = {span.span_id for span in spans_of(evidence, "emulator", "CLIENT")}
    handled = [span for span in spans_of(evidence, "bridge", "SERVER") if span.parent in events]
    assert len(handled) == len(events) == 9
    attempts = evidence.ledger.number_of("forward_attempts_total")
    assert len(spans_to(evidence, "backend")) == attempts


def test_no_secret_is_in_metrics_spans_or_lines(evidence: Evidence) -> None:
    """Nor what clients are called and say, but for the paths in the log. The collector's own key opens only itself."""
    log = "\n".join(evidence.lines)
    metrics = "\n".join((evidence.before.text, evidence.after.text, evidence.openmetrics))
    secrets = {KEY, NEXT_KEY, CODE, WESTUS_KEY, EMULATOR_KEY, SECRET, SECRET.removeprefix("whsec_"), TICKET, TEXT}
    secrets |= {part for token in evidence.ledger.tokens for part in (token, token.rpartition(".")[2])}
    assert OTLP_KEY in evidence.exported.decode("latin-1")
    assert [one for one in {*secrets, OTLP_KEY} if one in log or one in metrics or one in repr(evidence.spans)] == []
    assert [one for one in {*secrets, USER, GROUP} if one.encode() in evidence.exported] == []
    paths = [line for line in evidence.lines if USER in line and USER not in json.loads(line).get("path", "")]
    assert paths == []
    assert [one for one in (USER, GROUP, "canary", "10.0.0.1") if one in metrics] == []
