"""An exporter that says in the log when spans get lost. It needs the SDK, and is imported where that is installed."""

import logging
from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

_LOG = logging.getLogger("signalr_bridge.telemetry")


class ReportingExporter(SpanExporter):
    """Exports by another exporter, whose own lines may quote the collector's address. The methods are the SDK's.

    Args:
        exporter: Exports the spans.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._is_lost = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        was_lost, self._is_lost = self._is_lost, result is not SpanExportResult.SUCCESS
        if self._is_lost and not was_lost:
            _LOG.warning("spans are lost, because the collector does not take them", extra={"count": len(spans)})
        elif was_lost and not self._is_lost:
            _LOG.warning("spans are exported again")
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)
