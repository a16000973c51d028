"""How the client goes through a proxy, and when it does not."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from signalr_bridge.wire.client import Client, ClientOptions, NotSent
from signalr_bridge.wire.proxies import Proxies, Proxy, read_proxies

from tests.unit.wire.client_calls import OK, Certificates, ask, failure_of
from tests.unit.wire.scripted_peer import Visit, forever, scripted


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    return Certificates()


def refused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


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
    proxies = Proxies(Proxy("127.0.0.1", refused_port()))
    async with Client(ClientOptions(proxies=proxies)) as client:
        assert str(await failure_of(client, "https://service.example")) == "ConnectFailed"


async def test_plain_http_and_exempt_names_do_not_go_through_a_proxy(certificates: Certificates) -> None:
    async with scripted(forever(OK)) as plain, behind_a_proxy(certificates) as (tunnel, client):
        assert (await ask(client, plain.http)).body == b"ok"
        assert str(await failure_of(client, "https://direct.example")) == "NameNotFound"
    assert tunnel.heads == []
