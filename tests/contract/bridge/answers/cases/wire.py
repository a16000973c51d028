"""What peers do below the routes: many requests at once, upgrades, lengths, chunks, and bytes that are no HTTP."""

from collections.abc import Iterator

from tests.contract.bridge.answers.cases.request import JSON, key, raw, request
from tests.contract.bridge.answers.exchange import Case

_LIVE = request("GET", "/health/live")
_BODY = b'{"target": "t", "arguments": ["GET /health/live HTTP/1.1\\r\\n"]}'
_H2C = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk")


def _send(*lines: str, body: bytes | None = _BODY) -> bytes:
    return request("POST", "/hubs/chat/send", key(), JSON, *lines, body=body)


def _chunks(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in parts)


def pipelines() -> Iterator[Case]:
    """Several requests in one piece."""
    yield raw("two", _LIVE + _LIVE, answers=2)
    yield raw("three of all kinds", _send() + request("GET", "/nothing") + _LIVE, answers=3)
    yield raw("ten", _LIVE * 10, answers=10)
    yield raw("twenty", (_LIVE + request("GET", "/x")) * 10, answers=20)
    yield raw("a head between two", request("HEAD", "/health/ready") + _LIVE, answers=2)
    yield raw("one that ends it between two", request("GET", "/health/live", "Connection: close") + _LIVE)
    yield raw("nonsense behind one", _LIVE + b"nonsense\r\n\r\n" + _LIVE)
    yield raw("nonsense behind two", _LIVE + _LIVE + b"nonsense\r\n\r\n", answers=2)
    yield raw("a blank line between two", _LIVE + b"\r\n" + _LIVE, answers=2)
    yield raw(
        "a body that is refused before one", request("POST", "/hubs/chat/send", JSON, body=_BODY) + _LIVE, answers=2
    )
    yield raw("cut everywhere", _send()[:20], _send()[20:90], _send()[90:-10], _send()[-10:] + _LIVE, answers=2)
    yield raw("the body apart", _send()[: -len(_BODY)], _BODY)


