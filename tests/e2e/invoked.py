"""The handlers of test_invocations.py: every kind of argument, of result, of error, and calls of clients."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field
from signalr_bridge import Context, Hub, HubError, Rejected
from signalr_bridge.errors import ClientTimeout, ConnectionNotFound, InvokeFailed

chat = Hub("chat")

SECRET = "a secret of the log"


class Seat(BaseModel):
    row_name: str = Field(alias="rowName")
    number: int


@dataclass
class Ticket:
    seat: Seat
    paid: bool


class Color(Enum):
    RED = "red"


ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)

RESULTS: dict[str, Any] = {
    "null": None,
    "false": False,
    "zero": 0,
    "integer": 2**53 - 1,
    "largest of 64 bits": 2**63 - 1,
    "smallest of 64 bits": -(2**63),
    "largest without sign": 2**64 - 1,
    "float": -1e-300,
    "empty text": "",
    "text": "é\u2028\0\U0001f600",
    "binary": bytes(range(256)),
    "no bytes": b"",
    "time": datetime(2026, 11, 22, 10, 0, 0, 123000, tzinfo=UTC),
    "empty list": [],
    "tuple": (1, (2, None)),
    "object": {"Nested": {"deep": [{"": b"\0\xff"}]}},
    "model": Seat(rowName="F", number=7),
    "dataclass": Ticket(Seat(rowName="F", number=7), True),
    "enum": Color.RED,
    "uuid": UUID(int=1),
    "long text": "x" * 70_000,
}

NOT_ENCODABLE: dict[str, Any] = {
    "an object": object(),
    "an object inside": [{"deep": object()}],
    "itself": ENDLESS,
    "half a character": "\ud800",
}


@chat.on("see")
async def see(context: Context, *values: Any) -> str:
    """What arrived here, in Python's words: nothing is lost on the way back."""
    return repr(values)


@chat.on("echo")
async def echo(context: Context, *values: Any) -> list[Any]:
    return list(values)


@chat.on("digits")
async def digits(context: Context, number: int) -> str:
    return str(number)


@chat.on("reverse")
async def reverse(context: Context, data: bytes) -> bytes:
    return data[::-1]


@chat.on("eleven")
async def eleven(
    context: Context, a: int, b: int, c: int, d: int, e: int, f: int, g: int, h: int, i: int, j: int, k: int
) -> list[int]:
    return [a, b, c, d, e, f, g, h, i, j, k]


@chat.on("give")
async def give(context: Context, kind: str) -> Any:
    return RESULTS[kind]


@chat.on("giveNothing")
async def give_nothing(context: Context) -> None:
    pass


# --- errors


@chat.on("refuse")
async def refuse(context: Context, text: str) -> None:
    raise HubError(text)


@chat.on("reject")
async def reject(context: Context, text: str) -> None:
    raise Rejected(text)


@chat.on("fail")
async def fail(context: Context) -> None:
    raise RuntimeError(SECRET)


@chat.on("dawdle", timeout_seconds=0.2)
async def dawdle(context: Context) -> None:
    await asyncio.Event().wait()


@chat.on("giveUnencodable")
async def give_unencodable(context: Context, kind: str) -> Any:
    return NOT_ENCODABLE[kind]


@chat.on("giveTooLarge")
async def give_too_large(context: Context) -> int:
    return 2**64


# --- calls of clients


@chat.on("askMe")
async def ask_me(context: Context, target: str, *arguments: Any) -> Any:
    """What the caller itself answers."""
    return await context.connections.invoke(context.connection_id, target, *arguments)


@chat.on("seeMine")
async def see_mine(context: Context, target: str, *arguments: Any) -> str:
    """The same, in Python's words."""
    return repr(await context.connections.invoke(context.connection_id, target, *arguments))


@chat.on("ask", timeout_seconds=5)  # less than the usual deadline of a call: only what it is given itself can end it
async def ask(context: Context, whom: list[str], seconds: float, target: str, *arguments: Any) -> list[dict[str, Any]]:
    """All of them at once: what each answers, or what becomes of the call."""
    return await asyncio.gather(*(_ask(context, one, seconds, target, arguments) for one in whom))


async def _ask(
    context: Context, connection: str, seconds: float, target: str, arguments: tuple[Any, ...]
) -> dict[str, Any]:
    try:
        answer = await context.connections.invoke(connection, target, *arguments, timeout_seconds=seconds)
    except (ClientTimeout, ConnectionNotFound, InvokeFailed) as error:
        return {"error": type(error).__name__, "detail": error.detail}
    return {"answer": answer}
