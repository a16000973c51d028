"""Spans of requests and calls: parents, names, attributes and failures, with a provider of the SDK."""

import asyncio
import http.server
import threading
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Sampler
from opentelemetry.trace import SpanKind, StatusCode
from signalr_bridge.telemetry.tracer import OpenTelemetryTracer
from signalr_bridge.tracing import TRACING, Called, tracing_call
from signalr_bridge.wire.client import Client, ClientOptions, NotSent

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
GIVEN = f"00-{TRACE_ID}-b7ad6b7169203331-01"
"""The example of W3C Trace Context, 2.2."""


class Exported:
    def __init__(self, sampler: Sampler | None = None) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = OpenTelemetryTracer(provider)

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())


@pytest.fixture
def exported() -> Iterator[Exported]:
    found = Exported()
    TRACING.tracer = found.tracer
    yield found
    TRACING.tracer = None


def test_a_request_is_in_the_trace_that_is_believed(exported: Exported) -> None:
    span = exported.tracer.begin_request("PUT", "/hubs/{hub}/x", GIVEN, "bridge")
    inside = exported.tracer.begin_call("POST", "https://user:word@host:444", Called("/users/{user}", "service"))
    inside.end(503)
    span.end(200)
    after = exported.tracer.begin_request("BREW", "", None, "bridge")
    after.end(0, "no_answer")
    call, request, other = exported.spans
    assert (request.name, request.kind) == ("PUT /hubs/{hub}/x", SpanKind.SERVER)
    assert request.parent is not None
    assert request.parent.span_id == 0xB7AD6B7169203331
    assert span.traceparent == f"00-{TRACE_ID}-{span.span_id}-01"
    assert call.parent == request.context
    assert call.attributes == {
        "http.request.method": "POST",
        "signalr.called": "service",
        "server.address": "host",
        "server.port": 444,
        "url.full": "https://host:444/users/{user}",
        "url.template": "/users/{user}",
        "http.response.status_code": 503,
        "error.type": "503",
    }
    assert call.status.status_code is StatusCode.ERROR
    assert (other.name, other.parent, other.status.status_code) == ("HTTP", None, StatusCode.ERROR)
    assert other.attributes == {
        "http.request.method": "_OTHER",
        "signalr.part": "bridge",
        "error.type": "no_answer",
    }


@pytest.mark.parametrize("given", [f"00-{'0' * 32}-b7ad6b7169203331-01", f"ff-{TRACE_ID}-b7ad6b7169203331-01", "x"])
def test_a_trace_that_means_nothing_begins_a_new_one(given: str, exported: Exported) -> None:
    exported.tracer.begin_request("GET", "/x", given, "bridge").end(200)
    assert [one.parent for one in exported.spans] == [None]


def test_in_the_request_of_a_host_it_is_a_part_of_it(exported: Exported) -> None:
    host = TracerProvider(shutdown_on_exit=False).get_tracer("host")
    with host.start_as_current_span("GET /mounted") as around:
        exported.tracer.begin_request("GET", "/x", GIVEN, "bridge").end(200)
        assert trace.get_current_span() is around, "what the host does afterwards is not ours"
    (inner,) = exported.spans
    assert (inner.kind, inner.parent) == (SpanKind.INTERNAL, around.get_span_context())


def test_what_is_not_sampled_is_handed_on_as_such() -> None:
    exported = Exported(ALWAYS_OFF)
    span = exported.tracer.begin_request("GET", "/x", GIVEN, "bridge")
    span.note("name", "value")
    span.append("names", "value")
    span.end(200)
    assert (span.traceparent[:36], span.traceparent[-3:]) == (f"00-{TRACE_ID}-", "-00")
    assert exported.spans == []


class Answering(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = "\n".join(self.headers.get_all("traceparent", [])).encode()
        self.send_response(404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@pytest.fixture
def server() -> Iterator[str]:
    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    listening.daemon_threads = True
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{listening.server_address[1]}"
    listening.shutdown()
    listening.server_close()
    thread.join()


async def test_every_call_hands_on_its_own_span_and_no_other(server: str, exported: Exported) -> None:
    async with Client(ClientOptions()) as client:

        async def ask(called: Called, url: str = f"{server}/users/ann?code=x") -> bytes:
            headers = {"Traceparent": GIVEN, "tracestate": "a=b"}
            return (await client.request("GET", url, headers=headers, seconds=5, largest=1000, called=called)).body

        plain = await ask(Called("/users/{user}", "backend"))
        judged = await ask(Called(judge=lambda future: ("absent", future.result().status == 404)))
        with pytest.raises(NotSent):
            await ask(Called(), "http://127.0.0.1:1/users/ann?code=x")
        cancelled = asyncio.ensure_future(ask(Called(), "http://127.0.0.1:1/"))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
        await asyncio.sleep(0)
    first, second, third, fourth = exported.spans
    for body, span in ((plain, first), (judged, second)):
        assert span.context is not None
        assert body.decode() == f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-01"
    assert (first.name, first.status.status_code) == ("GET /users/{user}", StatusCode.ERROR)
    assert (second.name, second.status.status_code) == ("GET", StatusCode.UNSET)
    assert dict(second.attributes or {})["signalr.outcome"] == "absent"
    assert [dict(one.attributes or {})["error.type"] for one in (first, third, fourth)] == [
        "404",
        "NotSent",
        "cancelled",
    ]
    assert "ann" not in "".join(one.to_json() for one in exported.spans)


def test_the_calls_of_a_library_are_one_span_and_others_see_none(exported: Exported) -> None:
    with tracing_call("GET", "https://a-vault", Called("/secrets/{secret}", "store")):
        assert not is_http_instrumentation_enabled()
    assert is_http_instrumentation_enabled()
    with pytest.raises(KeyError), tracing_call("GET", "", Called()):
        raise KeyError("a secret")
    good, bad = exported.spans
    assert (good.name, good.status.status_code) == ("GET /secrets/{secret}", StatusCode.UNSET)
    assert (dict(bad.attributes or {})["error.type"], bad.events) == ("KeyError", ())
    assert "a secret" not in bad.to_json()
