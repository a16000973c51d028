"""Handlers that tell what the bridge knows of a call: its claims, and the endpoint that called."""

from typing import Any

from signalr_bridge import Context, Hub

reporting = Hub("reporting")


@reporting.on("claims")
async def claims(context: Context) -> dict[str, Any]:
    return {"userId": context.user_id, "claims": dict(context.claims), "exact": context.claims_exact}


@reporting.on("endpoint")
async def endpoint(context: Context) -> str | None:
    return context.endpoint


lobby = Hub("lobby")


@lobby.connected
async def arrive(context: Context) -> None:
    """A negotiate handler has put the client into the group already."""
    await context.clients.group("red").send("arrived", context.user_id, context.claims["role"])
    await context.clients.caller.send("noted", sorted(context.claims), context.claims_exact)
