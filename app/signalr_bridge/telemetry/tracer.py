"""Spans of OpenTelemetry for the requests that we answer and the calls that we make.

Source: https://opentelemetry.io/docs/specs/semconv/http/http-spans/.
"""

from contextvars import Token
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from signalr_bridge.tracing import Called, NoteValue

SCOPE = "signalr_bridge"
"""The instrumentation scope of all our spans."""

METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
_OTHER = "_OTHER"
_SCHEMA = "https://opentelemetry.io/schemas/1.37.0"
_PORTS = {"http": 80, "https": 443}
_LOWEST_FAILURE = {SpanKind.CLIENT: 400}
"""The lowest status that is a failure. For whoever answers it is 500, because a 400 is a fault of who asks."""
_PROPAGATOR = TraceContextTextMapPropagator()


class OpenTelemetrySpan:
    """A span. The arguments and methods are those of ``tracing.Span``.

    Args:
        span: That of OpenTelemetry.
        kind: Whether it is a request or a call.
    """

    __slots__ = ("_kind", "_lists", "_span", "_token", "span_id", "trace_id", "traceparent")

    def __init__(self, span: trace.Span, kind: SpanKind) -> None:
        found = span.get_span_context()
        self.trace_id, self.span_id = f"{found.trace_id:032x}", f"{found.span_id:016x}"
        self.traceparent = f"00-{self.trace_id}-{self.span_id}-{found.trace_flags & 1:02x}"
        self._span, self._kind = span, kind
        self._lists: dict[str, list[str]] = {}
        self._token: Token[Context] | None = None

    def enter(self) -> None:
        """Make what this task does from now on belong to the span."""
        self._token = attach(trace.set_span_in_context(self._span))

    def note(self, name: str, value: NoteValue) -> None:
        self._span.set_attribute(name, value)

    def append(self, name: str, value: str) -> None:
        texts = self._lists.setdefault(name, [])
        texts.append(value)
        self._span.set_attribute(name, texts)

    def end(self, status: int, error: str | None = None) -> None:
        if status:
            self._span.set_attribute("http.response.status_code", status)
        if error is None and status >= _LOWEST_FAILURE.get(self._kind, 500):
            error = str(status)
        if error:
            self._span.set_attribute("error.type", error)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()
        if self._token is not None and trace.get_current_span() is self._span:  # else another task ends it
            detach(self._token)
        self._token = None


class OpenTelemetryTracer:
    """Begins spans with a provider. The methods are those of ``tracing.Tracer``."""

    def __init__(self, provider: trace.TracerProvider) -> None:
        self._tracer = provider.get_tracer(SCOPE, schema_url=_SCHEMA)

    def begin_request(self, method: str, template: str, traceparent: str | None, of: str) -> OpenTelemetrySpan:
        name = method if method in METHODS else _OTHER
        notes = {"http.request.method": name, "signalr.part": of}
        if template:
            notes |= {"http.route": template, "url.path": template}
        around = trace.get_current_span().get_span_context()
        kind, parent = SpanKind.SERVER, None
        if around.is_valid and not around.is_remote:
            kind = SpanKind.INTERNAL  # of the application that has mounted us, which has a span of the request
        else:
            parent = _PROPAGATOR.extract({} if traceparent is None else {"traceparent": traceparent}, Context())
        words = (name if name in METHODS else "HTTP", template)
        span = self._tracer.start_span(" ".join(filter(None, words)), parent, kind, notes)
        made = OpenTelemetrySpan(span, SpanKind.SERVER)
        made.enter()
        return made

    def begin_call(self, method: str, origin: str, called: Called) -> OpenTelemetrySpan:
        parts = urlsplit(origin)
        name = method if method in METHODS else _OTHER
        notes: dict[str, str | int] = {"http.request.method": name, "signalr.called": called.of, **called.notes}
        if parts.hostname:
            notes |= {"server.address": parts.hostname, "server.port": parts.port or _PORTS.get(parts.scheme, 0)}
            notes |= {"url.full": f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{called.template}"}
        if called.template:
            notes |= {"url.template": called.template}
        span = self._tracer.start_span(" ".join(filter(None, (name, called.template))), None, SpanKind.CLIENT, notes)
        return OpenTelemetrySpan(span, SpanKind.CLIENT)
