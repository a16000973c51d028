"""A reverse proxy that takes a prefix off the path, as many do, and passes everything else on as it comes.

One that writes who has signed in is made of it: ``run_platform`` does what the platform does before an app.
"""

import json
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

_OF_ONE_HOP = {"host", "connection", "keep-alive", "transfer-encoding", "content-length", "accept-encoding"}

Rewrite = Callable[[Mapping[str, str]], Mapping[str, str]]
"""The headers to send on for those that came."""


def sign_in(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that App Service writes for who has signed in, in place of what a client calls so.

    Here the cookie ``session`` holds the user's id. The service's own cookie is a secret.
    """
    kept = {name: value for name, value in headers.items() if not name.lower().startswith("x-ms-client-principal")}
    session = SimpleCookie(headers.get("Cookie", "")).get("session")
    if session is None:
        return kept
    user = session.value
    principal = {"auth_typ": "aad", "claims": [{"typ": "name", "val": user}], "name_typ": "name", "role_typ": "roles"}
    return kept | {
        "X-MS-CLIENT-PRINCIPAL": b64encode(json.dumps(principal).encode()).decode(),
        "X-MS-CLIENT-PRINCIPAL-ID": user,
        "X-MS-CLIENT-PRINCIPAL-NAME": user,
        "X-MS-CLIENT-PRINCIPAL-IDP": "aad",
    }


@contextmanager
def run_platform(backend: str) -> Iterator[str]:
    """The address under which ``backend`` is reached by who has signed in, and by who has not."""
    with run_stripping_proxy("", backend, sign_in) as address:
        yield address.rstrip("/")


@contextmanager
def run_stripping_proxy(prefix: str, backend: str, rewrite: Rewrite = dict) -> Iterator[str]:
    """The address under which ``backend`` is reached through the proxy."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._pass_on()

        def do_POST(self) -> None:
            self._pass_on()

        def do_PUT(self) -> None:
            self._pass_on()

        def do_DELETE(self) -> None:
            self._pass_on()

        def _pass_on(self) -> None:
            if not self.path.startswith(f"{prefix}/"):
                return self.send_error(404)
            given = {name: value for name, value in self.headers.items() if name.lower() not in _OF_ONE_HOP}
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            url = backend + self.path.removeprefix(prefix)
            asked = httpx.stream(
                self.command, url, headers=dict(rewrite(given)), content=body, timeout=None, trust_env=False
            )
            with suppress(OSError, httpx.TransportError), asked as answer:
                self.send_response(answer.status_code)
                for name, value in answer.headers.items():
                    if name.lower() not in _OF_ONE_HOP:
                        self.send_header(name, value)
                self.end_headers()
                for chunk in answer.iter_raw():
                    self.wfile.write(chunk)
                    self.wfile.flush()
            return None

        def log_message(self, format: str, *args: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False  # a stream of events ends with the bridge
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="proxy")
    thread.start()
    try:
        yield f"http://localhost:{server.server_address[1]}{prefix}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
