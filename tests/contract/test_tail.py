"""`tail` and a stream that breaks off: it comes again, and says what it has seen."""

import asyncio
import io
import re

from app.tail import watch

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
