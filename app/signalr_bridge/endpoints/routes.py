"""The routes about endpoints: health for the platform, and the list of endpoints for callers."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from signalr_bridge.endpoints.directory import EndpointDirectory
from signalr_bridge.endpoints.endpoint import Endpoint
from signalr_bridge.endpoints.registry import Registry
from signalr_bridge.errors import Forbidden, InvalidQuery, RateLimited, Unauthenticated
from signalr_bridge.web.authorize import RequiredCaller, find_caller
from signalr_bridge.web.callers import Right
from signalr_bridge.web.problems import PROBLEM_ANSWER
from signalr_bridge.web.request import PathNames, describe_path, describe_query, one_of, part, read_query

DirectoryPart = Annotated[EndpointDirectory, part(EndpointDirectory)]

_PATH = "/hubs/{hub:segment}/endpoints"

router = APIRouter(redirect_slashes=False)


@router.get("/health/live", operation_id="healthLive", tags=["health"], responses=PROBLEM_ANSWER)
async def live(request: Request) -> dict[str, str]:
    """The process answers."""
    read_query(request, ())
    return {"status": "live"}


@router.get(
    "/health/ready",
    operation_id="healthReady",
    tags=["health"],
    openapi_extra={"parameters": describe_query("strict")},
    responses={503: {"description": "not yet"}, **PROBLEM_ANSWER},
    response_class=JSONResponse,
)
async def ready(request: Request, directory: DirectoryPart) -> Response:
    """200 once each connection has had an endpoint that answered to its credential; 503 before. ``strict=true``: now.

    Callers with the right ``read`` for every hub see the endpoints, too.
    """
    strict = one_of(read_query(request, ("strict",)), "strict")
    if strict not in {None, "true", "false"}:
        raise InvalidQuery("The parameter strict is true or false.")
    is_ready = directory.has_worked(now=strict == "true")
    answer: dict[str, Any] = {"status": "ready" if is_ready else "waiting"}
    if await _may_see(request):
        answer["endpoints"] = [
            _describe(registry, one) for registry in directory.registries for one in registry.endpoints
        ]
    return JSONResponse(answer, 200 if is_ready else 503)


async def _may_see(request: Request) -> bool:
    """Whether the caller may see the endpoints. A wrong credential counts as none, because health is public."""
    try:
        caller = await find_caller(request)
    except (Unauthenticated, RateLimited, Forbidden):
        return False
    return caller is not None and caller.may(Right.READ, None)


@router.get(
    _PATH,
    operation_id="listEndpoints",
    tags=["who is there"],
    openapi_extra=describe_path(_PATH),
    responses=PROBLEM_ANSWER,
    response_class=JSONResponse,
)
async def list_endpoints(
    request: Request, caller: RequiredCaller, names: PathNames, directory: DirectoryPart
) -> Response:
    """The SignalR instances; each can stand in an item's ``endpoints``."""
    read_query(request, ())
    registry = directory.find(names["hub"])
    return JSONResponse([_describe(registry, one) for one in registry.endpoints])


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
