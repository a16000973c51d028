"""A handler that calls a client and tells what came of it."""

from typing import Any

from signalr_bridge import Context, Hub
from signalr_bridge.errors import ConnectionNotFound, InvokeFailed

chat = Hub("chat")


@chat.on("askOther")
async def ask_other(context: Context, connection_id: str, target: str, value: Any) -> Any:
    try:
        return await context.connections.invoke(connection_id, target, value)
    except InvokeFailed as error:
        return f"failed: {error.detail}"
    except ConnectionNotFound:
        return "nobody there"
