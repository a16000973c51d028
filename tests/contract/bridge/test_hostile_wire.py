"""What peers do below HTTP's surface: endless headers, headers behind the body, bodies that never come, upgrades."""

import asyncio
import gc
import json
import re
import socket
from collections.abc import Callable
from typing import cast

import pytest
from signalr_bridge.negotiate import routes
from signalr_bridge.wire import http_protocol, timeouts
from signalr_bridge.wire.http_protocol import BoundedProtocol
from signalr_bridge.wire.request_reader import LONGEST_HEAD

from tests.contract.bridge.running import CALLER, bridge_on_a_socket, send_raw

OPEN = {"BRIDGE_NEGOTIATE__ANONYMOUS": "true", "BRIDGE_NEGOTIATE__HUBS": "chat"}
NEGOTIATE = b"POST /hubs/chat/negotiate HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"


async def test_trailers_are_no_headers() -> None:
    """A proxy removes ``x-ms-client-principal-id`` from headers, and looks at no trailers."""
    settings = {"BRIDGE_NEGOTIATE__PLATFORM_IDENTITY": "true", "BRIDGE_NEGOTIATE__HUBS": "chat"}
    trailers = b"x-ms-client-principal-id: admin\r\nx-one: 1\r\nx-two: 2\r\n\r\n"
    async with bridge_on_a_socket(**settings) as (port, _):
        answer = await send_raw(port, NEGOTIATE + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + trailers)
    assert answer.status == 401


@pytest.mark.parametrize(
    "begin", [b"GET /health/live HTTP/1.1\r\nHost: x\r\n", NEGOTIATE + b"Transfer-Encoding: chunked\r\n\r\n0\r\n"]
)
@pytest.mark.parametrize("line", [b"x-a: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", b"a" * 40])
async def test_headers_come_to_an_end(begin: bytes, line: bytes) -> None:
    async with bridge_on_a_socket(**OPEN) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(begin + (b"" if line.endswith(b"\n") else b"x-a: ") + line * (4 * LONGEST_HEAD // len(line)))
        try:
            answer = await asyncio.wait_for(reader.read(), 5)
        except ConnectionResetError:
            answer = b"HTTP/1.1 400"  # we sent more than it cared to read
        writer.close()
    assert b"HTTP/1.1 400" in answer


async def test_a_body_that_never_comes_keeps_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "_CLIENT_BODY_SECONDS", 0.2)
    async with bridge_on_a_socket(BRIDGE_LIMITS__IN_FLIGHT="1", **OPEN) as (port, _):
        slow = asyncio.create_task(send_raw(port, NEGOTIATE + b"Content-Length: 10\r\n\r\n{"))
        await asyncio.sleep(0.05)
        assert (await send_raw(port, NEGOTIATE + b"Content-Length: 0\r\n\r\n")).status == 200
        assert (await slow).status == 401
        assert (await send_raw(port, NEGOTIATE + b"Content-Length: 0\r\n\r\n")).status == 200


async def test_who_goes_before_its_body_ends_is_no_error_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    async with bridge_on_a_socket(**OPEN) as (port, _):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(NEGOTIATE + b"Content-Length: 10\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()
        await asyncio.sleep(0.05)
    assert "unhandled error" not in caplog.messages


@pytest.mark.parametrize(
    "sent", [b"GET /h\xc3\xa4 HTTP/1.1\r\n\r\n", b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n"]
)
async def test_what_is_no_http_is_a_problem(sent: bytes) -> None:
    async with bridge_on_a_socket(**OPEN) as (port, _):
        answer = await send_raw(port, sent)
    assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json")
    problem = json.loads(answer.body)
    assert (problem["code"], answer.headers["x-problem-code"]) == ("invalid-header", "invalid-header")
    assert problem["instance"] == f"urn:request:{answer.headers['x-request-id']}"
    assert (answer.headers["connection"], int(answer.headers["content-length"])) == ("close", len(answer.body))


ONE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        b"G",
        b"GET /health/live HT",
        ONE + b"GET /health/live HT",
        ONE + b"\r\n",  # a line between requests is nothing, and ends uvicorn's own wait
        # answered at once, and its body drips for ever
        b"POST /hubs/chat/send HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{",
    ],
)
async def test_who_sends_no_whole_head_is_let_go(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "HEAD_SECONDS", 0.3)
    async with bridge_on_a_socket(**OPEN) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for byte in (sent[:-1], sent[-1:]):
            writer.write(byte)
            await asyncio.sleep(0.1)
        await asyncio.wait_for(reader.read(), 3)
        writer.close()


async def test_a_head_that_is_slow_cuts_no_answer_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "HEAD_SECONDS", 0.1)
    monkeypatch.setattr(routes, "_CLIENT_BODY_SECONDS", 0.5)
    async with bridge_on_a_socket(**OPEN) as (port, _):
        answer = await send_raw(port, NEGOTIATE + b"Content-Length: 10\r\n\r\n")
    assert answer.status == 401  # after half a second


