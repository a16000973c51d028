"""``GET /events`` of the whole bridge, over a real socket: who may, what comes, and who is let go."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from signalr_bridge.main import create_app
from signalr_bridge.protocol.connection_string import parse_connection_string
from signalr_bridge.protocol.upstream_event import sign
from signalr_bridge.settings import Settings
from signalr_bridge.tail import read_events
from signalr_bridge.upstream.event_feed import MOST_WAITING
from signalr_bridge.wire.server import Listener
from signalr_bridge.wire.sockets import bind

from tests.unit.upstream.fakes import event, header_lines

API_KEY = "a-key-of-the-caller"
ACCESS_KEY = "the-access-key-of-an-instance-that-is-not-there"
ENDPOINT = f"Endpoint=http://127.0.0.1;Port=1;AccessKey={ACCESS_KEY};Version=1.0;"
KEYED = {"X-API-Key": API_KEY}
SSE = "text/event-stream"
SMALL = 65_536
SHOUTS = MOST_WAITING + 140


class Bridge:
    def __init__(self, port: int) -> None:
        self.port = port
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20)

    async def shout(self, *texts: str) -> None:
        message = {"type": 1, "invocationId": "7", "target": "shout", "arguments": texts}
        signed = {"x_asrs_signature": sign("c1", ACCESS_KEY)}
        headers = header_lines(event(event="shout", user_id="ann"), **signed)
        answer = await self.http.post("/upstream?code=canary", content=json.dumps(message), headers=headers)
        assert answer.status_code == 200, answer.text

    async def ask(self, path: str, headers: Mapping[str, str]) -> httpx.Response:
        """An answer that ends, unlike a stream."""
        return await asyncio.wait_for(self.http.get(path, headers=headers), 20)

    @asynccontextmanager
    async def listen(self, headers: Mapping[str, str] = KEYED) -> AsyncIterator[AsyncIterator[tuple[str, Any]]]:
        async with self.http.stream("GET", "/events", headers=headers) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith(SSE)
            assert answer.headers["cache-control"] == "no-store"
            yield read_events(answer.aiter_lines())


@asynccontextmanager
async def run(**more: Any) -> AsyncIterator[Bridge]:
    given = {
        "endpoints": [{"connection": parse_connection_string(ENDPOINT)}],
        "callers": {"keys": [API_KEY]},
        "handlers": ["tests.contract.upstream.shouting:chat"],
        "upstream": {"code": ["canary"]},
        "console": True,
    }
    app = create_app(Settings.model_validate(given | more))
    with bind("127.0.0.1", 0, "port") as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)  # or the system would take megabytes off our hands
        listener = Listener(app, sock, grace_seconds=60, end_streams=app.state.parts.events.close)
        serving = asyncio.create_task(listener.serve(sockets=[sock]))
        await listener.ready.wait()
        bridge = Bridge(listener.port)
        async with bridge.http:
            yield bridge
            listener.should_exit = True
            async with asyncio.timeout(30):  # less than the grace: no stream is waited for
                await serving


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    async with run() as bridge:
        yield bridge


async def take(stream: AsyncIterator[tuple[str, Any]]) -> Any:
    return (await asyncio.wait_for(anext(stream), 20))[1]


async def test_what_has_been_and_what_happens_comes(bridge: Bridge) -> None:
    await bridge.shout("before")
    async with bridge.listen() as one, bridge.listen() as other:
        for stream in (one, other):
            assert (await take(stream))["arguments"] == ["before"]
        await bridge.shout("now")
        for stream in (one, other):
            shown = await take(stream)
            assert (shown["hub"], shown["event"], shown["userId"], shown["status"]) == ("chat", "shout", "ann", 200)
            assert (shown["arguments"], shown["result"]) == (["now"], ["NOW"])
            assert shown["handler"] == "tests.contract.upstream.shouting:shout"
            assert "canary" not in json.dumps(shown)


async def test_who_was_here_before_misses_nothing_and_gets_nothing_twice(bridge: Bridge) -> None:
    await bridge.shout("a")
    async with bridge.listen() as stream:
        id, _ = await anext(stream)
    await bridge.shout("b")
    await bridge.shout("c")
    async with bridge.listen(KEYED | {"Last-Event-ID": id}) as stream:
        assert [(await take(stream))["arguments"] for _ in range(2)] == [["b"], ["c"]]


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "another-key-of-somebody"}])
async def test_only_callers_with_a_key_may(bridge: Bridge, headers: dict[str, str]) -> None:
    answer = await bridge.ask("/events", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


@pytest.mark.parametrize("limits", [{"rights": ["send"]}, {"hubs": ["chat"]}])
async def test_only_those_who_may_read_every_hub(limits: dict[str, Any]) -> None:
    async with run(callers={"keys": [{"name": "limited", "key": API_KEY} | limits]}) as bridge:
        answer = await bridge.ask("/events", headers=KEYED)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_it_takes_no_parameters(bridge: Bridge) -> None:
    answer = await bridge.ask("/events?after=1", headers=KEYED)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-query")


async def test_it_is_off_unless_the_settings_turn_it_on() -> None:
    async with run(console=False) as bridge:
        await bridge.shout("unseen")
        answer = await bridge.ask("/events", headers=KEYED)
        assert (answer.status_code, answer.json()["code"]) == (404, "route-not-found")


async def test_a_stream_ends_when_the_bridge_does() -> None:
    async with run() as bridge:
        await bridge.shout("a")
        started = asyncio.Event()
        ended = asyncio.create_task(_read_to_the_end(bridge, started))
        await started.wait()
    assert await ended == 1


async def _read_to_the_end(bridge: Bridge, started: asyncio.Event) -> int:
    """On a connection of its own, which is open until the bridge ends it."""
    async with (
        httpx.AsyncClient(base_url=bridge.http.base_url, trust_env=False, timeout=60) as http,
        http.stream("GET", "/events", headers=KEYED) as answer,
    ):
        count = 0
        async for _ in read_events(answer.aiter_lines()):
            count += 1
            started.set()
        return count


@pytest.mark.slow
async def test_a_slow_reader_is_let_go_and_nobody_waits_for_it(bridge: Bridge) -> None:
    texts = ["x" * 190] * 50
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        slow.connect(("127.0.0.1", bridge.port))
        slow.sendall(f"GET /events HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {API_KEY}\r\n\r\n".encode())
        slow.setblocking(False)
        async with bridge.listen() as quick:
            for _ in range(SHOUTS // 20):
                await asyncio.gather(*(bridge.shout("loud", *texts) for _ in range(20)))
                assert [(await take(quick))["result"][0] for _ in range(20)] == ["LOUD"] * 20
        received = await asyncio.wait_for(_receive_all(slow), 60)
    assert received.startswith(b"HTTP/1.1 200 ")
    assert 0 < received.count(b"data: ") < SHOUTS // 2, "it was let go, with what it had been sent until then"


async def _receive_all(sock: socket.socket) -> bytes:
    loop, chunks = asyncio.get_running_loop(), list[bytes]()
    while chunk := await loop.sock_recv(sock, 1 << 20):
        chunks.append(chunk)
    return b"".join(chunks)