def upgrades() -> Iterator[Case]:
    """Another protocol is declined, and the request is answered."""
    yield raw("h2c", request("GET", "/health/live", *_H2C))
    yield raw("h2c with a body", _send(*_H2C))
    yield raw("h2c with a body and one behind it", _send(*_H2C) + _LIVE, answers=2)
    yield raw("h2c with a body apart", _send(*_H2C)[: -len(_BODY)], _BODY + _LIVE, answers=2)
    chunked = _send(*_H2C, "Transfer-Encoding: chunked", body=None) + _chunks(_BODY) + b"0\r\n\r\n"
    yield raw("h2c with chunks", chunked + _LIVE, answers=2)
    socket = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")
    yield raw("a WebSocket", request("GET", "/hubs/chat", *socket, "Sec-WebSocket-Version: 13"))
    yield raw("a WebSocket of the health", request("GET", "/health/live", *socket) + _LIVE, answers=2)
    yield raw("a WebSocket to negotiate", request("POST", "/hubs/chat/negotiate", *socket, body=b""))
    yield raw("an upgrade without a connection", request("GET", "/health/live", "Upgrade: h2c"))
    yield raw("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    for name, target in {"a host": "bridge:443", "a path": "/upstream", "a route": "/hubs/chat/send"}.items():
        yield raw(f"a tunnel to {name}", request("CONNECT", target))
    yield raw("a tunnel and what is meant for it", request("CONNECT", "/upstream") + _LIVE)
    yield raw("a tunnel with a key", request("CONNECT", "/hubs/chat/send", key()))


def connections() -> Iterator[Case]:
    """How long a connection lasts."""
    for version in ("1.0", "1.1"):
        for line in ("", "Connection: close\r\n", "Connection: keep-alive\r\n", "Connection: Close, TE\r\n"):
            head = f"GET /health/live HTTP/{version}\r\nHost: bridge\r\n{line}\r\n"
            yield raw(f"HTTP/{version} {line.strip()}".strip(), head.encode())
    yield raw("HTTP/1.0 without a host", b"GET /health/live HTTP/1.0\r\n\r\n")
    yield raw("HTTP/1.0 with a body", _send().replace(b"HTTP/1.1", b"HTTP/1.0"))
    yield raw("no host", b"GET /health/live HTTP/1.1\r\n\r\n")
    yield raw("an empty host", b"GET /health/live HTTP/1.1\r\nHost:\r\n\r\n")
    yield raw("two hosts", request("GET", "/health/live", "Host: other"))
    yield raw("no host on a route of callers", _send().replace(b"Host: bridge\r\n", b""))
    yield raw("close on an error", request("GET", "/nothing", "Connection: close"))
    yield raw("close on a refusal with a body", request("POST", "/hubs/chat/send", "Connection: close", body=_BODY))
    yield raw("close on a head", request("HEAD", "/health/live", "Connection: close"))
    yield raw("close on nothing", request("PUT", "/hubs/chat/groups/g/users/u", key(), "Connection: close"))


def bodies() -> Iterator[Case]:
    """Lengths and chunks."""
    yield raw("no length", _send(body=None))
    yield raw("a length of nothing", _send(body=b""))
    for name, line in {
        "no number": "Content-Length: x",
        "a sign": "Content-Length: +5",
        "a negative one": "Content-Length: -5",
        "two": "Content-Length: 5\r\nContent-Length: 6",
        "two of the same": "Content-Length: 14\r\nContent-Length: 14",
        "a list": "Content-Length: 14, 14",
        "an endless one": "Content-Length: " + "9" * 30,
        "blanks": "Content-Length:   14  ",
        "hex": "Content-Length: 0xe",
        "an empty one": "Content-Length:",
    }.items():
        yield raw(f"length: {name}", _send(line, body=None) + b'{"target":"t"}')
    chunked = _send("Transfer-Encoding: chunked", body=None)
    small = b'{"target":"t"}'
    for name, chunks in {
        "one": _chunks(small) + b"0\r\n\r\n",
        "many": _chunks(*(bytes([one]) for one in small)) + b"0\r\n\r\n",
        "none": b"0\r\n\r\n",
        "with an extension": b"e;a=b\r\n" + small + b"\r\n0\r\n\r\n",
        "with trailers": _chunks(small) + b"0\r\nX-API-Key: other\r\nX-Else: 1\r\n\r\n",
        "in capitals": b"E\r\n" + small + b"\r\n0\r\n\r\n",
        "with zeros": b"000e\r\n" + small + b"\r\n000\r\n\r\n",
        "of no size": b"x\r\n" + small + b"\r\n0\r\n\r\n",
        "of a wrong size": b"2\r\n" + small + b"\r\n0\r\n\r\n",
        "of a negative size": b"-1\r\n\r\n",
        "of an endless size": b"fffffffffffffffff\r\n",
        "with bare line feeds": b"e\n" + small + b"\n0\n\n",
        "without an end": b"e\r\n" + small + b"0\r\n\r\n",
    }.items():
        yield raw(f"chunks: {name}", chunked + chunks)
    yield raw("chunks and one behind them", chunked + _chunks(small) + b"0\r\n\r\n" + _LIVE, answers=2)
    yield raw(
        "chunks and a length",
        _send("Transfer-Encoding: chunked", "Content-Length: 5", body=None) + _chunks(small) + b"0\r\n\r\n",
    )
    yield raw("another coding", _send("Transfer-Encoding: gzip, chunked", body=None) + _chunks(small) + b"0\r\n\r\n")
    yield raw("only another coding", _send("Transfer-Encoding: gzip", body=None) + small)
    yield raw("two codings", _send("Transfer-Encoding: chunked, chunked", body=None) + _chunks(small) + b"0\r\n\r\n")
    yield raw("no coding", _send("Transfer-Encoding: identity", body=None) + small)
    yield raw("chunks of HTTP/1.0", chunked.replace(b"HTTP/1.1", b"HTTP/1.0") + _chunks(small) + b"0\r\n\r\n")
    yield raw("refused before its body", request("POST", "/hubs/chat/send", "Content-Length: 100"), after="open")
    yield raw(
        "a wrong type before its body", request("POST", "/hubs/chat/send", key(), "Content-Length: 9"), after="open"
    )


def waiting() -> Iterator[Case]:
    """``Expect: 100-continue``."""
    expect = "Expect: 100-continue"
    head = _send(expect, f"Content-Length: {len(_BODY)}", body=None)
    yield raw("continue", head, _BODY)
    yield raw("continue at once", head + _BODY, answers=2)
    yield raw(
        "continue with chunks", _send(expect, "Transfer-Encoding: chunked", body=None), _chunks(_BODY) + b"0\r\n\r\n"
    )
    yield raw("continue, unknown caller", request("POST", "/hubs/chat/send", expect, "Content-Length: 9"), after="open")
    yield raw(
        "continue, another type", request("POST", "/hubs/chat/send", key(), expect, "Content-Length: 9"), after="open"
    )
    yield raw("continue, too large", _send(expect, "Content-Length: 8388609", body=None))
    yield raw("continue of a client", request("POST", "/hubs/chat/negotiate", expect, "Content-Length: 2"), b"{}")
    yield raw("continue without a body", request("GET", "/health/live", expect))
    yield raw("something else", _send("Expect: the-unexpected"))
    yield raw("too large", _send("Content-Length: 8388609", body=None), after="open")
    yield raw("too large and all of it", _send(body=b" " * 8_388_609))


def nonsense() -> Iterator[Case]:
    """What is no HTTP, and heads without an end."""
    for name, sent in {
        "a word": b"nonsense\r\n\r\n",
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "no version": b"GET /health/live\r\n\r\n",
        "an old version": b"GET /health/live HTTP/0.9\r\n\r\n",
        "a new version": b"GET /health/live HTTP/2.0\r\nHost: x\r\n\r\n",
        "another version": b"GET /health/live HTTP/1.2\r\nHost: x\r\n\r\n",
        "a version in small letters": b"GET /health/live http/1.1\r\nHost: x\r\n\r\n",
        "bytes in the path": b"GET /h\xc3\xa4 HTTP/1.1\r\nHost: x\r\n\r\n",
        "a blank in the path": b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
        "no path": b"GET  HTTP/1.1\r\nHost: x\r\n\r\n",
        "a relative path": b"GET health/live HTTP/1.1\r\nHost: x\r\n\r\n",
        "a header without a colon": b"GET /health/live HTTP/1.1\r\nno colon\r\n\r\n",
        "a header without a name": b"GET /health/live HTTP/1.1\r\n: x\r\n\r\n",
        "a header with a blank in its name": b"GET /health/live HTTP/1.1\r\nHost: x\r\na b: x\r\n\r\n",
        "a header with a blank before its colon": b"GET /health/live HTTP/1.1\r\nHost: x\r\na : x\r\n\r\n",
        "a header with a zero": b"GET /health/live HTTP/1.1\r\nHost: x\r\na: \x00\r\n\r\n",
        "a header with bytes": b"GET /health/live HTTP/1.1\r\nHost: x\r\na: \xff\xfe\r\n\r\n",
        "a header with a tab": b"GET /health/live HTTP/1.1\r\nHost: x\r\na:\tb\r\n\r\n",
        "a header on two lines": b"GET /health/live HTTP/1.1\r\nHost: x\r\na: b\r\n c\r\n\r\n",
        "bare line feeds": b"GET /health/live HTTP/1.1\nHost: x\n\n",
        "a bare carriage return": b"GET /health/live HTTP/1.1\r\nHost: x\r\na: b\rc\r\n\r\n",
        "a blank line first": b"\r\n\r\n" + _LIVE,
        "a blank first": b" " + _LIVE,
        "an answer": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "no method": b" /health/live HTTP/1.1\r\nHost: x\r\n\r\n",
        "a method of signs": b"G@T /health/live HTTP/1.1\r\nHost: x\r\n\r\n",
    }.items():
        yield raw(name, sent)
    yield raw("a long header", request("GET", "/health/live", "a: " + "x" * 30_000))
    yield raw("a head as long as it may be", request("GET", "/health/live", "a: " + "x" * 60_000))
    yield raw("a head too long", request("GET", "/health/live", "a: " + "x" * 90_000))
    yield raw("many headers", request("GET", "/health/live", *(f"a{n}: x" for n in range(200))))
    yield raw("a long query", request("GET", "/health/live?" + "x" * 40_000))
