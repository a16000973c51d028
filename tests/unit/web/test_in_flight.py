"""As many requests at once as are allowed; health is never shed, and what ends makes room."""

import asyncio
from typing import Any

import pytest
from signalr_bridge.web.guards import InFlight
from starlette.types import Message, Receive, Scope, Send


async def ask(limited: InFlight, path: str = "/x") -> tuple[int, dict[bytes, bytes]]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    await limited({"type": "http", "path": path, "request_id": "r"}, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"])


async def test_more_are_turned_away() -> None:
    gate = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/x":
            await gate.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    limited = InFlight(app, 2)
    waiting = [asyncio.create_task(ask(limited)) for _ in range(2)]
    await asyncio.sleep(0)
    status, headers = await ask(limited)
    assert (status, headers[b"retry-after"], headers[b"x-problem-code"]) == (503, b"1", b"overloaded")
    assert (await ask(limited, "/health/live"))[0] == 200
    gate.set()
    assert [status for status, _ in await asyncio.gather(*waiting)] == [200, 200]
    assert (await ask(limited))[0] == 200


async def test_one_that_fails_makes_room() -> None:
    async def app(*_: Any) -> None:
        raise RuntimeError

    limited = InFlight(app, 1)
    for _ in range(3):
        with pytest.raises(RuntimeError):
            await ask(limited)
