"""Opens connections for the HTTP client: names, addresses side by side, the proxy and TLS."""

import asyncio
import re
import socket
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, zip_longest
from typing import TypeAlias

from signalr_bridge.wire.client_protocol import LONGEST_HEAD, Connection
from signalr_bridge.wire.exchange import ConnectTimedOut, NotSent
from signalr_bridge.wire.proxies import Proxy

CONNECT_SECONDS = 10.0
"""How long a connection may take to be made. The request that waits for it may give up earlier."""

HEAD_START_SECONDS = 0.25
"""How long an address is tried alone before the next one is tried beside it."""

CLOSE_SECONDS = 1.0
"""How long the peer may take to take leave in the way of TLS."""

Address: TypeAlias = tuple[int, int, int, tuple[object, ...]]
"""Family, kind, protocol and the address itself, as a socket takes them."""

_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[\w.~-]+)(?::(?P<port>[0-9]{1,5})?)?")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where requests go.

    Args:
        is_secure: Whether the scheme is https.
        host: The name or address, without brackets, in ASCII.
        port: The port.
        authority: Host and port as ``Host`` has them.
    """

    is_secure: bool
    host: str
    port: int
    authority: str


def read_origin(text: str) -> Origin:
    """What scheme, host and port say. Raises ``NotSent``."""
    scheme, _, authority = text.partition("://")
    match = _AUTHORITY.fullmatch(authority)
    default = _DEFAULT_PORTS.get(scheme.lower())
    if match is None or default is None:
        raise NotSent("InvalidURL")
    port = int(match["port"] or default)
    try:
        host = match["host"].encode("ascii" if match["host"].isascii() else "idna").decode()
    except UnicodeError:
        raise NotSent("NameNotFound") from None
    if not 0 < port < 65_536:
        raise NotSent("InvalidURL")
    shown = host if port == default else f"{host}:{port}"
    return Origin(default == 443, host.strip("[]"), port, shown)


@cache
def default_tls() -> ssl.SSLContext:
    """Trusts what this machine trusts."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


class Dialer:
    """Opens connections to one origin.

    Args:
        origin: Where they lead.
        tls: The certificates that are trusted. None trusts what this machine trusts.
        dns_seconds: How long the addresses of a name are remembered.
        proxy: What is asked for a connection to the origin. None connects directly.
    """

    def __init__(self, origin: Origin, tls: ssl.SSLContext | None, dns_seconds: float, proxy: Proxy | None) -> None:
        self._origin, self._tls, self._proxy = origin, tls, proxy
        self._dns_seconds = dns_seconds
        self._addresses: Sequence[Address] = ()
        self._forget_at = 0.0
        self._asking = asyncio.Lock()

    async def connect(self, make: Callable[[], Connection]) -> Connection:
        """A new connection, on which nothing has been sent. Raises ``NotSent``."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await self._connect(make)
        except TimeoutError:
            raise ConnectTimedOut("ConnectTimeout") from None
        except ssl.SSLError:
            raise NotSent("TlsFailed") from None
        except (socket.gaierror, UnicodeError):
            raise NotSent("NameNotFound") from None
        except (OSError, ValueError):  # TLS takes not every name
            self._forget_at = 0.0  # the name may lead elsewhere by now
            raise NotSent("ConnectFailed") from None

    async def _connect(self, make: Callable[[], Connection]) -> Connection:
        sock = await connect_first(await self._find_addresses())
        try:
            if self._proxy is not None:
                await _open_tunnel(sock, self._origin, self._proxy)
        except BaseException:
            sock.close()
            raise
        loop = asyncio.get_running_loop()
        if not self._origin.is_secure:
            return (await loop.create_connection(make, sock=sock))[1]
        _, connection = await loop.create_connection(
            make,
            sock=sock,
            ssl=self._tls or default_tls(),
            server_hostname=self._origin.host,
            ssl_handshake_timeout=CONNECT_SECONDS,
            ssl_shutdown_timeout=CLOSE_SECONDS,
        )
        return connection

    async def _find_addresses(self) -> Sequence[Address]:
        """The addresses of the origin or of its proxy."""
        loop = asyncio.get_running_loop()
        async with self._asking:
            if self._forget_at <= loop.time():
                host, port = self._origin.host, self._origin.port
                if self._proxy is not None:
                    host, port = self._proxy.host, self._proxy.port
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
                self._addresses = sort_addresses([(one[0], one[1], one[2], one[4]) for one in found])
                self._forget_at = loop.time() + self._dns_seconds
        return self._addresses


def sort_addresses(addresses: Sequence[Address]) -> list[Address]:
    """The addresses, with the families in turn. Source: https://www.rfc-editor.org/rfc/rfc8305.html#section-4."""
    first = [one for one in addresses if one[0] == addresses[0][0]]
    others = [one for one in addresses if one[0] != addresses[0][0]]
    return [one for one in chain.from_iterable(zip_longest(first, others)) if one is not None]


async def connect_first(addresses: Sequence[Address]) -> socket.socket:
    """A socket that is connected to one of the addresses. Each has a head start before the next one.

    Raises ``OSError`` when none can be reached. Source: https://www.rfc-editor.org/rfc/rfc8305.html#section-5.
    """
    if len(addresses) == 1:
        return await _connect_to(addresses[0])
    waiting, trying, failure = deque(addresses), set[asyncio.Task[socket.socket]](), OSError()
    try:
        while waiting or trying:
            if waiting:
                trying.add(asyncio.create_task(_connect_to(waiting.popleft())))
            seconds = HEAD_START_SECONDS if waiting else None
            done, _ = await asyncio.wait(trying, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                trying.discard(task)
                error = task.exception()
                if error is None:
                    trying |= done - {task}
                    return task.result()
                failure = error if isinstance(error, OSError) else failure
        raise failure
    finally:
        await _give_up(trying)


async def _connect_to(address: Address) -> socket.socket:
    family, kind, protocol, where = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock


async def _give_up(trying: set[asyncio.Task[socket.socket]]) -> None:
    for task in trying:
        task.cancel()
    for end in await asyncio.gather(*trying, return_exceptions=True):
        if isinstance(end, socket.socket):
            end.close()


async def _open_tunnel(sock: socket.socket, origin: Origin, proxy: Proxy) -> None:
    """Ask the proxy for a connection to the origin. Source: https://www.rfc-editor.org/rfc/rfc9110.html#section-9.3.6.

    Raises ``NotSent``.
    """
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    lines = [f"CONNECT {host}:{origin.port} HTTP/1.1", f"Host: {host}:{origin.port}"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, "\r\n".join([*lines, "", ""]).encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = await loop.sock_recv(sock, 4096)
        answer += piece
        if not piece or len(answer) > LONGEST_HEAD:
            raise NotSent("ProxyFailed")
    version, _, status = answer[:12].partition(b" ")
    if version not in {b"HTTP/1.0", b"HTTP/1.1"} or status[:1] != b"2" or not answer.endswith(b"\r\n\r\n"):
        raise NotSent("ProxyRefused")
