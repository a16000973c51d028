"""Many clients in one process, over bare WebSockets: what the official clients do, without their weight."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

SEPARATOR = "\x1e"
WITHIN = 60.0


class Member:
    """One connected client."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._calls = 0

    async def send(self, target: str, *arguments: Any) -> None:
        await self._write({"type": 1, "target": target, "arguments": arguments})

    async def invoke(self, target: str, *arguments: Any) -> dict[str, Any]:
        """The completion of the call; what else arrives is dropped."""
        self._calls += 1
        await self._write({"type": 1, "invocationId": str(self._calls), "target": target, "arguments": arguments})
        async with asyncio.timeout(WITHIN):
            while True:
                for message in await self._read():
                    if message.get("type") == 3:
                        return message

    async def wait_for(self, target: str) -> list[Any]:
        """The arguments of the next message for ``target``; what else arrives is dropped."""
        async with asyncio.timeout(WITHIN):
            while True:
                for message in await self._read():
                    if message.get("target") == target:
                        return list(message["arguments"])

    async def collect(self, target: str, into: list[Any]) -> None:
        """Appends the first argument of each message for ``target``, until it is cancelled."""
        while True:
            into.extend(one["arguments"][0] for one in await self._read() if one.get("target") == target)

    async def wait_for_close(self) -> dict[str, Any]:
        """The Close message."""
        async with asyncio.timeout(WITHIN):
            while True:
                for message in await self._read():
                    if message.get("type") == 7:
                        return message

    async def _write(self, message: dict[str, Any]) -> None:
        await self._socket.send_str(json.dumps(message) + SEPARATOR)

    async def _read(self) -> list[dict[str, Any]]:
        data = await self._socket.receive()
        assert isinstance(data.data, str), f"the connection has ended: {data.type.name}"
        return [json.loads(record) for record in data.data.split(SEPARATOR) if record]


class Crowd:
    """Clients of a bridge at ``url``; the WebSocket of each is closed when its ``async with`` block ends."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url

    @asynccontextmanager
    async def member(self, user: str, hub: str = "chat") -> AsyncIterator[Member]:
        async with self._session.post(f"{self._url}/hubs/{hub}/negotiate", params={"userId": user}) as response:
            assert response.status == 200, await response.text()
            given = await response.json()
        async with self.enter(given["url"], given["accessToken"]) as member:
            yield member

    @asynccontextmanager
    async def enter(self, url: str, token: str) -> AsyncIterator[Member]:
        """A client that somebody has negotiated for."""
        url = url.replace("http", "ws", 1) + f"&access_token={token}"
        async with self._session.ws_connect(url, max_msg_size=0) as socket:
            member = Member(socket)
            await member._write({"protocol": "json", "version": 1})
            assert await member._read() == [{}]
            yield member


@asynccontextmanager
async def crowd(url: str) -> AsyncIterator[Crowd]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), trust_env=False) as session:
        yield Crowd(session, url)
