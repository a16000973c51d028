"""Whatever a peer answers, however the network cuts it: the caller gets its body or an error, and the next one too."""

import asyncio
from dataclasses import dataclass

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st
from signalr_bridge.wire.client import CallFailed, Client, ClientOptions, Response

from tests.fuzz.answers import End, feed
from tests.fuzz.profile import PROFILE, SHORT_PROFILE
from tests.fuzz.seeds import SEEDS
from tests.unit.wire.scripted_peer import Visit, scripted

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LARGEST = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """A well-formed answer.

    Attributes:
        data: All of its bytes, with interim answers before it.
        status: Its status.
        body: Its body.
        keeps: Whether the connection may be used again.
        ends: Whether it says itself where it ends.
    """

    data: bytes
    status: int
    body: bytes
    keeps: bool
    ends: bool


TOKEN = st.text("abcXYZ0189-_!~", min_size=1, max_size=8).map(lambda text: f"x{text}".encode())
VALUE = st.text("ab ;,=\"'\t:/é\xff", max_size=12).map(lambda text: text.strip().encode("latin-1"))
LINES = st.lists(st.tuples(TOKEN, VALUE), max_size=4)
INTERIM = st.builds(
    lambda status, lines: b"HTTP/1.1 %d Soon\r\n%b\r\n" % (status, written(lines)),
    st.sampled_from([100, 102, 103]),
    LINES,
)


def written(lines: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(b"%b: %b\r\n" % line for line in lines)


@st.composite
def chunks(draw: st.DrawFn, body: bytes) -> bytes:
    """The body in chunks, with extensions and trailers."""
    places = sorted(draw(st.sets(st.integers(1, max(len(body) - 1, 1)), max_size=3)))
    parts = [part for part in (body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True)) if part]
    extension = st.sampled_from([b"", b";a", b";a=b", b';a="b c"'])
    number = st.sampled_from([b"%x", b"%X", b"0%x", b"000%x"])
    data = b"".join(b"%b%b\r\n%b\r\n" % (draw(number) % len(one), draw(extension), one) for one in parts)
    return b"%b0%b\r\n%b\r\n" % (data, draw(extension), written(draw(LINES)))


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    version, body = draw(st.sampled_from([b"1.1", b"1.1", b"1.0"])), draw(st.binary(max_size=200))
    status = draw(st.sampled_from([200, 201, 202, 204, 304, 400, 404, 429, 500, 503, 599]))
    says_close = draw(st.booleans())
    framing = draw(st.sampled_from(["length", "chunks"] if version == b"1.1" else ["length", "end"]))
    lines, ends = draw(LINES), True
    if status in {204, 304}:
        data, body = b"", b""
        lines += draw(st.sampled_from([[], [(b"Content-Length", b"7")]]))
    elif framing == "length":
        lines, data = [*lines, (draw(st.sampled_from([b"Content-Length", b"content-length"])), b"%d" % len(body))], body
    elif framing == "chunks":
        lines, data = [*lines, (b"Transfer-Encoding", draw(st.sampled_from([b"chunked", b"Chunked"])))], b""
        data = draw(chunks(body))
    else:
        data, ends = body, False
    if says_close:
        lines.insert(0, (b"Connection", b"close"))
    interim = b"".join(draw(st.lists(INTERIM, max_size=2)))
    head = b"HTTP/%b %d Said so\r\n%b\r\n" % (version, status, written(draw(st.permutations(lines))))
    return Answer(interim + head + data, status, body, version == b"1.1" and not says_close, ends)


@st.composite
def cuts(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """The bytes in a few pieces, or each on its own."""
    if draw(st.integers(0, 9)) == 0:
        return [bytes([byte]) for byte in data]
    places = sorted(draw(st.sets(st.integers(1, max(len(data) - 1, 1)), max_size=6)))
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True) if a < b]


@PROFILE
@given(st.data(), answers(), st.booleans())
def test_a_well_formed_answer_gives_exactly_its_body(data: st.DataObject, answer: Answer, reset: bool) -> None:
    end = feed(data.draw(cuts(answer.data)), largest=LARGEST, reset=reset and answer.ends)
    assert isinstance(end.outcome, Response), end
    assert (end.outcome.status, end.outcome.body) == (answer.status, answer.body)
    assert end.is_kept == answer.keeps


@SHORT_PROFILE
@given(st.data(), answers(), st.booleans())
def test_a_body_that_is_not_wanted_is_dropped(data: st.DataObject, answer: Answer, reset: bool) -> None:
    end = feed(data.draw(cuts(answer.data)), largest=None, reset=reset)
    assert isinstance(end.outcome, Response), end
    assert (end.outcome.status, end.outcome.body) == (answer.status, b"")
    assert end.is_kept == answer.keeps


