"""A token issuer of this machine, over TLS with a certificate of its own authority: what Entra is to the bridge."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import trustme

from tests.unit.upstream.trust.issued import TENANT, jwk

V2_DOCUMENT = f"/{TENANT}/v2.0/.well-known/openid-configuration"
V1_DOCUMENT = f"/{TENANT}/.well-known/openid-configuration"
V2_KEYS, V1_KEYS = f"/{TENANT}/discovery/v2.0/keys", f"/{TENANT}/discovery/keys"


class Issuer:
    """Publishes the keys in ``names``. ``answers`` replaces an answer, by path: a status, headers and a body.

    While ``open`` is not set, whoever asks waits.
    """

    def __init__(self, authority: trustme.CA) -> None:
        self.authority = authority
        self.names = ["first"]
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[str] = []
        self.open = threading.Event()
        self.open.set()
        self._server = _listen(self, authority)
        self.port: int = self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def certificates(self) -> ssl.SSLContext:
        """For those who believe this issuer's authority, and no other."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(path)
        self.open.wait(10)
        if path in self.answers:
            return self.answers[path]
        keys = {"keys": [jwk(name) for name in self.names]}
        documents: dict[str, Any] = {
            V2_DOCUMENT: {"issuer": f"{self.url}/{TENANT}/v2.0", "jwks_uri": self.url + V2_KEYS},
            V1_DOCUMENT: {"issuer": f"https://sts.windows.net/{TENANT}/", "jwks_uri": self.url + V1_KEYS},
            V2_KEYS: keys,
            V1_KEYS: keys,
        }
        return (200, {}, json.dumps(documents[path]).encode()) if path in documents else (404, {}, b"")

    def serve(self) -> None:
        self._server.serve_forever(poll_interval=0.02)

    def stop(self) -> None:
        self.open.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    issuer: Issuer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes in the middle is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, headers, body = cast(_Server, self.server).issuer.answer(self.path)
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """The tests ask ``asked``."""


def _listen(issuer: Issuer, authority: trustme.CA) -> _Server:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    server = _Server(("127.0.0.1", 0), _Handler)
    server.issuer = issuer
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    return server


@contextmanager
def run_issuer(authority: trustme.CA) -> Iterator[Issuer]:
    issuer = Issuer(authority)
    thread = threading.Thread(target=issuer.serve, name="token issuer")
    thread.start()
    try:
        yield issuer
    finally:
        issuer.stop()
        thread.join()
