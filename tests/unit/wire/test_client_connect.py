"""How the client gets its connections: names and addresses, TLS, and a proxy."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field

import pytest
import trustme
from signalr_bridge.wire import dialer
from signalr_bridge.wire.client import (
    CallFailed,
    Client,
    ClientOptions,
    ConnectTimedOut,
    NotSent,
    Response,
    render_headers,
)
from signalr_bridge.wire.dialer import Address, Origin, connect_first, read_origin, sort_addresses
from signalr_bridge.wire.proxies import Proxies, Proxy, read_proxies

from tests.unit.wire.scripted_peer import Visit, forever, scripted

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def ask(client: Client, origin: str, *, seconds: float = 5.0) -> Response:
    return await client.begin("GET", origin, "/", b"", seconds=seconds, largest=1000)


async def failure_of(client: Client, origin: str, *, seconds: float = 5.0) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        await ask(client, origin, seconds=seconds)
    assert caught.value.__cause__ is None
    return caught.value


# Origins and what stands in a request.


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("http://example.net", Origin(False, "example.net", 80, "example.net")),
        ("https://Example.net:443", Origin(True, "Example.net", 443, "Example.net")),
        ("HTTP://example.net:", Origin(False, "example.net", 80, "example.net")),
        ("http://a_b-c.d~e:8080", Origin(False, "a_b-c.d~e", 8080, "a_b-c.d~e:8080")),
        ("https://[::1]:80", Origin(True, "::1", 80, "[::1]:80")),
        ("https://[2001:db8::7]", Origin(True, "2001:db8::7", 443, "[2001:db8::7]")),
        ("http://bücher.example", Origin(False, "xn--bcher-kva.example", 80, "xn--bcher-kva.example")),
    ],
)
def test_an_origin(text: str, origin: Origin) -> None:
    assert read_origin(text) == origin


@pytest.mark.parametrize(
    "text",
    [
        *("", "example.net", "://example.net", "http://", "http:/example.net", "ftp://example.net", "http://:80"),
        *("http://a b", "http://a\r\nb", "http://a\tb", "http://a\x01b", "http://a/b", "http://a?b", "http://a#b"),
        *("http://a@b", "http://a:b", "http://a:0", "http://a:65536", "http://a:-1", "http://a:1:2", "http://a:999999"),
        *("http://[::1", "http://::1", "http://[a]b", "http://[%eth0]", "http://a\\b", "http://\u2100..x.example"),
    ],
)
def test_what_is_no_origin(text: str) -> None:
    with pytest.raises(NotSent) as caught:
        read_origin(text)
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize(
    "headers",
    [
        *({"": "a"}, {"a b": "c"}, {"a:": "b"}, {"a\r\nb": "c"}, {"é": "a"}, {"a": "b\nc"}, {"a": "b\r"}, {"a": "b\0"}),
        *({"a": "\x7f"}, {"a": "\ud800"}, {"Host": "a"}, {"CONTENT-LENGTH": "1"}, {"Transfer-Encoding": "chunked"}),
        *({"Connection": "close"}, {"upgrade": "h2c"}),
    ],
)
def test_headers_that_http_cannot_carry(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"^a header that HTTP cannot carry$") as caught:
        render_headers({"X-Good": "1"} | headers)
    assert caught.value.__cause__ is None


def test_headers_are_lines() -> None:
    assert render_headers({}) == b""
    given = {"X-A": "b c\td", "x-empty": "", "X-É"[:2] + "E": "é"}
    assert render_headers(given) == "X-A: b c\td\r\nx-empty: \r\nX-E: é\r\n".encode()


@pytest.mark.parametrize(
    ("method", "target"),
    [
        *(("GET", "/a b"), ("GET", "/a\r\nX: y"), ("GET", "/\x7f"), ("GET", "/\t"), ("GET", "/é"), ("GET", "")),
        *(("GET", "a"), ("GET", "http://a/"), ("GET /x HTTP/1.1\r\n", "/"), ("get", "/"), ("CONNECT", "/"), ("", "/")),
    ],
)
async def test_a_request_line_that_http_cannot_carry(method: str, target: str) -> None:
    async with scripted(forever(OK)) as peer, Client(ClientOptions()) as client:
        with pytest.raises(ValueError, match="HTTP cannot carry"):
            client.begin(method, peer.http, target, b"", seconds=5.0, largest=None)
        assert (await ask(client, peer.http)).status == 200
    assert len(peer.seen) == 1


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [
        *(("GET", None, None), ("HEAD", None, None), ("OPTIONS", None, None), ("DELETE", None, 0), ("POST", None, 0)),
        *(("PUT", None, 0), ("PATCH", b"", 0), ("POST", b"abc", 3), ("GET", b"abc", 3), ("DELETE", b"abc", 3)),
    ],
)
async def test_the_length_of_a_body_is_said(method: str, body: bytes | None, length: int | None) -> None:
    async with (
        scripted(forever(OK.removesuffix(b"ok") if method == "HEAD" else OK)) as peer,
        Client(ClientOptions()) as client,
    ):
        await client.begin(method, peer.http, "/", b"", body, seconds=5.0, largest=None)
    said = [line for line in peer.seen[0].split(b"\r\n") if line.lower().startswith(b"content-length")]
    assert said == ([] if length is None else [b"Content-Length: %d" % length])
    assert peer.seen[0].endswith(b"\r\n\r\n" + (body or b""))


@pytest.mark.parametrize(
    ("url", "line", "authorization"),
    [
        ("http://{}", b"GET / HTTP/1.1", None),
        ("http://{}?a=b", b"GET /?a=b HTTP/1.1", None),
        ("http://{}/a/../b?c=/d?e#f", b"GET /a/../b?c=/d?e HTTP/1.1", None),
        ("http://us%20er:pass%3Aword@{}/", b"GET / HTTP/1.1", b"Basic dXMgZXI6cGFzczp3b3Jk"),
        ("http://user@{}/", b"GET / HTTP/1.1", b"Basic dXNlcjo="),
    ],
)
async def test_a_whole_url(url: str, line: bytes, authorization: bytes | None) -> None:
    async with scripted(forever(OK)) as peer, Client(ClientOptions()) as client:
        where = f"127.0.0.1:{peer.port}"
        await client.request("GET", url.format(where), headers={}, seconds=5.0, largest=None)
    lines = peer.seen[0].split(b"\r\n")
    assert lines[0] == line
    assert lines[1] == f"Host: {where}".encode()
    assert [one for one in lines if one.startswith(b"Authorization")] == (
        [b"Authorization: " + authorization] if authorization else []
    )


# Names and addresses.


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


@pytest.mark.skipif(not socket.has_ipv6, reason="this system has no IPv6")
async def test_an_address_of_the_sixth_version() -> None:
    try:
        async with scripted(forever(OK), host="::1") as peer, Client(ClientOptions()) as client:
            assert (await ask(client, f"http://[::1]:{peer.port}")).body == b"ok"
            assert peer.seen[0].split(b"\r\n")[1] == f"Host: [::1]:{peer.port}".encode()
    except OSError:
        pytest.skip("this machine has no address ::1")


# TLS.


@dataclass
class Certificates:
    """An authority, and contexts for a server and for a client that trusts it."""

    authority: trustme.CA = field(default_factory=trustme.CA)
    names: list[str | None] = field(default_factory=list)
    """The names that clients asked for."""

    def server(self, name: str = "127.0.0.1") -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["h2", "http/1.1"])
        self.authority.issue_cert(name).configure_cert(context)
        context.sni_callback = lambda tls, name, context: self.names.append(name)
        return context

    @property
    def client(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context


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


# A proxy.


@dataclass
class Tunnel:
    """A proxy that leads every ``CONNECT`` to one port."""

    port: int
    answer: bytes = b"HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n"
    heads: list[bytes] = field(default_factory=list)

    async def script(self, visit: Visit) -> None:
        self.heads.append(await visit.request())
        await visit.write(self.answer)
        if b" 200 " not in self.answer:
            return
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_pass_on(visit.reader, writer))
                tasks.create_task(_pass_on(reader, visit.writer))
        finally:
            writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def behind_a_proxy(
    certificates: Certificates, answer: bytes = Tunnel.answer, credentials: str = ""
) -> AsyncIterator[tuple[Tunnel, Client]]:
    async with scripted(forever(OK), certificates.server("service.example")) as peer:
        tunnel = Tunnel(peer.port, answer)
        async with scripted(tunnel.script) as proxy:
            url = f"http://{credentials}127.0.0.1:{proxy.port}"
            proxies = read_proxies({"HTTPS_PROXY": url, "no_proxy": "direct.example"})
            async with Client(ClientOptions(tls=certificates.client, proxies=proxies)) as client:
                yield tunnel, client


async def test_a_proxy_is_asked_for_the_service_and_sees_nothing_of_the_request(certificates: Certificates) -> None:
    async with behind_a_proxy(certificates) as (tunnel, client):
        for _ in range(3):
            assert (await ask(client, "https://service.example")).body == b"ok"
    assert tunnel.heads == [b"CONNECT service.example:443 HTTP/1.1\r\nHost: service.example:443\r\n\r\n"]


async def test_a_proxy_is_told_who_asks(certificates: Certificates) -> None:
    async with behind_a_proxy(certificates, credentials="user:pass%40word@") as (tunnel, client):
        assert (await ask(client, "https://service.example:8443")).body == b"ok"
        assert "dXNlcjpwYXNzQHdvcmQ=" not in repr(client.__dict__)
    assert tunnel.heads[0].split(b"\r\n")[:3] == [
        b"CONNECT service.example:8443 HTTP/1.1",
        b"Host: service.example:8443",
        b"Proxy-Authorization: Basic dXNlcjpwYXNzQHdvcmQ=",
    ]


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", "ProxyRefused"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "ProxyRefused"),
        (b"no HTTP\r\n\r\n", "ProxyRefused"),
        (b"HTTP/2.0 200 OK\r\n\r\n", "ProxyRefused"),
        (b"HTTP/1.1 200 OK\r\n\r\nwords of the proxy", "ProxyRefused"),
        (b"HTTP/1.1 200", "ProxyFailed"),
        (b"", "ProxyFailed"),
        (b"HTTP/1.1 502 Bad\r\nX: " + b"x" * 70_000, "ProxyFailed"),
    ],
)
async def test_a_proxy_that_refuses(certificates: Certificates, answer: bytes, word: str) -> None:
    async with behind_a_proxy(certificates, answer, "user:secret@") as (_, client):
        failure = await failure_of(client, "https://service.example", seconds=1.0)
    assert type(failure) is NotSent
    assert str(failure) == word


async def test_a_proxy_that_is_not_there() -> None:
    proxies = Proxies(Proxy("127.0.0.1", int(str(refused()[3][1]))))
    async with Client(ClientOptions(proxies=proxies)) as client:
        assert str(await failure_of(client, "https://service.example")) == "ConnectFailed"


async def test_plain_http_and_exempt_names_do_not_go_through_a_proxy(certificates: Certificates) -> None:
    async with scripted(forever(OK)) as plain, behind_a_proxy(certificates) as (tunnel, client):
        assert (await ask(client, plain.http)).body == b"ok"
        assert str(await failure_of(client, "https://direct.example")) == "NameNotFound"
    assert tunnel.heads == []
