"""Applications that answer without ASGI, over real sockets: bodies, waits, endings, and what they do wrong."""

import asyncio
import errno
import logging
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, Self

import pytest
from signalr_bridge.wire import timeouts
from signalr_bridge.wire.connection_limit import ConnectionLimit
from signalr_bridge.wire.exchange import Answer, Disconnected, IncomingRequest
from signalr_bridge.wire.server import Listener
from signalr_bridge.wire.sockets import bind
from starlette.types import Receive, Scope, Send

from tests.unit.wire.conftest import LOOPS

Handler = Callable[[IncomingRequest], Awaitable[Answer]]

GET = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def answer(text: str = "", status: int = 200, *more: tuple[bytes, bytes]) -> Answer:
    return Answer(status, [(b"content-length", str(len(text)).encode()), *more], text.encode())


class Application:
    """Lets a function answer; a request for ``/asgi`` is left to ASGI."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.begun: list[str] = []

    def begin(self, request: IncomingRequest) -> Coroutine[Any, Any, Answer] | None:
        self.begun.append(request.path)
        return None if request.path == "/asgi" else self._answer(request)

    async def _answer(self, request: IncomingRequest) -> Answer:
        return answer("last") if request.path == "/last" else await self.handler(request)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"asgi"})


@asynccontextmanager
async def serving(handler: Handler, grace_seconds: float = 1) -> AsyncIterator[tuple[Listener, Application]]:
    app = Application(handler)
    with bind("127.0.0.1", 0, "none") as sock:
        listener = Listener(app, sock, grace_seconds=grace_seconds, owns_lifespan=False)
        serving = asyncio.create_task(listener.serve(sockets=[sock]))
        await listener.ready.wait()
        try:
            yield listener, app
        finally:
            listener.should_exit = True
            await serving


@asynccontextmanager
async def connecting(listener: Listener) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def send(listener: Listener, *pieces: bytes) -> bytes:
    """What comes until the server closes."""
    async with connecting(listener) as (reader, writer):
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.02)
        return await asyncio.wait_for(reader.read(), 10)


def statuses(answers: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1.1 (\d+) ", answers)]


async def ask_for_all(request: IncomingRequest) -> Answer:
    body, pieces = request.whole_body(), 0
    if body is None:
        body = b""
        while piece := await request.next_piece():
            body, pieces = body + piece, pieces + 1
    assert await request.next_piece() in {b"", body}
    return answer(f"{len(body)} {'whole' if not pieces else 'in pieces'}")


async def test_a_body_that_comes_with_its_head_is_whole() -> None:
    async with serving(ask_for_all) as (listener, _):
        assert b"\r\n\r\n3 wholeHTTP" in await send(listener, POST % 3 + b"abc" + LAST)
        assert b"\r\n\r\n0 wholeHTTP" in await send(listener, GET + LAST)


async def test_a_body_that_comes_later_comes_in_pieces() -> None:
    async with serving(ask_for_all) as (listener, _):
        answers = await send(listener, POST % 5, b"ab", b"c", b"de" + LAST)
        assert b"\r\n\r\n5 in piecesHTTP" in answers
        answers = await send(listener, POST % 1_000_000 + b"x" * 1_000_000 + LAST)
        assert b"\r\n\r\n1000000 in piecesHTTP" in answers


async def test_a_body_of_which_some_was_taken_is_not_whole() -> None:
    async def take(request: IncomingRequest) -> Answer:
        first = await request.next_piece()
        await asyncio.sleep(0.1)
        return answer(f"{first.decode()} {request.whole_body()!r} {(await request.next_piece()).decode()}")

    async with serving(take) as (listener, _):
        assert b"\r\n\r\na None bcHTTP" in await send(listener, POST % 3 + b"a", b"bc" + LAST)


async def test_what_is_not_asked_for_is_not_read() -> None:
    asked = asyncio.Event()

    async def wait(request: IncomingRequest) -> Answer:
        await asked.wait()
        return await ask_for_all(request)

    async with serving(wait) as (listener, _), connecting(listener) as (reader, writer):
        body = b"x" * 20_000_000
        writer.write(POST % len(body) + body)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(writer.drain(), 0.3)
        asked.set()
        await asyncio.wait_for(writer.drain(), 10)
        assert b"200 OK" in await asyncio.wait_for(reader.readline(), 10)


async def test_who_goes_before_its_body_ends_is_told_of() -> None:
    told = asyncio.get_running_loop().create_future()

    async def read(request: IncomingRequest) -> Answer:
        try:
            while True:
                await request.next_piece()
        except Disconnected:
            told.set_result(request.whole_body())
        return answer()

    async with serving(read) as (listener, _):
        async with connecting(listener) as (_, writer):
            writer.write(POST % 5 + b"ab")
            await asyncio.sleep(0.05)
        assert await asyncio.wait_for(told, 5) is None


@pytest.mark.parametrize("cut", [1, len(GET) - 1, len(GET), len(GET) + 1])
async def test_answers_keep_the_order_of_their_requests(cut: int) -> None:
    async def by_path(request: IncomingRequest) -> Answer:
        await asyncio.sleep(0.1 if request.path == "/x" else 0)
        return answer(request.path)

    sent = GET + GET.replace(b"/x", b"/y") + LAST
    async with serving(by_path) as (listener, app):
        answers = await send(listener, sent[:cut], sent[cut:])
    assert re.findall(rb"\r\n\r\n(/\w|last)", answers) == [b"/x", b"/y", b"last"]
    assert app.begun == ["/x", "/y", "/last"]


async def test_a_request_begins_in_its_turn() -> None:
    may_end = asyncio.Event()

    async def wait(request: IncomingRequest) -> Answer:
        await may_end.wait()
        return answer()

    async with serving(wait) as (listener, app), connecting(listener) as (reader, writer):
        writer.write(GET + LAST)
        await asyncio.sleep(0.05)
        assert app.begun == ["/x"]
        may_end.set()
        assert statuses(await asyncio.wait_for(reader.read(), 5)) == [200, 200]


EXPECTING = POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")


async def test_who_waits_to_continue_may_when_its_body_is_asked_for() -> None:
    ask = asyncio.Event()

    async def wait(request: IncomingRequest) -> Answer:
        await ask.wait()
        return await ask_for_all(request)

    async with serving(wait) as (listener, _), connecting(listener) as (reader, writer):
        writer.write(EXPECTING % 2)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)
        ask.set()
        assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5) == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"ab" + LAST)
        assert b"\r\n\r\n2 in piecesHTTP/1.1 200" in await asyncio.wait_for(reader.read(), 5)


async def test_who_waits_to_continue_gets_an_answer_that_needs_no_body_at_once() -> None:
    async def refuse(request: IncomingRequest) -> Answer:
        return answer("too large", 413, (b"connection", b"close"))

    async with serving(refuse) as (listener, _):
        answers = await send(listener, EXPECTING % 1_000_000_000)
    assert statuses(answers) == [413]
    assert answers.count(b"connection: close\r\n") == 1


async def test_who_was_not_told_to_continue_may_leave_its_body_out_so_the_connection_ends() -> None:
    async def refuse(request: IncomingRequest) -> Answer:
        return answer("who are you?", 401)

    async with serving(refuse) as (listener, _):
        left_out = await send(listener, EXPECTING % 62 + GET)
        assert statuses(left_out) == [401], "what comes is not taken for a request, or for the body of one"
        assert left_out.count(b"connection: close\r\n") == 1
        sent_at_once = await send(listener, EXPECTING % 2 + b"ab" + LAST)
    assert statuses(sent_at_once) == [401, 200]


async def test_a_body_that_is_dropped_gets_no_second_answer() -> None:
    async def refuse(request: IncomingRequest) -> Answer:
        return answer("who are you?", 401)

    async with serving(refuse) as (listener, _), connecting(listener) as (reader, writer):
        writer.write(b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        assert (await asyncio.wait_for(reader.readuntil(b"who are you?"), 5)).startswith(b"HTTP/1.1 401")
        writer.write(b"ZZ\r\n")
        assert await asyncio.wait_for(reader.read(), 5) == b""


async def test_what_a_request_has_set_is_gone_in_the_next_one() -> None:
    said: ContextVar[str] = ContextVar("said", default="nothing")

    async def say(request: IncomingRequest) -> Answer:
        before = said.get()
        said.set(request.path)
        return answer(before)

    async with serving(say) as (listener, _), connecting(listener) as (reader, writer):
        writer.write(GET + GET)
        for _ in range(2):
            await asyncio.wait_for(reader.readuntil(b"nothing"), 5)
        writer.write(GET)
        await asyncio.wait_for(reader.readuntil(b"nothing"), 5)


async def test_the_end_of_the_connection_is_said_once() -> None:
    async def end(request: IncomingRequest) -> Answer:
        return answer("", 200, (b"connection", b"close"))

    async with serving(end) as (listener, _):
        for request in (GET, LAST.replace(b"/last", b"/x")):
            assert (await send(listener, request)).count(b"connection: close") == 1


async def test_what_is_still_on_its_way_behind_an_answer_is_dropped() -> None:
    async def refuse(request: IncomingRequest) -> Answer:
        return answer("too large", 413)

    async with serving(refuse) as (listener, _):
        pieces = [POST % 3_000_000 + b"x" * 1_000_000, b"x" * 1_000_000, b"x" * 1_000_000 + LAST]
        assert statuses(await send(listener, *pieces)) == [413, 200]


@pytest.mark.parametrize("sent", [b"G", b"GET /x HT", GET + b"\r\n", GET + b"G", POST % 100 + b"x"])
async def test_who_is_slow_is_let_go(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "HEAD_SECONDS", 0.3)

    async def refuse(request: IncomingRequest) -> Answer:
        return answer()

    async with serving(refuse) as (listener, _):
        whole = 1 if b"\r\n\r\n" in sent else 0
        assert len(statuses(await send(listener, sent[:-1], sent[-1:]))) == whole


async def test_a_slow_head_cuts_no_answer_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "HEAD_SECONDS", 0.1)

    async def wait(request: IncomingRequest) -> Answer:
        await asyncio.sleep(0.5)
        return answer()

    async with serving(wait) as (listener, _):
        assert statuses(await send(listener, GET, b"GET")) == [200]


async def test_a_head_that_has_begun_behind_a_request_ends_soon_or_the_connection_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timeouts, "HEAD_SECONDS", 0.3)

    async def wait(request: IncomingRequest) -> Answer:
        await asyncio.sleep(0.1)
        return answer()

    async with serving(wait) as (listener, _):
        listener.config.timeout_keep_alive = 60
        assert statuses(await send(listener, GET + b"GET")) == [200]


async def test_an_idle_connection_ends_and_a_busy_one_does_not() -> None:
    async def wait(request: IncomingRequest) -> Answer:
        await asyncio.sleep(0.5)
        return answer()

    async with serving(wait) as (listener, _):
        listener.config.timeout_keep_alive = 0.2  # type: ignore[assignment]
        assert statuses(await send(listener, GET + GET)) == [200, 200]


async def test_a_connection_that_was_not_used_yet_is_idle_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Go, for one, keeps a connection in hand that it has opened and did not need."""
    monkeypatch.setattr(timeouts, "HEAD_SECONDS", 0.1)
    async with serving(ask_for_all) as (listener, _):
        async with connecting(listener) as (reader, writer):
            await asyncio.sleep(0.3)
            writer.write(GET + LAST)
            assert statuses(await asyncio.wait_for(reader.read(), 10)) == [200, 200]
        listener.config.timeout_keep_alive = 0.2  # type: ignore[assignment]
        assert await send(listener, b"") == b""


