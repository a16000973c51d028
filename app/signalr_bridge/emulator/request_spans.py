"""Spans of the requests that the emulator answers, where the process has a tracer."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from signalr_bridge.protocol.issued_key import KEY_PATH, KEY_PATHS
from signalr_bridge.protocol.rest import find_action
from signalr_bridge.tracing import TRACING

_NEGOTIATE = "/client/negotiate"
_GENERATE_TOKEN = "/api/hubs/{hub}/:generateToken"


def traced(app: ASGIApp) -> ASGIApp:
    """The application, with a span for each request that is no question of health. Callers' traces are believed."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        template = None if scope["type"] != "http" else _find_template(scope["method"], scope["raw_path"])
        if TRACING.tracer is None or template is None:
            await app(scope, receive, send)
            return
        given = [value for name, value in scope["headers"] if name == b"traceparent"]
        traceparent = given[-1].decode("latin-1") if given else None
        span = TRACING.tracer.begin_request(scope["method"], template, traceparent, "emulator")
        status = 0

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await app(scope, receive, send_and_note)
        finally:
            span.end(status, None if status else "no_answer")

    return answer


def _find_template(method: str, raw_path: bytes) -> str | None:
    """The template of the path. None where no span is made, and empty for a path that means nothing."""
    path = raw_path.decode("latin-1")
    lowered = path.lower()
    if lowered.endswith("/health"):
        return None
    if lowered in KEY_PATHS:
        return KEY_PATH
    if lowered == _NEGOTIATE:
        return _NEGOTIATE
    if lowered.endswith("/:generatetoken"):
        return _GENERATE_TOKEN
    action = find_action(method, path)
    return "" if action is None else f"/api/hubs/{{hub}}{action.path}"
