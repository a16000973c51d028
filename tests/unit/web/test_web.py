"""The small parts of the edge: names, queries, deadlines, bodies, callers, loopback."""

from typing import Any

import pytest
from signalr_bridge.errors import (
    BodyTooLarge,
    InvalidHeader,
    InvalidName,
    InvalidQuery,
    MalformedJson,
    Overloaded,
    UnsupportedMediaType,
)
from signalr_bridge.protocol.origin import is_loopback
from signalr_bridge.web.guards import is_of_this_machine
from signalr_bridge.web.observer import SILENT
from signalr_bridge.web.request import JSON, Request, read_query
from signalr_bridge.web.shares import Flight, Shares
from signalr_bridge.web.trace import read_traceparent

from tests.unit.web.requests import request

# --- names and queries


@pytest.mark.parametrize(
    ("name", "segment", "value"),
    [
        ("hub", "Chat", "chat"),
        ("hub", "a%5B0%5D", "a[0]"),
        ("groupName", "a%2Fb", "a/b"),
        ("groupName", "a%252Fb", "a%2Fb"),
        ("groupName", "a+b", "a+b"),
        ("groupName", "%F0%9F%98%80", "😀"),
        ("userId", "100%25", "100%"),
        ("userId", "a%20b", "a b"),
        ("connectionId", "%E2%9C%93", "✓"),
    ],
)
def test_a_segment_is_unescaped_once(name: str, segment: str, value: str) -> None:
    given = request(path={name: segment})
    given.read_names()
    assert (given.hub if name == "hub" else given.names[name]) == value


@pytest.mark.parametrize(
    ("name", "segment"),
    [
        *((name, "") for name in ("hub", "groupName", "userId", "connectionId")),
        *((name, "%FF") for name in ("hub", "groupName", "userId", "connectionId")),
        *((name, "%2e%2E") for name in ("hub", "groupName", "userId", "connectionId")),
        *((name, "%00") for name in ("hub", "groupName", "userId", "connectionId")),
        ("hub", "1chat"),
        ("hub", "a%2Fb"),
        ("hub", "a" * 129),
        ("hub", "chat%0A"),
        ("groupName", "."),
        ("groupName", "%20"),
        ("userId", "u" * 1025),
        ("userId", "%ED%A0%80"),
        ("connectionId", ".."),
    ],
)
def test_a_segment_that_is_no_name(name: str, segment: str) -> None:
    with pytest.raises(InvalidName) as caught:
        request(path={name: segment}).read_names()
    assert caught.value.status == 400


def test_a_query() -> None:
    given = request(query=b"excluded=a&excluded=b%2Fc+d&reason=")
    given.read_query(("excluded", "reason"))
    assert given.values == {"excluded": ["a", "b/c d"], "reason": [""]}
    assert read_query(b"", ()) == {}


@pytest.mark.parametrize("query", [b"x=1", b"Reason=1", b"reason=a&x", b"reason=%FF", b"=1"])
def test_a_query_that_is_not_understood(query: bytes) -> None:
    with pytest.raises(InvalidQuery):
        request(query=query).read_query(("reason",))


def test_a_parameter_that_may_stand_there_once() -> None:
    given = request(query=b"a=1&b=1&b=1")
    given.read_query(("a", "b"))
    assert given.one_of("a") == "1"
    assert given.one_of("c") is None
    with pytest.raises(InvalidQuery):
        given.one_of("b")


# --- deadlines


@pytest.mark.parametrize(("text", "seconds"), [("0.1", 0.1), ("1", 1), ("100", 100), ("10.25", 10.25), ("007", 7)])
def test_a_deadline(text: str, seconds: float) -> None:
    given = request(headers=[("X-Request-Timeout", text)])
    given.read_deadline()
    assert given.deadline == seconds


def test_no_deadline() -> None:
    given = request()
    given.read_deadline()
    assert given.deadline is None


@pytest.mark.parametrize(
    "text", ["", "0", "0.09", "100.1", "101", "-1", "1e1", "nan", "inf", "1s", "1,5", "²", "1.", " 1"]
)
def test_a_deadline_that_is_none(text: str) -> None:
    with pytest.raises(InvalidHeader):
        request(headers=[("X-Request-Timeout", text)]).read_deadline()


# --- bodies


@pytest.mark.parametrize(
    "given", ["application/json", "APPLICATION/JSON", "application/json; charset=latin1", " application/json "]
)
def test_a_media_type(given: str) -> None:
    assert request(headers=[("Content-Type", given)]).require_media_type(JSON) == JSON


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Content-Type", "")],
        [("Content-Type", "text/plain")],
        [("Content-Type", "application/x-www-form-urlencoded")],
        [("Content-Type", "application/jsonx")],
        [("Content-Type", "application/problem+json")],
    ],
)
def test_another_media_type(headers: list[tuple[str, str]]) -> None:
    with pytest.raises(UnsupportedMediaType, match="'Content-Type: application/json'"):
        request(headers=headers).require_media_type(JSON)


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "GZIP", "identity, gzip"])
def test_an_encoded_body(encoding: str) -> None:
    headers = [("Content-Type", JSON), ("Content-Encoding", encoding)]
    with pytest.raises(UnsupportedMediaType, match="Content-Encoding"):
        request(headers=headers).require_media_type(JSON)
    assert request(headers=headers).media_type() == JSON


