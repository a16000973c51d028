"""The demo's chat with methods that end in every way, for the tests of what one sees."""

from signalr_bridge import Context, HubError
from signalr_bridge.demo import chat

__all__ = ["chat"]


@chat.on("add")
async def add(context: Context, first: int, second: int) -> int:
    return first + second


@chat.on("refuse")
async def refuse(context: Context, text: str) -> None:
    raise HubError(text)


@chat.on("fail")
async def fail(context: Context) -> None:
    raise RuntimeError("a secret of the log")


@chat.on("echo")
async def echo(context: Context, value: object) -> object:
    return value
