"""Rate limits for each of many names, and the address of a client that they go by."""

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from signalr_bridge.runtime import Clock
from signalr_bridge.settings.fields import UNIX

MOST_NAMES = 50_000
"""Most names that are kept. Addresses are easy to change, so the least recently used ones are forgotten."""

Network: TypeAlias = IPv4Network | IPv6Network
Address: TypeAlias = IPv4Address | IPv6Address
HeaderLines: TypeAlias = Sequence[tuple[bytes, bytes]]

_UNIX: Address = UNIX.network_address
"""Stands for who is connected by a Unix socket. No address that is read is this object."""

_MOST_HOPS = 32
_WITH_PORT = re.compile(r"(?:\[(?P<six>[^\]]*)\]|(?P<four>[0-9.]+))(?::[0-9]{1,5})?")


def next_moment(full_at: float, now: float, per_second: float, burst: float) -> tuple[float, float]:
    """Take one from a bucket. Return when the bucket will be full again, and the seconds to wait.

    With a wait, nothing was taken. This is the generic cell rate algorithm, ITU-T I.371.

    Args:
        full_at: When the bucket will be full, in monotonic seconds.
        now: Monotonic seconds.
        per_second: How many the bucket gains in a second.
        burst: How many the bucket holds.
    """
    later = max(full_at, now) + 1 / per_second
    wait = later - now - burst / per_second
    return (full_at, wait) if wait > 1e-9 else (later, 0.0)


class Rate:
    """A bucket for each name that refills steadily. One number is kept for each.

    Args:
        per_second: How many each name may take in a second.
        clock: Gives monotonic seconds.
        burst: How many each name may take at once.
        most_names: How many names are kept.
    """

    def __init__(
        self, per_second: float, clock: Clock, *, burst: float | None = None, most_names: int = MOST_NAMES
    ) -> None:
        self._per_second = per_second
        self._burst = max(1.0, per_second if burst is None else burst)
        self._clock = clock
        self._most_names = most_names
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, name: str) -> float:
        """Take one for this name. Return the seconds to wait, which are 0 when there was one to take."""
        now = self._clock()
        full_at, wait = next_moment(self._full_at.get(name, now), now, self._per_second, self._burst)
        self._full_at[name] = full_at
        self._full_at.move_to_end(name)
        if len(self._full_at) > self._most_names:
            self._full_at.popitem(last=False)
        return wait

    def forget(self, name: str) -> None:
        """Forget a name. If it comes back, it has a full bucket."""
        self._full_at.pop(name, None)


def find_address(peer: str | None, lines: HeaderLines, trusted: Sequence[Network]) -> str:
    """The client's address, as ``name_address`` writes it. The arguments are those of ``find_client``."""
    return name_address(find_client(peer, lines, trusted))


def find_client(peer: str | None, lines: HeaderLines, trusted: Sequence[Network]) -> Address | None:
    """The client's address. None when it is not known.

    From the nearest hop on, an address is trusted when the hop that reports it is trusted. A proxy that writes one of
    the two headers lets the client's own other one through. So where they disagree, neither is trusted.

    Args:
        peer: The address that is connected to us. None or empty for a Unix socket.
        lines: The raw header lines, with names in lower case.
        trusted: The networks of trusted proxies.
    """
    near = _read_address(peer) if peer else _UNIX
    if near is None or not _is_among(near, trusted):
        return None if near is _UNIX else near
    forwarded, forwarded_for = _join(lines, b"forwarded"), _join(lines, b"x-forwarded-for")
    found = {
        _walk(near, list(hops), trusted)
        for text, hops in ((forwarded, _read_forwarded(forwarded)), (forwarded_for, iter(forwarded_for.split(","))))
        if text
    }
    client = found.pop() if len(found) == 1 else near
    return None if client is _UNIX else client


def is_trusted(peer: str, trusted: Sequence[Network]) -> bool:
    """Whether who is connected to us is a proxy that is trusted. The arguments are those of ``find_client``."""
    address = (_read_address(peer) if peer else _UNIX) if trusted else None
    return address is not None and _is_among(address, trusted)


@lru_cache(1024)
def write_peer(peer: str) -> str | None:
    """The address of whoever is connected, as addresses are written. None when it is not one."""
    address = _read_address(peer)
    return None if address is None else str(address)


def name_address(address: Address | None) -> str:
    """The name that limits go by. For IPv6 it is the /64 network, because its owner has all addresses in it."""
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return "unknown" if address is None else str(address)


def _walk(near: Address, hops: list[str], trusted: Sequence[Network]) -> Address:
    for hop in hops[-_MOST_HOPS:][::-1]:
        reported = _read_address(hop.strip())
        if reported is None:
            return near
        near = reported
        if not _is_among(near, trusted):
            return near
    return near


def _read_forwarded(text: str) -> Iterator[str]:
    """The ``for`` of each of the last elements (RFC 7239). An element without one is a hop that hides itself."""
    return map(_read_for, text.split(",")[-_MOST_HOPS:])


def _read_for(element: str) -> str:
    """The value of ``for``, without its quotes. It is read in one pass: clients write these headers, too."""
    for pair in element.split(";"):
        name, _, value = pair.strip().partition("=")
        value = value.removeprefix('"').removesuffix('"')
        if name.lower() == "for" and '"' not in value:
            return value
    return ""


def _join(lines: HeaderLines, name: bytes) -> str:
    return ",".join(value.decode("latin-1") for key, value in lines if key == name)


def _read_address(text: str) -> Address | None:
    match = _WITH_PORT.fullmatch(text)
    bare = (match["six"] or match["four"]) if match else text
    try:
        address = ip_address(bare or "")
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def _is_among(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in one for one in networks)
