"""A hub for tests of two bridges in one process: it orders, and sends outside events."""

from pydantic import BaseModel, Field
from signalr_bridge import Context, Hub, outbox

chat = Hub("chat")
clients = outbox("chat").clients


class Line(BaseModel):
    article: str
    count: int = Field(1, gt=0)


class Purchase(BaseModel):
    lines: list[Line]


@chat.on("order")
async def order(context: Context, order: Purchase) -> int:
    await clients.all.send("ordered")
    return len(order.lines)


@chat.startup
async def up() -> None:
    await clients.all.send("up")


@chat.shutdown
async def down() -> None:
    await clients.all.send("down")
