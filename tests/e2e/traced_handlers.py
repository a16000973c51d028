"""Handlers that tell which span they run in, as a library of theirs would see it."""

from opentelemetry import trace
from signalr_bridge import Context, Hub

traced = Hub("traced")


def _tell_span() -> str:
    return f"{trace.get_current_span().get_span_context().span_id:016x}"


@traced.on("loop")
async def in_the_loop(context: Context) -> str:
    return _tell_span()


@traced.on("thread")
def in_a_thread(context: Context) -> str:
    return _tell_span()
