"""Requests on a connection: the same ones and as many answers, however the network has cut the bytes."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from signalr_bridge.wire.exchange import Answer
from signalr_bridge.wire.http_protocol import MOST_PIPELINED, ListenerState

from tests.unit.wire.connection import DATE, PEER, App, DirectApp, Seen, Wire, connect, cut, echo, exchange

ANSWER = b"HTTP/1.1 200 OK\r\n"
WAYS = pytest.mark.parametrize("way", [App, DirectApp])


@dataclass(frozen=True)
class Request:
    body: bytes
    upgrade: bytes = b""
    chunked: bool = False

    def write(self, path: str, more: bytes = b"") -> bytes:
        head = b"POST " + path.encode() + b" HTTP/1.1\r\nHost: x\r\n" + self.upgrade + more
        if not self.chunked:
            return head + b"Content-Length: %d\r\n\r\n" % len(self.body) + self.body
        chunk = b"%x\r\n%s\r\n" % (len(self.body), self.body) if self.body else b""
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\nX-Trailer: 1\r\n\r\n"


INNER = b"GET /inner HTTP/1.1\r\nHost: x\r\n\r\n"
UPGRADES = [
    b"",
    b"",
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n",
    b"Connection: upgrade\r\nUpgrade: websocket\r\n",
    b"Upgrade: h2c\r\n",
]
REQUESTS = st.builds(
    Request, st.binary(max_size=40) | st.sampled_from([b"", INNER, INNER * 2]), st.sampled_from(UPGRADES), st.booleans()
)
PLACES = st.lists(st.integers(0, 5_000), max_size=12)
PROFILE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@PROFILE
@given(st.sampled_from([App, DirectApp]), st.lists(REQUESTS, min_size=1, max_size=15), PLACES, st.booleans())
def test_however_they_are_cut(
    way: Callable[[bool], App], requests: list[Request], places: list[int], reads: bool
) -> None:
    app = way(reads)
    *others, last = [(f"/{number}", one) for number, one in enumerate(requests)]
    sent = b"".join(one.write(path) for path, one in others) + last[1].write(last[0], b"Connection: close\r\n")
    wire = asyncio.run(exchange(app, cut(sent, places)))
    assert [one.path for one in app.seen] == [path for path, _ in [*others, last]]
    assert wire.written.count(ANSWER) == len(requests)
    assert wire.closed
    if reads:
        assert [one.body for one in app.seen] == [one.body for one in requests]
    assert not any(b"x-trailer" in one.names for one in app.seen)


ONE = (
    b"POST /hubs/a%2Fb/send?x=1?&y HTTP/1.1\r\nHost: x\r\nX-Empty:\r\nACCEPT:  a, b\r\naccept: c\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n"
)
ONE_IS = Seen(
    "POST",
    "/hubs/a%2Fb/send",
    b"x=1?&y",
    [
        (b"host", b"x"),
        (b"x-empty", b""),
        (b"accept", b"a, b"),
        (b"accept", b"c"),
        (b"transfer-encoding", b"chunked"),
    ],
    b"abcde",
    PEER,
)
ONE_ANSWER = (
    b"HTTP/1.1 200 OK\r\ndate: %s\r\ncontent-type: text/plain\r\ncontent-length: 27\r\n\r\n" % DATE
    + b"POST /hubs/a%2Fb/send abcde"
)


@WAYS
async def test_cut_at_any_place_it_is_the_same_request(way: Callable[[], App]) -> None:
    for place in range(1, len(ONE)):
        app = way()
        wire = await exchange(app, [ONE[:place], ONE[place:] + INNER])
        assert app.seen[0] == ONE_IS
        assert wire.written.startswith(ONE_ANSWER + ANSWER)
    app = way()
    await exchange(app, [bytes([byte]) for byte in ONE])
    assert app.seen == [ONE_IS]


TARGETS = [b"*", b"http://x/y?z#u", b"//y#?z", b"/?", b"/%41?%41"]
UPGRADE = b"Connection: Upgrade, Close\r\nUpgrade: h2c\r\n"

# What is sent, whether the connection ends behind the answers, and which requests are answered.
STREAMS: list[tuple[bytes, bool, list[str]]] = [
    (INNER, False, ["GET /inner "]),
    (ONE * 20, False, ["POST /hubs/a%2Fb/send x=1?&y"] * 20),
    (INNER.replace(b"GET", b"HEAD") + INNER, False, ["HEAD /inner ", "GET /inner "]),
    (b"GET / HTTP/1.0\r\n\r\n" + INNER, True, ["GET / "]),
    (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + INNER, True, ["GET / "]),
    (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + INNER, True, ["GET / "]),
    (b"GET / HTTP/1.1\r\nHost: x\r\n" + UPGRADE + b"\r\n" + INNER, True, ["GET / "]),
    (
        b"GET / HTTP/1.1\r\nHost: x\r\n" + UPGRADE.replace(b", Close", b"") + b"\r\n" + INNER,
        False,
        ["GET / ", "GET /inner "],
    ),
    (Request(INNER, UPGRADES[2]).write("/") + Request(INNER, UPGRADES[3], True).write("/"), False, ["POST / "] * 2),
    (b"CONNECT /x HTTP/1.1\r\nHost: x\r\n\r\n" + INNER, True, ["CONNECT /x "]),
    (
        b"".join(INNER.replace(b"/inner", target) for target in TARGETS),
        False,
        ["GET * ", "GET /y z", "GET //y ", "GET / ", "GET /%41 %41"],
    ),
    (
        b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\nx" + INNER,
        False,
        ["POST / ", "GET /inner "],
    ),
    (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000 + INNER,
        False,
        ["POST / ", "GET /inner "],
    ),
    (b"\r\n\r\n" + INNER + b"\r\n" + INNER + b"nonsense", True, ["GET /inner "] * 2),
]


@pytest.mark.parametrize(("sent", "ends", "answered"), STREAMS)
@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize("turns", [0, 3])
async def test_both_ways_give_the_same_bytes(
    sent: bytes, ends: bool, answered: list[str], reads: bool, turns: int
) -> None:
    for size in (len(sent), 10_000, 7 + len(sent) // 1_000):
        pieces = [sent[begin : begin + size] for begin in range(0, len(sent), size)]
        by_asgi, direct = App(reads, turns), DirectApp(reads, turns)
        first, second = await exchange(by_asgi, pieces), await exchange(direct, pieces)
        hidden = [re.sub(rb"[0-9a-f]{32}", b"id", wire.written) for wire in (first, second)]
        assert hidden[0] == hidden[1]
        assert by_asgi.seen == direct.seen
        assert [f"{one.method} {one.path} {one.query.decode()}" for one in direct.seen] == answered
        declined = [one.body for one in direct.seen if one.method == "POST" and b"upgrade" in one.names]
        assert not reads or declined == [INNER] * len(declined)
        assert (first.ended, second.ended) == (ends, ends)
        assert first.written.count(ANSWER) == len(answered)
        assert first.written.count(b"100 Continue") == (1 if reads and b"Expect" in sent else 0)


@WAYS
async def test_a_whole_answer_goes_out_in_one_write(way: Callable[[], App]) -> None:
    wire = await exchange(way(), [ONE])
    assert wire.writes == [ONE_ANSWER]


PROBLEM = b"HTTP/1.1 400 Bad Request\r\nx-problem-code: invalid-header\r\n"
HEAD = b"POST /x HTTP/1.1\r\nHost: x\r\n"
SMUGGLED = [
    HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + INNER,
    HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + INNER,
    HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    HEAD + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    HEAD + b"Content-Length: 1, 1\r\n\r\nx",
    HEAD + b"Content-Length: +1\r\n\r\nx",
    HEAD + b"Content-Length: 0x1\r\n\r\nx",
    HEAD + b"Content-Length: 99999999999999999999\r\n\r\nx",
    HEAD + b"Content-Length : 1\r\n\r\nx",
    HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n0\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nx\r\n0\r\n\r\n",
    HEAD + b"Connection: Upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + INNER,
    HEAD + b"X-A: a\r\n b\r\n\r\n",
    HEAD + b" X-A: a\r\n\r\n",
    HEAD + b"X A: a\r\n\r\n",
    HEAD + b"X-A: a\nX-B: b\r\n\r\n",
    HEAD + b"X-A: a\rX-B: b\r\n\r\n",
    HEAD + b"X-A: a\0b\r\n\r\n",
    HEAD + b"X-\xe4: a\r\n\r\n",
    HEAD + b": a\r\n\r\n",
    HEAD[:-2] + b"\n\n",
    HEAD.replace(b"/x", b"/\xc3\xa4") + b"\r\n",
    HEAD.replace(b"/x", b"/x y") + b"\r\n",
    HEAD.replace(b"/x", b"x") + b"\r\n",
    HEAD.replace(b"/x", b"http://x") + b"\r\n",
    HEAD.replace(b"1.1", b"1.2") + b"\r\n",
    HEAD.replace(b"1.1", b"1.10") + b"\r\n",
    HEAD.replace(b"POST", b"post") + b"\r\n",
    HEAD.replace(b"Host: x\r\n", b"") + b"\r\n",
    HEAD + b"host: x\r\n\r\n",
    HEAD + b"host: y\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    b"GET / HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
]


@WAYS
@pytest.mark.parametrize("sent", SMUGGLED)
async def test_what_two_servers_might_read_differently_is_refused(way: Callable[[], App], sent: bytes) -> None:
    for pieces in ([sent], [bytes([byte]) for byte in sent]):
        app = way()
        wire = await exchange(app, [*pieces, INNER])
        assert wire.written.startswith(PROBLEM)
        assert wire.written.count(b"HTTP/1.1 ") == 1
        assert wire.closed
        assert not any(one.path == "/inner" for one in app.seen)


async def test_an_older_client_needs_no_host() -> None:
    app = DirectApp()
    wire = await exchange(app, [b"GET /x HTTP/1.0\r\n\r\n"])
    assert wire.written.startswith(ANSWER)
    assert b"\r\nconnection: close\r\n\r\n" in wire.written


@WAYS
async def test_an_answer_that_is_owed_comes_before_the_problem(way: Callable[[bool, int], App]) -> None:
    """The one to the request in front of what makes no request, which has begun."""
    broken = b"POST /broken HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n"
    app = way(True, 5)
    wire = await exchange(app, [INNER, INNER, broken + INNER])
    assert re.findall(rb"HTTP/1.1 (\d+) ", wire.written) == [b"200", b"200", b"400"]
    assert [one.path for one in app.seen] == ["/inner", "/inner"]
    assert wire.closed


@PROFILE
@given(
    st.sampled_from([App, DirectApp]),
    st.lists(st.binary(max_size=60) | REQUESTS.map(lambda one: one.write("/x")), max_size=8),
    PLACES,
)
def test_any_bytes_end_in_good_order(way: Callable[[], App], parts: list[bytes], places: list[int]) -> None:
    """Each request that is seen gets one answer; at most one problem more ends the connection."""
    app = way()
    wire = asyncio.run(exchange(app, cut(b"".join(parts), places)))
    answers = re.findall(rb"HTTP/1.1 (\d+) ", wire.written)
    assert set(answers[:-1]) <= {b"200"}
    assert len(answers) in {len(app.seen), len(app.seen) + 1}
    assert wire.closed or b"400" not in answers


@WAYS
async def test_requests_that_wait_are_all_answered(way: Callable[[], App]) -> None:
    app = way()
    wire = await exchange(app, [INNER * 1_000])
    assert (len(app.seen), wire.written.count(ANSWER)) == (1_000, 1_000)


async def test_behind_a_connect_nothing_is_read() -> None:
    state, wire = ListenerState(), Wire()
    protocol = connect(DirectApp(), state, wire)
    for _ in range(2):
        protocol.data_received(b"CONNECT /x HTTP/1.1\r\nHost: x\r\n\r\n" + INNER)
        assert protocol.pipeline == []
    await asyncio.gather(*state.tasks)
    assert (wire.written.count(ANSWER), wire.closed) == (1, True)


async def test_what_waits_is_little() -> None:
    """Few requests, and bytes only of what one reading has brought, also where an application asks for its body."""
    state, wire = ListenerState(), Wire()
    protocol = connect(DirectApp(), state, wire)
    protocol.data_received(INNER * 2_000)
    assert MOST_PIPELINED < len(protocol.pipeline) <= MOST_PIPELINED + 16_384 // len(INNER)
    for _ in range(3):
        assert wire.paused
        protocol.resume_reading()
        protocol.data_received(INNER)
    while state.tasks:
        await asyncio.gather(*state.tasks)
    assert (wire.written.count(ANSWER), wire.paused) == (2_003, False)


@pytest.mark.parametrize("begin", [HEAD, HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n"])
async def test_headers_come_to_an_end(begin: bytes) -> None:
    for line in (b"x-a: " + b"a" * 995, b"x-a: " + b"a" * 100_000):
        wire = await exchange(DirectApp(), [begin, *cut(line * 100, range(0, 100_000, 1_000))])
        assert wire.written.startswith(PROBLEM)
        assert b"The headers are too large." in wire.written


async def test_who_goes_leaves_nothing_behind() -> None:
    """Neither a task nor a coroutine that nobody awaits."""
    app, state, wire = DirectApp(turns=3), ListenerState(), Wire()
    protocol = connect(app, state, wire)
    protocol.data_received(INNER * 3 + ONE[:-10])
    assert (len(state.tasks), len(protocol.pipeline), wire.paused) == (1, 3, True)
    protocol.connection_lost(None)
    await asyncio.gather(*state.tasks)
    assert [one.path for one in app.seen] == ["/inner"]
    assert (state.tasks, state.connections, wire.written, state.total_requests) == (set(), set(), b"", 0)


async def test_the_date_is_that_of_the_moment() -> None:
    app, state, wire = DirectApp(), ListenerState(), Wire()
    protocol = connect(app, state, wire)
    for date in (b"one", b"two"):
        state.default_headers = [(b"date", date)]
        protocol.data_received(INNER)
        await asyncio.gather(*state.tasks)
    assert re.findall(rb"date: (\w+)\r\n", wire.written) == [b"one", b"two"]
    assert state.total_requests == 2


def test_the_echo_is_an_answer_to_its_request() -> None:
    assert echo(ONE_IS) == Answer(
        200, [(b"content-type", b"text/plain"), (b"content-length", b"27")], b"POST /hubs/a%2Fb/send abcde"
    )


@WAYS
async def test_while_it_drains_the_last_answer_ends_the_connection(way: Callable[[], App | DirectApp]) -> None:
    app, state, wire = way(), ListenerState(), Wire()
    protocol = connect(app, state, wire)
    protocol.data_received(INNER)
    await let_go(state)
    state.is_draining = True
    protocol.data_received(INNER * 3 + INNER[:10])
    await let_go(state)
    assert wire.written.count(ANSWER) == 4
    assert b"connection: close" not in wire.written, "the next request has begun to come"
    protocol.shutdown()
    assert not wire.closed
    protocol.data_received(INNER[10:])
    await let_go(state)
    assert wire.written.count(ANSWER) == 5
    assert wire.written.count(b"connection: close") == 1
    assert wire.closed


async def test_an_answer_before_the_body_has_come_does_not_end_the_connection() -> None:
    app, state, wire = DirectApp(reads=False), ListenerState(), Wire()
    protocol = connect(app, state, wire)
    state.is_draining = True
    protocol.data_received(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na")
    await let_go(state)
    protocol.shutdown()
    assert wire.written.count(ANSWER) == 1
    assert b"connection: close" not in wire.written
    assert not wire.closed
    protocol.data_received(b"bc")
    protocol.shutdown()
    assert wire.closed


async def test_a_connection_is_left_on_which_a_request_may_be_on_its_way() -> None:
    state, wire = ListenerState(), Wire()
    state.quiet_seconds = 0.1
    protocol = connect(DirectApp(), state, wire)
    protocol.shutdown()
    assert not wire.closed
    await asyncio.sleep(0.12)
    protocol.shutdown()
    assert wire.closed


async def let_go(state: ListenerState) -> None:
    """Until nothing is answered any more."""
    while state.tasks:
        await asyncio.gather(*state.tasks)