async def test_a_body_of_just_the_limit() -> None:
    assert await request(chunks=[b"ab", b"c", b""]).read_body(3) == b"abc"
    assert await request(headers=[("Content-Length", "3")], chunks=[b"abc"]).read_body(3) == b"abc"


async def test_a_body_beyond_it_is_refused_before_it_is_read() -> None:
    with pytest.raises(BodyTooLarge):
        await request(headers=[("Content-Length", "4")], chunks=[]).read_body(3)


async def test_a_stream_beyond_it_is_refused_while_it_is_read() -> None:
    with pytest.raises(BodyTooLarge) as caught:
        await request(chunks=[b"ab", b"cd", b"never read"]).read_body(3)
    assert caught.value.headers == {}


async def test_who_waits_for_leave_to_send_it_hears_that_it_will_not_be_read() -> None:
    with pytest.raises(BodyTooLarge) as caught:
        await request(headers=[("Content-Length", "4"), ("Expect", "100-continue")], chunks=[]).read_body(3)
    assert caught.value.headers == {"Connection": "close"}


def flown(most_bytes: int = 100, **given: Any) -> tuple[Request, Shares]:
    """A request of a caller that is counted, and what is in flight."""
    shares, asked = Shares(10, most_bytes, SILENT), request(**given)
    asked.flight = Flight(shares, shares.callers)
    return asked, shares


async def test_a_body_counts_from_its_first_byte_and_takes_its_place_at_its_end() -> None:
    asked, shares = flown(chunks=[b"ab", b"c", b""])
    assert await asked.read_body(3) == b"abc"
    assert (shares.callers.body_bytes, shares.callers.in_flight) == (3, 1)


@pytest.mark.parametrize("headers", [[], [("Content-Length", "101")]])
async def test_a_body_over_the_budget_is_not_read_to_its_end(headers: list[tuple[str, str]]) -> None:
    asked, shares = flown(headers=headers, chunks=[b"a" * 50, b"a" * 51, b"never read"])
    with pytest.raises(Overloaded):
        await asked.read_body(1000)
    assert (shares.callers.in_flight, shares.callers.body_bytes) == (0, 0 if headers else 50)


async def test_a_body_that_is_to_be_blank_takes_no_bytes() -> None:
    for chunks in ([b""], [b" " * 5000, b"\n{", b"\t} ", b""], [b"{}"]):
        asked, shares = flown(chunks=chunks)
        assert await asked.read_body(6000, drops_blanks=True) in {b"", b"{}"}
        assert (shares.callers.body_bytes, shares.callers.in_flight) == (0, 1)
    asked, shares = flown(chunks=[b' {"a"', b"never read"])
    with pytest.raises(MalformedJson):
        await asked.read_body(6000, drops_blanks=True)
    assert shares.callers.in_flight == 0


@pytest.mark.parametrize("length", ["", "x", "-1", "²"])
async def test_a_length_that_is_no_number(length: str) -> None:
    with pytest.raises(InvalidHeader):
        await request(headers=[("Content-Length", length)]).read_body(3)


# --- loopback and traces


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:1", "127.9.9.9", "[::1]", "[::1]:8080"]
)
def test_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "example.com",
        "localhost.example.com",
        "127.0.0.1.example.com",
        "10.0.0.1",
        "0.0.0.0",
        "[::",
        "::1",
        "localhost@example.com",
        "2130706433",
        "[::ffff:8.8.8.8]",
        "example.com/localhost",
        "example.com@localhost",
        "localhost#.example.com",
        "localhost/.example.com",
        "[::1].example.com",
    ],
)
def test_another_machine(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("hosts", "origins", "is_local"),
    [
        (["localhost:1"], [], True),
        (["localhost:1"], ["http://localhost:1"], True),
        (["localhost:1"], [""], True),
        (["localhost:1"], ["http://localhost:2"], False),
        (["localhost:1"], ["http://localhost:1", "http://example.com"], False),
        (["localhost:1", "example.com"], [], False),
        ([], [], False),
    ],
)
def test_every_host_and_origin_counts(hosts: list[str], origins: list[str], is_local: bool) -> None:
    assert is_of_this_machine(hosts, origins) is is_local


def test_a_header_that_is_repeated() -> None:
    given = request(headers=[("A", "1"), ("B", "2"), ("a", "3")])
    assert (given.header(b"a"), given.last_header(b"a"), given.headers_of(b"a")) == ("1", b"3", ["1", "3"])
    assert (given.header(b"b"), given.last_header(b"b"), given.headers_of(b"b")) == ("2", b"2", ["2"])
    assert (given.header(b"c"), given.last_header(b"c"), given.headers_of(b"c")) == (None, None, [])


TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    "text", ["", "x", TRACEPARENT.upper(), TRACEPARENT + "\r\nX: y", TRACEPARENT[:-1], TRACEPARENT + "x"]
)
def test_a_trace_that_is_none_is_dropped(text: str) -> None:
    assert read_traceparent(TRACEPARENT.encode()) == TRACEPARENT
    assert read_traceparent(text.encode()) is None
