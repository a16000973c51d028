"""Which address a request comes from, by whom it passed and whom the settings trust."""

from ipaddress import ip_network

import pytest
from signalr_bridge.web.limits import find_address

PROXIES = tuple(map(ip_network, ("10.0.0.0/8", "fd00::/8", "192.0.2.7/32")))
Lines = list[tuple[bytes, bytes]]


def xff(*values: str) -> Lines:
    return [(b"x-forwarded-for", one.encode()) for one in values]


def forwarded(*values: str) -> Lines:
    return [(b"forwarded", one.encode()) for one in values]


@pytest.mark.parametrize(
    ("peer", "lines", "address"),
    [
        ("203.0.113.1", [], "203.0.113.1"),
        # Nobody is believed who is not trusted.
        ("203.0.113.1", xff("198.51.100.9"), "203.0.113.1"),
        ("203.0.113.1", forwarded("for=198.51.100.9"), "203.0.113.1"),
        ("10.0.0.1", xff("198.51.100.9"), "198.51.100.9"),
        ("10.0.0.1", xff("198.51.100.9, 10.0.0.2"), "198.51.100.9"),
        # What stands before the last untrusted hop was written by the client.
        ("10.0.0.1", xff("1.1.1.1, 198.51.100.9"), "198.51.100.9"),
        ("10.0.0.1", xff("1.1.1.1, 198.51.100.9, 10.0.0.3, 10.0.0.2"), "198.51.100.9"),
        ("10.0.0.1", xff("1.1.1.1", "198.51.100.9"), "198.51.100.9"),
        ("10.0.0.1", xff("10.0.0.5"), "10.0.0.5"),
        ("10.0.0.1", xff("198.51.100.9:4711"), "198.51.100.9"),
        ("10.0.0.1", xff("nonsense"), "10.0.0.1"),
        ("10.0.0.1", xff("198.51.100.9, nonsense"), "10.0.0.1"),
        ("10.0.0.1", xff(""), "10.0.0.1"),
        ("10.0.0.1", xff(",,,"), "10.0.0.1"),
        ("10.0.0.1", forwarded("for=198.51.100.9;proto=https;by=10.0.0.1"), "198.51.100.9"),
        ("10.0.0.1", forwarded('proto=https; For="198.51.100.9:80"'), "198.51.100.9"),
        ("10.0.0.1", forwarded("for=1.1.1.1, for=198.51.100.9"), "198.51.100.9"),
        ("10.0.0.1", forwarded('for="[2001:db8::1]:80"'), "2001:db8::/64"),
        ("10.0.0.1", forwarded("for=unknown"), "10.0.0.1"),
        ("10.0.0.1", forwarded('for="198.51.100.9;proto=https'), "198.51.100.9"),
        ("10.0.0.1", forwarded('for=1.1.1."1 ; for = 1.1.1.2;  FOR="198.51.100.9" '), "198.51.100.9"),
        ("10.0.0.1", forwarded("for=" + " " * 60_000 + '"x'), "10.0.0.1"),  # it took a minute
        ("10.0.0.1", forwarded("for=_hidden"), "10.0.0.1"),
        ("10.0.0.1", forwarded("proto=https"), "10.0.0.1"),
        # A proxy that writes one header lets the other one through.
        ("10.0.0.1", [*xff("198.51.100.9"), *forwarded("for=1.1.1.1")], "10.0.0.1"),
        ("10.0.0.1", [*xff("198.51.100.9"), *forwarded("for=198.51.100.9")], "198.51.100.9"),
        # One who has an IPv6 network has all of its addresses.
        ("2001:db8::1", [], "2001:db8::/64"),
        ("2001:db8::ffff:1", [], "2001:db8::/64"),
        ("fd00::1", xff("2001:db8:0:1::5"), "2001:db8:0:1::/64"),
        ("::ffff:10.0.0.1", xff("198.51.100.9"), "198.51.100.9"),
        ("192.0.2.8", xff("198.51.100.9"), "192.0.2.8"),
        (None, xff("198.51.100.9"), "unknown"),
        ("testclient", [], "unknown"),
    ],
)
def test_an_address(peer: str | None, lines: Lines, address: str) -> None:
    assert find_address(peer, lines, PROXIES) == address


def test_without_trusted_proxies_it_is_the_peer() -> None:
    assert find_address("10.0.0.1", xff("198.51.100.9"), ()) == "10.0.0.1"
    assert find_address(None, [], ()) == "unknown"


def test_an_endless_chain_ends() -> None:
    assert find_address("10.0.0.1", xff(", ".join(["10.0.0.2"] * 5000)), PROXIES) == "10.0.0.2"
