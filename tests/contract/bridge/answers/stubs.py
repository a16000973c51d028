"""What stands behind the bridge: the service and a backend, on sockets. They answer as the names in a call say."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

_WORD = re.compile(r"say[-_]([a-z0-9]+)")


def said(status: int, body: bytes = b"", **headers: str) -> bytes:
    """A whole answer. Underscores in the names of headers stand for dashes."""
    lines = [f"HTTP/1.1 {status} Said", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return ("\r\n".join([*lines, f"Content-Length: {len(body)}"]) + "\r\n\r\n").encode() + body


NOTHING, CUT = None, b""
"""The connection stays open without an answer, or ends."""

SAYS: dict[str, bytes | None] = {
    "absent": said(404, x_ms_error_code="Warning.Connection.NotExisted"),
    "bare": said(404),
    "400": said(400),
    "401": said(401),
    "403": said(403),
    "408": said(408),
    "413": said(413),
    "429": said(429, Retry_After="30"),
    "503": said(503, Retry_After="30"),
    "busy": said(503),
    "500": said(500),
    "504": said(504),
    "nothing": NOTHING,
    "cut": CUT,
    "result": said(200, b'{"result": {"n": 12345678901234567890, "t": "\xc3\xa4"}}'),
    "error": said(400, b'{"message": "the client says no"}', x_ms_error_code="Error.Connection.InvocationFailed"),
    "nonsense": said(200, b"[1"),
}
"""What the service answers, by the word behind ``say-`` in a name."""

_MEMBERS = [{"connectionId": "c-1", "userId": "ann"}, {"connectionId": "c-2"}]


def answer_as_service(method: str, target: str) -> bytes | None:
    """The answer of a SignalR instance. A probe finds no connection, and so the instance is online."""
    word = _WORD.search(target)
    if "/connections/probe" in target:
        return SAYS["absent"]
    if word is not None and word[1] in SAYS:
        return SAYS[word[1]]
    if method == "GET":
        return said(200, _write_page(target, word[1] if word else ""))
    return said(202 if method == "POST" else 200)


def _write_page(target: str, word: str) -> bytes:
    page: dict[str, object] = {"value": _MEMBERS}
    if word == "pages" and "continuationToken" not in target:
        page["nextLink"] = "http://localhost/api/hubs/chat/groups/g/connections?continuationToken=next%2Fone"
    return json.dumps(page).encode()


REPLIES: dict[str, bytes | None] = {
    "refused": said(403, b'{"detail": "not you"}', Content_Type="application/problem+json"),
    "500": said(500),
    "404": said(404),
    "empty": said(204),
    "nonsense": said(200, b"[1", Content_Type="application/json"),
    "outputs": said(
        200, b'{"result": 1, "outputs": [{"target": "t", "userId": "say-500"}]}', Content_Type="application/json"
    ),
    "cut": CUT,
    "nothing": NOTHING,
}
"""What the backend answers, by the word behind ``say-`` in an event's name."""


def answer_as_backend(method: str, target: str) -> bytes | None:
    """The answer of an HTTP handler."""
    word = _WORD.search(target)
    if word is not None and word[1] in REPLIES:
        return REPLIES[word[1]]
    return said(200, b'{"result": {"sent": [1, "\xc3\xa4"]}}', Content_Type="application/json")


@dataclass(slots=True)
class Stub:
    """A server on loopback. ``holds`` is set when a call came that gets no answer."""

    port: int = 0
    holds: asyncio.Event = field(default_factory=asyncio.Event)
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """End all connections, also those of calls that wait for an answer."""
        for writer in list(self.writers):
            writer.transport.abort()

    async def serve(
        self,
        choose: Callable[[str, str], bytes | None],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Answer the calls of one connection."""
        self.writers.add(writer)
        try:
            while await self._serve_one(choose, reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()

    async def _serve_one(
        self,
        choose: Callable[[str, str], bytes | None],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, target, _ = head.partition("\r\n")[0].split(" ")
        length = re.search(r"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        await reader.readexactly(int(length[1]) if length else 0)
        answer = choose(method, target)
        if answer is NOTHING:
            self.holds.set()
            await reader.read()
            return False
        if method == "HEAD":
            answer = answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if answer else answer
        writer.write(answer)
        return bool(answer)


@asynccontextmanager
async def stub(choose: Callable[[str, str], bytes | None]) -> AsyncIterator[Stub]:
    """A server that answers what ``choose`` gives for the method and the target."""
    found = Stub()
    server = await asyncio.start_server(partial(found.serve, choose), "127.0.0.1", 0)
    found.port = int(server.sockets[0].getsockname()[1])
    try:
        yield found
    finally:
        server.close()
        found.cut()
        await asyncio.sleep(0)
