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
_FLUSH_SECONDS = 5.0
"""How long the last spans have when the process ends. A collector that does not answer must not delay the end."""

_EXTRA = "traces are not exported: install signalr-bridge[opentelemetry]"


class _Provider(Protocol):
    """The part of the SDK's provider that is used."""

    def get_tracer(self, name: str, version: str | None = None) -> trace.Tracer: ...

    def shutdown(self) -> None: ...


@contextmanager
def exporting(service: str, version: str) -> Iterator[None]:
    """Makes and exports spans while the block runs, if the environment says where to.

    A provider that is there already is used, such as that of ``opentelemetry-instrument``, and exports by itself. What
    cannot be used is said in the log, and then nothing is exported: that is no reason not to serve.

    Args:
        service: The name of the service, where the environment gives none.
        version: Its version.
    """
    own = None
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        use_provider()
    elif (exporters := find_exporters(os.environ)) and (own := _make_provider(service, version, exporters)) is not None:
        trace.set_tracer_provider(own)
        use_provider()
    try:
        yield
    finally:
        TRACING.tracer = None
        if own is not None:
            _end(own)


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
    """The SDK's provider, which reads sampler, resource and limits from the environment. None without the SDK."""
    try:
        from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        _LOG.warning(_EXTRA)
        return None
    named = Resource({SERVICE_NAME: service, SERVICE_VERSION: version}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=Resource.create().merge(named), shutdown_on_exit=False)
    for name in exporters:
        made = _make_exporter(name)
        if made is None:
            return None
        provider.add_span_processor(BatchSpanProcessor(made()))
    return provider


def _make_exporter(name: str) -> Callable[[], Any] | None:
    """What makes the exporter of this name, which any package may bring. None where no package does."""
    for found in entry_points(group=_GROUP, name=name):
        try:
            made: Callable[[], Any] = found.load()
        except ImportError:
            break
        return made
    _LOG.warning("traces are not exported: no package brings the exporter", extra={"reason": name})
    return None


def _end(provider: _Provider) -> None:
    """Export what is left. It is not waited for without end, as the SDK would."""
    flushing = threading.Thread(target=provider.shutdown, name="last spans", daemon=True)
    flushing.start()
    flushing.join(_FLUSH_SECONDS)
