"""A server on loopback that does on each connection what a script says, byte by byte if need be."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Visit:
    """One connection, as its script sees it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    number: int
    """Of the connection, from 1."""
    seen: list[bytes]
    """All requests on all connections."""

    async def request(self) -> bytes:
        """The next whole request. Raises ``IncompleteReadError`` when the client has gone."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        _, found, rest = head.lower().partition(b"\r\ncontent-length:")
        body = await self.reader.readexactly(int(rest.partition(b"\r\n")[0])) if found else b""
        self.seen.append(head + body)
        return head + body

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, data: bytes) -> None:
        """Read a request, and write these bytes."""
        await self.request()
        await self.write(data)

    async def until_gone(self) -> bytes:
        """What else the client sends, until it ends the connection."""
        with suppress(ConnectionError):
            return await self.reader.read()
        return b""


Script = Callable[[Visit], Awaitable[object]]


@dataclass(slots=True)
class Peer:
    """A peer that listens."""

    script: Script
    seen: list[bytes] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)
    at_once: int = 0
    """The most connections that were open side by side."""
    port: int = 0
    ended: asyncio.Queue[int] = field(default_factory=asyncio.Queue)
    """The numbers of connections whose scripts have ended."""
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _open: int = 0

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def https(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit = Visit(reader, writer, len(self.visits) + 1, self.seen)
        self.visits.append(visit)
        self.tasks.append(asyncio.create_task(self._serve(visit)))

    async def _serve(self, visit: Visit) -> None:
        self._open += 1
        self.at_once = max(self.at_once, self._open)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await self.script(visit)
        finally:
            self._open -= 1
            self.ended.put_nowait(visit.number)
            visit.writer.close()


@asynccontextmanager
async def scripted(script: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[Peer]:
    peer = Peer(script)
    server = await asyncio.start_server(peer.accept, host, 0, ssl=tls)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
        for task in peer.tasks:
            task.cancel()
        await asyncio.gather(*peer.tasks, return_exceptions=True)
        await asyncio.sleep(0)  # until what was cut is closed


def forever(answer: bytes) -> Script:
    """Answers every request with the same bytes."""

    async def script(visit: Visit) -> None:
        while True:
            await visit.answer(answer)

    return script


def once(answer: bytes) -> Script:
    """Answers one request, and hangs up."""
    return lambda visit: visit.answer(answer)


def silent(answer: bytes = b"") -> Script:
    """Answers one request with bytes that may be only a part of an answer, and waits until the client goes."""

    async def script(visit: Visit) -> None:
        await visit.answer(answer)
        await visit.until_gone()

    return script
