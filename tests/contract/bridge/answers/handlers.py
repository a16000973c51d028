"""Handlers in Python that end in every way there is."""

from typing import Any

from signalr_bridge import Context, Hub, HubError, Rejected

rooms = Hub("rooms")
strict = Hub("strict")
broken = Hub("broken")


@rooms.connected
async def arrive(context: Context) -> None:
    """Everybody may come."""


@rooms.on("echo")
async def echo(context: Context, value: Any) -> Any:
    """What came goes back."""
    return value


@rooms.on("nothing")
async def say_nothing(context: Context) -> None:
    """There is no result."""


@rooms.on("who")
async def say_who(context: Context) -> dict[str, Any]:
    """Who the client is."""
    return {"userId": context.user_id, "connectionId": context.connection_id}


@rooms.on("refuse")
async def refuse(context: Context) -> None:
    """The client is told why."""
    raise HubError("not today")


@rooms.on("reject")
async def reject(context: Context) -> None:
    """The client is told why."""
    raise Rejected("not you")


@rooms.on("fail")
async def fail(context: Context) -> None:
    """A defect."""
    raise ValueError("a secret of the program")


@rooms.on("send")
async def send(context: Context, user: str) -> None:
    """The handler talks to the service, which may say no."""
    await context.clients.user(user).send("t", 1)


@strict.connected
async def keep_out(context: Context) -> None:
    """Nobody may come."""
    raise Rejected("the room is full")


@strict.disconnected
async def refuse_to_let_go(context: Context) -> None:
    """It changes nothing."""
    raise Rejected("stay")


@broken.connected
async def break_at_once(context: Context) -> None:
    """A defect."""
    raise ValueError("broken")


@broken.disconnected
async def break_at_the_end(context: Context) -> None:
    """A defect."""
    raise ValueError("broken")
