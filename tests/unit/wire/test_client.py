"""The one way out by HTTP, against real sockets: what certainly was not sent, what may have been, what is bounded."""

import asyncio
import gzip
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from email.utils import formatdate

import pytest
import trustme
from signalr_bridge.wire.client import (
    BadResponse,
    CallFailed,
    Client,
    ClientOptions,
    ConnectTimedOut,
    NoResponse,
    NotSent,
    Response,
    ResponseTooLarge,
    TimedOut,
    read_retry_after,
)

LARGEST = 1000
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Answers each request with the same bytes; ``None`` is silence. It hangs up after them when told to."""

    def __init__(self, answer: bytes | None, *, hang_up: bool = True) -> None:
        self.heads: list[bytes] = []
        self.connections = 0
        self.ended = asyncio.Event()
        """Set once a connection has ended."""
        self._answer, self._hang_up = answer, hang_up

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                if self._answer is not None:
                    writer.write(self._answer)
                    if self._hang_up:
                        break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.ended.set()
            writer.close()


@asynccontextmanager
async def running(server: Server, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Where ``server`` listens: a host and a port."""
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls) as listening:
        yield f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"


async def get(
    url: str, options: ClientOptions | None = None, *, seconds: float = 5.0, method: str = "GET"
) -> tuple[int, bytes]:
    async with Client(options or ClientOptions()) as client:
        response = await client.request(method, url, headers={}, seconds=seconds, largest=LARGEST)
        return response.status, response.body


async def ask(
    client: Client, url: str, *, headers: Mapping[str, str] | None = None, largest: int | None = LARGEST
) -> Response:
    return await client.request("GET", url, headers=headers or {}, seconds=5.0, largest=largest)


async def failure_of(url: str, *, seconds: float = 5.0, method: str = "POST") -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        await get(url, seconds=seconds, method=method)
    assert caught.value.__cause__ is None, "it may hold the URL"
    assert "secret" not in str(caught.value)
    return caught.value


async def test_a_response() -> None:
    async with running(Server(OK)) as where:
        assert await get(f"http://{where}/") == (200, b"ok")


# It certainly was not sent.


def refused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


async def test_a_port_that_refuses() -> None:
    assert type(await failure_of(f"http://127.0.0.1:{refused_port()}/?secret")) is NotSent


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 64 + ".invalid", "a..b"])
async def test_a_host_that_cannot_be(host: str) -> None:
    assert type(await failure_of(f"http://{host}:1/?secret")) is NotSent


@pytest.mark.parametrize("url", ["http://[::1/secret", "http:///secret", "http://x:99999999/secret", "gopher://secret"])
async def test_a_url_that_is_none(url: str) -> None:
    assert type(await failure_of(url)) is NotSent


async def test_tls_with_a_server_that_has_none() -> None:
    server = Server(b"HTTP/1.1 400 Plain\r\n\r\n")
    async with running(server) as where:
        assert type(await failure_of(f"https://{where}/?secret", seconds=0.5)) is ConnectTimedOut
    assert server.heads == []


async def test_a_certificate_that_is_not_believed() -> None:
    authority = trustme.CA()
    believed, tls = ssl.create_default_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.configure_trust(believed)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    server = Server(OK)
    async with running(server, tls) as where:
        assert type(await failure_of(f"https://{where}/?secret")) is NotSent
        assert server.heads == []
        assert await get(f"https://{where}/", ClientOptions(tls=believed)) == (200, b"ok")


async def test_a_time_out_while_connecting() -> None:
    with closing(socket.create_server(("127.0.0.1", 0), backlog=8)) as deaf:  # the kernel accepts, and nobody answers
        port = int(deaf.getsockname()[1])
        assert type(await failure_of(f"https://127.0.0.1:{port}/?secret", seconds=0.2)) is ConnectTimedOut
    assert issubclass(ConnectTimedOut, NotSent)


async def test_a_header_that_http_cannot_carry() -> None:
    server = Server(OK)
    async with running(server) as where, Client(ClientOptions()) as client:
        with pytest.raises(ValueError, match="header"):
            await ask(client, f"http://{where}/", headers={"X-A": "a\r\nb"})
    assert server.heads == []


async def test_a_client_that_is_not_open() -> None:
    client = Client(ClientOptions())
    for _ in range(2):
        with pytest.raises(RuntimeError, match="not open"):
            await ask(client, "http://127.0.0.1:1/")
        async with client:
            assert client.is_open


# It may have been received.


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
)
async def test_a_connection_that_breaks(answer: bytes) -> None:
    server = Server(answer)
    async with running(server) as where:
        failure = await failure_of(f"http://{where}/?secret")
    assert type(failure) is NoResponse
    assert len(server.heads) == 1


