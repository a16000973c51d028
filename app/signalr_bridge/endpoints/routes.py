"""The routes about endpoints: health for the platform, and the list of endpoints for callers."""

from datetime import UTC, datetime
from typing import Any

from fastapi import Request as FastAPIRequest
from starlette.responses import JSONResponse, Response

from signalr_bridge.endpoints.directory import EndpointDirectory
from signalr_bridge.endpoints.endpoint import Endpoint
from signalr_bridge.endpoints.registry import Registry
from signalr_bridge.errors import Forbidden, InvalidQuery, RateLimited, Unauthenticated
from signalr_bridge.protocol import json_text
from signalr_bridge.web.authorize import Access
from signalr_bridge.web.callers import Right
from signalr_bridge.web.front import find_request
from signalr_bridge.web.problems import PROBLEM_ANSWER
from signalr_bridge.web.request import JSON, Request
from signalr_bridge.web.table import Audience, Description, Route
from signalr_bridge.wire.exchange import Answer, make_answer


async def live(request: FastAPIRequest) -> dict[str, str]:
    """The process answers."""
    return {"status": "live"}


async def ready(request: FastAPIRequest) -> Response:
    """200 once each connection has had an endpoint that answered to its credential; 503 before. ``strict=true``: now.

    Callers with the right ``read`` for every hub see the endpoints, too.
    """
    asked = find_request(request.scope)
    strict = asked.one_of("strict")
    if strict not in {None, "true", "false"}:
        raise InvalidQuery("The parameter strict is true or false.")
    directory = asked.part(EndpointDirectory)
    is_ready = not (directory.is_stopping or directory.awaited) and directory.has_worked(now=strict == "true")
    answer: dict[str, Any] = {"status": "stopping" if directory.is_stopping else "ready" if is_ready else "waiting"}
    if directory.awaited:
        answer["reason"] = directory.awaited
    if await _may_see(asked):
        answer["endpoints"] = [
            _describe(registry, one) for registry in directory.registries for one in registry.endpoints
        ]
    return JSONResponse(answer, 200 if is_ready else 503)


async def _may_see(request: Request) -> bool:
    """Whether the caller may see the endpoints. A wrong credential counts as none, because health is public."""
    try:
        await request.part(Access).find_caller(request)
    except (Unauthenticated, RateLimited, Forbidden):
        return False
    return request.caller is not None and request.caller.may(Right.READ, None)


async def list_endpoints(request: Request) -> Answer:
    """The SignalR instances; each can stand in an item's ``endpoints``."""
    registry = request.part(EndpointDirectory).find(request.hub)
    described = [_describe(registry, one) for one in registry.endpoints]
    return make_answer(200, json_text.encode(described), JSON)


def _describe(registry: Registry, endpoint: Endpoint) -> dict[str, Any]:
    report, refresh_failure = registry.report(endpoint), endpoint.credential.refresh_failure
    since = None if report.since is None else datetime.fromtimestamp(report.since, UTC)
    return {
        "endpointType": endpoint.endpoint_type,
        "name": endpoint.name,
        "endpoint": endpoint.url,
        "online": registry.is_online(endpoint),
        "state": report.state.value,
        "since": since and since.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "lastError": report.last_error if refresh_failure is None else f"no-credential: {refresh_failure}",
    }


_GET_AND_HEAD = (("GET", ""), ("HEAD", "Head"))
"""The methods of a question, and what its operation id ends with."""

ROUTES = (
    *(
        Route(
            method,
            "/health/live",
            f"healthLive{suffix}",
            endpoint=live,
            audience=Audience.ANYBODY,
            query=(),
            description=Description(tags=["health"], responses=PROBLEM_ANSWER),
        )
        for method, suffix in _GET_AND_HEAD
    ),
    *(
        Route(
            method,
            "/health/ready",
            f"healthReady{suffix}",
            endpoint=ready,
            audience=Audience.ANYBODY,
            query=("strict",),
            description=Description(
                tags=["health"],
                responses={503: {"description": "not yet"}, **PROBLEM_ANSWER},
                more={"response_class": JSONResponse},
            ),
        )
        for method, suffix in _GET_AND_HEAD
    ),
    *(
        Route(
            method,
            "/hubs/{hub}/endpoints",
            f"listEndpoints{suffix}",
            list_endpoints,
            rights=frozenset({Right.READ}),
            query=(),
            description=Description(
                tags=["who is there"], responses=PROBLEM_ANSWER, more={"response_class": JSONResponse}
            ),
        )
        for method, suffix in _GET_AND_HEAD
    ),
)
