"""Each form that an answer can have, from real peers: what it means, and whether its connection is used again."""

import asyncio
from collections.abc import Callable

import pytest
from signalr_bridge.wire.client import (
    BadResponse,
    CallFailed,
    Client,
    ClientOptions,
    NoResponse,
    ResponseTooLarge,
    TimedOut,
)
from signalr_bridge.wire.client_protocol import LONGEST_HEAD, MOST_INTERIM

from tests.unit.wire.client_calls import CHUNKED, OK, connections_for_two, once_asked
from tests.unit.wire.scripted_peer import Script, Visit, forever, once, scripted, silent


async def failure_of(script: Script, *, seconds: float = 5.0) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        await once_asked(script, seconds=seconds)
    return caught.value


# Interim answers. Source: https://www.rfc-editor.org/rfc/rfc9110.html#section-15.2.


@pytest.mark.parametrize(
    "interim",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nX-Status: early\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX-Status: early\r\n\r\n",
    ],
)
@pytest.mark.parametrize("pause", [0, 0.02])
async def test_interim_answers_are_skipped(interim: bytes, pause: float) -> None:
    async def script(visit: Visit) -> None:
        while True:
            await visit.answer(interim)
            await asyncio.sleep(pause)
            await visit.write(OK)

    response = await once_asked(script)
    assert (response.status, response.body) == (200, b"ok")
    assert list(response.headers) == ["content-length"]
    assert await connections_for_two(script) == 1


async def test_interim_answers_come_to_an_end() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    assert (await once_asked(once(interim * MOST_INTERIM + OK))).body == b"ok"
    assert type(await failure_of(silent(interim * (MOST_INTERIM + 1)))) is BadResponse


@pytest.mark.parametrize("status", [b"101 Switching Protocols", b"000 Nothing", b"099 Little"])
async def test_a_status_that_cannot_be_an_answer(status: bytes) -> None:
    answer = b"HTTP/1.1 " + status + b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert type(await failure_of(silent(answer))) is BadResponse


# Chunks. Source: https://www.rfc-editor.org/rfc/rfc9112.html#section-7.1.


@pytest.mark.parametrize(
    ("chunks", "body"),
    [
        (b"0\r\n\r\n", b""),
        (b"2\r\nok\r\n0\r\n\r\n", b"ok"),
        (b"0A\r\n0123456789\r\n1\r\n!\r\n000\r\n\r\n", b"0123456789!"),
        (b'2;name=value;other="a b"\r\nok\r\n0;last\r\n\r\n', b"ok"),
        (b"2\r\nok\r\n0\r\nX-Trailer: 1\r\nX-Other: 7\r\n\r\n", b"ok"),
    ],
)
async def test_chunks_make_a_body(chunks: bytes, body: bytes) -> None:
    async def bytewise(visit: Visit) -> None:
        await visit.request()
        for byte in CHUNKED + chunks:
            await visit.write(bytes([byte]))
            await asyncio.sleep(0)

    for script in (forever(CHUNKED + chunks), bytewise):
        response = await once_asked(script)
        assert response.body == body
        assert list(response.headers) == ["transfer-encoding"]
    assert await connections_for_two(forever(CHUNKED + chunks)) == 1


@pytest.mark.parametrize(
    "chunks",
    [
        b"2\r\nok\r\n0\r\nContent-Length: 7\r\n\r\n",
        b"zz\r\n",
        b"-1\r\n",
        b"f" * 17 + b"\r\n",
        b"2\r\nokk\r\n",
        b"\r\n\r\n",
        b"0x2\r\nok\r\n",
    ],
)
async def test_chunks_that_are_none(chunks: bytes) -> None:
    assert type(await failure_of(silent(CHUNKED + chunks))) is BadResponse


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 2\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nContent-Length: 2",
        b"Content-Length: 2\r\nContent-Length: 3",
        b"Content-Length: 2, 2",
        b"Content-Length: -1",
        b"Content-Length: 99999999999999999999999",
        b"Transfer-Encoding: gzip, chunked",
    ],
)
async def test_a_length_that_is_not_clear(head: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    assert type(await failure_of(silent(answer))) is BadResponse


# Bodies that end with the connection, or too early, or not at all.


async def test_a_body_without_a_length_ends_with_the_connection() -> None:
    async def script(visit: Visit) -> None:
        await visit.answer(b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n")
        for piece in (b"a", b"b" * 10_000, b"c"):
            await visit.write(piece)
            await asyncio.sleep(0.01)

    assert (await once_asked(script)).body == b"a" + b"b" * 10_000 + b"c"
    assert await connections_for_two(script) == 2
    assert await connections_for_two(script, largest=None) == 2


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 O", b"HTTP/1.1 200 OK\r\n\r\nhalf of", OK[:-1], CHUNKED + b"2\r\nok\r\n"]
)
async def test_a_reset_is_never_the_end_of_a_body(answer: bytes) -> None:
    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.write(answer)
        await asyncio.sleep(0.05)  # until it has been read
        visit.writer.get_extra_info("socket").setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER: close with a reset
        visit.writer.transport.abort()

    failure = await failure_of(script)
    assert type(failure) is NoResponse
    assert (failure.response is None) is (b"\r\n\r\n" not in answer)


async def test_a_reset_before_the_request_is_read() -> None:
    async def script(visit: Visit) -> None:
        visit.writer.get_extra_info("socket").setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")
        visit.writer.transport.abort()

    assert isinstance(await failure_of(script), CallFailed)


async def test_a_peer_that_only_closes_its_half() -> None:
    async def script(visit: Visit) -> None:
        await visit.request()
        visit.writer.write_eof()
        await visit.until_gone()

    assert type(await failure_of(script)) is NoResponse


async def test_a_peer_that_closes_its_half_behind_an_answer() -> None:
    async def script(visit: Visit) -> None:
        await visit.answer(OK)
        visit.writer.write_eof()
        await visit.until_gone()

    assert (await once_asked(script)).body == b"ok"
    assert await connections_for_two(script) == 2


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nX-A: ", OK[:-1], CHUNKED + b"1000\r\nx", b"HTTP/1.1 200 OK\r\n\r\nx"]
)
async def test_an_answer_that_does_not_end_in_time(answer: bytes) -> None:
    failure = await failure_of(silent(answer), seconds=0.1)
    assert type(failure) is TimedOut
    assert (failure.response is None) is (b"\r\n\r\n" not in answer)


