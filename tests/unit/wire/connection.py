"""One connection without a network: a transport that remembers, and applications that say what they have seen."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from signalr_bridge.wire.exchange import Answer, Disconnected, HeaderLines, IncomingRequest
from signalr_bridge.wire.http_protocol import BoundedProtocol, ListenerState
from starlette.types import Receive, Scope, Send

DATE = b"Fri, 27 Nov 2026 18:56:23 GMT"
PEER = ("127.0.0.1", 2)


class Wire(asyncio.Transport):
    """Keeps what is written; takes everything at once."""

    def __init__(self) -> None:
        super().__init__({"sockname": ("127.0.0.1", 1), "peername": PEER})
        self.writes: list[bytes] = []
        self.closed = self.paused = False
        self.ended = False
        """Whether the server has ended the connection."""

    @property
    def written(self) -> bytes:
        return b"".join(self.writes)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.writes.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


@dataclass
class Seen:
    """A request as an application was told of it."""

    method: str
    path: str
    query: bytes
    headers: HeaderLines
    body: bytes
    peer: tuple[str, int] | None

    @property
    def names(self) -> set[bytes]:
        return {name for name, _ in self.headers}


def echo(seen: Seen) -> Answer:
    """Says which request it answers, and has its body behind that."""
    body = f"{seen.method} {seen.path} ".encode() + seen.body
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    return Answer(200, headers, b"" if seen.method == "HEAD" else body)


@dataclass
class App:
    """Reads each request's body, where it reads, takes so many turns of the event loop, and answers by ``echo``."""

    reads: bool = True
    turns: int = 1
    seen: list[Seen] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", self.reads
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message["body"], message["more_body"]
        path = scope["raw_path"].decode()
        answer = await self._answer(
            Seen(scope["method"], path, scope["query_string"], scope["headers"], body, scope["client"])
        )
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, seen: Seen) -> Answer:
        self.seen.append(seen)
        for _ in range(self.turns):
            await asyncio.sleep(0)
        return echo(seen)


@dataclass
class DirectApp(App):
    """The same without ASGI."""

    def begin(self, request: IncomingRequest) -> Coroutine[Any, Any, Answer] | None:
        return self._begin(request)

    async def _begin(self, request: IncomingRequest) -> Answer:
        try:
            body = await read(request) if self.reads else b""
        except Disconnected:
            return Answer(204)
        return await self._answer(
            Seen(request.method, request.path, request.query, request.headers, body, request.peer)
        )


async def read(request: IncomingRequest) -> bytes:
    """The whole body."""
    if (body := request.whole_body()) is not None:
        return body
    pieces = []
    while piece := await request.next_piece():
        pieces.append(piece)
    return b"".join(pieces)


def connect(app: Any, state: ListenerState, wire: asyncio.Transport) -> BoundedProtocol:
    """The server's side of a connection."""
    config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None, access_log=False, proxy_headers=False)
    config.load()
    state.default_headers = [(b"date", DATE)]
    protocol = BoundedProtocol(config, state, {}, asyncio.get_running_loop())
    protocol.connection_made(wire)
    return protocol


async def exchange(app: Any, pieces: Sequence[bytes]) -> Wire:
    """What the peer gets that sends these pieces, each as soon as the server reads on, and then goes."""
    wire, state = Wire(), ListenerState()
    protocol = connect(app, state, wire)
    waiting = list(pieces)
    for _ in range(5_000):
        if waiting and not wire.paused and not wire.closed:
            protocol.data_received(waiting.pop(0))
        elif not state.tasks and (wire.closed or not waiting):
            break
        await asyncio.sleep(0)
    wire.ended = wire.closed
    protocol.connection_lost(None)
    await asyncio.gather(*state.tasks)
    assert not state.connections
    assert not state.tasks
    return wire


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """The bytes in pieces that end at these places."""
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    return [data[begin:end] for begin, end in zip([0, *ends], ends, strict=False) if end > begin]
