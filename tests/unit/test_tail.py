"""How `tail` reads a stream and writes a line."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.tail import read_events, write_line

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


async def lines(text: str) -> AsyncIterator[str]:
    for line in text.split("\n"):
        yield line


async def read(text: str) -> list[tuple[str, Any]]:
    return [one async for one in read_events(lines(text))]


async def test_a_stream_is_read() -> None:
    text = 'retry: 1000\n\n:\n\nid: b-1\ndata: {"a":1}\n\nid: b-2\ndata: {"a":\ndata: 2}\n\n:\n\nid: b-3\ndata: {"a":'
    assert await read(text) == [("b-1", {"a": 1}), ("b-2", {"a": 2})]


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


def test_a_line_of_a_connection() -> None:
    event = {name: value for name, value in EVENT.items() if name not in {"arguments", "result"}}
    assert write_line(event) == PREFIX
    assert write_line(event | {"reason": "lost"}) == PREFIX + "  lost"
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
    line = write_line(event | {"outcome": "refused", "error": "x", name: "a\x1b[2J\r\n\x9b\u202eb"})
    assert re.search("[^ -~\ufffd…]", line) is None
    given = write_line(EVENT | {"arguments": ["\x1b[2J\x9b\u202e"], "result": "\x1b"})
    assert re.search("[^ -~\ufffd]", given) is None
