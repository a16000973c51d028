"""Clients that read slowly: frames that are written at once and frames that wait keep their order, whatever comes."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from aiohttp import web
from signalr_bridge.emulator import Emulator, Limits
from signalr_bridge.wire.websocket import FrameSocket
from websockets.asyncio.client import connect

from tests.contract.emulator.parties import HANDSHAKE, WAIT_SECONDS, Call, Peer, Upstream, address, bearer, join, token

BUFFER = 65_536
"""In bytes, of either end's socket: the rest waits in the emulator."""


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many frames were written at once, and how many had to wait. The system's buffers are made small."""
    counted = {"at once": 0, "waited": 0}
    try_write, write = FrameSocket.try_write, FrameSocket.write

    def count_at_once(connection: FrameSocket, frame: bytes) -> bool:
        end = connection.transport.get_extra_info("socket")
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        written = try_write(connection, frame)
        counted["at once"] += written
        return written

    async def count_waited(connection: FrameSocket, frame: bytes) -> None:
        counted["waited"] += 1
        await write(connection, frame)

    monkeypatch.setattr(FrameSocket, "try_write", count_at_once)
    monkeypatch.setattr(FrameSocket, "write", count_waited)
    return counted


@asynccontextmanager
async def join_slowly(emulator: Emulator) -> AsyncIterator[Peer]:
    """A client with little room for what it has not read."""
    end = socket.socket()
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    end.setblocking(False)
    await asyncio.get_running_loop().sock_connect(end, ("127.0.0.1", emulator.port))
    opened = connect(
        address(emulator, "hub=chat"), sock=end, additional_headers=bearer(token()), max_queue=1, compression=None
    )
    async with opened as client:
        await client.send(HANDSHAKE)
        assert await client.recv() == "{}\x1e"
        yield Peer(client, "")


@asynccontextmanager
async def calling(emulator: Emulator) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=emulator.url, headers=bearer(token()), trust_env=False) as rest:
        yield rest


def sizes() -> Iterator[int]:
    """Frames with each form of a length, and now and then one that fills every buffer."""
    while True:
        yield from (1, 60, 80, 300, 65_400, 65_600, 7, 400_000)


async def send_numbered(rest: httpx.AsyncClient, numbers: range) -> None:
    for number, size in zip(numbers, sizes(), strict=False):
        body = {"target": "t", "arguments": [number, "x" * size]}
        assert (await rest.post("/api/hubs/chat/:send", json=body)).status_code == 202


async def test_messages_that_wait_and_messages_that_do_not_keep_their_order(
    upstream: Upstream, ways: dict[str, int]
) -> None:
    """In turns, the client reads nothing and catches up, while pings and messages come."""
    async with (
        Emulator(0, upstream=upstream.url, ping_seconds=0.02) as emulator,
        join_slowly(emulator) as slow,
        join(emulator) as fast,
        calling(emulator) as rest,
    ):
        for begin in range(0, 160, 40):
            slow.socket.transport.pause_reading()
            await send_numbered(rest, range(begin, begin + 20))
            assert [(await fast.receive())["arguments"][0] for _ in range(20)] == [*range(begin, begin + 20)]
            slow.socket.transport.resume_reading()
            sending = asyncio.create_task(send_numbered(rest, range(begin + 20, begin + 40)))
            seen = [(await slow.receive())["arguments"][0] for _ in range(40)]
            await sending
            assert seen == [*range(begin, begin + 40)]
            assert [(await fast.receive())["arguments"][0] for _ in range(20)] == [*range(begin + 20, begin + 40)]
    assert ways["at once"] > 160, "the other client's, and some of the slow one"
    assert ways["waited"] > 20


async def test_answers_to_a_client_stand_in_the_same_order(upstream: Upstream, ways: dict[str, int]) -> None:
    async def answer(call: Call) -> web.Response:
        if call.event in {"connected", "disconnected"}:
            return web.Response()
        [number] = json.loads(call.body)["arguments"]
        completion = {"type": 3, "invocationId": str(number), "result": [number, "x" * 200_000]}
        return web.json_response(text=json.dumps(completion) + "\x1e")

    upstream.answer = answer
    async with Emulator(0, upstream=upstream.url) as emulator, join_slowly(emulator) as slow:
        slow.socket.transport.pause_reading()
        for number in range(60):
            await slow.send({"type": 1, "target": "ask", "invocationId": str(number), "arguments": [number]})
        await upstream.wait_for("ask", 60)
        slow.socket.transport.resume_reading()
        assert [(await slow.receive())["result"][0] for _ in range(60)] == [*range(60)]
    assert ways["waited"] > 5


async def test_the_farewell_comes_behind_all_that_waits(upstream: Upstream, ways: dict[str, int]) -> None:
    async with (
        Emulator(0, upstream=upstream.url, limits=Limits(grace_seconds=0.05)) as emulator,
        join_slowly(emulator) as slow,
        calling(emulator) as rest,
    ):
        slow.socket.transport.pause_reading()
        await send_numbered(rest, range(24))
        assert (await rest.post("/api/hubs/chat/:closeConnections?reason=over")).status_code == 204
        await send_numbered(rest, range(24, 30))
        slow.socket.transport.resume_reading()
        assert [(await slow.receive())["arguments"][0] for _ in range(24)] == [*range(24)]
        assert await slow.receive() == {"type": 7, "error": "over", "allowReconnect": True}
        assert await slow.closed() == 1000
    assert ways["waited"] > 5


async def test_the_end_does_not_wait_for_ever_for_a_client_that_reads_nothing(
    upstream: Upstream, caplog: pytest.LogCaptureFixture, ways: dict[str, int]
) -> None:
    """Its last frame was written at once, and the close frame finds no room."""
    async with (
        Emulator(0, upstream=upstream.url, limits=Limits(send_seconds=0.1)) as emulator,
        join_slowly(emulator) as slow,
        calling(emulator) as rest,
    ):
        slow.socket.transport.pause_reading()
        body = {"target": "t", "arguments": ["x" * 900_000]}
        assert (await rest.post("/api/hubs/chat/:send", json=body)).status_code == 202
        assert ways == {"at once": 2, "waited": 0}, "the handshake's answer and the message"
        await slow.send({"type": 7})
        async with asyncio.timeout(WAIT_SECONDS):
            while "took no data" not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        slow.socket.transport.resume_reading()
        assert await slow.closed() == 1006


@pytest.mark.parametrize("length", [125, 126, 127, 65_535, 65_536, 65_537])
async def test_a_message_of_any_length_arrives_whole(emulator: Emulator, length: int) -> None:
    def record(text: str) -> Any:
        return json.dumps({"type": 1, "target": "t", "arguments": [text]}, separators=(",", ":")) + "\x1e"

    async with join(emulator) as peer, calling(emulator) as rest:
        text = "x" * (length - len(record("")))
        await rest.post("/api/hubs/chat/:send", json={"target": "t", "arguments": [text]})
        raw = await peer.receive_raw()
        assert (raw, len(raw)) == (record(text), length)
