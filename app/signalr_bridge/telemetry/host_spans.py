"""Takes names and queries out of the spans that an application makes of requests to the bridge that it has mounted.

FastAPI has spans of its own as soon as a provider is there, and OpenTelemetry's instrumentation has others. Both would
export the path, which holds users and groups, and the query, which holds codes and tokens.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from weakref import WeakSet

from opentelemetry import trace
from opentelemetry.context import Context

from signalr_bridge.telemetry.tracer import METHODS

_PATHS = ("url.path", "http.target")
_URLS = ("url.full", "http.url", "url.query")
_HEADERS = "http.request.header."
_EVENTS = (" http receive", " http send")
"""How the names of spans end that the instrumentation of ASGI makes for each event. They begin with the whole path."""

_NAME: ContextVar[str | None] = ContextVar("host_span_name", default=None)
"""What spans of this task are called in the place of the request's path. None outside of the bridge."""

_AROUND: ContextVar[tuple[trace.Span, ...]] = ContextVar("host_spans_around", default=())
"""The spans of requests that have begun in this task. There are several where several instrumentations are installed.
"""

_PREPARED: WeakSet[trace.TracerProvider] = WeakSet()


@contextmanager
def clean_spans(method: str, template: str) -> Iterator[None]:
    """While the block runs, spans that the host makes of the request say the template in the place of the path.

    Args:
        method: The request's method.
        template: The template of the path. It is empty where no route of ours has the path.
    """
    name = f"{method if method in METHODS else 'HTTP'} {template}".strip()
    for span in {trace.get_current_span(), *_AROUND.get()}:
        if span.is_recording():
            _clean(span, name, template)
    token = _NAME.set(name)
    try:
        yield
    finally:
        _NAME.reset(token)


def prepare_provider() -> None:
    """Have all spans of a request cleaned, where the provider is that of the SDK. It may be called again.

    Without it, or with a provider that is set later, only the span is cleaned in which the bridge is called.
    """
    provider = trace.get_tracer_provider()
    add = getattr(provider, "add_span_processor", None)
    if add is None or provider in _PREPARED:
        return
    from opentelemetry.sdk.trace import SpanProcessor

    class Watching(SpanProcessor):
        """Remembers the spans of a request, and gives spans of its events a name without the path."""

        def on_start(self, span: trace.Span, parent_context: Context | None = None) -> None:
            if (name := _NAME.get()) is not None:
                _rename(span, name)
            elif getattr(span, "kind", None) is trace.SpanKind.SERVER:
                _AROUND.set((*(one for one in _AROUND.get() if one.is_recording()), span))

    add(Watching())
    _PREPARED.add(provider)


def _rename(span: Any, name: str) -> None:
    given = getattr(span, "name", "")
    ending = next((one for one in _EVENTS if given.endswith(one)), None)
    if ending is not None:
        span.update_name(f"{name}{ending}")


def _clean(span: trace.Span, name: str, template: str) -> None:
    known = getattr(span, "attributes", None)
    there = (*_PATHS, *_URLS) if known is None else tuple(known)
    for one in there:
        if one in _PATHS:
            span.set_attribute(one, template)
        elif one in _URLS or one.startswith(_HEADERS):
            span.set_attribute(one, "REDACTED")
    span.update_name(name)
