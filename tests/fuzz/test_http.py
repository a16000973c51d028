"""Whatever bytes a peer sends: no error leaves the connection, and each answer belongs to a whole request in its order.

Each answer says which request it is to, so that the order and the bodies can be told.
"""

import asyncio
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.profile import PROFILE
from tests.fuzz.seeds import SEEDS
from tests.unit.wire.connection import App, DirectApp, cut, exchange

HEAD = rb"date: [^\r]+\r\ncontent-type: text/plain\r\ncontent-length: (\d+)\r\n(connection: close\r\n)?\r\n"
ANSWER = re.compile(rb"HTTP/1\.1 200 OK\r\n" + HEAD)
PROBLEM = re.compile(
    rb"HTTP/1\.1 400 Bad Request\r\nx-problem-code: invalid-header\r\n[\s\S]*connection: close\r\n\r\n\{.*\}$"
)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

LINES = [
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
    b"Expect: 100-continue\r\n",
    b"X-A:\r\n",
]
TOKENS = [
    *LINES,
    *(b"GET ", b"POST ", b"HEAD ", b"CONNECT ", b"/x", b"/a%2Fb?c#d", b"*", b"http://x/y"),
    *(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b"Host: x\r\n", b"\r\n", b" x\r\n", b"X-A: \0\r\n"),
    *(b"Content-Length: 3\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(b"abc", b"3\r\nabc\r\n", b"0\r\n\r\n", b"0\r\nX-T: 1\r\n\r\n"),
]


@st.composite
def whole(draw: st.DrawFn) -> bytes:
    """A request that is well-formed and whole."""
    method = draw(st.sampled_from([b"GET", b"POST", b"HEAD"]))
    body = draw(st.sampled_from([b"", b"abc", b"GET / HTTP/1.1\r\n\r\n", b"x" * 300]))
    lines = b"".join(draw(st.lists(st.sampled_from(LINES), max_size=2)))
    if draw(st.booleans()):
        end = b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    else:
        chunk = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
        end = b"Transfer-Encoding: chunked\r\n\r\n%s0\r\n\r\n" % chunk
    return b"%s /x HTTP/1.1\r\nHost: x\r\n%s%s" % (method, lines, end)


STREAMS = (
    st.lists(whole() | st.sampled_from(SEEDS["http requests"]), max_size=12)
    | st.lists(st.sampled_from(TOKENS), max_size=40)
    | st.lists(st.sampled_from(TOKENS) | st.binary(max_size=8) | whole(), max_size=20)
).map(b"".join)


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """Bytes, a few of them replaced, cut at a few places."""
    data = bytearray(draw(STREAMS))
    for place, byte in draw(st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 255)), max_size=2)):
        if data:
            data[place % len(data)] = byte
    return cut(bytes(data), draw(st.lists(st.integers(0, 10_000), max_size=8)))


def read_answers(written: bytes, methods: list[str]) -> list[bytes]:
    """The bodies of the answers to requests of these methods. At most a problem stands behind them."""
    bodies = []
    for method in [*methods, "GET"]:
        written = written.removeprefix(CONTINUE)
        if (head := ANSWER.match(written)) is None:
            break
        size = 0 if method == "HEAD" else int(head[1])
        bodies.append(written[head.end() : head.end() + size])
        assert len(bodies[-1]) == size
        written = written[head.end() + size :]
    assert not written.removeprefix(CONTINUE) or PROBLEM.fullmatch(written.removeprefix(CONTINUE))
    return bodies


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for all examples: to make one takes longer than an example."""
    with asyncio.Runner() as runner:
        yield runner


def check(runner: asyncio.Runner, app: App, pieces: list[bytes]) -> bytes:
    wire = runner.run(exchange(app, pieces))
    bodies = read_answers(wire.written, [one.method for one in app.seen])
    assert len(bodies) == len(app.seen), "each that was whole has its answer, and nobody else has"
    for body, seen in zip(bodies, app.seen, strict=True):
        assert body in {b"", f"{seen.method} {seen.path} ".encode() + seen.body}
        assert body or seen.method == "HEAD"
        assert all(name == name.lower() and b"\0" not in value for name, value in seen.headers)
    assert wire.closed
    return wire.written


@PROFILE
@given(pieces=streams(), turns=st.integers(0, 3))
def test_each_answer_belongs_to_a_whole_request_in_its_order(
    runner: asyncio.Runner, pieces: list[bytes], turns: int
) -> None:
    direct, by_asgi = DirectApp(turns=turns), App(turns=turns)
    first, second = check(runner, direct, pieces), check(runner, by_asgi, pieces)
    assert direct.seen == by_asgi.seen
    assert re.sub(rb"[0-9a-f]{32}", b"", first) == re.sub(rb"[0-9a-f]{32}", b"", second)


@PROFILE
@given(requests=st.lists(whole(), min_size=1, max_size=12), places=st.lists(st.integers(0, 5_000), max_size=8))
def test_whole_requests_are_all_answered(runner: asyncio.Runner, requests: list[bytes], places: list[int]) -> None:
    app = DirectApp()
    check(runner, app, cut(b"".join(requests), places))
    closing = [number for number, one in enumerate(requests) if b"Connection: close" in one]
    assert len(app.seen) == (closing[0] + 1 if closing else len(requests))
