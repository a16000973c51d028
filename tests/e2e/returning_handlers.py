"""Handlers for clients that come back: one hub for each way in which clients are admitted, and one that refuses."""

import asyncio
from typing import Any

from signalr_bridge import Context, Hub, Rejected

mixed, platform, club = Hub("mixed"), Hub("platform"), Hub("club")


@mixed.on("who")
@platform.on("who")
async def who(context: Context) -> str | None:
    return context.user_id


@club.connected
async def arrive(context: Context) -> None:
    if context.user_id == "banned":
        await asyncio.sleep(0.2)  # the client has started by then
        raise Rejected("You are banned.")
    if context.user_id == "unlucky":
        raise RuntimeError("a handler that fails lets the client in")


@club.on("told")
async def told(context: Context) -> dict[str, Any]:
    line = context.headers.get("x-asrs-user-claims", "")
    return {"claims": dict(context.claims), "exact": context.claims_exact, "is ASCII": line.isascii()}


@club.on("note")
async def note(context: Context) -> None:
    await context.clients.caller.send("noted")
