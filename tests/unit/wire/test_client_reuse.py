"""When a connection is used again, and what becomes of a body that nobody wants."""

import asyncio
import socket
import threading
import time
from contextlib import suppress

import pytest
from signalr_bridge.wire import client_protocol
from signalr_bridge.wire.client import (
    Client,
    ClientOptions,
    Response,
)
from signalr_bridge.wire.client_protocol import LARGEST_DROPPED

from tests.unit.wire.client_calls import CHUNKED, LARGEST, OK, connections_for_two, once_asked
from tests.unit.wire.scripted_peer import Peer, Script, Visit, forever, scripted, silent


async def ask(
    client: Client, peer: Peer, *, largest: int | None = LARGEST, method: str = "GET", body: bytes | None = None
) -> Response:
    return await client.begin(method, peer.http, "/", b"", body, seconds=5.0, largest=largest)


# Whether the connection is used again.


@pytest.mark.parametrize(
    ("answer", "connections"),
    [
        (OK, 1),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 2),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x, Close\r\n\r\n", 2),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 2),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok", 1),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 1),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n", 1),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", 1),
        (OK + b"more", 2),
        (OK + b"H", 2),
        (OK + OK, 2),
        (OK + b"HTTP/1.1 100 Continue\r\n\r\n", 2),
    ],
)
async def test_a_connection_is_used_again_only_when_its_answer_has_ended(answer: bytes, connections: int) -> None:
    assert (await once_asked(forever(answer))).body == (b"ok" if b"ok" in answer else b"")
    assert await connections_for_two(forever(answer)) == connections
    assert await connections_for_two(forever(answer), largest=None) == connections


@pytest.mark.parametrize(
    ("answer", "connections"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", 1),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 1),
        (CHUNKED, 1),
        (b"HTTP/1.1 404 None\r\nContent-Length: 7\r\nConnection: close\r\n\r\n", 2),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\na body!", 2),
    ],
)
@pytest.mark.parametrize("largest", [None, 0, LARGEST])
async def test_an_answer_to_head_has_no_body(answer: bytes, connections: int, largest: int | None) -> None:
    assert (await once_asked(forever(answer), method="HEAD")).body == b""
    assert await connections_for_two(forever(answer), method="HEAD", largest=largest) == connections


