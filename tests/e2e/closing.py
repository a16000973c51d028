"""A handler that closes a user's connections when somebody comes, for the test of audits."""

from signalr_bridge import Context, Hub

chat = Hub("audited")


@chat.connected
async def arrive(context: Context) -> None:
    await context.users.close("ann")
