"""An HTTP proxy that leads every CONNECT to a server of this machine, whatever host was asked for."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import cast


class ConnectProxy:
    """``asked`` are the hosts and ports that were asked for. ``environment`` makes programs use it.

    It leads to one port, or to that of the host.
    """

    def __init__(self, port: int | Mapping[str, int]) -> None:
        self.asked: list[str] = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner, self._server.leads_to = self, port

    @property
    def environment(self) -> dict[str, str]:
        port = self._server.server_address[1]
        return {"HTTPS_PROXY": f"http://127.0.0.1:{port}", "NO_PROXY": "localhost,127.0.0.1"}

    def serve(self) -> None:
        self._server.serve_forever(poll_interval=0.02)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def led_by_a_proxy(port: int | Mapping[str, int]) -> Iterator[ConnectProxy]:
    """A proxy that runs in a thread and leads to this port, or by the name of the host."""
    proxy = ConnectProxy(port)
    thread = threading.Thread(target=proxy.serve, name="proxy")
    thread.start()
    try:
        yield proxy
    finally:
        proxy.stop()
        thread.join()


class _Server(ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    owner: ConnectProxy
    leads_to: int | Mapping[str, int]


class _Handler(StreamRequestHandler):
    def handle(self) -> None:
        server = cast(_Server, self.server)
        method, host, _ = self.rfile.readline().decode("ascii").split(" ", 2)
        while self.rfile.readline().strip():
            pass
        server.owner.asked.append(f"{method} {host}")
        led = server.leads_to
        port = led if isinstance(led, int) else led[host.partition(":")[0]]
        with socket.create_connection(("127.0.0.1", port)) as other:
            self.connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_copy, args=(other, self.connection), daemon=True)
            back.start()
            _copy(self.connection, other)
            back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:  # one of them has gone
        return
