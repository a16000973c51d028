"""A reverse proxy that takes a prefix off the path, as many do, and passes everything else on as it comes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

_OF_ONE_HOP = {"host", "connection", "keep-alive", "transfer-encoding", "content-length", "accept-encoding"}


@contextmanager
def run_stripping_proxy(prefix: str, backend: str) -> Iterator[str]:
    """The address under which ``backend`` is reached through the proxy."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._pass_on()

        def do_POST(self) -> None:
            self._pass_on()

        def _pass_on(self) -> None:
            if not self.path.startswith(f"{prefix}/"):
                return self.send_error(404)
            given = {name: value for name, value in self.headers.items() if name.lower() not in _OF_ONE_HOP}
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            url = backend + self.path.removeprefix(prefix)
            asked = httpx.stream(self.command, url, headers=given, content=body, timeout=None, trust_env=False)
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
