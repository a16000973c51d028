"""The chat behind the page of `dev`: a small handler, to read and to copy."""

from signalr_bridge import Context, Hub, HubError

chat = Hub("chat")
LONGEST_TEXT = 1000


@chat.connected
async def arrive(context: Context) -> None:
    await context.clients.all.send("presence", context.user_id, True, excluded=[context.connection_id])


@chat.disconnected
async def depart(context: Context) -> None:
    await context.clients.all.send("presence", context.user_id, False)


@chat.on("join")
async def join(context: Context, room: str) -> None:
    """A room is a group. It exists while it has members, and a connection that closes leaves it."""
    await context.groups.add(check("room", room), connection=context.connection_id)


@chat.on("leave")
async def leave(context: Context, room: str) -> None:
    await context.groups.remove(check("room", room), connection=context.connection_id)


@chat.on("sendToRoom")
async def send_to_room(context: Context, room: str, text: str) -> None:
    group = context.clients.group(check("room", room))
    await group.send("roomMessage", room, context.user_id, check("text", text))


@chat.on("sendToEverybody")
async def send_to_everybody(context: Context, text: str) -> None:
    await context.clients.all.send("newMessage", context.user_id, check("text", text))


@chat.on("whoAmI")
async def who_am_i(context: Context) -> dict[str, str | None]:
    """In the browser, `await connection.invoke("whoAmI")` gives what this method returns."""
    return {"userId": context.user_id, "connectionId": context.connection_id}


def check(what: str, value: str) -> str:
    """The text of a HubError reaches the client. Of any other exception, it learns only that the method failed."""
    if not value.strip():
        raise HubError(f"The {what} is empty.")
    if len(value) > LONGEST_TEXT:
        raise HubError(f"The {what} is longer than {LONGEST_TEXT} characters.")
    return value
