"""The routes of the upstream: one takes the service's events, and another one shows them."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from typing import Any

from fastapi import Request as FastAPIRequest
from starlette.responses import Response, StreamingResponse

from signalr_bridge.errors import BridgeError, InvalidQuery
from signalr_bridge.protocol.upstream_event import JSON, MESSAGEPACK
from signalr_bridge.upstream.event_feed import EventFeed, EventStream, Kind
from signalr_bridge.upstream.receiver import Receiver
from signalr_bridge.web.authorize import Access
from signalr_bridge.web.callers import Right
from signalr_bridge.web.front import find_request
from signalr_bridge.web.problems import PROBLEM_ANSWER
from signalr_bridge.web.request import Request
from signalr_bridge.web.table import Audience, Description, Route
from signalr_bridge.web.tokens import LEEWAY_SECONDS
from signalr_bridge.wire.exchange import Answer

_CHECKED_SECONDS = 1.0
"""How often it is checked whether a stream's caller still may see it."""

_LOG = logging.getLogger("signalr_bridge.upstream")

_KINDS = re.compile("[a-z]{1,32}(,[a-z]{1,32}){0,15}")


async def receive_event(request: Request) -> Answer:
    """The service reports an event."""
    incoming, flight = request.incoming, request.flight
    assert flight is not None, "the front counts all calls of the service"
    return await request.part(Receiver).receive(incoming.query, incoming.headers, request.read_body, flight.begin)


async def watch_events(request: FastAPIRequest) -> Response:
    """What happens, as server-sent events: the last ones, and from then on each as it ends.

    ``kind`` names what to tell of, with commas between: ``upstream`` (the calls of the service, the default),
    ``negotiate`` and ``send``. Kinds that are not known are ignored. ``Last-Event-ID`` leaves out what was seen.
    Arguments and results are cut. Tokens, claims and queries are not shown.
    """
    asked = find_request(request.scope)
    events, kinds = asked.part(EventFeed), read_kinds(asked.one_of("kind"))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Connection": "close"}
    if request.method == "HEAD":
        return Response(None, 200, headers, "text/event-stream")
    after = request.headers.get("last-event-id")
    return StreamingResponse(_stream(asked, events.listen(after, kinds)), 200, headers, "text/event-stream")


def read_kinds(text: str | None) -> frozenset[Kind]:
    """The known kinds in a list with commas. Without a list it is ``upstream``. Raises ``InvalidQuery``."""
    if text is None:
        return frozenset({Kind.UPSTREAM})
    if not _KINDS.fullmatch(text):
        raise InvalidQuery("The parameter kind is a list such as upstream,negotiate,send.")
    named = text.split(",")
    return frozenset(kind for kind in Kind if kind.value in named)


async def _stream(request: Request, listening: AbstractContextManager[EventStream]) -> AsyncIterator[bytes]:
    """What the stream gives, until the caller may not see it any more."""
    with listening as stream:
        guard = asyncio.create_task(_end_without_right(request, stream))
        try:
            async for chunk in stream:
                yield chunk
        finally:
            guard.cancel()


async def _end_without_right(request: Request, stream: EventStream) -> None:
    """Ends the stream when its caller's key or right is gone, and at the end of its token. It need not say anything.

    An error ends it, too, because then nobody knows whether the caller may go on.
    """
    access, until = request.part(Access), request.require_caller().until
    now = request.part(EventFeed).wall_clock
    if until is not None and until <= now():
        until += LEEWAY_SECONDS  # it was taken, because the clocks of its issuer and of ours may differ
    try:
        while until is None or now() < until:
            await asyncio.sleep(_CHECKED_SECONDS if until is None else max(0.0, min(_CHECKED_SECONDS, until - now())))
            if not await access.still_admits(request):
                return
    except BridgeError as error:
        _LOG.warning("event stream ended, because its caller cannot be judged", extra={"error": error.code})
    finally:
        stream.end()


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


def _describe_header(name: str) -> dict[str, Any]:
    required = name not in _OPTIONAL
    schema = {"type": "string", "minLength": 1} if required else {"type": "string"}
    found = {"name": f"X-ASRS-{name}", "in": "header", "required": required, "schema": schema}
    return found | {"description": _HEADERS[name]}


_OPERATION: dict[str, Any] = {
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
            "content": {media: {"schema": {"type": "string", "format": "binary"}} for media in (JSON, MESSAGEPACK)},
        },
        **PROBLEM_ANSWER,
    },
}


ROUTES = (
    Route(
        "POST",
        "/upstream",
        "receiveEvent",
        receive_event,
        audience=Audience.SERVICE,
        reads_body=True,
        covers_below=True,
        description=Description(operation=_OPERATION),
    ),
    # The address of a function app, so that only the host name has to change.
    Route(
        "POST",
        "/runtime/webhooks/signalr",
        "receiveEventAsFunctions",
        receive_event,
        audience=Audience.SERVICE,
        reads_body=True,
        covers_below=True,
        same_as="receiveEvent",
    ),
)

EVENTS = tuple(
    Route(
        method,
        "/events",
        operation,
        endpoint=watch_events,
        rights=frozenset({Right.READ}),
        query=("kind",),
        description=Description(
            tags=["operations"],
            responses={
                200: {"content": {"text/event-stream": {}}, "description": "until either side ends it"},
                **PROBLEM_ANSWER,
            },
            more={"response_class": StreamingResponse},
        ),
    )
    for method, operation in (("GET", "watchEvents"), ("HEAD", "watchEventsHead"))
)
"""What the console reads. It concerns all hubs."""