async def test_a_head_gets_no_body() -> None:
    async def say(request: IncomingRequest) -> Answer:
        return answer("a body")

    async with serving(say) as (listener, _):
        answers = await send(listener, GET.replace(b"GET", b"HEAD") + LAST)
    assert b"content-length: 6\r\n\r\nHTTP/1.1 200" in answers


@pytest.mark.parametrize("status", [204, 304])
async def test_some_answers_have_neither_a_body_nor_a_length(status: int) -> None:
    async def say(request: IncomingRequest) -> Answer:
        return Answer(status)

    async with serving(say) as (listener, _):
        answers = await send(listener, GET + LAST)
    assert statuses(answers) == [status, 200]
    assert answers.count(b"content-length") == 1


async def test_what_is_left_out_is_served_by_asgi() -> None:
    async with serving(ask_for_all) as (listener, app):
        answers = await send(listener, GET.replace(b"/x", b"/asgi") + GET + LAST)
    assert re.findall(rb"\r\n\r\n(asgi|0 whole|last)", answers) == [b"asgi", b"0 whole", b"last"]
    assert app.begun == ["/asgi", "/x", "/last"]


WRONG = [
    Answer(200, [(b"content-length", b"1")]),
    Answer(200, [(b"content-length", b"1")], b"xx"),
    Answer(200, [(b"content-length", b"one")], b"x"),
    Answer(200, [], b"x"),
    Answer(200),
    Answer(204, [], b"x"),
    Answer(600, [(b"content-length", b"0")]),
    answer("", 200, (b"x-a", b"a\r\nx-b: b")),
    answer("", 200, (b"x-a", b"a\nb")),
    answer("", 200, (b"x-a", b"a\rb")),
    answer("", 200, (b"x-a", b"a\0b")),
    answer("", 200, (b"x-a\r\nx-b", b"b")),
]


