"""Handlers in the team's own package, which stand on the rest of it."""

from signalr_bridge import Context, Hub

from app.rooms import find_room

chat = Hub("chat")


@chat.on("enter")
async def enter(context: Context) -> str:
    room = find_room(context.user_id or "nobody")
    await context.groups.add(room, connection=context.connection_id)
    await context.clients.group(room).send("entered", context.user_id)
    return room
