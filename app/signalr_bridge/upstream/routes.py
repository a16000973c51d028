"""The routes of the upstream: a plain ASGI route that takes the service's events, and a route that shows them."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.datastructures import URLPath
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Receive, Scope, Send

from signalr_bridge.errors import MethodNotAllowed
from signalr_bridge.protocol.upstream_event import JSON, MESSAGEPACK
from signalr_bridge.upstream.answer import Answer
from signalr_bridge.upstream.event_feed import EventFeed
from signalr_bridge.upstream.receiver import Receiver
from signalr_bridge.web.authorize import RequiredCaller
from signalr_bridge.web.callers import Right
from signalr_bridge.web.problems import PROBLEM_ANSWER
from signalr_bridge.web.request import find_part, part, read_body, read_query

UPSTREAM_PATHS = ("/upstream", "/runtime/webhooks/signalr")
"""The paths that the service calls, in any case, and everything below them.

The second one is that of a function app, so that only the host name has to change.
"""

_BELOW = tuple(f"{path}/" for path in UPSTREAM_PATHS)

router = APIRouter(redirect_slashes=False)

_CODE, _CODE_HEADER, _SIGNATURE, _ENTRA = "upstreamCode", "upstreamCodeHeader", "upstreamSignature", "upstreamToken"

SCHEMES: dict[str, Any] = {
    _CODE: {"type": "apiKey", "in": "query", "name": "code", "description": "BRIDGE_UPSTREAM__CODE, where it is set"},
    _CODE_HEADER: {"type": "apiKey", "in": "header", "name": "x-functions-key", "description": "the same in a header"},
    _SIGNATURE: {
        "type": "apiKey",
        "in": "header",
        "name": "X-ASRS-Signature",
        "description": "`sha256=` and the hex HMAC-SHA256 of the connection id by an access key; several, with commas",
    },
    _ENTRA: {"type": "http", "scheme": "bearer", "description": "the token of the service's managed identity"},
}
_CODES: list[dict[str, list[str]]] = [{}, {_CODE: []}, {_CODE_HEADER: []}]
_PROOFS: list[dict[str, list[str]]] = [{_SIGNATURE: []}, {_ENTRA: []}]
_HEADERS = {
    "Hub": "the hub",
    "Category": "`connections` or `messages`",
    "Event": "`connected`, `disconnected`, or the method that the client called",
    "Connection-Id": "the client's connection",
    "User-Id": "the client's user, where it has one",
    "User-Claims": "the client's claims, `type: value, type: value`",
    "Client-Query": "the query with which the client connected",
}
_OPTIONAL = frozenset({"User-Id", "User-Claims", "Client-Query"})
_INVOCATION = {
    "type": "object",
    "properties": {
        "type": {"type": "integer", "description": "1 for a message; 10 connected, 11 disconnected"},
        "invocationId": {"type": "string", "description": "without one nobody waits for an answer"},
        "target": {"type": "string"},
        "arguments": {"type": "array", "items": {}},
        "error": {"type": "string", "description": "why the client has gone"},
    },
}
_COMPLETION = "empty, or the completion of a message with an invocation id, framed as the hub protocol says"


class UpstreamRoute(BaseRoute):
    """Takes POST on the paths of the upstream, and asks the receiver among the application's parts."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http":
            return Match.NONE, {}
        path = scope["path"].lower()
        return (Match.FULL if path in UPSTREAM_PATHS or path.startswith(_BELOW) else Match.NONE), {}

    def url_path_for(self, name: str, /, **path_params: str) -> URLPath:
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            raise MethodNotAllowed("The service calls with POST.", headers={"Allow": "POST"})
        request = Request(scope, receive)
        receiver, read = find_part(request, Receiver), partial(read_body, request)
        await _send(await receiver.receive(scope["query_string"], scope["headers"], read), send)


async def _send(answer: Answer, send: Send) -> None:
    # The length is always given, because an empty chunked answer would leave the client waiting.
    headers = [(b"content-length", str(len(answer.body)).encode())]
    if answer.content_type is not None:
        headers.append((b"content-type", answer.content_type.encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def upstream_routes() -> list[BaseRoute]:
    """The routes to put into ``app.router.routes``."""
    return [UpstreamRoute()]


@router.get(
    "/events",
    operation_id="watchEvents",
    tags=["operations"],
    responses={
        200: {"content": {"text/event-stream": {}}, "description": "until either side ends it"},
        **PROBLEM_ANSWER,
    },
    response_class=StreamingResponse,
)
async def watch_events(
    request: Request, caller: RequiredCaller, events: Annotated[EventFeed, part(EventFeed)]
) -> Response:
    """Upstream traffic as server-sent events: the last ones, and from then on each as it ends.

    ``Last-Event-ID`` leaves out what was seen. Arguments and results are cut; claims and queries are not shown.
    """
    caller.check((Right.READ,), None)  # what is shown is of every hub
    read_query(request, ())
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Connection": "close"}
    return StreamingResponse(_stream(events, request.headers.get("last-event-id")), 200, headers, "text/event-stream")


async def _stream(events: EventFeed, after: str | None) -> AsyncIterator[bytes]:
    with events.listen(after) as stream:
        async for chunk in stream:
            yield chunk


def _describe_header(name: str) -> dict[str, Any]:
    required = name not in _OPTIONAL
    schema = {"type": "string", "minLength": 1} if required else {"type": "string"}
    found = {"name": f"X-ASRS-{name}", "in": "header", "required": required, "schema": schema}
    return found | {"description": _HEADERS[name]}


PATHS: dict[str, Any] = {
    "/upstream": {
        "post": {
            "operationId": "receiveEvent",
            "tags": ["upstream"],
            "summary": "The service reports an event.",
            "description": "Everything below this path is the same, and so is `/runtime/webhooks/signalr`. "
            "Who calls is checked before anything is read.",
            "parameters": [_describe_header(name) for name in _HEADERS],
            "security": [{**code, **proof} for code in _CODES for proof in _PROOFS],
            "requestBody": {
                "content": {
                    JSON: {"schema": _INVOCATION},
                    MESSAGEPACK: {"schema": {"type": "string", "format": "binary"}},
                }
            },
            "responses": {
                "200": {
                    "description": _COMPLETION,
                    "content": {
                        media: {"schema": {"type": "string", "format": "binary"}} for media in (JSON, MESSAGEPACK)
                    },
                },
                **PROBLEM_ANSWER,
            },
        }
    }
}
