"""A hub whose handlers talk back, for tests that look at what was sent by whom."""

from signalr_bridge import Admission, Context, Hub, NegotiateRequest, outbox

rooms = Hub("rooms")


@rooms.on("say")
async def say(context: Context, text: str) -> str:
    await context.clients.groups(["blue", "red"]).send("said", text)
    await context.groups.add("blue", connection=context.connection_id)
    return "told"


timed = Hub("timed")


@timed.startup
async def begin() -> None:
    await outbox("timed").clients.all.send("started")


@timed.negotiate
async def decide(request: NegotiateRequest) -> Admission:
    await outbox("timed").clients.user("ann").send("asked")
    return Admission("bob")
