"""Whether and where traces are exported, by the variables that OpenTelemetry has for it.

Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import Any, Protocol

from opentelemetry import trace

from signalr_bridge.telemetry.tracer import OpenTelemetryTracer
from signalr_bridge.tracing import TRACING

_LOG = logging.getLogger("signalr_bridge.telemetry")
_GROUP = "opentelemetry_traces_exporter"
_PROTOCOLS = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}
_FLUSH_SECONDS = 3.0
"""How long the last spans have when the process ends. A collector that does not answer must not delay the end."""


_EXPORTERS = "opentelemetry.exporter"
"""The logger whose lines quote the collector's address, in which there may be a key."""


class _Unusable(Exception):
    """Why traces cannot be exported, for people."""


class _Provider(Protocol):
    """The part of the SDK's provider that is used."""

    def get_tracer(self, name: str, version: str | None = None) -> trace.Tracer: ...

    def shutdown(self) -> None: ...


@contextmanager
def exporting(service: str, version: str) -> Iterator[Callable[[], None]]:
    """Makes and exports spans while the block runs, if the environment says where to.

    A provider that is there already is used, such as that of ``opentelemetry-instrument``, and exports by itself. Where
    the variables cannot be followed nothing is exported, which is no reason not to serve. The block is given what says
    so in the log, once there is one.

    Args:
        service: The name of the service, where the environment gives none.
        version: Its version.
    """
    logging.getLogger(_EXPORTERS).setLevel(logging.CRITICAL)
    own, reason = None, ""
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        try:
            own = _make_provider(service, version, find_exporters(os.environ))
        except _Unusable as error:
            reason = str(error)
        if own is not None:
            trace.set_tracer_provider(own)
    use_provider()
    try:
        yield lambda: _say(reason)
    finally:
        TRACING.tracer = None
        if own is not None:
            _end(own)


def _say(reason: str) -> None:
    if reason:
        _LOG.warning("traces are not exported", extra={"reason": reason})


def use_provider() -> None:
    """Begin spans with the provider that the process has. It does nothing where the process has none."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider) or is_disabled(os.environ):
        return
    TRACING.tracer = OpenTelemetryTracer(provider)


def is_disabled(environment: Mapping[str, str]) -> bool:
    """Whether the environment says that no span is to be made."""
    return environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def find_exporters(environment: Mapping[str, str]) -> Sequence[str]:
    """The names of the exporters that the environment asks for. None of them means that nothing is exported.

    An address alone asks for ``otlp``. Without an address or a name nothing is exported, although OpenTelemetry's own
    default would be a collector on this machine.
    """
    given = [one.strip() for one in environment.get("OTEL_TRACES_EXPORTER", "").split(",") if one.strip()]
    addresses = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    if not given and any(environment.get(one, "").strip() for one in addresses):
        given = ["otlp"]
    if is_disabled(environment) or "none" in given:
        return ()
    return [_name_protocol(environment) if one == "otlp" else one for one in given]


def _name_protocol(environment: Mapping[str, str]) -> str:
    names = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    given = next((found for one in names if (found := environment.get(one, "").strip())), "http/protobuf")
    return _PROTOCOLS.get(given, given)


def _make_provider(service: str, version: str, exporters: Sequence[str]) -> Any:
    """The SDK's provider, which reads sampler, resource and limits from the environment. None without exporters.

    Raises ``_Unusable``.
    """
    if not exporters:
        return None
    try:
        from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        from signalr_bridge.telemetry.reporting_exporter import ReportingExporter
    except ImportError:
        raise _Unusable("install signalr-bridge[opentelemetry]") from None
    named = Resource({SERVICE_NAME: service, SERVICE_VERSION: version}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=Resource.create().merge(named), shutdown_on_exit=False)
    for name in exporters:
        provider.add_span_processor(BatchSpanProcessor(ReportingExporter(_make_exporter(name))))
    return provider


def _make_exporter(name: str) -> Any:
    """The exporter of this name, which any package may bring. Raises ``_Unusable``."""
    try:
        for found in entry_points(group=_GROUP, name=name):
            return found.load()()
    except Exception as error:  # whatever an exporter raises for a variable: its text may hold a header
        raise _Unusable(f"the exporter {name} cannot be made ({type(error).__name__})") from None
    raise _Unusable(f"no package that is installed brings the exporter {name}")


def _end(provider: _Provider) -> None:
    """Export what is left. It is not waited for without end, as the SDK would."""
    flushing = threading.Thread(target=provider.shutdown, name="last spans", daemon=True)
    flushing.start()
    flushing.join(_FLUSH_SECONDS)
