"""Handlers in a file of its own."""

from signalr_bridge import Context, Hub, HubError

news = Hub("news")


@news.on("shout")
async def shout(context: Context, text: str) -> str:
    if not text:
        raise HubError("Say something.")
    return text.upper()
