"""Metrics, spans and log lines of a bridge whose every flow is driven, each with a fault, beside a ledger of it."""

import asyncio
import json
from collections import Counter
from typing import Any

import pytest

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


def describe(span: Seen) -> tuple[str, str, str]:
    found = [span.attributes[f"http.{name}"] for name in ("request.method", "route", "response.status_code")]
    method, route, status = map(str, found)
    return method, route, status


def test_each_request_is_one_span_and_one_line_and_these_name_each_other(evidence: Evidence) -> None:
    spans = spans_of(evidence, "bridge", "SERVER")
    assert Counter(map(describe, spans)) == requests(evidence)
    lines = [line for line in lines_of(evidence, "request") if not line["path"].startswith("/health")]
    named = Counter((line["trace_id"], line["span_id"]) for line in lines)
    assert named == Counter((span.trace_id, span.span_id) for span in spans)
    by_id = {line["request_id"]: line for line in lines}
    for asked in evidence.ledger.asked:
        line = by_id[asked.id]
        assert (line["method"], line["status"]) == (asked.method, asked.status)
        assert (line["trace_id"] == asked.trace) is not asked.route.endswith("/negotiate"), "clients are not believed"


def test_the_span_of_a_send_says_what_became_of_it_at_each_endpoint(evidence: Evidence) -> None:
    lines = {line["request_id"]: line for line in lines_of(evidence, "request")}
    spans = {span.span_id: span for span in spans_of(evidence, "bridge", "SERVER")}
    for sent in evidence.ledger.sent:
        outcomes = spans[lines[sent.request_id]["span_id"]].attributes["signalr.outcomes"]
        assert isinstance(outcomes, list)
        assert sorted(outcomes) == sorted(f"{name}={outcome}" for name, outcome in sent.outcomes.items())


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


def test_no_secret_is_in_spans_or_lines(evidence: Evidence) -> None:
    """Nor what clients are called and say, but for the paths in the log. The collector's own key opens only itself."""
    log = "\n".join(evidence.lines)
    secrets = {KEY, NEXT_KEY, CODE, WESTUS_KEY, EMULATOR_KEY, SECRET, SECRET.removeprefix("whsec_"), TICKET, TEXT}
    secrets |= {part for token in evidence.ledger.tokens for part in (token, token.rpartition(".")[2])}
    assert OTLP_KEY in evidence.exported.decode("latin-1")
    assert [one for one in {*secrets, OTLP_KEY} if one in log or one in repr(evidence.spans)] == []
    assert [one for one in {*secrets, USER, GROUP} if one.encode() in evidence.exported] == []
    paths = [line for line in evidence.lines if USER in line and USER not in json.loads(line).get("path", "")]
    assert paths == []
