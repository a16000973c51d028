"""Who meets at the emulator: a client that speaks bytes, and an upstream that remembers what it was called with."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
from aiohttp import web
from signalr_bridge.emulator import Emulator
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

KEY = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"
OTHER_KEY = "another-key-that-is-long-enough-for-pyjwt-to-like"
HANDSHAKE = '{"protocol":"json","version":1}\x1e'
WAIT_SECONDS = 5.0
"""How long something that must happen may take, in seconds."""


def token(key: str = KEY, lifetime: float = 3600, **claims: Any) -> str:
    return jwt.encode({**claims, "exp": int(time.time() + lifetime), "aud": "anything"}, key, "HS256")


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


# --- the upstream


@dataclass(frozen=True)
class Call:
    target: str
    headers: dict[str, str]
    """Names as sent."""
    body: bytes
    request: web.Request

    @property
    def event(self) -> str:
        return self.headers["X-ASRS-Event"]


class Upstream:
    """Answers every event by ``answer``, which a test may replace."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.answer: Callable[[Call], Awaitable[web.StreamResponse]] = self._say_nothing
        self._called = asyncio.Condition()
        self.url = ""

    @staticmethod
    async def _say_nothing(_: Call) -> web.StreamResponse:
        return web.Response()

    async def receive(self, request: web.Request) -> web.StreamResponse:
        headers = {name.decode(): value.decode() for name, value in request.raw_headers}
        call = Call(request.raw_path, headers, await request.read(), request)
        async with self._called:
            self.calls.append(call)
            self._called.notify_all()
        return await self.answer(call)

    async def wait_for(self, event: str, count: int = 1) -> Call:
        """The call for the ``count``-th such event."""
        async with asyncio.timeout(WAIT_SECONDS), self._called:
            await self._called.wait_for(lambda: len(self.all(event)) >= count)
        return self.all(event)[count - 1]

    def all(self, event: str) -> list[Call]:
        return [call for call in self.calls if call.event == event]

    @property
    def events(self) -> list[str]:
        return [call.event for call in self.calls]


@asynccontextmanager
async def serve_upstream() -> AsyncIterator[Upstream]:
    upstream = Upstream()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", upstream.receive)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    upstream.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield upstream
    finally:
        await runner.cleanup()


# --- the client


class Peer:
    """A client's end of a WebSocket."""

    def __init__(self, socket: ClientConnection, connection_id: str) -> None:
        self.socket, self.id = socket, connection_id

    async def send(self, message: object) -> None:
        await self.socket.send(json.dumps(message) + "\x1e")

    async def receive_raw(self) -> str | bytes:
        return await asyncio.wait_for(self.socket.recv(), WAIT_SECONDS)

    async def receive(self) -> Any:
        """The next message but pings; each WebSocket message holds exactly one record, in a text frame."""
        while True:
            raw = await self.receive_raw()
            assert isinstance(raw, str)
            assert raw.endswith("\x1e")
            message = json.loads(raw[:-1])
            if message != {"type": 6}:
                return message

    async def closed(self) -> int:
        """The close code, once everything else is read."""
        try:
            while True:
                await self.receive_raw()
        except ConnectionClosed as exc:
            return exc.rcvd.code if exc.rcvd is not None else 1006


def address(emulator: Emulator, query: str, path: str = "/client/") -> str:
    return f"ws://127.0.0.1:{emulator.port}{path}?{query}"


async def wait_until_gone(rest: httpx.AsyncClient, method: str, path: str) -> httpx.Response:
    """The first answer 404; a client's end has nothing else to wait for."""
    async with asyncio.timeout(WAIT_SECONDS):
        while (response := await rest.request(method, path)).status_code != 404:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return response


@asynccontextmanager
async def open_socket(emulator: Emulator, query: str, path: str = "/client/", **claims: Any) -> AsyncIterator[Peer]:
    """A WebSocket without negotiation, before the handshake."""
    headers = bearer(token(**claims))
    async with connect(address(emulator, query, path), additional_headers=headers, proxy=None) as socket:
        yield Peer(socket, "")


@asynccontextmanager
async def join(emulator: Emulator, hub: str = "chat", **claims: Any) -> AsyncIterator[Peer]:
    """A client that has negotiated, shaken hands, and is known to the hub."""
    headers = bearer(token(**claims))
    async with httpx.AsyncClient(base_url=emulator.url, headers=headers, trust_env=False) as http:
        answer = (await http.post("/client/negotiate", params={"hub": hub, "negotiateVersion": 1})).json()
    query = f"hub={hub}&id={answer['connectionToken']}"
    async with connect(address(emulator, query), additional_headers=headers, proxy=None) as socket:
        peer = Peer(socket, answer["connectionId"])
        await socket.send(HANDSHAKE)
        assert await peer.receive_raw() == "{}\x1e"
        yield peer
