"""A hub whose handlers talk back, for tests that look at what was sent by whom."""

from signalr_bridge import Context, Hub

rooms = Hub("rooms")


@rooms.on("say")
async def say(context: Context, text: str) -> str:
    await context.clients.groups(["blue", "red"]).send("said", text)
    await context.groups.add("blue", connection=context.connection_id)
    return "told"
