"""Whether traces are exported, and by what, as OpenTelemetry's variables say it."""

import logging
from collections.abc import Mapping, Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from signalr_bridge.telemetry import exporting
from signalr_bridge.telemetry.export import find_exporters
from signalr_bridge.telemetry.reporting_exporter import ReportingExporter
from signalr_bridge.tracing import TRACING

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
PROTOCOL, TRACES_PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"


@pytest.mark.parametrize(
    ("environment", "names"),
    [
        ({}, []),
        ({"OTEL_SERVICE_NAME": "shop", "OTEL_TRACES_SAMPLER": "always_on"}, []),
        (ENDPOINT, ["otlp_proto_http"]),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector/v1/traces"}, ["otlp_proto_http"]),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, ["otlp_proto_http"]),
        ({"OTEL_TRACES_EXPORTER": "console, otlp"}, ["console", "otlp_proto_http"]),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}, []),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "True"}, []),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "false"}, ["otlp_proto_http"]),
        (ENDPOINT | {PROTOCOL: "grpc"}, ["otlp_proto_grpc"]),
        (ENDPOINT | {PROTOCOL: "grpc", TRACES_PROTOCOL: "http/protobuf"}, ["otlp_proto_http"]),
        (ENDPOINT | {PROTOCOL: "http/json"}, ["http/json"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, []),
    ],
)
def test_an_address_or_a_name_asks_for_an_exporter(environment: Mapping[str, str], names: list[str]) -> None:
    assert list(find_exporters(environment)) == names


@pytest.mark.parametrize("protocol", ["grpc", "http/json"])
def test_what_no_package_exports_is_said_and_stops_nothing(
    protocol: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    with caplog.at_level(logging.WARNING), exporting("signalr-bridge", "1.0") as say:
        assert TRACING.tracer is None
        assert caplog.records == [], "the log is not there yet"
        say()
    (line,) = caplog.records
    assert line.getMessage() == "traces are not exported"
    name = {"grpc": "otlp_proto_grpc"}.get(protocol, protocol)
    assert vars(line)["reason"] == f"no package that is installed brings the exporter {name}"


def test_nothing_is_made_where_nobody_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    monkeypatch.delenv("OTEL_TRACES_EXPORTER", raising=False)
    with exporting("signalr-bridge", "1.0"):
        assert TRACING.tracer is None


class Unsteady(SpanExporter):
    """Succeeds and fails as it is told."""

    def __init__(self, *results: SpanExportResult) -> None:
        self._results = list(results)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._results.pop(0)


def test_an_outage_of_the_collector_is_one_line_and_its_end_another(caplog: pytest.LogCaptureFixture) -> None:
    good, bad = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
    results = [good, bad, bad, good, good, bad]
    exporter = ReportingExporter(Unsteady(*results))
    span = ReadableSpan("GET /x")
    assert [exporter.export([span, span]) for _ in results] == results
    lost = "spans are lost, because the collector does not take them"
    assert [one.getMessage() for one in caplog.records] == [lost, "spans are exported again", lost]
    assert vars(caplog.records[0])["count"] == 2
