"""Clients that speak MessagePack, beside others that speak JSON: spec 4.1, 4.4, 3.3 and 3.5."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import msgpack
import pytest
from aiohttp import web
from signalr_bridge.emulator import Emulator

from tests.contract.emulator.parties import Call, Peer, Upstream, join, open_socket

HANDSHAKE = '{"protocol":"messagepack","version":1}\x1e'
GREETING = b"{}\x1e"


def pack(*items: Any) -> bytes:
    """A message behind its length, by another library than the emulator's own."""
    return frame(msgpack.packb(items, datetime=True))


def frame(body: bytes) -> bytes:
    assert len(body) < 0x4000, "its length fits into two bytes"
    prefix = [len(body)] if len(body) < 0x80 else [len(body) & 0x7F | 0x80, len(body) >> 7]
    return bytes(prefix) + body


async def receive(peer: Peer) -> Any:
    """The next message but pings; each WebSocket message holds exactly one, in a binary frame."""
    while True:
        raw = await peer.receive_raw()
        assert isinstance(raw, bytes)
        assert raw[0] == len(raw) - 1
        message = msgpack.unpackb(raw[1:], timestamp=3)
        if message != [6]:
            return message


@asynccontextmanager
async def join_packed(emulator: Emulator, handshake: str | bytes = HANDSHAKE) -> AsyncIterator[Peer]:
    async with open_socket(emulator, "hub=chat") as peer:
        await peer.socket.send(handshake)
        assert await peer.receive_raw() == GREETING
        yield peer


@pytest.mark.parametrize("handshake", [HANDSHAKE, HANDSHAKE.encode(), HANDSHAKE.replace(":", ": ")])
async def test_the_handshake_is_json_all_the_same(emulator: Emulator, handshake: str | bytes) -> None:
    async with join_packed(emulator, handshake):
        pass


async def test_the_bodies_of_events(emulator: Emulator, upstream: Upstream) -> None:
    async with join_packed(emulator) as peer:
        await peer.socket.send(bytes.fromhex("0e 95 01 80 a1 37 a4 73 65 6e 64 91 a2 68 69"))  # as JavaScript sends it
        call = await upstream.wait_for("send")
    gone = await upstream.wait_for("disconnected")
    assert call.headers["Content-Type"] == "application/x-msgpack"
    assert call.headers["X-ASRS-Category"] == "messages"
    assert call.body == bytes.fromhex("96 01 80 a1 37 a4 73 65 6e 64 91 a2 68 69 90")
    for event, body in ((upstream.calls[0], b'{"type":10}'), (gone, b'{"type":11}')):
        assert (event.headers["Content-Type"], event.body) == ("application/json", body)


async def test_arguments_reach_the_upstream_as_they_are(emulator: Emulator, upstream: Upstream) -> None:
    values: list[Any] = [0, -1, 2**64 - 1, -(2**63), 1.5, None, True, b"\x00\xff", "é", {"a": [{}]}, {1: b"k"}]
    moment, extension = datetime(2026, 11, 22, 10, tzinfo=UTC), msgpack.ExtType(5, b"\x01")
    async with join_packed(emulator) as peer:
        await peer.socket.send(pack(1, {"h": "v"}, None, "t", [*values, moment, extension, "end"]))
        call = await upstream.wait_for("t")
    [kind, headers, invocation_id, target, arguments, streams] = msgpack.unpackb(
        call.body, timestamp=3, strict_map_key=False
    )
    assert (kind, headers, invocation_id, target, streams) == (1, {"h": "v"}, None, "t", [])
    assert arguments == [*values, moment, extension, "end"]


async def test_a_framed_answer_reaches_the_client(emulator: Emulator, upstream: Upstream) -> None:
    async def echo(call: Call) -> web.StreamResponse:
        if call.event != "echo":
            return web.Response()
        [_, _, invocation_id, _, arguments, _] = msgpack.unpackb(call.body)
        return web.Response(body=pack(3, {}, invocation_id, 3, arguments))

    upstream.answer = echo
    async with join_packed(emulator) as peer:
        await peer.socket.send(pack(1, {}, "1", "echo", [b"\x00", {"n": None}], []) + pack(1, {}, "2", "other", []))
        assert await receive(peer) == [3, {}, "1", 3, [b"\x00", {"n": None}]]
        assert await receive(peer) == [3, {}, "2", 2]


