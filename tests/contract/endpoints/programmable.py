"""A server on loopback that answers, breaks off or says nothing, as told; it counts what it sees."""

import asyncio
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
    """``answer`` is written as it is; None: say nothing. ``wait_for_body`` False: do so before the body was read."""

    port: int = 0
    answer: bytes | None = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
    close: bool = False
    wait_for_body: bool = True
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def say(self, status: int, **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} Said", *(f"{name.replace('_', '-')}: {text}" for name, text in headers.items())]
        lines += [] if status == 204 else ["Content-Length: 0"]
        self.answer = ("\r\n".join(lines) + "\r\n\r\n").encode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._serve_one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        request = Request(method, target, headers, b"")
        self.requests.append(request)
        if self.wait_for_body:
            request.body = await reader.readexactly(int(headers.get("content-length", "0")))
        if self.answer is None:
            if not self.close:
                await reader.read()
            return False
        writer.write(self.answer)
        await writer.drain()
        return not self.close


@asynccontextmanager
async def programmable_server() -> AsyncIterator[Server]:
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
