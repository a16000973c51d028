"""One HTTP request that has come, and the answer to it: what a server and an application say to each other."""

from collections.abc import Coroutine, Sequence
from http import HTTPStatus
from typing import Any, Protocol

import msgspec

HeaderLines = Sequence[tuple[bytes, bytes]]
"""Header lines as they came or as they go out, with names in lower case."""


class IncomingRequest:
    """A request whose head has come. Its body may still be on its way.

    Args:
        method: As it came, such as ``POST``.
        path: The path as it came, still escaped, without the query. Each byte is one character.
        query: What stands behind the question mark, as it came. Empty without one.
        headers: The header lines, with names in lower case.
        peer: Address and port of whoever is connected. None where there is none, as with a Unix socket.
    """

    __slots__ = ("headers", "method", "path", "peer", "query")

    def __init__(
        self, method: str, path: str, query: bytes, headers: HeaderLines, peer: tuple[str, int] | None
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.peer = peer

    def whole_body(self) -> bytes | None:
        """The body, when all of it has come and none was taken. None means that ``next_piece`` must be asked."""
        raise NotImplementedError

    async def next_piece(self) -> bytes:
        """The next bytes of the body. They are empty at its end.

        To ask for them sends ``100 Continue`` to a client that waits for it. Raises ``Disconnected``.
        """
        raise NotImplementedError


class Disconnected(Exception):
    """The connection has ended before the whole body had come."""


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A whole answer.

    Args:
        status: The HTTP status.
        headers: The header lines in the order in which they go out, with ``content-length`` and ``content-type`` where
            there is a body. The server adds ``date`` in front, and ``connection`` behind.
        body: The body. It may hold a client's token, so ``repr`` leaves it out.
    """

    status: int
    headers: Sequence[tuple[bytes, bytes]] = ()
    body: bytes = b""

    def __repr__(self) -> str:
        return f"Answer({self.status}, {len(self.body)} bytes)"


class DirectApp(Protocol):
    """An application that answers requests without ASGI. What it leaves out is served by ASGI."""

    def begin(self, request: IncomingRequest) -> Coroutine[Any, Any, Answer] | None:
        """The answer, to be awaited in a task of its own. None means that the request is served by ASGI."""
        ...


def make_answer(
    status: int, body: bytes = b"", media_type: str | None = None, headers: Sequence[tuple[bytes, bytes]] = ()
) -> Answer:
    """An answer with the headers that its body needs, behind ``headers``. A 204 has no length."""
    lines = [*headers]
    if status != HTTPStatus.NO_CONTENT:
        lines.append((b"content-length", b"%d" % len(body)))
    if media_type is not None:
        lines.append((b"content-type", media_type.encode("latin-1")))
    return Answer(status, lines, body)
