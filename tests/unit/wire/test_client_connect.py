"""How the client gets its connections: names, addresses side by side, and TLS."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest
from signalr_bridge.wire import client_protocol, dialer
from signalr_bridge.wire.client import Client, ClientOptions, ConnectTimedOut, NotSent
from signalr_bridge.wire.dialer import Address, connect_first, sort_addresses

from tests.unit.wire.client_calls import OK, Certificates, ask, failure_of
from tests.unit.wire.scripted_peer import Visit, forever, scripted


@contextmanager
def deaf() -> Iterator[Address]:
    """An address that does not even refuse: its queue of connections is full."""
    with ExitStack() as stack:
        listening = stack.enter_context(closing(socket.socket()))
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            waits = stack.enter_context(closing(socket.socket()))
            waits.setblocking(False)
            waits.connect_ex(listening.getsockname())
        yield address(listening.getsockname()[1])


def address(port: int) -> Address:
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, ("127.0.0.1", port)


def refused() -> Address:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return address(int(probe.getsockname()[1]))


async def test_the_first_address_that_answers_is_taken() -> None:
    async with scripted(forever(OK)) as peer:
        with deaf() as silence:
            for addresses in ([refused(), address(peer.port)], [silence, refused(), address(peer.port), refused()]):
                with await connect_first(addresses) as sock:
                    assert sock.getpeername()[1] == peer.port


async def test_no_address_answers() -> None:
    with pytest.raises(ConnectionRefusedError):
        await connect_first([refused(), refused()])
    with pytest.raises(OSError):  # noqa: PT011
        await connect_first([])
    with deaf() as silence, pytest.raises(TimeoutError):
        async with asyncio.timeout(0.4):
            await connect_first([silence, silence])


async def test_addresses_that_are_left_over_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialer, "HEAD_START_SECONDS", 0.0)
    async with scripted(forever(OK)) as peer:
        for _ in range(20):
            (await connect_first([address(peer.port)] * 3)).close()
        await asyncio.sleep(0.05)
        assert {await visit.until_gone() for visit in peer.visits} == {b""}


def test_the_families_take_turns() -> None:
    four = [(socket.AF_INET, 1, 6, (f"192.0.2.{number}", 80)) for number in range(3)]
    six = [(socket.AF_INET6, 1, 6, (f"2001:db8::{number}", 80, 0, 0)) for number in range(2)]
    assert sort_addresses([*six, *four]) == [six[0], four[0], six[1], four[1], four[2]]
    assert sort_addresses(four) == four
    assert sort_addresses([]) == []


@pytest.mark.asyncio(loop_factories=["asyncio"])  # uvloop asks the system by itself
async def test_a_name_is_remembered_until_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    ask_system = socket.getaddrinfo

    def note(host: str, *args: object, **more: object) -> object:
        asked.append(host)
        return ask_system("127.0.0.1", *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", note)
    async with (
        scripted(forever(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))) as peer,
        Client(ClientOptions(dns_seconds=60)) as client,
    ):
        origin = f"http://service.example:{peer.port}"
        await asyncio.gather(*(ask(client, origin) for _ in range(5)))
        await ask(client, origin)
        assert asked == ["service.example"]
        assert peer.seen[0].split(b"\r\n")[1] == f"Host: service.example:{peer.port}".encode()
        elsewhere = f"http://elsewhere.example:{refused()[3][1]}"
        for _ in range(2):
            assert str(await failure_of(client, elsewhere)) == "ConnectFailed"
        assert asked[1:] == ["elsewhere.example"] * 2


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 64 + ".invalid", "a..b", "-.invalid"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_name_that_is_none(scheme: str, host: str) -> None:
    async with Client(ClientOptions()) as client:
        assert type(await failure_of(client, f"{scheme}://{host}")) is NotSent


async def test_an_address_of_the_sixth_version() -> None:
    async with scripted(forever(OK), host="::1") as peer, Client(ClientOptions()) as client:
        assert (await ask(client, f"http://[::1]:{peer.port}")).body == b"ok"
        assert peer.seen[0].split(b"\r\n")[1] == f"Host: [::1]:{peer.port}".encode()


# TLS.


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    return Certificates()


async def test_tls_is_spoken_with_what_this_machine_trusts(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates.names.clear()
    with certificates.authority.cert_pem.tempfile() as path:
        monkeypatch.setenv("SSL_CERT_FILE", path)
        dialer.default_tls.cache_clear()
        async with scripted(forever(OK), certificates.server("localhost")) as peer, Client(ClientOptions()) as client:
            for _ in range(2):
                assert (await ask(client, f"https://localhost:{peer.port}")).body == b"ok"
            spoken = peer.visits[0].writer.get_extra_info("ssl_object")
            assert spoken.selected_alpn_protocol() == "http/1.1"
            assert certificates.names == ["localhost"]
            assert len(peer.visits) == 1
    monkeypatch.undo()
    dialer.default_tls.cache_clear()


async def test_a_certificate_of_another_name_is_not_believed(certificates: Certificates) -> None:
    async with (
        scripted(forever(OK), certificates.server("other.example")) as peer,
        Client(ClientOptions(tls=certificates.client)) as client,
    ):
        failure = await failure_of(client, peer.https)
    assert (type(failure), str(failure)) == (NotSent, "TlsFailed")
    assert peer.seen == []


async def test_an_unknown_authority_is_not_believed(certificates: Certificates) -> None:
    async with scripted(forever(OK), certificates.server()) as peer, Client(ClientOptions()) as client:
        failure = await failure_of(client, peer.https)
    assert (type(failure), str(failure)) == (NotSent, "TlsFailed")
    assert peer.seen == []


@pytest.mark.parametrize("words", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x15\x03\x03\x00\x02\x02\x28"])
async def test_a_peer_that_ends_the_handshake(words: bytes) -> None:
    async def hang_up(visit: Visit) -> None:
        await visit.reader.read(1)
        await visit.write(words)

    async with scripted(hang_up) as peer, Client(ClientOptions()) as client:
        assert type(await failure_of(client, peer.https)) is NotSent


async def test_a_handshake_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialer, "CONNECT_SECONDS", 0.05)
    async with scripted(lambda visit: visit.until_gone()) as peer, Client(ClientOptions()) as client:
        assert type(await failure_of(client, peer.https, seconds=0.3)) is ConnectTimedOut
        assert len(peer.visits) > 1  # it was tried again while there was time


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"])
async def test_a_tls_connection_that_breaks(certificates: Certificates, answer: bytes) -> None:
    async def reset(visit: Visit) -> None:
        await visit.answer(answer)
        visit.writer.transport.abort()

    async with (
        scripted(reset, certificates.server()) as peer,
        Client(ClientOptions(tls=certificates.client)) as client,
    ):
        failure = await failure_of(client, peer.https)
    assert not isinstance(failure, NotSent)
    assert len(peer.seen) == 1


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"])
async def test_large_bodies_go_over_tls(certificates: Certificates, head: bytes) -> None:
    async def script(visit: Visit) -> None:
        await visit.answer(head + b"y" * 1_000_000)

    async with (
        scripted(script, certificates.server()) as peer,
        Client(ClientOptions(tls=certificates.client)) as client,
    ):
        body = b"x" * 1_000_000
        response = await client.begin("POST", peer.https, "/", b"", body, seconds=5.0, largest=1_000_000)
    assert response.body == b"y" * 1_000_000
    assert peer.seen[0].endswith(b"\r\n\r\n" + body)


async def test_an_idle_tls_connection_takes_leave(certificates: Certificates) -> None:
    async with (
        scripted(forever(OK), certificates.server()) as peer,
        Client(ClientOptions(tls=certificates.client, idle_seconds=0.05)) as client,
    ):
        await ask(client, peer.https)
        async with asyncio.timeout(5):
            await peer.ended.get()


async def test_a_tls_peer_that_closes_is_not_used_again(certificates: Certificates) -> None:
    async with (
        scripted(lambda visit: visit.answer(OK), certificates.server()) as peer,
        Client(ClientOptions(tls=certificates.client)) as client,
    ):
        for number in range(1, 4):
            assert (await ask(client, peer.https)).body == b"ok"
            await asyncio.sleep(0.05)
            assert len(peer.visits) == number


async def test_a_tls_connection_that_was_quiet_is_looked_at_and_used_again(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_protocol, "QUIET_SECONDS", 0.0)
    async with (
        scripted(forever(OK), certificates.server()) as peer,
        Client(ClientOptions(tls=certificates.client)) as client,
    ):
        for _ in range(3):
            await ask(client, peer.https)
            await asyncio.sleep(0.02)
        assert len(peer.visits) == 1
