"""Handlers of ``connected`` that refuse or fail, as the client's query of the service says."""

from signalr_bridge import Context, Hub, Rejected

chat, news = Hub("chat"), Hub("news")
SEEN: list[Context] = []


@chat.connected
async def arrive(context: Context) -> None:
    SEEN.append(context)
    match context.query.get("do"):
        case ["refuse"]:
            raise Rejected("You are banned.")
        case ["fail"]:
            raise RuntimeError("canary")


@news.on("read")
async def read(context: Context) -> None:
    """A hub that looks at messages alone refuses no connection."""