@SHORT_PROFILE
@given(st.data(), answers(), answers())
def test_what_follows_an_answer_is_never_taken_for_another_one(
    data: st.DataObject, answer: Answer, other: Answer
) -> None:
    """When the connection would be free, more has come already."""
    if answer.ends:
        *pieces, last = data.draw(cuts(answer.data))
        end = feed([*pieces, last + other.data], largest=LARGEST)
        assert isinstance(end.outcome, Response)
        assert (end.outcome.status, end.outcome.body) == (answer.status, answer.body)
        assert not end.is_kept


@SHORT_PROFILE
@given(st.data(), answers())
def test_a_part_of_an_answer_is_none(data: st.DataObject, answer: Answer) -> None:
    size = data.draw(st.integers(0, len(answer.data) - 1))
    end = feed(data.draw(cuts(answer.data[:size])), largest=LARGEST, reset=True)
    assert isinstance(end.outcome, CallFailed)
    assert not end.is_kept


PIECES = st.binary(max_size=12) | st.sampled_from(
    [
        *(b"\r\n", b"\r\n\r\n", b"\n", b"\r", b"\0", b":", b";", b" ", b"HTTP/1.1 200 OK\r\n", OK, b"0\r\n\r\n"),
        *(b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n", b"-1", b"f" * 17),
        *(b"Connection: close\r\n", b"Connection: upgrade\r\nUpgrade: h2c\r\n", b"HTTP/1.1 101 X\r\n\r\n", b"9" * 25),
    ]
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """One answer or two, with stretches replaced, doubled or left out, and cut off somewhere."""
    data = b"".join(one.data for one in draw(st.lists(answers(), min_size=1, max_size=2)))
    for _ in range(draw(st.integers(0, 4))):
        first, second = draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))
        data = data[:first] + draw(PIECES) + data[second:]
    return data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data


@PROFILE
@given(
    st.data(),
    mutated() | st.binary(max_size=200),
    st.booleans(),
    st.sampled_from([None, 0, 10, LARGEST]),
    st.booleans(),
)
def test_every_caller_gets_a_response_or_an_error(
    data: st.DataObject, given_bytes: bytes, is_head: bool, largest: int | None, reset: bool
) -> None:
    end = feed(data.draw(cuts(given_bytes)), is_head=is_head, largest=largest, reset=reset)
    assert isinstance(end, End)


@SHORT_PROFILE
@given(st.data(), mutated())
def test_a_body_depends_on_the_bytes_and_not_on_their_pieces(data: st.DataObject, given_bytes: bytes) -> None:
    """Where the pieces lie may decide whether a connection is kept, but neither the status nor the body."""
    whole = feed([given_bytes], largest=LARGEST).outcome
    parts = feed(data.draw(cuts(given_bytes)), largest=LARGEST).outcome
    if isinstance(whole, Response) and isinstance(parts, Response):
        assert (parts.status, parts.body, parts.lines) == (whole.status, whole.body, whole.lines)
    else:
        assert type(parts) is type(whole)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_the_next_request_is_answered_whatever_the_first_one_got(loop: str) -> None:
    make = asyncio.new_event_loop if loop == "asyncio" else uvloop.new_event_loop

    async def ask_twice(bad: bytes, pieces: list[bytes]) -> None:
        async def script(visit: Visit) -> None:
            if visit.number > 1:
                while True:
                    await visit.answer(OK)
            await visit.request()
            for piece in pieces:
                await visit.write(piece)
                await asyncio.sleep(0)

        async with scripted(script) as peer, Client(ClientOptions(connections=1)) as client:
            first = client.begin("GET", peer.http, "/", b"", seconds=5.0, largest=LARGEST)
            done = await asyncio.gather(first, return_exceptions=True)
            assert isinstance(done[0], Response | CallFailed)
            await peer.ended.get()
            await asyncio.sleep(0.002)
            second = await client.begin("GET", peer.http, "/", b"", seconds=5.0, largest=LARGEST)
            assert (second.status, second.body) == (200, b"ok")

    with asyncio.Runner(loop_factory=make) as runner:

        @settings(SHORT_PROFILE)
        @given(st.data(), mutated())
        def check(data: st.DataObject, bad: bytes) -> None:
            runner.run(ask_twice(bad, data.draw(cuts(bad))))

        check()


def test_the_seeds_are_answers() -> None:
    for seed in SEEDS["http answer"]:
        assert isinstance(feed([seed[1:]], is_head=bool(seed[0] & 1)).outcome, Response)
