"""What goes out: origins, targets and headers, and how long a body is said to be."""

import pytest
from signalr_bridge.wire.client import Client, ClientOptions, NotSent, render_headers
from signalr_bridge.wire.dialer import Origin, read_origin

from tests.unit.wire.client_calls import OK, ask
from tests.unit.wire.scripted_peer import forever, scripted


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
