"""Handlers of which each ends in one way, so that what they do can be counted."""

from signalr_bridge import Context, Hub, HubError, NegotiateRequest, Rejected

chat = Hub("chat")
gate = Hub("gate")


@chat.connected
async def arrive(context: Context) -> None:
    if context.user_id == "banned":
        raise Rejected("You are banned.")


@chat.disconnected
async def depart(context: Context) -> None:
    pass


@chat.on("who")
async def who(context: Context) -> str:
    return context.connection_id


@chat.on("refuse")
async def refuse(context: Context) -> None:
    raise HubError("No.")


@chat.on("fail")
async def fail(context: Context) -> None:
    raise RuntimeError("What went wrong.")


@chat.on("relay")
async def relay(context: Context, text: str) -> None:
    await context.clients.all.send("relayed", text)


@gate.negotiate
async def admit(request: NegotiateRequest) -> None:
    raise RuntimeError("The gate is broken.")
