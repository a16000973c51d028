"""Hubs whose functions run outside events, for test_hub_lifespan.py. They write what they see into a file."""

import asyncio
import os
import socket
from pathlib import Path
from typing import Any

from signalr_bridge import Context, Hub, outbox

FOLDER = Path(os.environ.get("APPOINTED_FOLDER", "."))
chat, failing, waiting = Hub("chat"), Hub("failing"), Hub("waiting")
clients = outbox("chat").clients
_kept: set[asyncio.Task[None]] = set()


def tell(line: str) -> None:
    with (FOLDER / "told").open("a") as file:
        file.write(f"{line}\n")


@chat.startup
async def open_up() -> None:
    await clients.all.send("newMessage", "up")  # it fails, and then the bridge does not start, unless it can send
    tell("startup")


@chat.every(0.2)
async def tick() -> None:
    await clients.all.send("newMessage", "tick")


@chat.every(0.2)
def fail() -> None:
    raise ValueError("canary")


@chat.on("later")
async def later(context: Context, text: str) -> None:
    """Answers, and sends when the call has long been answered."""

    async def send() -> None:
        await asyncio.sleep(0.3)
        await clients.group("late").send("noted", text)

    await context.groups.add("late", connection=context.connection_id)
    _kept.add(asyncio.create_task(send()))


@chat.shutdown
def close_down() -> Any:
    """In a thread: what it returns is awaited by the bridge."""
    try:
        socket.create_connection(("127.0.0.1", int(os.environ["APPOINTED_PORT"])), 2).close()
        tell("shutdown while it listens")
    except ConnectionRefusedError:
        tell("shutdown")
    return clients.all.send("noted", "down")


@failing.startup
def refuse() -> None:
    raise ValueError("canary")


@waiting.startup
async def wait() -> None:
    tell("waiting")
    while not (FOLDER / "go").exists():  # noqa: ASYNC110 - a file tells nobody that it is there
        await asyncio.sleep(0.05)


@waiting.shutdown
async def hang() -> None:
    tell("hanging")
    await asyncio.sleep(60)
