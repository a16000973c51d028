"""A handler that tells what the bridge believes of a call: its claims, and who vouched."""

from typing import Any

from signalr_bridge import Context, Hub

trusting = Hub("trusting")


@trusting.on("claims")
async def claims(context: Context) -> dict[str, Any]:
    return {"userId": context.user_id, "claims": dict(context.claims), "exact": context.claims_exact}


@trusting.on("endpoint")
async def endpoint(context: Context) -> str | None:
    return context.endpoint