@pytest.mark.parametrize("wrong", [*WRONG, RuntimeError("canary"), asyncio.CancelledError(), KeyboardInterrupt()])
async def test_what_an_application_does_wrong_is_an_answer_of_the_server(
    wrong: Answer | BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(request: IncomingRequest) -> Answer:
        if isinstance(wrong, BaseException):
            raise wrong
        return wrong

    async with serving(fail) as (listener, _):
        answers = await send(listener, GET + LAST)
    head, _, body = answers.partition(b"\r\n\r\n")
    assert statuses(answers) == [500]
    assert head.split(b"\r\n")[2:] == [
        b"content-type: text/plain; charset=utf-8",
        b"content-length: 21",
        b"connection: close",
    ]
    assert body == b"Internal Server Error"
    (record,) = (record for record in caplog.records if record.levelno >= logging.ERROR)
    assert record.exc_info


async def test_an_application_that_cannot_begin_is_answered_for(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(ask_for_all) as (listener, app):
        app.begun = None  # type: ignore[assignment]
        assert statuses(await send(listener, GET)) == [500]
    assert "AttributeError" in caplog.text


async def test_at_the_end_of_the_grace_time_what_is_returned_is_sent() -> None:
    async def wait(request: IncomingRequest) -> Answer:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return answer("stopped", 503)
        raise AssertionError

    async with serving(wait) as (listener, _), connecting(listener) as (reader, writer):
        writer.write(GET)
        await asyncio.sleep(0.1)
        listener.should_exit = True
        assert (await asyncio.wait_for(reader.read(), 10)).endswith(b"connection: close\r\n\r\nstopped")


async def test_a_server_that_stops_answers_what_has_come_and_ends_idle_connections() -> None:
    async def wait(request: IncomingRequest) -> Answer:
        await asyncio.sleep(0.3)
        return answer()

    async with (
        serving(wait) as (listener, _),
        connecting(listener) as (idle, _),
        connecting(listener) as (busy, writer),
    ):
        writer.write(GET + GET)
        await asyncio.sleep(0.1)
        listener.should_exit = True
        assert await asyncio.wait_for(idle.read(), 5) == b""
        answers = await asyncio.wait_for(busy.read(), 5)
    assert statuses(answers) == [200, 200]
    assert answers.count(b"connection: close") == 1


@pytest.mark.parametrize("loop_of", LOOPS.values(), ids=LOOPS)
def test_a_connection_that_waits_to_be_accepted_is_served(loop_of: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """The system has made it already, and would reset it when the socket is closed."""

    async def stop() -> bytes:
        waiting: list[socket.socket] = []

        def connect() -> None:
            waiting.append(socket.create_connection(("127.0.0.1", port)))
            waiting[0].sendall(GET)

        with bind("127.0.0.1", 0, "none") as sock:
            port = sock.getsockname()[1]
            app = Application(ask_for_all)
            listener = Listener(app, sock, grace_seconds=5, owns_lifespan=False, end_streams=connect)
            serving = asyncio.create_task(listener.serve(sockets=[sock]))
            await listener.ready.wait()
            listener.should_exit = True
            await serving
        with waiting[0] as client:
            client.settimeout(5)
            return client.recv(65_536)

    with asyncio.Runner(loop_factory=loop_of) as runner:
        answers = runner.run(stop())
    assert statuses(answers) == [200]
    assert b"connection: close" in answers


@pytest.mark.parametrize("begun", [POST % 5 + b"ab", GET + POST % 5 + b"ab", GET + b"GET /x", b""])
async def test_who_sends_no_body_that_nobody_needs_makes_room(begun: bytes) -> None:
    """Neither who only begins one, nor who does so behind another request."""

    async def take(request: IncomingRequest) -> Answer:
        request.is_dispensable = True
        return await ask_for_all(request)

    async with serving(take) as (listener, _):
        listener.server_state.limit = ConnectionLimit(1, 0)
        async with connecting(listener) as (reader, writer):
            writer.write(begun)
            await asyncio.sleep(0.1)
            assert statuses(await send(listener, LAST)) == [200]
            assert statuses(await asyncio.wait_for(reader.read(), 5)) == [200] * begun.count(GET)


async def test_who_waits_for_an_answer_makes_no_room() -> None:
    release = asyncio.Event()

    async def wait(_: IncomingRequest) -> Answer:
        await release.wait()
        return answer()

    async with serving(wait) as (listener, _):
        listener.server_state.limit = ConnectionLimit(1, 1)
        async with connecting(listener) as (reader, writer):
            writer.write(POST % 2 + b"ab")
            await asyncio.sleep(0.1)
            assert statuses(await send(listener, GET)) == [503]
            release.set()
            assert (await asyncio.wait_for(reader.readline(), 5)).split()[1] == b"200"


class Uncopied(socket.socket):
    """A socket of a process that has no descriptor left."""

    def dup(self) -> Self:
        raise OSError(errno.EMFILE, "Too many open files")


async def test_a_server_without_descriptors_stops_as_any_other() -> None:
    async def wait(_: IncomingRequest) -> Answer:
        await asyncio.sleep(0.2)
        return answer("served")

    with bind("127.0.0.1", 0, "none") as bound, Uncopied(fileno=bound.detach()) as sock:
        listener = Listener(Application(wait), sock, grace_seconds=5, owns_lifespan=False)
        serving = asyncio.create_task(listener.serve(sockets=[sock]))
        await listener.ready.wait()
        async with connecting(listener) as (reader, writer):
            writer.write(GET)
            await asyncio.sleep(0.1)
            listener.should_exit = True
            assert (await asyncio.wait_for(reader.read(), 5)).endswith(b"served")
        await serving


class Stubborn(asyncio.Protocol):
    """Sends, and takes nothing of what comes."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()


async def test_who_takes_no_answers_is_let_go_and_makes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "WRITE_SECONDS", 0.5)

    async def say(request: IncomingRequest) -> Answer:
        return answer("x" * 4_000_000)

    async with serving(say) as (listener, app):
        loop = asyncio.get_running_loop()
        transport, stubborn = await loop.create_connection(lambda: Stubborn(GET * 50), "127.0.0.1", listener.port)
        try:
            await asyncio.sleep(0.3)
            assert len(app.begun) < 10
            for _ in range(200):
                if not listener.server_state.connections:
                    break
                await asyncio.sleep(0.02)
            assert not listener.server_state.connections
            await asyncio.sleep(0.05)
            assert not listener.server_state.tasks
            assert len(app.begun) < 10
        finally:
            transport.abort()
            await stubborn.lost.wait()
