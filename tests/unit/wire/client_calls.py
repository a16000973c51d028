"""Calls by the HTTP client, and certificates for it, as its tests share them."""

import asyncio
import ssl
from dataclasses import dataclass, field

import pytest
import trustme
from signalr_bridge.wire.client import CallFailed, Client, ClientOptions, Response

from tests.unit.wire.scripted_peer import Script, scripted

LARGEST = 100_000
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def ask(client: Client, origin: str, *, seconds: float = 5.0) -> Response:
    return await client.begin("GET", origin, "/", b"", seconds=seconds, largest=1000)


async def failure_of(client: Client, origin: str, *, seconds: float = 5.0) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        await ask(client, origin, seconds=seconds)
    assert caught.value.__cause__ is None
    return caught.value


async def once_asked(script: Script, *, seconds: float = 5.0, method: str = "GET") -> Response:
    async with scripted(script) as peer, Client(ClientOptions()) as client:
        return await client.begin(method, peer.http, "/", b"", seconds=seconds, largest=LARGEST)


async def connections_for_two(script: Script, *, method: str = "GET", largest: int | None = LARGEST) -> int:
    """How many connections two requests take, one after the other."""
    async with scripted(script) as peer, Client(ClientOptions()) as client:
        for _ in range(2):
            await client.begin(method, peer.http, "/", b"", seconds=5.0, largest=largest)
            await asyncio.sleep(0.05)
        return len(peer.visits)


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
