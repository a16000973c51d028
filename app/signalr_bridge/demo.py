"""The chat behind the page of ``dev``, as a small handler to read and to copy."""

from signalr_bridge import Context, Hub, HubError

LONGEST_TEXT = 1000
"""In characters."""

chat = Hub("chat")


@chat.connected
async def arrive(context: Context) -> None:
    """Tell all others that a user has come."""
    await context.clients.all.send("presence", context.user_id, True, excluded=[context.connection_id])


@chat.disconnected
async def depart(context: Context) -> None:
    """Tell all others that a user has gone."""
    await context.clients.all.send("presence", context.user_id, False)


@chat.on("join")
async def join(context: Context, room: str) -> None:
    """Join a room, which is a group. It exists while it has members, and a connection that closes leaves it."""
    await context.groups.add(check("room", room), connection=context.connection_id)


@chat.on("leave")
async def leave(context: Context, room: str) -> None:
    """Leave a room."""
    await context.groups.remove(check("room", room), connection=context.connection_id)


@chat.on("sendToRoom")
async def send_to_room(context: Context, room: str, text: str) -> None:
    """Send a text to all in a room."""
    group = context.clients.group(check("room", room))
    await group.send("roomMessage", room, context.user_id, check("text", text))


@chat.on("broadcast")
@chat.on("sendToEverybody")
async def send_to_everybody(context: Context, text: str) -> None:
    """Send a text to all clients."""
    await context.clients.all.send("newMessage", context.user_id, check("text", text))


@chat.on("whoAmI")
async def who_am_i(context: Context) -> dict[str, str | None]:
    """Who the client is. In the browser, ``await connection.invoke("whoAmI")`` gives what this returns."""
    return {"userId": context.user_id, "connectionId": context.connection_id}


def check(what: str, value: str) -> str:
    """The value. Raises ``HubError``, whose text reaches the client, for one that is empty or too long."""
    if not value.strip():
        raise HubError(f"The {what} is empty.")
    if len(value) > LONGEST_TEXT:
        raise HubError(f"The {what} is longer than {LONGEST_TEXT} characters.")
    return value
