"""The small parts of the edge: names, queries, deadlines, bodies, callers, loopback."""

from collections.abc import Sequence

import pytest
from signalr_bridge.errors import BodyTooLarge, InvalidHeader, InvalidName, InvalidQuery, UnsupportedMediaType
from signalr_bridge.web.guards import is_loopback
from signalr_bridge.web.request import (
    JSON,
    media_type,
    one_of,
    read_body,
    read_deadline,
    read_path,
    read_query,
    require_media_type,
)
from signalr_bridge.web.trace import request_id, set_trace, trace_headers
from starlette.requests import Request
from starlette.types import Message


def request(
    *,
    path: dict[str, str] | None = None,
    query: bytes = b"",
    headers: Sequence[tuple[str, str]] = (),
    chunks: Sequence[bytes] = (b"",),
) -> Request:
    rest = list(chunks)

    async def receive() -> Message:
        return {"type": "http.request", "body": rest.pop(0), "more_body": bool(rest)}

    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    return Request({"type": "http", "path_params": path or {}, "query_string": query, "headers": raw}, receive)


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
async def test_a_segment_is_unescaped_once(name: str, segment: str, value: str) -> None:
    assert await read_path(request(path={name: segment})) == {name: value}


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
async def test_a_segment_that_is_no_name(name: str, segment: str) -> None:
    with pytest.raises(InvalidName) as caught:
        await read_path(request(path={name: segment}))
    assert caught.value.status == 400


def test_a_query() -> None:
    given = request(query=b"excluded=a&excluded=b%2Fc+d&reason=")
    assert read_query(given, ("excluded", "reason")) == {"excluded": ["a", "b/c d"], "reason": [""]}
    assert read_query(request(), ()) == {}


@pytest.mark.parametrize("query", [b"x=1", b"Reason=1", b"reason=a&x", b"reason=%FF", b"=1"])
def test_a_query_that_is_not_understood(query: bytes) -> None:
    with pytest.raises(InvalidQuery):
        read_query(request(query=query), ("reason",))


def test_a_parameter_that_may_stand_there_once() -> None:
    assert one_of({"a": ["1"]}, "a") == "1"
    assert one_of({}, "a") is None
    with pytest.raises(InvalidQuery):
        one_of({"a": ["1", "1"]}, "a")


# --- deadlines


@pytest.mark.parametrize(("text", "seconds"), [("0.1", 0.1), ("1", 1), ("100", 100), ("10.25", 10.25), ("007", 7)])
async def test_a_deadline(text: str, seconds: float) -> None:
    assert await read_deadline(request(headers=[("X-Request-Timeout", text)])) == seconds


async def test_no_deadline() -> None:
    assert await read_deadline(request()) is None


@pytest.mark.parametrize(
    "text", ["", "0", "0.09", "100.1", "101", "-1", "1e1", "nan", "inf", "1s", "1,5", "²", "1.", " 1"]
)
async def test_a_deadline_that_is_none(text: str) -> None:
    with pytest.raises(InvalidHeader):
        await read_deadline(request(headers=[("X-Request-Timeout", text)]))


# --- bodies


@pytest.mark.parametrize(
    "given", ["application/json", "APPLICATION/JSON", "application/json; charset=latin1", " application/json "]
)
def test_a_media_type(given: str) -> None:
    assert require_media_type(request(headers=[("Content-Type", given)]), JSON) == JSON


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
        require_media_type(request(headers=headers), JSON)


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "GZIP", "identity, gzip"])
def test_an_encoded_body(encoding: str) -> None:
    headers = [("Content-Type", JSON), ("Content-Encoding", encoding)]
    with pytest.raises(UnsupportedMediaType, match="Content-Encoding"):
        require_media_type(request(headers=headers), JSON)
    assert media_type(request(headers=headers)) == JSON


async def test_a_body_of_just_the_limit() -> None:
    assert await read_body(request(chunks=[b"ab", b"c", b""]), 3) == b"abc"
    assert await read_body(request(headers=[("Content-Length", "3")], chunks=[b"abc"]), 3) == b"abc"


async def test_a_body_beyond_it_is_refused_before_it_is_read() -> None:
    with pytest.raises(BodyTooLarge):
        await read_body(request(headers=[("Content-Length", "4")], chunks=[]), 3)


async def test_a_stream_beyond_it_is_refused_while_it_is_read() -> None:
    with pytest.raises(BodyTooLarge) as caught:
        await read_body(request(chunks=[b"ab", b"cd", b"never read"]), 3)
    assert caught.value.headers == {}


async def test_who_waits_for_leave_to_send_it_hears_that_it_will_not_be_read() -> None:
    with pytest.raises(BodyTooLarge) as caught:
        await read_body(request(headers=[("Content-Length", "4"), ("Expect", "100-continue")], chunks=[]), 3)
    assert caught.value.headers == {"Connection": "close"}


@pytest.mark.parametrize("length", ["", "x", "-1", "²"])
async def test_a_length_that_is_no_number(length: str) -> None:
    with pytest.raises(InvalidHeader):
        await read_body(request(headers=[("Content-Length", length)]), 3)


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
    ],
)
def test_another_machine(host: str) -> None:
    assert not is_loopback(host)


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize("text", [None, "", "x", TRACE.upper(), TRACE + "\r\nX: y", TRACE[:-1], TRACE + "x"])
def test_a_trace_that_is_none_is_dropped(text: str | None) -> None:
    set_trace("one", TRACE)
    assert (request_id(), trace_headers()) == ("one", {"traceparent": TRACE})
    set_trace("two", text)
    assert (request_id(), trace_headers()) == ("two", {})