async def test_the_head_of_an_answer_that_breaks_off_is_known() -> None:
    failure = await failure_of(once(b"HTTP/1.1 403 No\r\nX-Why: a\r\nContent-Length: 9\r\n\r\nsecret"))
    assert failure.response is not None
    assert (failure.response.status, failure.response.headers["x-why"], failure.response.body) == (403, "a", b"")
    assert repr(failure) == "NoResponse('ConnectionClosed')"


async def test_a_slow_answer_is_waited_for() -> None:
    async def script(visit: Visit) -> None:
        await visit.request()
        for byte in OK:
            await visit.write(bytes([byte]))
            await asyncio.sleep(0.002)

    assert (await once_asked(script)).body == b"ok"


def endless(begin: bytes, more: bytes) -> Script:
    async def script(visit: Visit) -> None:
        await visit.answer(begin)
        while True:
            await visit.write(more)
            await asyncio.sleep(0)

    return script


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"HTTP/1.1 200 ", b"O" * 1000),
        (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 100),
        (b"HTTP/1.1 200 OK\r\nX-A: ", b"b" * 1000),
        (b"HTTP/1.1 200 OK\r\n", b"X" * 1000),
        (b"HTTP/1.1 200 OK\r\nX-A: b\r\n", b"\r" * 1000),
        (CHUNKED + b"1;", b"x" * 1000),
        (CHUNKED + b"1\r\nx\r\n0\r\n", b"X-Trailer: b\r\n" * 100),
        (CHUNKED, b"0" * 1000),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b"\r\n" * 500),
    ],
)
async def test_what_is_not_a_body_is_bounded(begin: bytes, more: bytes) -> None:
    assert type(await failure_of(endless(begin, more))) is BadResponse


@pytest.mark.parametrize("gap", [1000, -1000])
async def test_so_long_may_a_head_be(gap: int) -> None:
    head = b"HTTP/1.1 200 OK\r\nX-A: %b\r\nContent-Length: 5000\r\n\r\n" % (b"x" * (LONGEST_HEAD - 4096 - gap))
    if gap > 0:
        assert (await once_asked(once(head + b"y" * 5000))).body == b"y" * 5000
    else:
        assert type(await failure_of(once(b"HTTP/1.1 200 OK\r\nX-B: " + b"x" * 8192 + head[15:]))) is BadResponse


@pytest.mark.parametrize(("begin", "more"), [(CHUNKED, b"1\r\nx\r\n" * 100), (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1000)])
async def test_a_body_without_end_is_cut_off(begin: bytes, more: bytes) -> None:
    assert type(await failure_of(endless(begin, more))) is ResponseTooLarge


# What a response says.


async def test_headers_are_found_in_any_case_and_the_first_one_counts() -> None:
    head = b"HTTP/1.1 200 OK\r\nX-A: first\r\nx-a: second\r\nX-B:  \xe9 \r\nX-C:\r\nContent-Length: 0\r\n\r\n"
    headers = (await once_asked(once(head))).headers
    assert (headers["x-a"], headers["X-A"], headers["X-B"], headers["X-C"]) == ("first", "first", "é", "")
    assert list(headers) == ["x-a", "x-b", "x-c", "content-length"]
    assert len(headers) == 4
    assert "X-D" not in headers
    assert headers.get("\u20ac") is None


async def test_a_response_does_not_show_what_it_holds() -> None:
    response = await once_asked(once(b"HTTP/1.1 200 OK\r\nX-Token: secret\r\nContent-Length: 6\r\n\r\nsecret"))
    assert repr(response) == "Response(200, 6 bytes)"
    assert "secret" not in repr(response.headers)


@pytest.mark.parametrize("make", [lambda: OK, lambda: CHUNKED + b"2\r\nok\r\n0\r\n\r\n"])
async def test_bodies_of_many_kinds_follow_each_other(make: Callable[[], bytes]) -> None:
    async with scripted(forever(make())) as peer, Client(ClientOptions()) as client:
        for largest in (2, None, 2):
            assert (await client.begin("GET", peer.http, "/", b"", seconds=5.0, largest=largest)).body == (
                b"ok" if largest else b""
            )
        assert len(peer.visits) == 1
