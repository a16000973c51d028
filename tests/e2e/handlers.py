"""The handlers of the end-to-end tests: one hub method for every way in which a call can end."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel
from signalr_bridge import Context, Hub, HubError, Rejected

chat = Hub("chat")


@chat.connected
async def arrive(context: Context) -> None:
    if context.user_id == "banned":
        raise Rejected("You are banned.")
    await context.clients.group("observers").send("arrived", context.user_id, context.connection_id)


@chat.disconnected
async def depart(context: Context) -> None:
    await context.clients.group("observers").send("left", context.user_id, context.connection_id)


@chat.on("observe")
async def observe(context: Context) -> None:
    """Tells this connection, from now on, who comes and goes."""
    await context.groups.add("observers", connection=context.connection_id)


@chat.on("echo")
async def echo(context: Context, *values: Any) -> list[Any]:
    return list(values)


@chat.on("add")
async def add(context: Context, first: int, second: int) -> int:
    return first + second


@chat.on("kinds")
async def kinds(context: Context, *values: Any) -> list[str]:
    """The Python types that the arguments have here."""
    return [type(one).__name__ for one in values]


@chat.on("stamp")
async def stamp(context: Context, moment: datetime, data: bytes, factor: float) -> dict[str, Any]:
    """The same for every client, whatever it speaks."""
    return {"text": f"{moment:%d.%m.%Y %H:%M} {data.hex()} {factor}", "moment": moment, "data": data}


@chat.on("relayAll")
async def relay_all(context: Context, *values: Any) -> None:
    await context.clients.all.send("newMessage", *values)


@chat.on("who")
async def who(context: Context) -> dict[str, Any]:
    return {"userId": context.user_id, "connectionId": context.connection_id, "hub": context.hub}


@chat.on("refuse")
async def refuse(context: Context, text: str) -> None:
    raise HubError(text)


@chat.on("fail")
async def fail(context: Context) -> None:
    raise RuntimeError("a secret of the log")


@chat.on("note")
async def note(context: Context, text: str) -> None:
    await context.clients.caller.send("noted", text)


@chat.on("relay")
async def relay(context: Context, text: str) -> str:
    """To everybody but the one who calls."""
    await context.clients.all.send("newMessage", context.user_id, text, excluded=[context.connection_id])
    return "relayed"


class Purchase(BaseModel):
    """What a shop's client sends."""

    price: Decimal
    weight: float = 0.0
    placed: datetime | None = None


@chat.on("price")
async def price(context: Context, amount: Decimal) -> Decimal:
    return amount


@chat.on("orders")
async def orders(context: Context, given: list[Purchase], limit: Decimal | None = None) -> list[str]:
    """Each price and the limit, with all digits that reached the handler."""
    return [*(f"{one.price} {type(one.weight).__name__}" for one in given), str(limit)]


@chat.on("moments")
async def moments(context: Context, moment: datetime, more: list[datetime], order: Purchase) -> list[str]:
    """Each time as ISO 8601, with the offset that it has here."""
    return [one.isoformat() for one in (moment, *more, order.placed) if one is not None]


@chat.on("tell")
async def tell(context: Context) -> None:
    await context.clients.caller.send("newMessage", Decimal("12345678901234567.89"), 1e16, float("nan"))
