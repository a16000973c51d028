"""Connections by which bytes go as they are, to real processes."""

import http.client
import socket
from collections.abc import Sequence
from typing import NamedTuple, Self

import httpx

from tests.e2e.processes import API_KEY


class Answer(NamedTuple):
    """An answer: its status, the code of its problem, and whether it says that it ends the connection."""

    status: int
    code: str | None
    ends: bool


class Wire:
    """A connection."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def send(self, *lines: str, body: str = "") -> None:
        """Lines with their ends, and whatever is behind them."""
        self._socket.sendall("".join(f"{line}\r\n" for line in lines).encode() + body.encode())

    def read(self) -> Answer:
        """The next answer."""
        answer = http.client.HTTPResponse(self._socket)
        answer.begin()
        answer.read()
        return Answer(answer.status, answer.getheader("x-problem-code"), answer.will_close)

    def read_to_end(self) -> bytes:
        """What comes until the server ends the connection."""
        return b"".join(iter(lambda: self._socket.recv(65_536), b""))


def ask(path: str = "/health/live") -> Sequence[str]:
    return (f"GET {path} HTTP/1.1", "Host: x", "")


def send(body: str) -> Sequence[str]:
    """The head of a message."""
    return (
        "POST /hubs/chat/send HTTP/1.1",
        "Host: x",
        f"X-API-Key: {API_KEY}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "",
    )


def ready(port: int) -> tuple[int, str]:
    """What ``/health/ready`` says."""
    answer = httpx.get(f"http://127.0.0.1:{port}/health/ready", trust_env=False, timeout=5)
    return answer.status_code, answer.json()["status"]


def is_stopping(port: int) -> bool | None:
    """Whether it is not ready any more, or None, as ``eventually`` takes it."""
    return ready(port) == (503, "stopping") or None


def is_closed(port: int) -> bool | None:
    """Whether nobody listens, or None, as ``eventually`` takes it."""
    try:
        Wire(port).close()
    except ConnectionRefusedError:
        return True
    return None
