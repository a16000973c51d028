"""A WebSocket that takes whole frames: nothing comes behind its close, and who has gone is no error."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import TypeAlias

import pytest
import uvloop
from signalr_bridge.protocol.websocket_frame import write_text
from signalr_bridge.wire.sockets import open_socket
from signalr_bridge.wire.websocket import CONNECTION, FrameSocket, WebSocketServer
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

FRAME = write_text(b"frame")
CLOSE = {"type": "websocket.close", "code": 1000}

Talk: TypeAlias = Callable[[FrameSocket, Receive, Send], Awaitable[None]]
Meet: TypeAlias = Callable[[Talk, Callable[[ClientConnection], Awaitable[None]]], None]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def meet(request: pytest.FixtureRequest) -> Meet:
    """Lets a server and a client talk. The loops' transports differ in what a write does that comes too late."""

    def run(talk: Talk, visit: Callable[[ClientConnection], Awaitable[None]]) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(_meet(talk, visit))

    return run


async def _meet(talk: Talk, visit: Callable[[ClientConnection], Awaitable[None]]) -> None:
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        try:
            await talk(scope["state"][CONNECTION], receive, send)
        except BaseException as error:
            ended.set_exception(error)
        else:
            ended.set_result(None)

    server = WebSocketServer(app, [open_socket("127.0.0.1", 0)])
    await server.start()
    try:
        async with connect(f"ws://127.0.0.1:{server.port}/", proxy=None) as client:
            await visit(client)
        await asyncio.wait_for(ended, 30)
    finally:
        await server.stop()


def read(*expected: str, code: int) -> Callable[[ClientConnection], Coroutine[None, None, None]]:
    """A client that reads these messages and the close frame."""

    async def visit(client: ClientConnection) -> None:
        for message in expected:
            assert await asyncio.wait_for(client.recv(), 30) == message
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(client.recv(), 30)
        assert (closed.value.rcvd.code if closed.value.rcvd is not None else 1006) == code

    return visit


def test_frames_and_messages_of_asgi_stay_in_order(meet: Meet) -> None:
    async def talk(connection: FrameSocket, receive: Receive, send: Send) -> None:
        assert connection.try_write(write_text(b"1"))
        await send({"type": "websocket.send", "text": "2"})
        await connection.write(write_text(b"3"))
        await send(CLOSE)

    meet(talk, read("1", "2", "3", code=1000))


def test_nothing_comes_behind_a_close_frame(meet: Meet) -> None:
    async def talk(connection: FrameSocket, receive: Receive, send: Send) -> None:
        await send(CLOSE)
        assert not connection.try_write(FRAME)
        with pytest.raises(ConnectionError):
            await connection.write(FRAME)

    meet(talk, read(code=1000))


@pytest.mark.parametrize("orderly", [True, False])
def test_to_write_to_a_client_that_has_gone_is_no_error(
    meet: Meet, orderly: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def talk(connection: FrameSocket, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "websocket.disconnect"
        for _ in range(10):  # asyncio logs the fifth write that comes too late
            assert not connection.try_write(FRAME)
            with pytest.raises(ConnectionError):
                await connection.write(FRAME)
            await asyncio.sleep(0)

    async def go(client: ClientConnection) -> None:
        if orderly:
            await client.close()
        else:
            client.transport.abort()

    meet(talk, go)
    assert caplog.records == []


def test_a_connection_that_was_cut_takes_nothing(meet: Meet) -> None:
    async def talk(connection: FrameSocket, receive: Receive, send: Send) -> None:
        connection.abort()
        assert not connection.try_write(FRAME)
        assert (await receive())["type"] == "websocket.disconnect"

    meet(talk, read(code=1006))


def test_a_client_that_is_behind_gets_a_frame_when_it_has_caught_up(meet: Meet) -> None:
    text, sent, behind = "x" * 1_000_000, 0, asyncio.Event()

    async def talk(connection: FrameSocket, receive: Receive, send: Send) -> None:
        nonlocal sent
        while connection.try_write(write_text(text.encode())):
            sent += 1
            await asyncio.sleep(0)
        behind.set()
        await connection.write(FRAME)
        await send(CLOSE)

    async def visit(client: ClientConnection) -> None:
        client.transport.pause_reading()
        await behind.wait()
        client.transport.resume_reading()
        await read(*[text] * sent, "frame", code=1000)(client)

    meet(talk, visit)
