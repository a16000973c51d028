"""An answer in pieces, given to one connection of the HTTP client without a socket: what its caller gets."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from signalr_bridge.wire.client_protocol import Connection, Exchange
from signalr_bridge.wire.exchange import CallFailed, Response

_LOOP = asyncio.new_event_loop()  # for futures, which nobody waits for; it never runs
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def get_write_buffer_size(self) -> int:
        return 0


class Keeper:
    """Keeps one connection, and checks that it is used rightly."""

    def __init__(self) -> None:
        self.released = 0
        self.removed = self.lost = False
        self.late: Exchange | None = None
        """What is to expire because its body is not wanted."""

    def release(self, connection: Connection) -> None:
        assert not connection.is_closing
        assert not self.removed
        self.released += 1

    def remove(self, connection: Connection) -> None:
        self.removed = True

    def gain(self, connection: Connection) -> None:
        pass

    def lose(self, connection: Connection) -> None:
        self.lost = True

    def give_up(self, exchange: Exchange) -> None:
        raise AssertionError("it was sent")

    def start_timeout(self, exchange: Exchange, seconds: float) -> None:
        exchange.bucket = {exchange}
        self.late = exchange


@dataclass(frozen=True, slots=True)
class End:
    """What became of a request.

    Attributes:
        outcome: What its caller gets.
        is_kept: Whether the connection was free for the next request before the peer hung up.
    """

    outcome: Response | CallFailed
    is_kept: bool


def feed(pieces: Iterable[bytes], *, is_head: bool = False, largest: int | None = 1000, reset: bool = False) -> End:
    """Make a request, give the connection all pieces, and then hang up, with a reset or without."""
    keeper, wire = Keeper(), Wire()
    connection = Connection(keeper)
    connection.connection_made(wire)
    exchange = Exchange(keeper, _LOOP.create_future(), REQUEST, is_head, largest)
    exchange.bucket = {exchange}
    connection.send(exchange)
    assert wire.written == REQUEST
    for piece in pieces:
        if not wire.closed:
            connection.data_received(piece)
            assert keeper.released <= 1
    is_kept = not wire.closed and keeper.released == 1
    if not wire.closed and not reset:
        connection.eof_received()
    connection.connection_lost(ConnectionResetError() if reset else None)
    assert keeper.lost
    assert keeper.removed
    assert exchange.future.done(), "its caller waits for ever"
    assert not exchange.bucket, "its time goes on"
    error = exchange.future.exception()
    if error is None:
        return End(_checked(exchange.future.result(), largest), is_kept)
    assert isinstance(error, CallFailed), error
    return End(error, is_kept)


def _checked(response: Response, largest: int | None) -> Response:
    assert 200 <= response.status <= 999
    assert len(response.body) <= (largest or 0)
    assert dict(response.headers).keys() == {name.decode("latin-1").lower() for name, _ in response.lines}
    return response


def cut(data: bytes, size: int) -> list[bytes]:
    """The bytes in pieces of so many."""
    return [data[index : index + size] for index in range(0, len(data), size)]


def read_answer(data: bytes) -> End:
    """The first byte says how the rest is fed."""
    how, data = (data[0], data[1:]) if data else (0, b"")
    largest = (None, 0, 7, 100_000)[how >> 1 & 3]
    return feed(cut(data, 1 + (how >> 4) ** 3), is_head=bool(how & 1), largest=largest, reset=bool(how & 8))
