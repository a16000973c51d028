"""The chat that `dev` runs behind its page: a small handler, to read and to copy."""

from app.upstream import Context, Hub, HubError, Rejected

chat = Hub("chat")
LONGEST_TEXT = 1000


@chat.connected
async def welcome(context: Context) -> None:
    if (context.user_id or "").casefold() == "everybody":
        raise Rejected("This name is taken by all of us.")


@chat.on("join")
async def join(context: Context, room: str) -> str:
    """A room is a group: it exists while somebody is in it, and a closed connection leaves it by itself."""
    name = check("room", room)
    await context.groups.add(name, connection=context.connection_id)
    return name


@chat.on("leave")
async def leave(context: Context, room: str) -> None:
    await context.groups.remove(check("room", room), connection=context.connection_id)


@chat.on("sendToRoom")
async def send_to_room(context: Context, room: str, text: str) -> None:
    name = check("room", room)
    await context.clients.group(name).send("roomMessage", name, context.user_id, check("text", text))


@chat.on("sendToEverybody")
async def send_to_everybody(context: Context, text: str) -> None:
    await context.clients.all.send("newMessage", context.user_id, check("text", text))


@chat.on("whoAmI")
async def who_am_i(context: Context) -> dict[str, str | None]:
    """What a method returns is what `await connection.invoke("whoAmI")` gives in the browser."""
    return {"userId": context.user_id, "connectionId": context.connection_id}


def check(what: str, value: str) -> str:
    """A HubError's text, and only this, reaches the client; any other exception is a secret of the log."""
    if not value.strip():
        raise HubError(f"The {what} is empty.")
    if len(value) > LONGEST_TEXT:
        raise HubError(f"The {what} is longer than {LONGEST_TEXT} characters.")
    return value.strip()