LAST = b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def exchange(port: int, *pieces: bytes) -> list[int]:
    """What each answer's status is, until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await asyncio.sleep(0.03)
    answers = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return [int(status) for status in re.findall(rb"HTTP/1.1 (\d+) ", answers)]


UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n"
MESSAGE = b'{"target": "t", "arguments": ["GET /health/live HTTP/1.1\\r\\n"]}'
SEND = (
    b"POST /hubs/chat/send HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-API-Key: %s\r\n" % CALLER.encode()
)


@pytest.mark.parametrize("upgrade", [UPGRADE, b"connection: keep-alive, upgrade\r\nupgrade: websocket\r\n"])
@pytest.mark.parametrize("cut", [None, 0, 1])
async def test_who_asks_for_another_protocol_is_answered_in_this_one(upgrade: bytes, cut: int | None) -> None:
    """As Java's own client does with every request; wherever the network cuts, and whatever comes next."""
    sized = b"Content-Length: %d\r\n\r\n" % len(MESSAGE), MESSAGE
    chunked = b"Transfer-Encoding: chunked\r\n\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(MESSAGE), MESSAGE)
    for end, body in (sized, chunked):
        head = SEND + upgrade + end
        pieces = [head + body + LAST] if cut is None else [head + body[:cut], body[cut:] + LAST]
        async with bridge_on_a_socket(**OPEN) as (port, service):
            assert await exchange(port, *pieces) == [202, 200]
            assert len([one for one in service.requests if one.method == "POST"]) == 1


async def test_without_a_body_too() -> None:
    async with bridge_on_a_socket(**OPEN) as (port, _):
        asking = b"GET /health/live HTTP/1.1\r\nHost: x\r\n" + UPGRADE + b"\r\n"
        assert await exchange(port, asking + LAST) == [200, 200]


async def test_a_body_behind_an_upgrade_is_no_request() -> None:
    head = SEND + UPGRADE + b"Content-Length: %d\r\n\r\n" % len(ONE)
    async with bridge_on_a_socket(**OPEN) as (port, _):
        for pieces in ([head + ONE + LAST], [head, ONE, LAST]):
            assert await exchange(port, *pieces) == [400, 200]


async def test_a_tunnel_is_refused_and_what_was_meant_for_it_is_not_read() -> None:
    async with bridge_on_a_socket(**OPEN) as (port, _):
        assert await exchange(port, b"CONNECT /upstream HTTP/1.1\r\nHost: x\r\n\r\n" + ONE, ONE) == [405]


async def test_an_answer_under_way_comes_before_the_end() -> None:
    async with bridge_on_a_socket(**OPEN) as (port, _):
        assert await exchange(port, ONE + b"nonsense\r\n\r\n", ONE) == [200]


