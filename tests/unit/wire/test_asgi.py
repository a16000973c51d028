"""ASGI applications on our own protocol: when bytes go out, what they do wrong, and who is told of the end."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from signalr_bridge.wire.http_protocol import ListenerState
from starlette.types import Message, Receive, Scope, Send

from tests.unit.wire.connection import DATE, PEER, Wire, connect

GET = b"GET /a%20b?q=%20 HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\ndate: %s\r\n" % DATE
BROKEN = (
    b"HTTP/1.1 500 Internal Server Error\r\ndate: %s\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: 21\r\nconnection: close\r\n\r\nInternal Server Error" % DATE
)

Application = Callable[[Scope, Receive, Send], Awaitable[Any]]


def start(*headers: tuple[bytes, bytes], status: int = 200) -> Message:
    return {"type": "http.response.start", "status": status, "headers": headers}


def body(text: bytes = b"", more: bool = False) -> Message:
    return {"type": "http.response.body", "body": text, "more_body": more}


def length(number: int) -> tuple[bytes, bytes]:
    return (b"content-length", str(number).encode())


def sending(*messages: Message) -> Application:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


async def serve(app: Application, sent: bytes = GET) -> Wire:
    wire, state = Wire(), ListenerState()
    connect(app, state, wire).data_received(sent)
    await asyncio.gather(*state.tasks)
    await asyncio.sleep(0)
    return wire


async def test_the_scope_is_that_of_the_specification() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await sending(start(length(0)), body())(scope, receive, send)

    await serve(app)
    assert seen == [
        {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/a b",
            "raw_path": b"/a%20b",
            "query_string": b"q=%20",
            "root_path": "",
            "headers": [(b"host", b"x"), (b"x-a", b"1")],
            "client": PEER,
            "server": ("127.0.0.1", 1),
            "state": {},
        }
    ]


@pytest.mark.parametrize(
    ("sent", "messages", "expected"),
    [
        (GET, [start(length(2)), body(b"ab")], [HEAD + b"content-length: 2\r\n\r\nab"]),
        (
            GET,
            [start(length(2)), body(b"a", more=True), body(b"b")],
            [HEAD + b"content-length: 2\r\n\r\na", b"b"],
        ),
        (
            GET,
            [start(), body(b"ab", more=True), body(b"", more=True), body()],
            [HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n", b"0\r\n\r\n"],
        ),
        (
            GET,
            [start((b"Transfer-Encoding", b"chunked"), (b"X", b"y")), body(b"ab")],
            [HEAD + b"transfer-encoding: chunked\r\nx: y\r\n\r\n2\r\nab\r\n0\r\n\r\n"],
        ),
        (GET, [start(status=204), body()], [HEAD.replace(b"200 OK", b"204 No Content") + b"\r\n"]),
        (
            GET,
            [start(length(0), status=599), body()],
            [HEAD.replace(b"200 OK", b"599 ") + b"content-length: 0\r\n\r\n"],
        ),
        (GET.replace(b"GET", b"HEAD"), [start(length(2)), body(b"ab")], [HEAD + b"content-length: 2\r\n\r\n"]),
        (GET.replace(b"GET", b"HEAD"), [start(), body(b"ab")], [HEAD + b"\r\n"]),
        (
            GET.replace(b"X-A: 1", b"Connection: close"),
            [start(), body(b"a")],
            [HEAD + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"],
        ),
        (
            GET,
            [start(length(0), (b"connection", b"x, Close")), body()],
            [HEAD + b"content-length: 0\r\nconnection: x, Close\r\n\r\n"],
        ),
    ],
)
async def test_head_and_body_go_out_together(sent: bytes, messages: list[Message], expected: list[bytes]) -> None:
    wire = await serve(sending(*messages), sent)
    assert wire.writes == expected
    assert wire.closed is (b"lose" in expected[0])


async def test_a_head_does_not_wait_for_its_body() -> None:
    more = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await more.wait()
        await send(body(b"ab"))

    wire, state = Wire(), ListenerState()
    connect(app, state, wire).data_received(GET)
    for _ in range(3):
        await asyncio.sleep(0)
    assert wire.writes == [HEAD + b"transfer-encoding: chunked\r\n\r\n"]
    more.set()
    await asyncio.gather(*state.tasks)
    assert wire.writes[1:] == [b"2\r\nab\r\n0\r\n\r\n"]


async def fail(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError("canary")


async def begin_and_fail(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(length(2)))
    await send(body(b"a", more=True))
    raise RuntimeError("canary")


async def begin_and_fail_at_once(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(length(2)))
    raise RuntimeError("canary")


async def give(scope: Scope, receive: Receive, send: Send) -> str:
    return "something"


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        (fail, BROKEN),
        (sending(), BROKEN),
        (sending(body(b"a")), BROKEN),
        (give, b""),
        (begin_and_fail, HEAD + b"content-length: 2\r\n\r\na"),
        (begin_and_fail_at_once, HEAD + b"content-length: 2\r\n\r\n"),
        (sending(start(length(2))), HEAD + b"content-length: 2\r\n\r\n"),
        (sending(start(length(2)), start(length(2))), HEAD + b"content-length: 2\r\n\r\n"),
        (sending(start(length(2)), body(b"a")), HEAD + b"content-length: 2\r\n\r\na"),
        (sending(start(length(2)), body(b"abc")), HEAD + b"content-length: 2\r\n\r\n"),
        (sending(start(length(0), (b"x", b"a\r\nb: c")), body()), b""),
        (sending(start(length(0), (b"x y", b"a")), body()), b""),
    ],
)
async def test_what_an_application_does_wrong_ends_the_connection(
    app: Application, expected: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    wire = await serve(app)
    assert wire.written == expected
    assert wire.closed
    assert [record.levelno for record in caplog.records if record.name == "uvicorn.error"] == [logging.ERROR]


async def test_a_message_behind_the_answer_is_an_error_that_the_client_does_not_see(
    caplog: pytest.LogCaptureFixture,
) -> None:
    wire = await serve(sending(start(length(0)), body(), body()))
    assert wire.writes == [HEAD + b"content-length: 0\r\n\r\n"]
    assert "already completed" in caplog.text


async def test_the_end_of_the_connection_and_of_the_answer_are_told() -> None:
    told: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        watching = [asyncio.create_task(watch(receive)) for _ in range(2)]  # as many as may ask at once
        if scope["path"] != "/answered":
            await asyncio.gather(*watching)
        await sending(start(length(0)), body())(scope, receive, send)
        await asyncio.gather(*watching)

    async def watch(receive: Receive) -> None:
        while (message := await receive())["type"] != "http.disconnect":
            assert message == {"type": "http.request", "body": b"", "more_body": False}
        told.append(message["type"])

    wire, state = Wire(), ListenerState()
    protocol = connect(app, state, wire)
    protocol.data_received(GET)
    for _ in range(5):
        await asyncio.sleep(0)
    assert told == []
    protocol.connection_lost(None)
    await asyncio.gather(*state.tasks)
    assert told == ["http.disconnect"] * 2
    assert (wire.writes, state.total_requests) == ([], 0)
    await serve(app, GET.replace(b"/a%20b", b"/answered"))
    assert told == ["http.disconnect"] * 4


async def test_no_problem_is_written_into_an_answer() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"ab", more=True))
        while (await receive())["type"] != "http.disconnect":
            pass

    wire, state = Wire(), ListenerState()
    protocol = connect(app, state, wire)
    protocol.data_received(GET.replace(b"GET", b"POST").replace(b"X-A: 1", b"Transfer-Encoding: chunked"))
    for _ in range(3):
        await asyncio.sleep(0)
    protocol.data_received(b"nonsense\r\n")
    assert wire.written.endswith(b"\r\n\r\n2\r\nab\r\n")
    assert wire.closed
    protocol.connection_lost(None)
    await asyncio.gather(*state.tasks)


async def test_behind_the_head_of_an_answer_nobody_may_continue() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(length(0)))
        await asyncio.wait_for(receive(), 5)
        await send(body())

    wire, state = Wire(), ListenerState()
    protocol = connect(app, state, wire)
    protocol.data_received(
        GET.replace(b"GET", b"POST").replace(b"X-A: 1", b"Expect: 100-continue\r\nContent-Length: 1")
    )
    await asyncio.sleep(0)
    protocol.data_received(b"x")
    await asyncio.gather(*state.tasks)
    assert wire.written == HEAD + b"content-length: 0\r\nconnection: close\r\n\r\n", "the body may not come"


async def test_the_lifespans_state_is_copied_for_each_request() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        mine = b"new" if scope["state"].setdefault("mine", scope) is scope else b"old"
        await sending(start(length(3)), body(mine))(scope, receive, send)

    wire = await serve(app, GET + GET)
    for _ in range(10):
        await asyncio.sleep(0)
    assert wire.written == (HEAD + b"content-length: 3\r\n\r\nnew") * 2


async def test_a_body_is_handed_over_as_it_comes() -> None:
    messages: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while not messages or messages[-1]["more_body"]:
            messages.append(await receive())
        await sending(start(length(0)), body())(scope, receive, send)

    wire, state = Wire(), ListenerState()
    protocol = connect(app, state, wire)
    post = GET.replace(b"GET", b"POST").replace(b"X-A: 1", b"Content-Length: 4")
    for piece in (post + b"a", b"bc", b"d"):
        protocol.data_received(piece)
        for _ in range(3):
            await asyncio.sleep(0)
    assert [(one["body"], one["more_body"]) for one in messages] == [(b"a", True), (b"bc", True), (b"d", False)]
