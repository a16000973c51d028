"""How `tail` reads a stream and writes a line."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from signalr_bridge.tail import LONGEST_LINE, read_events, read_lines, write_line

EVENT: dict[str, Any] = {
    "time": "2026-11-22T10:00:00.123Z",
    "hub": "chat",
    "category": "messages",
    "event": "send",
    "connectionId": "c1",
    "userId": "ann",
    "arguments": ["hi", 1],
    "handler": "my:send",
    "milliseconds": 1.25,
    "status": 200,
    "outcome": "returned",
    "result": {"n": None},
}
PREFIX = "10:00:00.123  chat        send                ann           c1        1.2 ms     200   my:send"

STEERING = "\x1b[2J\r\n\x0b\x0c\x1c\x85\x9b\u2028\u2029\u202e\u2066\u00a0\u00ad\ud800\ue000"


async def lines(text: str) -> AsyncIterator[str]:
    for line in text.split("\n"):
        yield line


async def read(text: str) -> list[tuple[str, Any]]:
    return [one async for one in read_events(lines(text))]


async def test_a_stream_is_read() -> None:
    text = 'retry: 1000\n\n:\n\nid: b-1\ndata: {"a":1}\n\nid: b-2\ndata: {"a":\ndata: 2}\n\n:\n\nid: b-3\ndata: {"a":'
    assert await read(text) == [("b-1", {"a": 1}), ("b-2", {"a": 2})]


async def split(*chunks: bytes) -> list[str]:
    async def stream() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return [line async for line in read_lines(stream())]


async def test_only_line_feeds_end_lines() -> None:
    text = "data: a\u2028b\u2029c\x85d\x0be\x0cf\x1cg"
    whole = f"{text}\n\nid: 1\r\nlost".encode()
    assert await split(whole) == [text, "", "id: 1"]
    assert await split(*(whole[at : at + 1] for at in range(len(whole)))) == [text, "", "id: 1"]
    assert await split(b"a\xffb\n") == ["a\ufffdb"]


async def test_lines_and_events_are_bounded() -> None:
    many = [b"x" * 65_536] * (LONGEST_LINE // 65_536 + 1)
    assert [len(line) for line in await split(*many, b"more\n", *many, b"\nshort\n")] == [LONGEST_LINE, LONGEST_LINE, 5]
    part = f"data:{' ' * 60_000}\n" * 20
    assert await read(f'data: {{"a":1}}\n{part}data: lost\n\nid: 2\ndata: {{}}\n\n') == [("", {"a": 1}), ("2", {})]


@pytest.mark.parametrize("data", ["{", "nonsense", "[1]", "5", "null", "[" * 100_000, "9" * 5_000])
async def test_what_cannot_be_read_is_left_out(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await read(f'id: 1\ndata: {data}\n\nid: 2\ndata: {{"a":1}}\n\n') == [("2", {"a": 1})]
    assert capsys.readouterr().err == "An event cannot be read, and is left out.\n"


@pytest.mark.parametrize(
    ("more", "rest"),
    [
        ({}, '  "hi", 1 -> {"n": null}'),
        ({"arguments": []}, '  -> {"n": null}'),
        ({"arguments": ["zoë"], "result": None}, '  "zoë" -> null'),
        ({"outcome": "refused", "error": "Say something."}, '  "hi", 1 ! refused: Say something.'),
        ({"outcome": "failed", "error": None}, '  "hi", 1 ! failed: see the log'),
    ],
)
def test_a_line(more: dict[str, Any], rest: str) -> None:
    assert write_line(EVENT | more) == PREFIX + rest


COMMON = {"time": EVENT["time"], "hub": "chat", "milliseconds": 1.25}
ACCEPTED = {"name": "east", "endpointType": "Primary", "outcome": "accepted"}
REJECTED = {"name": "west", "endpointType": "Primary", "outcome": "rejected", "statusCode": 403, "code": "denied"}
EVERY_KIND: list[tuple[dict[str, Any], str]] = [
    (EVENT | {"kind": "upstream"}, f'upstream   {PREFIX}  "hi", 1 -> {{"n": null}}'),
    (
        COMMON | {"kind": "negotiate", "by": "client", "userId": "ann", "endpoint": "east", "status": 200},
        "negotiate  10:00:00.123  chat        negotiate           ann           -         1.2 ms     200   "
        "client  -> east",
    ),
    (
        COMMON | {"kind": "negotiate", "by": "shop", "status": 401, "code": "unauthenticated"},
        "negotiate  10:00:00.123  chat        negotiate           -             -         1.2 ms     401   "
        "shop  ! unauthenticated",
    ),
    (
        COMMON
        | {"kind": "send", "by": "shop", "target": "news", "to": None, "arguments": ["a", 1], "status": 207}
        | {"result": "partial", "endpoints": [ACCEPTED, REJECTED]},
        "send       10:00:00.123  chat        news                -             -         1.2 ms     207   "
        'shop  "a", 1 -> everybody: east accepted, west rejected (denied)',
    ),
    (
        COMMON
        | {"kind": "send", "by": None, "action": "add", "to": {"groupName": "g", "connectionId": "c1"}, "status": 202}
        | {"result": "accepted", "endpoints": []},
        "send       10:00:00.123  chat        add                 -             c1        1.2 ms     202   "
        "-  -> group g: accepted",
    ),
]


@pytest.mark.parametrize(("event", "line"), EVERY_KIND)
def test_a_line_of_every_kind(event: dict[str, Any], line: str) -> None:
    assert write_line(event, every_kind=True) == line
    steering = {name: STEERING if isinstance(value, str) else value for name, value in event.items()}
    assert write_line(steering | {"kind": event["kind"]}, every_kind=True).isprintable()


def test_the_colour_says_how_it_ended() -> None:
    for status, colour in ((202, 32), (207, 33), (403, 33), (502, 31)):
        for kind in ("send", "negotiate"):
            line = write_line(COMMON | {"kind": kind, "status": status}, colours=True, every_kind=True)
            assert line.startswith(f"\x1b[{colour}m")
    assert "\x1b[1mKIND " in write_line(None, colours=True, every_kind=True)


def test_a_line_of_a_connection() -> None:
    event = {name: value for name, value in EVENT.items() if name not in {"arguments", "result"}}
    assert write_line(event) == PREFIX
    assert write_line(event | {"reason": "lost"}) == PREFIX + "  lost"
    unhandled = event | {"outcome": "rejected", "error": "no-handler", "detail": "It has handlers of say."}
    assert write_line(unhandled) == PREFIX + "  ! rejected: no-handler. It has handlers of say."
    nobody = event | {"handler": None, "outcome": "rejected", "error": "no-handler", "status": 404, "userId": None}
    assert write_line(nobody).endswith("404   -  ! rejected: no-handler")
    assert "  -             c1" in write_line(nobody)


def test_headings_stand_above_their_columns() -> None:
    heading, line = write_line(None), write_line(EVENT)
    for name, value in {
        "TIME": "10:00",
        "HUB": "chat",
        "EVENT": "send",
        "USER": "ann",
        "CODE": "200",
        "HANDLER": "my",
    }.items():
        assert heading.index(name) == line.index(value)


def test_columns_and_lines_have_a_width() -> None:
    long = EVENT | {"event": "e" * 50, "userId": "u" * 50, "connectionId": "c" * 50, "hub": "h" * 50}
    assert write_line(long).index("my:send") == write_line(EVENT).index("my:send")
    assert len(write_line(long | {"arguments": ["x" * 500]}, 80)) == 80
    assert write_line(long, 80).endswith("…")
    assert write_line(EVENT, 200) == write_line(EVENT)


def test_colours_say_how_it_ended() -> None:
    for outcome, code in {"returned": "32", "refused": "33", "failed": "31", "rejected": "31"}.items():
        line = write_line(EVENT | {"outcome": outcome}, colours=True)
        assert line.startswith(f"\x1b[{code}m")
        assert line.endswith("\x1b[0m")
    assert "\x1b" not in write_line(EVENT)


@pytest.mark.parametrize("name", ["hub", "event", "userId", "connectionId", "handler", "error", "reason"])
def test_nobody_steers_the_terminal(name: str) -> None:
    event = {key: value for key, value in EVENT.items() if key not in {"arguments", "result"}}
    line = write_line(event | {"outcome": "refused", "error": "x", name: f"a{STEERING}b"})
    assert re.search("[^ -~\ufffd…]", line) is None
    given = write_line(EVENT | {"arguments": [STEERING], "result": {STEERING: STEERING}})
    assert re.search("[^ -~\ufffd]", given) is None
