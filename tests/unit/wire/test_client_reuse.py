"""When a connection is used again, and what becomes of a body that nobody wants."""

import asyncio

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
