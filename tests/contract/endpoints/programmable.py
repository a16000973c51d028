"""A server on loopback that answers, breaks off or says nothing, as told; it counts what it sees."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Request:
    """What arrived: the target is as it stood in the request line."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Server:
    """``answer`` is written as it is; None: say nothing. ``wait_for_body`` False: do so before the body was read.

    ``honest`` holds answers to requests whose line contains its key, whatever else is told. ``delay`` is in seconds.
    """

    port: int = 0
    answer: bytes | None = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
    close: bool = False
    wait_for_body: bool = True
    delay: float = 0.0
    honest: dict[str, bytes] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    _listening: asyncio.Server | None = field(default=None, repr=False)
    _kept: socket.socket | None = field(default=None, repr=False)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set, repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def say(self, status: int, **headers: str) -> None:
        self.answer = answer_of(status, b"", **headers)

    async def listen(self, port: int = 0) -> None:
        """Also after it has refused, then on the same port."""
        self.give_up_port()
        self._listening = await asyncio.start_server(self.serve, "127.0.0.1", port or self.port)
        self.port = self._listening.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """From now on nobody listens, and open connections are cut. The port is kept, or another test might answer."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None
            self._kept = socket.socket()
            self._kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._kept.bind(("127.0.0.1", self.port))
        for writer in list(self._writers):
            writer.transport.abort()

    def give_up_port(self) -> None:
        """Another may listen on the port, which has refused."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._listening is None:  # it was accepted just before
            writer.transport.abort()
            return
        self.connections += 1
        self._writers.add(writer)
        try:
            while await self._serve_one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        request = Request(method, target, headers, b"")
        self.requests.append(request)
        if self.wait_for_body:
            request.body = await reader.readexactly(int(headers.get("content-length", "0")))
        for part, honest in self.honest.items():
            if part in f"{method} {target}":
                writer.write(honest)
                return True
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.answer is None:
            if not self.close:
                await reader.read()
            return False
        writer.write(self.answer)
        await writer.drain()
        return not self.close


def answer_of(status: int, body: bytes = b"", **headers: str) -> bytes:
    """A whole HTTP answer; ``headers`` with underscores for dashes."""
    lines = [f"HTTP/1.1 {status} Said", *(f"{name.replace('_', '-')}: {text}" for name, text in headers.items())]
    lines += [] if status == 204 else [f"Content-Length: {len(body)}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


@asynccontextmanager
async def programmable_server(port: int = 0) -> AsyncIterator[Server]:
    server = Server()
    await server.listen(port)
    try:
        yield server
    finally:
        server.refuse()
        server.give_up_port()
        await asyncio.sleep(0)  # until what was cut is closed
