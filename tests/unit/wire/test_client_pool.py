"""The connections that the client keeps: how many there are, who waits for one, and when they end."""

import asyncio
import gc
import socket
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from signalr_bridge.wire.client import (
    CallFailed,
    Client,
    ClientOptions,
    ConnectTimedOut,
    NoResponse,
    NotSent,
    Pool,
    PoolExhausted,
    Response,
)
from signalr_bridge.wire.client_protocol import Connection, Exchange
from signalr_bridge.wire.dialer import Dialer, Origin
from signalr_bridge.wire.timeouts import TimeoutWheel

from tests.fuzz.answers import Wire
from tests.unit.wire.scripted_peer import Peer, Visit, forever, once, scripted

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def begin(
    client: Client, peer: Peer, target: str = "/", *, seconds: float = 5.0, body: bytes | None = None
) -> asyncio.Future[Response]:
    return client.begin("POST", peer.http, target, b"", body, seconds=seconds, largest=1000)


async def failure_of(call: asyncio.Future[Response]) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        await call
    return caught.value


class Gate:
    """Answers once it is opened. ``came`` counts what waits."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.came: asyncio.Queue[bytes] = asyncio.Queue()
        self.answered = Counter[int]()
        """How many requests each connection has had."""

    async def script(self, visit: Visit) -> None:
        while True:
            self.came.put_nowait(await visit.request())
            await self.opened.wait()
            self.answered[visit.number] += 1
            await visit.write(OK)

    async def count(self, number: int) -> None:
        async with asyncio.timeout(5):
            for _ in range(number):
                await self.came.get()


async def test_there_are_so_many_connections_and_no_more() -> None:
    async def slowly(visit: Visit) -> None:
        while True:
            await visit.request()
            await asyncio.sleep(0.005)
            await visit.write(OK)

    async with scripted(slowly) as peer, Client(ClientOptions(connections=3)) as client:
        responses = await asyncio.gather(*(begin(client, peer, f"/{number}") for number in range(30)))
        assert {one.status for one in responses} == {200}
        assert (peer.at_once, len(peer.visits)) == (3, 3)
        # in the order in which they came, as far as three connections have one
        order = [int(one.split(b" ")[1][1:]) for one in peer.seen]
        assert sorted(order) == list(range(30))
        assert all(abs(number - place) < 6 for place, number in enumerate(order))


async def test_the_connection_that_was_used_last_is_used_first() -> None:
    gate = Gate()
    async with scripted(gate.script) as peer, Client(ClientOptions()) as client:
        calls = [begin(client, peer) for _ in range(3)]
        await gate.count(3)
        gate.opened.set()
        await asyncio.gather(*calls)
        for _ in range(5):
            await begin(client, peer)
        assert len(peer.visits) == 3
        assert sorted(gate.answered.values()) == [1, 1, 6]


async def test_a_request_that_waits_too_long_for_a_connection_was_not_sent() -> None:
    gate = Gate()
    async with scripted(gate.script) as peer, Client(ClientOptions(connections=1)) as client:
        first = begin(client, peer, "/first")
        await gate.count(1)
        failure = await failure_of(begin(client, peer, "/second", seconds=0.05))
        assert type(failure) is PoolExhausted
        assert issubclass(PoolExhausted, NotSent)
        gate.opened.set()
        assert (await first).body == b"ok"
        assert (await begin(client, peer, "/third")).body == b"ok"
        assert [one.split(b" ")[1] for one in peer.seen] == [b"/first", b"/third"]


async def test_so_many_requests_wait_and_no_more() -> None:
    gate = Gate()
    async with scripted(gate.script) as peer, Client(ClientOptions(connections=1, waiting=2)) as client:
        calls = [begin(client, peer)]
        await gate.count(1)
        calls += [begin(client, peer) for _ in range(2)]
        assert type(await failure_of(begin(client, peer))) is PoolExhausted
        gate.opened.set()
        assert {one.status for one in await asyncio.gather(*calls)} == {200}
        assert len(peer.seen) == 3


async def test_who_gives_up_leaves_the_queue() -> None:
    gate = Gate()
    async with scripted(gate.script) as peer, Client(ClientOptions(connections=1, waiting=2)) as client:
        first = begin(client, peer, "/first")
        await gate.count(1)
        gone = [begin(client, peer, "/gone") for _ in range(2)]
        for call in gone:
            call.cancel()
        await asyncio.sleep(0)
        last = [begin(client, peer, "/last") for _ in range(2)]  # there is room for them
        last[0].cancel()  # and who gives up at the last moment gets no connection either
        gate.opened.set()
        assert (await first).body == (await last[1]).body == b"ok"
        assert [one.split(b" ")[1] for one in peer.seen] == [b"/first", b"/last"]


async def test_who_has_just_given_up_gets_no_connection() -> None:
    loop = asyncio.get_running_loop()
    wheel, origin = TimeoutWheel(loop), Origin(False, "x", 80, "x")
    pool = Pool(origin, ClientOptions(connections=0), wheel, loop)
    wire, connection = Wire(), Connection(pool)
    connection.connection_made(wire)
    exchanges = [Exchange(pool, loop.create_future(), b"%d" % number, False, None) for number in range(4)]
    for exchange in exchanges:
        pool.begin(exchange, 5.0)
    for exchange in exchanges[:2]:
        exchange.future.cancel()
    pool.release(connection)  # before anybody could be told of it
    assert wire.written == b"2"
    connection.data_received(OK)
    assert wire.written == b"23"
    connection.data_received(OK)
    assert not exchanges[0].bucket
    wheel.close()


async def test_who_gives_up_under_way_ends_the_connection_by_its_deadline() -> None:
    gate = Gate()
    async with scripted(gate.script) as peer, Client(ClientOptions()) as client:
        call = begin(client, peer, seconds=0.1)
        await gate.count(1)
        call.cancel()
        assert await peer.visits[0].until_gone() == b""
        gate.opened.set()
        async with asyncio.timeout(5):
            assert await peer.ended.get() == 1


async def test_an_error_that_no_network_raises_leaves_the_pool_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> Any:
        raise RuntimeError("can't start new thread")

    gate = Gate()
    gate.opened.set()
    async with scripted(gate.script) as peer, Client(ClientOptions(connections=1)) as client:
        with monkeypatch.context() as broken:
            broken.setattr("signalr_bridge.wire.dialer.Dialer.connect", fail)
            assert str(await failure_of(begin(client, peer))) == "RuntimeError"
        assert (await begin(client, peer)).body == b"ok"


async def test_a_large_answer_to_who_gave_up_is_not_read() -> None:
    came = asyncio.Event()

    async def script(visit: Visit) -> None:
        await visit.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        came.set()
        while True:
            await visit.write(b"x")
            await asyncio.sleep(0.001)

    async with scripted(script) as peer, Client(ClientOptions()) as client:
        call = client.begin("GET", peer.http, "/", b"", seconds=60, largest=1_000_000_000)
        await came.wait()
        call.cancel()
        async with asyncio.timeout(5):
            assert await peer.ended.get() == 1


async def test_an_answer_to_who_gave_up_frees_the_connection() -> None:
    gate = Gate()
    async with scripted(gate.script) as peer, Client(ClientOptions(connections=1)) as client:
        call = begin(client, peer)
        await gate.count(1)
        call.cancel()
        gate.opened.set()
        assert (await begin(client, peer)).body == b"ok"
        assert len(peer.visits) == 1


async def test_failures_that_nobody_looks_at_are_not_logged() -> None:
    logged: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: logged.append(context))
    async with scripted(once(b"no HTTP\r\n\r\n")) as peer, Client(ClientOptions(connections=1, waiting=1)) as client:
        calls = [begin(client, peer, seconds=0.05) for _ in range(4)]
        calls.append(client.begin("GET", "nowhere", "/", b"", seconds=1, largest=None))
        await asyncio.wait(calls)
        del calls
        gc.collect()
        await asyncio.sleep(0)
    assert logged == []


async def test_an_idle_connection_is_kept_for_so_long() -> None:
    async with scripted(forever(OK)) as peer, Client(ClientOptions(idle_seconds=0.1)) as client:
        await asyncio.gather(*(begin(client, peer) for _ in range(3)))
        async with asyncio.timeout(5):
            assert {await peer.ended.get() for _ in peer.visits} == {visit.number for visit in peer.visits}
        assert (await begin(client, peer)).status == 200


async def test_a_connection_that_is_used_is_not_closed_as_idle() -> None:
    async with scripted(forever(OK)) as peer, Client(ClientOptions(idle_seconds=0.2)) as client:
        for _ in range(20):
            await begin(client, peer)
            await asyncio.sleep(0.02)
        assert len(peer.visits) == 1


async def test_a_connection_that_slept_with_the_process_is_not_used() -> None:
    """The loop stood still for longer than a connection is kept: the peer has closed it, and nobody has told us yet."""
    async with scripted(forever(OK)) as peer, Client(ClientOptions(idle_seconds=0.2)) as client:
        await begin(client, peer)
        time.sleep(0.3)  # noqa: ASYNC251
        await asyncio.sleep(0)  # uvloop looks at the clock once in each round
        await begin(client, peer)
        assert len(peer.visits) == 2


async def test_a_connection_that_its_peer_closes_is_not_used() -> None:
    async with scripted(once(OK)) as peer, Client(ClientOptions()) as client:
        for number in range(1, 4):
            assert (await begin(client, peer)).body == b"ok"
            await peer.ended.get()
            await asyncio.sleep(0.02)
            assert len(peer.visits) == number


async def test_a_request_that_waits_gets_a_new_connection_when_the_old_one_ends() -> None:
    closing = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    async with scripted(once(closing)) as peer, Client(ClientOptions(connections=1)) as client:
        done = await asyncio.gather(*(begin(client, peer) for _ in range(5)))
        assert {one.body for one in done} == {b"ok"}
        assert len(peer.seen) == len(peer.visits) == 5
        assert peer.at_once <= 2  # the peer sees the end of the old one late


def refused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


async def test_all_that_wait_for_a_refused_connection_are_told() -> None:
    peer = Peer(forever(OK), port=refused_port())
    async with Client(ClientOptions(connections=2)) as client:
        failures = [await failure_of(call) for call in [begin(client, peer) for _ in range(20)]]
        assert {(type(one), str(one)) for one in failures} == {(NotSent, "ConnectFailed")}


async def test_a_connection_that_cannot_be_made_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=8) as deaf:
        async with Client(ClientOptions(connections=1)) as client:
            origin = f"https://127.0.0.1:{deaf.getsockname()[1]}"
            calls = [client.begin("GET", origin, "/", b"", seconds=0.1, largest=None) for _ in range(3)]
            assert [type(await failure_of(call)) for call in calls] == [ConnectTimedOut] * 3


async def test_a_peer_that_speaks_first_is_not_asked_again_and_again() -> None:
    async def greet(visit: Visit) -> None:
        await visit.write(b"220 mail.example\r\n")
        await visit.until_gone()

    async with scripted(greet) as peer, Client(ClientOptions(connections=4)) as client:
        failures = [await failure_of(call) for call in [begin(client, peer) for _ in range(4)]]
        assert all(isinstance(one, CallFailed) for one in failures)
        assert len(peer.visits) <= 8


async def test_nothing_is_sent_on_a_connection_that_ended_as_it_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = Wire()

    async def connect(self: Dialer, make: Callable[[], Connection]) -> Connection:
        connection = make()
        connection.connection_made(wire)
        connection.data_received(b"220 mail.example\r\n")
        asyncio.get_running_loop().call_soon(connection.connection_lost, None)
        return connection

    monkeypatch.setattr(Dialer, "connect", connect)
    async with Client(ClientOptions()) as client:
        calls = [client.begin("GET", "http://x", "/", b"", seconds=5.0, largest=None) for _ in range(3)]
        failures = [await failure_of(call) for call in calls]
    assert {(type(one), str(one)) for one in failures} == {(NotSent, "ConnectionClosed")}
    assert wire.written == b""


async def test_closing_ends_what_waits_and_what_is_under_way() -> None:
    gate = Gate()
    async with scripted(gate.script) as peer:
        client = Client(ClientOptions(connections=1))
        client.open()
        sent = begin(client, peer)
        await gate.count(1)
        waits = begin(client, peer)
        await client.close()
        assert type(await failure_of(sent)) is NoResponse
        assert type(await failure_of(waits)) is NotSent
        gate.opened.set()
        async with asyncio.timeout(5):
            await peer.ended.get()
        assert not client.is_open
        async with client:  # and it can be opened again
            assert (await begin(client, peer)).body == b"ok"


async def test_closing_while_a_connection_is_made() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=8) as deaf:
        async with Client(ClientOptions()) as client:
            origin = f"https://127.0.0.1:{deaf.getsockname()[1]}"
            call = client.begin("GET", origin, "/", b"", seconds=60, largest=None)
            await asyncio.sleep(0.05)
        assert type(await failure_of(call)) is NotSent


async def test_a_request_goes_out_as_one_piece() -> None:
    pieces: list[bytes] = []

    class Recorder(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport: Any = transport

        def data_received(self, data: bytes) -> None:
            pieces.append(data)
            self.transport.write(OK)

    async with await asyncio.get_running_loop().create_server(Recorder, "127.0.0.1", 0) as server:
        peer = Peer(forever(OK), port=server.sockets[0].getsockname()[1])
        async with Client(ClientOptions(headers={"X-All": "1"})) as client:
            for _ in range(3):
                await client.begin("POST", peer.http, "/a?b", b"X-One: 2\r\n", b"body", seconds=5, largest=None)
    head = b"POST /a?b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nX-All: 1\r\nX-One: 2\r\nContent-Length: 4\r\n\r\n" % peer.port
    assert pieces == [head + b"body"] * 3


async def test_origins_have_connections_of_their_own() -> None:
    async with scripted(forever(OK)) as one, scripted(forever(OK)) as other:
        async with Client(ClientOptions(connections=1)) as client:
            await asyncio.gather(*(begin(client, peer) for peer in (one, other, one, other)))
        assert (len(one.visits), len(other.visits)) == (1, 1)
        assert (len(one.seen), len(other.seen)) == (2, 2)