async def test_a_connection_that_is_reset() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()

    async with await asyncio.start_server(reset, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        assert type(await failure_of(f"http://127.0.0.1:{port}/?secret")) is NoResponse


@pytest.mark.parametrize("answer", [None, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}"])
async def test_silence(answer: bytes | None) -> None:
    server = Server(answer, hang_up=False)
    async with running(server) as where:
        assert type(await failure_of(f"http://{where}/?secret", seconds=0.2)) is TimedOut
    assert len(server.heads) == 1
    assert issubclass(TimedOut, NoResponse)


async def test_a_caller_that_gives_up_is_told_by_its_own_time_out() -> None:
    server = Server(None)
    async with running(server) as where:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await get(f"http://{where}/")
    assert len(server.heads) == 1


# Something came.


@pytest.mark.parametrize("answer", [b"no HTTP\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"])
async def test_what_is_not_http(answer: bytes) -> None:
    async with running(Server(answer)) as where:
        assert type(await failure_of(f"http://{where}/?secret")) is BadResponse


def sized(size: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (size, b"x" * size)


def unsized(size: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * size


@pytest.mark.parametrize("write", [sized, unsized])
async def test_a_body_is_bounded(write: Callable[[int], bytes]) -> None:
    async with running(Server(write(LARGEST))) as where:
        assert await get(f"http://{where}/") == (200, b"x" * LARGEST)
    async with running(Server(write(LARGEST + 1))) as where:
        assert type(await failure_of(f"http://{where}/?secret")) is ResponseTooLarge
    assert issubclass(ResponseTooLarge, BadResponse)


async def test_a_length_that_is_too_large_is_not_waited_for() -> None:
    server = Server(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n", hang_up=False)
    async with running(server) as where:
        assert type(await failure_of(f"http://{where}/?secret")) is ResponseTooLarge


async def test_a_body_is_not_unpacked() -> None:
    packed = gzip.compress(b"x" * 100_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    async with running(Server(head + packed)) as where:
        assert await get(f"http://{where}/") == (200, packed)


async def test_a_redirect_is_not_followed() -> None:
    server = Server(b"HTTP/1.1 307 Elsewhere\r\nLocation: /stolen\r\nContent-Length: 0\r\n\r\n")
    async with running(server) as where:
        assert (await get(f"http://{where}/"))[0] == 307
    assert len(server.heads) == 1


# What goes out, and on which connection.


async def test_the_url_goes_out_as_it_is_written() -> None:
    server = Server(OK)
    async with running(server) as where:
        await get(f"http://{where}/a%2Fb%7e%C3%BC/../c?x=%2b&y=%20")
    assert server.heads[0].split(b"\r\n")[0] == b"GET /a%2Fb%7e%C3%BC/../c?x=%2b&y=%20 HTTP/1.1"


def names_in(head: bytes) -> set[str]:
    return {line.split(b":")[0].decode().lower() for line in head.split(b"\r\n")[1:] if line}


async def test_headers_are_those_of_the_options_and_of_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{refused_port()}")
    server = Server(OK)
    given = {"x-one": "2", "Content-Type": "a/b"}
    async with running(server) as where, Client(ClientOptions(headers={"X-All": "1"})) as client:
        await client.request("POST", f"http://{where}/", headers=given, seconds=5.0, largest=LARGEST)
    assert names_in(server.heads[0]) == {"host", "x-all", "x-one", "content-type", "content-length"}


async def test_no_cookie_is_kept() -> None:
    server = Server(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    async with running(server) as where, Client(ClientOptions()) as client:
        for _ in range(2):  # by a name: no jar takes an address's cookies
            await ask(client, f"http://{where.replace('127.0.0.1', 'localhost')}/")
    assert server.heads[0] == server.heads[1]


async def test_a_connection_is_kept_whether_or_not_the_body_is_read() -> None:
    server = Server(OK, hang_up=False)
    async with running(server) as where, Client(ClientOptions()) as client:
        for wanted in (True, False, False, True):
            response = await ask(client, f"http://{where}/", largest=LARGEST if wanted else None)
            assert response.headers["content-length"] == response.headers["Content-Length"] == "2"
            assert response.body == (b"ok" if wanted else b"")
        assert server.connections == 1


async def test_a_connection_is_kept_for_so_long_only() -> None:
    server = Server(OK, hang_up=False)
    async with running(server) as where, Client(ClientOptions(idle_seconds=0.05)) as client:
        await ask(client, f"http://{where}/")
        async with asyncio.timeout(5):
            await server.ended.wait()


async def test_a_body_that_nobody_waited_for_ends_its_connection() -> None:
    server = Server(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}", hang_up=False)
    async with running(server) as where, Client(ClientOptions()) as client:
        for _ in range(2):
            assert (await ask(client, f"http://{where}/", largest=None)).status == 200
            async with asyncio.timeout(5):
                await server.ended.wait()
        assert server.connections == 2


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 120 ", 120.0),
        ("100000", 100_000.0),
        ("9" * 400, 2.0**31),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("1e3", None),
        ("\u0663", None),
        ("Wed, 21 Oct 2026 07:28:30 GMT", 30.0),
        ("Wed Oct 21 07:28:30 2026", 30.0),
        ("Wed, 21 Oct 2026 07:27:00 GMT", 0.0),
        ("Wed, 21 Oct 20266 07:27:00 GMT", None),
        ("tomorrow", None),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    headers = {"Date": "Wed, 21 Oct 2026 07:28:00 GMT", "Retry-After": text}
    assert read_retry_after(headers) == seconds


def test_a_date_is_compared_with_our_clock_where_the_answer_has_none() -> None:
    asked = read_retry_after({"Retry-After": formatdate(time.time() + 3600, usegmt=True)})
    assert asked is not None
    assert 3500 < asked <= 3600
