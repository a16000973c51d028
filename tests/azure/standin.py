"""A small server in a thread, over TLS or without: what the stand-ins of Azure's own services are made of."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias, TypeVar, cast
from urllib.parse import parse_qs, urlsplit

import trustme

Answer: TypeAlias = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True, slots=True)
class Request:
    """``headers`` have lower-case names."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}


def json_answer(value: Any, status: int = 200, **headers: str) -> Answer:
    told = {name.replace("_", "-"): text for name, text in headers.items()}
    return status, {"Content-Type": "application/json"} | told, json.dumps(value).encode()


class Standin:
    """Over TLS with an ``authority``. While ``open`` is not set, whoever asks waits. Its certificate has ``hosts``."""

    def __init__(self, authority: trustme.CA | None, *hosts: str) -> None:
        self.authority, self.hosts = authority, ("localhost", "127.0.0.1", *hosts)
        self.open = threading.Event()
        self.open.set()
        self._server = _listen(self, authority)
        self.port: int = self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"{'http' if self.authority is None else 'https'}://localhost:{self.port}"

    @property
    def certificates(self) -> ssl.SSLContext:
        """For those who believe this server's authority, and no other."""
        assert self.authority is not None
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context

    def answer(self, request: Request) -> Answer:
        raise NotImplementedError

    def serve(self) -> None:
        self._server.serve_forever(poll_interval=0.02)

    def stop(self) -> None:
        self.open.set()
        self._server.shutdown()
        self._server.server_close()


AnyStandin = TypeVar("AnyStandin", bound=Standin)


@contextmanager
def running(standin: AnyStandin) -> Iterator[AnyStandin]:
    thread = threading.Thread(target=standin.serve, name=type(standin).__name__)
    thread.start()
    try:
        yield standin
    finally:
        standin.stop()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    standin: Standin

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes in the middle is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", "0")))
        query = parse_qs(parts.query, keep_blank_values=True)
        standin = cast(_Server, self.server).standin
        status, more, answer = standin.answer(Request(self.command, parts.path, query, headers, body))
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(answer)), "Connection": "close"} | more).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)
        self.close_connection = True

    do_POST = do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """The tests ask the stand-in."""


def _listen(standin: Standin, authority: trustme.CA | None) -> _Server:
    server = _Server(("127.0.0.1", 0), _Handler)
    server.standin = standin
    if authority is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*standin.hosts).configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    return server
