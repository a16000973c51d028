"""Services on loopback that count their sockets and the calls that are under way, and hold answers back when told."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_ANSWER = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"


@dataclass(slots=True)
class Services:
    """What all of them see together. Only calls of the method POST are counted and held back; probes are answered."""

    urls: list[str] = field(default_factory=list)
    is_holding: bool = False
    sockets: int = 0
    most_sockets: int = 0
    under_way: int = 0
    most_under_way: int = 0
    calls: int = 0
    held: "list[Connection]" = field(default_factory=list)

    def release(self) -> None:
        """Answer what was held back, and hold nothing back from now on."""
        self.is_holding = False
        while self.held:
            self.held.pop().answer()


class Connection(asyncio.Protocol):
    def __init__(self, services: Services) -> None:
        self._services = services
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._services.sockets += 1
        self._services.most_sockets = max(self._services.most_sockets, self._services.sockets)

    def connection_lost(self, _: Exception | None) -> None:
        self._services.sockets -= 1
        if self in self._services.held:
            self._services.held.remove(self)
            self._services.under_way -= 1

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not end or (length is not None and len(body) < int(length[1])):
            return
        self._received = b""
        if not head.startswith(b"POST "):
            self._transport.write(_ANSWER)
            return
        services = self._services
        services.calls += 1
        services.under_way += 1
        services.most_under_way = max(services.most_under_way, services.under_way)
        if services.is_holding:
            services.held.append(self)
        else:
            # The client learns of it in a later turn, so that calls which come together are under way together.
            asyncio.get_running_loop().call_soon(self.answer)

    def answer(self) -> None:
        assert self._transport is not None
        self._services.under_way -= 1
        self._transport.write(_ANSWER)


@asynccontextmanager
async def counting_services(number: int) -> AsyncIterator[Services]:
    services, loop = Services(), asyncio.get_running_loop()
    servers = [await loop.create_server(lambda: Connection(services), "127.0.0.1", 0) for _ in range(number)]
    services.urls = [f"http://127.0.0.1:{one.sockets[0].getsockname()[1]}" for one in servers]
    try:
        yield services
    finally:
        for one in servers:
            one.close()