@pytest.mark.parametrize("unasked", [b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n", b"\r\n", b"x"])
async def test_what_comes_while_nothing_is_asked_ends_the_connection(unasked: bytes) -> None:
    async def script(visit: Visit) -> None:
        await visit.answer(OK)
        await asyncio.sleep(0.01)
        await visit.write(unasked)
        await visit.until_gone()

    assert await connections_for_two(script) == 2


async def test_a_second_answer_is_not_given_to_the_request_that_waits() -> None:
    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.write(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen" if visit.number == 1 else OK)
        await visit.until_gone()

    async with scripted(script) as peer, Client(ClientOptions(connections=1)) as client:
        responses = await asyncio.gather(ask(client, peer), ask(client, peer))
        assert [one.body for one in responses] == [b"ok", b"ok"]
        assert len(peer.visits) == 2


@pytest.mark.parametrize("hang_up", [False, True])
async def test_an_answer_before_the_body_is_sent(hang_up: bool) -> None:
    async def script(visit: Visit) -> None:
        await visit.reader.readuntil(b"\r\n\r\n")
        await visit.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        if not hang_up:
            await asyncio.sleep(0.2)

    async with scripted(script) as peer, Client(ClientOptions()) as client:
        for _ in range(2):
            response = await ask(client, peer, method="POST", body=b"x" * 20_000_000)
            assert (response.status, response.body) == (413, b"no")
        assert len(peer.visits) == 2


# A body that nobody wants.


def in_two(answer: bytes, pause: float) -> Script:
    async def script(visit: Visit) -> None:
        head, _, body = answer.partition(b"\r\n\r\n")
        while True:
            await visit.answer(head + b"\r\n\r\n")
            await asyncio.sleep(pause)
            await visit.write(body)

    return script


async def test_the_head_is_enough_where_the_body_is_not_wanted() -> None:
    async with scripted(silent(OK[:-2])) as peer, Client(ClientOptions()) as client:
        response = await ask(client, peer, largest=None)
        assert (response.status, response.body, response.headers["Content-Length"]) == (200, b"", "2")


@pytest.mark.parametrize(
    ("body", "connections"),
    [(b"x" * 10, 1), (b"x" * LARGEST_DROPPED, 1), (b"x" * (20 * LARGEST_DROPPED), 2)],
)
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_small_body_is_dropped_and_a_large_one_ends_the_connection(
    body: bytes, connections: int, chunked: bool
) -> None:
    answer = CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    if not chunked:
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    assert await connections_for_two(in_two(answer, 0.005), largest=None) == connections


async def test_a_dropped_body_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_protocol, "DROP_SECONDS", 0.01)
    async with scripted(silent(OK[:-1])) as peer, Client(ClientOptions()) as client:
        assert (await ask(client, peer, largest=None)).status == 200
        async with asyncio.timeout(5):
            assert await peer.ended.get() == 1
        assert (await ask(client, peer, largest=None)).status == 200
        assert len(peer.visits) == 2


# For how long it is kept.


@pytest.mark.parametrize(
    ("line", "idle", "connections"),
    [
        (b"Keep-Alive: timeout=2, max=100", 0.2, 2),
        (b"keep-alive: max=9, Timeout=3", 0.2, 1),
        (b"Keep-Alive: timeout=1", 0.0, 2),
        (b"Keep-Alive: timeout=0", 0.0, 2),
        (b"Keep-Alive: max=9", 0.2, 1),
        (b"X-Keep-Ali: timeout=1", 0.2, 1),
    ],
)
async def test_a_connection_is_kept_for_less_than_its_peer_keeps_it(
    monkeypatch: pytest.MonkeyPatch, line: bytes, idle: float, connections: int
) -> None:
    monkeypatch.setattr(client_protocol, "KEEP_ALIVE_MARGIN", 1.9)
    answer = OK.replace(b"\r\n\r\n", b"\r\n" + line + b"\r\n\r\n")
    async with scripted(forever(answer)) as peer, Client(ClientOptions(idle_seconds=15)) as client:
        await ask(client, peer)
        await asyncio.sleep(idle)
        await ask(client, peer)
        assert len(peer.visits) == connections


async def test_a_peer_that_says_how_long_it_keeps_a_connection_is_taken_at_its_word() -> None:
    answer = OK.replace(b"\r\n\r\n", b"\r\nKeep-Alive: timeout=75\r\n\r\n")
    async with scripted(forever(answer)) as peer, Client(ClientOptions(idle_seconds=0.05)) as client:
        await ask(client, peer)
        await asyncio.sleep(0.2)
        await ask(client, peer)
        assert len(peer.visits) == 1


async def test_the_last_word_of_a_peer_counts() -> None:
    async def script(visit: Visit) -> None:
        for seconds in (b"75", b"1"):
            await visit.answer(OK.replace(b"\r\n\r\n", b"\r\nKeep-Alive: timeout=" + seconds + b"\r\n\r\n"))
        await visit.until_gone()

    async with scripted(script) as peer, Client(ClientOptions()) as client:
        for connections in (1, 1, 2):
            await ask(client, peer)
            assert len(peer.visits) == connections


class Leaving(threading.Thread):
    """A server on a thread of its own. It answers one request on each connection, and hangs up a moment later."""

    def __init__(self, listening: socket.socket, seconds: float) -> None:
        super().__init__(daemon=True)
        self.listening, self.seconds, self.requests = listening, seconds, 0
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"

    def run(self) -> None:
        with suppress(OSError):
            while True:
                connection = self.listening.accept()[0]
                with connection:
                    if connection.recv(65_536):
                        self.requests += 1
                        connection.sendall(OK)
                        time.sleep(self.seconds)


async def test_a_message_is_not_sent_where_the_peer_has_hung_up_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop stood still when the peer hung up, so nobody was told. The message would become unknown."""
    monkeypatch.setattr(client_protocol, "QUIET_SECONDS", 0.15)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = Leaving(listening, 0.1)
        server.start()
        async with Client(ClientOptions()) as client:
            for _ in range(2):
                call = client.begin("POST", server.url, "/", b"", b"x", seconds=5, largest=1000)
                assert (await call).body == b"ok"
                time.sleep(0.2)  # noqa: ASYNC251
        assert server.requests == 2
