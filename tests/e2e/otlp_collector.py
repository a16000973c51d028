"""A stand-in for an OpenTelemetry collector: a server on this machine that keeps what it is sent by OTLP over HTTP."""

import gzip
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.e2e.processes import STARTS_WITHIN, T, eventually

_UNPACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "deflate": zlib.decompress}


@dataclass(frozen=True)
class Seen:
    """One span. ``scope`` is the instrumentation that made it, and ids are hexadecimal, ``parent`` empty for a root."""

    service: str
    scope: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent: str
    attributes: dict[str, object]
    is_error: bool
    events: int


class Collector:
    """Keeps all that it is sent, to any path: as it came, unpacked, and the spans one by one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._raw: list[bytes] = []
        self._spans: list[Seen] = []
        self.paths: set[str] = set()

    @property
    def raw(self) -> bytes:
        """Every head and body so far, unpacked. Whatever is in none of them has not left."""
        with self._lock:
            return b"\n".join(self._raw)

    @property
    def spans(self) -> list[Seen]:
        with self._lock:
            return list(self._spans)

    def find(self, name: str, service: str = "") -> list[Seen]:
        """The spans of this name, of one service or of all."""
        return [one for one in self.spans if one.name == name and service in {"", one.service}]

    def wait_for(self, look: Callable[[list[Seen]], T | None], what: str, seconds: float = STARTS_WITHIN) -> T:
        """What ``look`` sees in the spans so far, as soon as it sees something."""
        return eventually(lambda: look(self.spans), what, seconds)

    def take(self, path: str, head: bytes, body: bytes) -> None:
        spans = list(_read_spans(body)) if path == "/v1/traces" else []
        with self._lock:
            self.paths.add(path)
            self._raw += [head, body]
            self._spans += spans


def _read_spans(body: bytes) -> Iterator[Seen]:
    request = ExportTraceServiceRequest()
    request.ParseFromString(body)
    for group in request.resource_spans:
        service = next((one.value.string_value for one in group.resource.attributes if one.key == "service.name"), "")
        for scoped in group.scope_spans:
            for span in scoped.spans:
                yield _read_span(span, service, scoped.scope.name)


def _read_span(span: Span, service: str, scope: str) -> Seen:
    return Seen(
        service,
        scope,
        span.name,
        Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        {one.key: _read_value(one.value) for one in span.attributes},
        span.status.code == Status.STATUS_CODE_ERROR,
        len(span.events),
    )


def _read_value(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_read_value(one) for one in value.array_value.values]
    return None if kind is None else getattr(value, kind)


@contextmanager
def run_collector(port: int) -> Iterator[Collector]:
    """A collector at the port, until the block ends."""
    collector = Collector()

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            unpack = _UNPACK.get(self.headers.get("Content-Encoding", ""))
            collector.take(self.path, bytes(self.headers), body if unpack is None else unpack(body))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Answering)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="collector", daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def export_to(port: int, service: str = "") -> dict[str, str]:
    """The variables that make a process export to the collector at the port, soon after each span has ended."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_METRIC_EXPORT_INTERVAL": "500",
        **({"OTEL_SERVICE_NAME": service} if service else {}),
    }
