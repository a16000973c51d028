"""The handler in Python that the benchmark calls; the HTTP handler beside it answers the same."""

from signalr_bridge import Context, Hub

python = Hub("python")


@python.connected
async def welcome(context: Context) -> None:
    pass


@python.on("broadcast")
async def broadcast(context: Context, text: str) -> str:
    return "sent"