async def test_an_answer_in_json_is_refused(emulator: Emulator, upstream: Upstream) -> None:
    async def answer(_: Call) -> web.StreamResponse:
        return web.Response(body=b'{"type":3,"invocationId":"1","result":1}\x1e')

    upstream.answer = answer
    async with join_packed(emulator) as peer:
        await peer.socket.send(pack(1, {}, "1", "t", []))
        [*_, kind, text] = await receive(peer)
        assert (kind, text) == (1, "Invocation failed, the answer of the upstream is no message of the hub protocol.")


async def test_a_broadcast_reaches_each_in_its_protocol(emulator: Emulator, rest: httpx.AsyncClient) -> None:
    values = [1, 1.5, None, "é", {"a": [True]}, "2026-11-22T10:00:00Z"]
    async with join(emulator) as one, join_packed(emulator) as other:
        body = json.dumps({"target": "t", "arguments": [*values, 2**70]}).encode()
        response = await rest.post("/api/hubs/chat/:send", content=body, headers={"Content-Type": "application/json"})
        assert response.status_code == 202
        assert (await one.receive())["arguments"] == [*values, 2**70]
        assert await receive(other) == [1, {}, None, "t", [*values, 2.0**70], []]


async def test_a_message_that_cannot_be_encoded_reaches_nobody(emulator: Emulator, rest: httpx.AsyncClient) -> None:
    async with join(emulator) as one, join_packed(emulator) as other:
        deep = b'{"target":"deep","arguments":[' + b"[" * 800 + str(2**70).encode() + b"]" * 800 + b"]}"
        response = await rest.post("/api/hubs/chat/:send", content=deep, headers={"Content-Type": "application/json"})
        assert (response.status_code, response.headers["content-type"].partition(";")[0]) == (
            400,
            "application/problem+json",
        )
        assert (await rest.post("/api/hubs/chat/:send", json={"target": "next"})).status_code == 202
        assert (await one.receive())["target"] == (await receive(other))[3] == "next"


async def test_frames_may_come_in_pieces_and_together(emulator: Emulator, upstream: Upstream) -> None:
    async with open_socket(emulator, "hub=chat") as peer:
        frames = pack(6) + pack(1, {}, None, "early", []) + pack(1, {}, None, "large", ["x" * 300])
        await peer.socket.send(HANDSHAKE.encode() + frames[:20])
        for piece in (frames[20:21], frames[21:40], frames[40:]):
            await peer.socket.send(piece)
        await upstream.wait_for("large")
    assert upstream.events[:3] == ["connected", "early", "large"]


async def test_a_close_by_rest(emulator: Emulator, rest: httpx.AsyncClient) -> None:
    async with join_packed(emulator) as peer:
        assert (await rest.post("/api/hubs/chat/:closeConnections?reason=bye")).status_code == 204
        assert await peer.receive_raw() == bytes.fromhex("07 93 07 a3 62 79 65 c3")
        assert await peer.closed() == 1000


async def test_a_clients_close_message_ends_the_transport(emulator: Emulator, upstream: Upstream) -> None:
    async with join_packed(emulator) as peer:
        await peer.socket.send(bytes.fromhex("03 92 07 c0"))  # as JavaScript sends it
        assert await peer.closed() == 1000
        assert (await upstream.wait_for("disconnected")).body == b'{"type":11}'


async def test_other_messages_are_read_and_dropped(emulator: Emulator, upstream: Upstream) -> None:
    async with join_packed(emulator) as peer:
        dropped: list[tuple[Any, ...]] = [
            (4, {}, "1", "stream", []),
            (3, {}, "1", 2),
            (2, {}, "1", 1),
            (5, {}, "1"),
            (99, 1),
        ]
        await peer.socket.send(b"".join(pack(*items) for items in dropped))
        await peer.socket.send(pack(1, {}, None, "last", []))
        await upstream.wait_for("last")
    assert upstream.events[:2] == ["connected", "last"]


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b"\x01\xc1", "Error reading MessagePack."),
        (pack(1, {}, None, None, []), "The item 'target' is no string."),
        (b"\xff\xff\xff\xff\xff", "A message says that it has more than 2 GiB."),
        (frame(b"\x95\x01\x80\xc0\xa1s" + b"\x91" * 16_000), "Error reading MessagePack."),
        ('{"type":1,"target":"t","arguments":[]}\x1e' * 4, "Error reading MessagePack."),
    ],
)
async def test_what_is_no_message_ends_the_connection(
    emulator: Emulator, upstream: Upstream, sent: str | bytes, error: str
) -> None:
    async with join_packed(emulator) as peer:
        await peer.socket.send(sent)
        assert await receive(peer) == [7, "Connection closed with an error.", True]
        assert await peer.closed() == 1000
        body = json.loads((await upstream.wait_for("disconnected")).body)
        assert body == {"type": 11, "error": error}
