"""A backend of its own process that remembers what it was told: ``python -m tests.e2e.recording_backend PORT``.

Messages: ``number`` is done after a random while, ``hold`` when somebody posts to ``/release``, and ``answer`` is
answered with its arguments: status, media type and body. A connection event is answered with the statuses in the user
id (``500,204``), one after the other. ``GET /seen`` tells what came.
"""

import asyncio
import json
import random
import sys
from typing import Any

SLOWEST = 0.005


class Memory:
    """``effects`` are the events by their id, each once, in the order in which they came."""

    def __init__(self) -> None:
        self.requests = self.overlaps = 0
        self.effects: dict[str, list[Any]] = {}
        self.attempts: dict[str, int] = {}
        self.under_way: set[str] = set()
        self.released = asyncio.Event()

    async def take(self, event: dict[str, Any]) -> tuple[int, str, str]:
        self.requests += 1
        connection, arguments = event["connectionId"], event["arguments"]
        self.overlaps += connection in self.under_way
        self.under_way.add(connection)
        self.attempts[event["id"]] = attempt = self.attempts.get(event["id"], 0) + 1
        self.effects.setdefault(event["id"], [event["event"], connection, event["userId"], arguments[:1]])
        try:
            return await self._answer(event, arguments, attempt)
        finally:
            self.under_way.discard(connection)

    async def _answer(self, event: dict[str, Any], arguments: list[Any], attempt: int) -> tuple[int, str, str]:
        match event["event"]:
            case "number":
                await asyncio.sleep(random.uniform(0, SLOWEST))
            case "hold":
                await self.released.wait()
            case "answer":
                return arguments[0], arguments[1], arguments[2]
            case "connected":
                statuses = [int(one) for one in str(event["userId"]).split(",") if one.isdigit()] or [204]
                return statuses[min(attempt, len(statuses)) - 1], "application/problem+json", '{"detail":"no"}'
        return 204, "", ""

    def tell(self) -> str:
        told = {"requests": self.requests, "overlaps": self.overlaps, "attempts": self.attempts}
        return json.dumps(told | {"effects": list(self.effects.values())})


async def serve(memory: Memory, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            status, media_type, answer = await respond(memory, head[0].split(" ")[1], body)
            lines = [f"HTTP/1.1 {status} Said", f"Content-Type: {media_type or 'text/plain'}"]
            if status != 204:
                lines.append(f"Content-Length: {len(answer.encode())}")
            writer.write("\r\n".join([*lines, "", answer if status != 204 else ""]).encode())
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def respond(memory: Memory, path: str, body: bytes) -> tuple[int, str, str]:
    match path:
        case "/health":
            return 200, "text/plain", "well"
        case "/seen":
            return 200, "application/json", memory.tell()
        case "/release":
            memory.released.set()
            return 200, "text/plain", "released"
    return await memory.take(json.loads(body))


async def main(port: int) -> None:
    memory = Memory()
    server = await asyncio.start_server(lambda *streams: serve(memory, *streams), "127.0.0.1", port, backlog=2048)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
