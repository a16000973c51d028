"""The Python client pysignalr against the real processes: it connects, gets a broadcast, sends and calls."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pysignalr.client import SignalRClient
from pysignalr.messages import CompletionMessage, Message

from tests.e2e.processes import Machine

WITHIN = 15.0


@asynccontextmanager
async def connected(machine: Machine, client: SignalRClient) -> AsyncIterator[None]:
    opened = asyncio.Event()

    async def on_open() -> None:
        opened.set()

    client.on_open(on_open)
    running = asyncio.create_task(client.run())
    try:
        opening = asyncio.create_task(opened.wait())
        done, _ = await asyncio.wait({running, opening}, timeout=WITHIN, return_when=asyncio.FIRST_COMPLETED)
        assert opening in done, "not connected"
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        # It leaves its WebSocket open, which would be a warning in whatever test runs when it is cleared away.
        if (socket := vars(vars(client)["_transport"])["_ws"]) is not None:
            await socket.close()


async def test_it_connects_gets_a_broadcast_sends_and_calls(machine: Machine) -> None:
    user = f"user-{secrets.token_hex(4)}"
    client = SignalRClient(f"{machine.url}/hubs/chat?userId={user}")
    received: asyncio.Queue[tuple[str, list[Any]]] = asyncio.Queue()
    completed: asyncio.Queue[Message] = asyncio.Queue()

    failed: asyncio.Queue[CompletionMessage] = asyncio.Queue()
    client.on_error(failed.put)

    async def on_new_message(arguments: list[Any]) -> None:
        await received.put(("newMessage", arguments))

    async def on_noted(arguments: list[Any]) -> None:
        await received.put(("noted", arguments))

    client.on("newMessage", on_new_message)
    client.on("noted", on_noted)
    async with connected(machine, client), asyncio.timeout(WITHIN):
        with machine.http() as http:
            response = http.post("/hubs/chat/send", json={"target": "newMessage", "arguments": ["curl", "é"]})
        assert response.status_code == 202, response.text
        assert await received.get() == ("newMessage", ["curl", "é"])

        await client.send("note", ["hello"])  # type: ignore[list-item]
        assert await received.get() == ("noted", ["hello"])

        await client.send("who", [], completed.put)
        completion = await completed.get()
        assert isinstance(completion, CompletionMessage)
        assert completion.result is not None
        assert completion.result["userId"] == user

        await client.send("refuse", ["No."], completed.put)  # type: ignore[list-item]
        assert (await failed.get()).error == "No."
