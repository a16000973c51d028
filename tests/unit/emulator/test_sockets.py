"""The frames of one client: which are written at once, which wait, and that none overtakes another."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from signalr_bridge.emulator.sockets import ClientSocket
from starlette.types import Message


class Writer:
    """Takes frames while ``takes`` is set, as a connection does whose client reads. ASGI messages go here, too.

    With ``room`` it takes so many of those that waited.
    """

    def __init__(self) -> None:
        self.takes = asyncio.Event()
        self.takes.set()
        self.written: list[bytes] = []
        self.room = 1000
        self.is_cut = self.is_gone = False
        self._received: asyncio.Queue[Message] = asyncio.Queue()

    def try_write(self, frame: bytes) -> bool:
        if not self.takes.is_set() or self.is_gone:
            return False
        self.written.append(frame)
        return True

    async def write(self, frame: bytes) -> None:
        await self.takes.wait()
        if self.is_gone:
            raise ConnectionResetError
        self.written.append(frame)
        self.room -= 1
        if self.room == 0:
            self.takes.clear()

    def abort(self) -> None:
        self.is_cut = self.is_gone = True
        self._received.put_nowait({"type": "websocket.disconnect"})
        self.takes.set()

    def disconnect(self) -> None:
        self.is_gone = True
        self._received.put_nowait({"type": "websocket.disconnect"})

    async def receive(self) -> Message:
        return await self._received.get()

    async def send(self, message: Message) -> None:
        await self.takes.wait()
        self.written.append(message["type"].encode())


@asynccontextmanager
async def opened(writer: Writer, *, outgoing_limit: int = 10, send_seconds: float = 30) -> AsyncIterator[ClientSocket]:
    socket = ClientSocket(
        writer.receive,
        writer.send,
        writer,
        outgoing_limit=outgoing_limit,
        grace_seconds=0,
        send_seconds=send_seconds,
    )
    async with socket:
        yield socket


async def settle() -> None:
    """Lets all other tasks do what they can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_frame_is_written_at_once_while_the_client_keeps_up() -> None:
    writer = Writer()
    async with opened(writer) as socket:
        socket.deliver(b"1")
        socket.deliver(b"2")
        assert writer.written == [b"1", b"2"], "no task had its turn yet"


async def test_no_frame_overtakes_those_that_wait() -> None:
    writer = Writer()
    async with opened(writer) as socket:
        writer.takes.clear()
        socket.deliver(b"1")
        writer.takes.set()
        socket.deliver(b"2")  # the queue has not had its turn yet
        assert writer.written == []
        await settle()
        assert writer.written == [b"1", b"2"]


async def test_no_frame_overtakes_one_that_is_about_to_be_written() -> None:
    writer = Writer()
    async with opened(writer) as socket:
        writer.takes.clear()
        socket.deliver(b"1")
        await settle()  # it has left the queue, which is empty, and waits for the client
        writer.takes.set()
        socket.deliver(b"2")
        await settle()
        assert writer.written == [b"1", b"2"]


async def test_no_frame_overtakes_the_rest_of_those_that_wait() -> None:
    writer = Writer()
    async with opened(writer) as socket:
        writer.takes.clear()
        socket.deliver(b"1")
        socket.deliver(b"2")
        writer.room = 1
        writer.takes.set()
        await settle()
        assert writer.written == [b"1"]
        writer.takes.set()
        socket.deliver(b"3")
        await settle()
        assert writer.written == [b"1", b"2", b"3"]


async def test_a_client_that_has_caught_up_waits_for_no_task_again() -> None:
    writer = Writer()
    async with opened(writer) as socket:
        writer.takes.clear()
        socket.deliver(b"1")
        writer.takes.set()
        await settle()
        socket.deliver(b"2")
        assert writer.written == [b"1", b"2"]


async def test_a_client_for_whom_too_much_waits_is_cut() -> None:
    writer = Writer()
    async with opened(writer, outgoing_limit=3) as socket:
        writer.takes.clear()
        for number in range(3):
            socket.deliver(b"%d" % number)
        assert not writer.is_cut
        socket.deliver(b"3")
        assert writer.is_cut
        assert socket.failure == "The client did not read its messages."
        assert await socket.receive() is None
        socket.deliver(b"4")
    assert writer.written == []


async def test_a_client_that_takes_nothing_for_too_long_is_cut() -> None:
    writer = Writer()
    async with opened(writer, send_seconds=0.01) as socket:
        writer.takes.clear()
        socket.deliver(b"1")
        assert await socket.receive() is None
        assert writer.is_cut
        assert socket.failure == "The client did not read its messages."


@pytest.mark.parametrize("takes", [True, False])
async def test_the_farewell_and_the_close_come_last(takes: bool) -> None:
    writer = Writer()
    async with opened(writer) as socket:
        if not takes:
            writer.takes.clear()
        socket.deliver(b"1")
        socket.end(b"farewell")
        socket.deliver(b"2")
        await settle()
        writer.takes.set()
    assert writer.written == [b"1", b"farewell", b"websocket.close"]


async def test_nothing_is_kept_for_a_client_that_has_gone(caplog: pytest.LogCaptureFixture) -> None:
    writer = Writer()
    async with opened(writer, outgoing_limit=3) as socket:
        writer.disconnect()
        assert await socket.receive() is None
        for _ in range(100):
            socket.deliver(b"1")
    assert writer.written == []
    assert caplog.records == []
