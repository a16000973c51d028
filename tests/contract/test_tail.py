"""`tail` and a stream that breaks off, or holds what ends other programs: it goes on."""

import asyncio
import io
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from signalr_bridge.tail import watch

STREAM = b"""HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r
id: boot-%d\ndata: {"event": "number %d", "outcome": "returned"}\n\n"""


async def test_it_comes_again_and_says_what_it_has_seen() -> None:
    seen: list[str | None] = []
    enough = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        found = re.search(r"(?im)^last-event-id: (.*)\r$", head)
        seen.append(found and found[1])
        writer.write(STREAM % (len(seen), len(seen)))
        writer.close()
        if len(seen) == 3:
            enough.set()

    out = io.StringIO()
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        watching = asyncio.create_task(watch(f"http://127.0.0.1:{port}", None, out))
        await asyncio.wait_for(enough.wait(), 30)
        watching.cancel()
        await watching
    assert seen == [None, "boot-1", "boot-2"]
    assert re.findall("number [12]", out.getvalue()) == ["number 1", "number 2"]


@asynccontextmanager
async def streaming(text: bytes) -> AsyncIterator[str]:
    """A bridge that streams this, and no end; its address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + text)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def see(text: bytes, encoding: str = "utf-8") -> list[str]:
    """The lines that are printed for this stream, as a terminal ends them, until an event of a hub ``last``."""
    out = io.TextIOWrapper(shown := io.BytesIO(), encoding=encoding)
    async with streaming(text) as url, asyncio.timeout(30):
        watching = asyncio.create_task(watch(url, None, out))
        while b"last" not in shown.getvalue():
            assert not watching.done(), watching.result()
            await asyncio.sleep(0.01)
        watching.cancel()
        await watching
    return shown.getvalue().decode(encoding).splitlines()[1:]


LAST = b'data: {"hub": "last"}\n\n'
SEPARATORS = "\u2028\u2029\x85"


async def test_separators_of_lines_that_json_leaves_end_neither_the_stream_nor_a_line() -> None:
    event = json.dumps({"userId": f"a{SEPARATORS}b", "arguments": [SEPARATORS]}, ensure_ascii=False)
    forged, last = await see(f"data: {event}\n\n".encode() + LAST)
    assert "a\ufffd\ufffd\ufffdb" in forged
    assert '"\ufffd\ufffd\ufffd"' in forged
    assert "last" in last


@pytest.mark.parametrize(
    "data",
    ["{", '["a list"]', '{"milliseconds": "long"}', '{"handler": 5}', '{"milliseconds": 1' + "0" * 400 + "}"],
    ids=range(5),
)
async def test_an_event_that_cannot_be_read_ends_nothing(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = await see(f"data: {data}\n\n".encode() + LAST)
    assert "last" in line
    assert capsys.readouterr().err == "An event cannot be read, and is left out.\n"


async def test_a_terminal_without_a_character_ends_nothing() -> None:
    foreign, last = await see('data: {"userId": "zo\u00eb \U0001f600"}\n\n'.encode() + LAST, "latin-1")
    assert "zo\u00eb ?" in foreign
    assert "last" in last
