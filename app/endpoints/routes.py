"""What one may know of the endpoints: health for the platform, the list for callers."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from app.endpoints.endpoint import Endpoint
from app.endpoints.registry import Registry
from app.errors import InvalidQuery
from app.web.callers import RequiredCaller
from app.web.names import PathNames, describe_path, describe_query, one_of, read_query
from app.web.parts import part
from app.web.problems import PROBLEM_ANSWER

RegistryPart = Annotated[Registry, part("registry")]

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
async def ready(request: Request, registry: RegistryPart) -> Response:
    """200 once an endpoint has answered to its credential, and from then on; 503 before. ``strict=true``: judge now."""
    strict = one_of(read_query(request, ("strict",)), "strict")
    if strict not in {None, "true", "false"}:
        raise InvalidQuery("The parameter strict is true or false.")
    is_ready = registry.has_worked(now=strict == "true")
    return JSONResponse({"status": "ready" if is_ready else "waiting"}, 200 if is_ready else 503)


_PATH = "/hubs/{hub:segment}/endpoints"


@router.get(
    _PATH,
    operation_id="listEndpoints",
    tags=["who is there"],
    openapi_extra=describe_path(_PATH),
    responses=PROBLEM_ANSWER,
    response_class=JSONResponse,
)
async def list_endpoints(
    request: Request, caller: RequiredCaller, names: PathNames, registry: RegistryPart
) -> Response:
    """The SignalR instances; each can stand in an item's ``endpoints``."""
    read_query(request, ())
    return JSONResponse([_describe(registry, one) for one in registry.endpoints])


def _describe(registry: Registry, endpoint: Endpoint) -> dict[str, Any]:
    online = registry.is_online(endpoint)
    return {
        "endpointType": endpoint.endpoint_type,
        "name": endpoint.name,
        "endpoint": endpoint.url,
        "online": online,
        "state": "online" if online else "offline",
    }