async def test_a_body_that_is_too_large_hears_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also who reads only when all is sent: a connection that is closed before would be reset."""
    body = b" " * 9_000_000
    async with bridge_on_a_socket(**OPEN) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(SEND + b"Content-Length: %d\r\n\r\n" % len(body))
        for begin in range(0, len(body), 1_000_000):
            writer.write(body[begin : begin + 1_000_000])
            await writer.drain()
        writer.write(ONE)
        answer = await asyncio.wait_for(reader.readuntil(b"}"), 5)
        assert answer.startswith(b"HTTP/1.1 413")
        assert (await asyncio.wait_for(reader.read(65_536), 5)).startswith(b"HTTP/1.1 200 OK")
        writer.close()


async def protocol_of(transport: asyncio.BaseTransport) -> BoundedProtocol:
    """The server's side of a connection."""
    address = transport.get_extra_info("sockname")
    for _ in range(100):
        for one in gc.get_objects():
            if isinstance(one, BoundedProtocol) and one.peer == address:
                return one
        await asyncio.sleep(0.02)
    raise TimeoutError


async def test_requests_that_wait_are_few_and_all_are_answered() -> None:
    """However many come at once: each that is looked at before its turn takes much more than its bytes."""
    async with bridge_on_a_socket(**OPEN) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        protocol, most = await protocol_of(writer.transport), 0
        writer.write(ONE * 1_500 + LAST)
        answers = asyncio.create_task(reader.read())
        while not answers.done():
            await asyncio.sleep(0.005)
            most = max(most, len(protocol.pipeline))
        writer.close()
    assert len(re.findall(rb"HTTP/1.1 200 ", await answers)) == 1_501
    assert 0 < most <= http_protocol.MOST_PIPELINED + 16_384 // len(ONE)


async def test_a_body_may_come_behind_many_requests() -> None:
    body = b'{"target": "t", "arguments": ["%s"]}' % (b"x" * 100_000)
    sized = SEND + b"Content-Length: %d\r\n\r\n" % len(body) + body
    async with bridge_on_a_socket(**OPEN) as (port, _):
        assert await exchange(port, (ONE * 300 + sized) * 3 + LAST) == [*([200] * 300 + [202]) * 3, 200]


class Stubborn(asyncio.Protocol):
    """Sends, and takes nothing of what comes."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.pause_reading()
        self._transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()


async def wait_until(is_so: Callable[[], bool]) -> None:
    for _ in range(500):
        if is_so():
            return
        await asyncio.sleep(0.02)
    raise TimeoutError


@pytest.mark.parametrize("end", [b"", LAST])
async def test_who_takes_no_answers_is_let_go(end: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "WRITE_SECONDS", 1.0)
    document = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
    negotiate = NEGOTIATE + b"Content-Length: 0\r\n\r\n"
    async with bridge_on_a_socket(BRIDGE_LIMITS__IN_FLIGHT="1", **OPEN) as (port, _):
        loop = asyncio.get_running_loop()
        transport, stubborn = await loop.create_connection(lambda: Stubborn(document * 200 + end), "127.0.0.1", port)
        try:
            protocol = await protocol_of(transport)
            await wait_until(lambda: protocol.is_full)
            assert await exchange(port, negotiate) == [200], "and keeps nobody out meanwhile"
            await wait_until(lambda: not protocol.is_full and not protocol.pipeline)
            assert await exchange(port, negotiate) == [200]
        finally:
            transport.abort()
            await stubborn.lost.wait()


async def test_who_takes_answers_slowly_gets_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "WRITE_SECONDS", 0.1)
    document = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    async with bridge_on_a_socket(**OPEN) as (port, _):
        with socket.socket() as sock:  # the kernel takes little
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            sock.connect(("127.0.0.1", port))
            reader, writer = await asyncio.open_connection(sock=sock, limit=4_096)
            protocol = await protocol_of(writer.transport)
            server_side = protocol.transport.get_extra_info("socket")
            server_side.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
            writer.write(document)
            taken, began = b"", asyncio.get_running_loop().time()
            while piece := await reader.read(4_096):
                taken += piece
                await asyncio.sleep(0.015)
            writer.close()
    assert asyncio.get_running_loop().time() - began > 0.25, "the answer was too short to be slow"
    assert taken.endswith(b"}")
