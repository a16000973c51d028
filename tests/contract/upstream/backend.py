"""A backend in a thread of its own, over plain sockets, so that it can also answer what no framework would."""

import socketserver
import threading
from collections.abc import Callable
from dataclasses import dataclass
from io import BufferedIOBase
from types import TracebackType
from typing import Any, Self

Script = Callable[["Call", BufferedIOBase], None]


@dataclass(frozen=True)
class Call:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


def answer(status: int, body: bytes = b"", *headers: str) -> Script:
    """Answers every call like this."""
    head = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return raw("\r\n".join([*head, "", ""]).encode() + body)


def raw(data: bytes) -> Script:
    """Writes just these bytes."""

    def write(call: Call, output: BufferedIOBase) -> None:
        output.write(data)

    return write


class Backend(socketserver.ThreadingTCPServer):
    """Runs ``script`` for every call, until the ``with`` block ends. ``stopped`` is for scripts that wait."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, script: Script, port: int = 0) -> None:
        self.script = script
        self.calls: list[Call] = []
        self.stopped = threading.Event()
        super().__init__(("127.0.0.1", port), _Connection)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        self.stopped.set()
        self.shutdown()
        self.server_close()
        self._thread.join()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers hang up; that is part of the tests."""


class _Connection(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Backend)
        method, target, _ = self.rfile.readline().decode().split(" ")
        headers: dict[str, str] = {}
        while line := self.rfile.readline().decode().strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = self.rfile.read(int(headers.get("content-length", 0)))
        call = Call(method, target, headers, body)
        self.server.calls.append(call)
        self.server.script(call, self.wfile)
