"""A hub for tests that start the whole bridge."""

from signalr_bridge import Context, Hub

chat = Hub("chat")


@chat.on("shout")
async def shout(context: Context, *texts: str) -> list[str]:
    return [text.upper() for text in texts]
