"""A chat: what the hub does when somebody comes, or calls one of its methods."""

from signalr_bridge import Context, Hub, HubError, Rejected

BANNED = {"mallory"}

chat = Hub("chat")


@chat.connected
async def welcome(context: Context) -> None:
    """Look at who has come. A client that is rejected is disconnected."""
    if context.user_id in BANNED:
        raise Rejected("You are banned.")


@chat.on("broadcast")
async def broadcast(context: Context, text: str) -> str:
    """Send a text to everybody: ``await connection.invoke("broadcast", "hello")``."""
    if not text.strip():
        raise HubError("The text is empty.")  # this text, and only this, reaches the client
    await context.clients.all.send("newMessage", context.user_id or "somebody", text)
    return "sent"
