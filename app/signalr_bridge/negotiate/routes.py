"""The routes of negotiation, for SignalR clients and for backends that ask on behalf of their clients."""

from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from signalr_bridge.errors import (
    BodyTooLarge,
    Fault,
    InvalidItem,
    InvalidName,
    MalformedJson,
    NoDefaultHub,
    Unauthenticated,
)
from signalr_bridge.negotiate.identity import group_values
from signalr_bridge.negotiate.negotiator import Admission, Negotiator
from signalr_bridge.negotiate.request import is_blank, read_request
from signalr_bridge.negotiate.rules import ClientAdmission, ClientRequest
from signalr_bridge.protocol.upstream_event import decode_header
from signalr_bridge.settings.model import EndpointType
from signalr_bridge.web.authorize import Access, OptionalCaller, RequiredCaller, check_caller
from signalr_bridge.web.callers import CHALLENGE, Caller
from signalr_bridge.web.problems import PROBLEM_ANSWER
from signalr_bridge.web.request import JSON, PathNames, describe_path, part, read_body, read_hub, require_media_type

LARGEST_BODY = 64 * 1024
_CLIENT_BODY_SECONDS = 5.0
"""Seconds to read a client's body. Clients send none, so one that comes slowly must not block others."""
_CALLERS_ONLY = "Only a caller may say for whom: send an API key in the header X-API-Key."

NegotiatorPart = Annotated[Negotiator, part(Negotiator)]
ClientsPart = Annotated[ClientAdmission, part(ClientAdmission)]
AccessPart = Annotated[Access, part(Access)]
Requester: TypeAlias = Caller | Admission
"""A caller, or the admission of a client."""

_PATH = "/hubs/{hub:segment}/negotiate"
_ALL_PATH = f"{_PATH}/endpoints"


class NegotiateRequest(BaseModel):
    """What a caller may ask for. A client sends nothing."""

    userId: str | None = None
    claims: dict[str, Any] = Field({}, examples=[{"role": ["admin", "editor"]}])
    lifetimeSeconds: int = Field(3600, ge=1, le=86_400)
    endpoint: str | None = Field(None, description="the name of an endpoint that is online")
    closeOnExpiry: bool = False


class NegotiateAnswer(BaseModel):
    """Where a client connects, with which token."""

    url: str = Field(examples=["https://contoso.service.signalr.net/client/?hub=chat"])
    accessToken: str


class EndpointChoice(BaseModel):
    """An endpoint that a client may be sent to."""

    endpointType: EndpointType
    name: str
    endpoint: str
    online: bool
    connectionInfo: NegotiateAnswer | None = Field(description="null where no token could be made")


class EndpointsAnswer(BaseModel):
    """Every endpoint, also those that are offline, each with a token of its own."""

    endpoints: list[EndpointChoice]


_ROUTE: dict[str, Any] = {
    "response_class": JSONResponse,
    "responses": {200: {"model": NegotiateAnswer, "description": "where to connect"}, **PROBLEM_ANSWER},
    "tags": ["negotiate"],
}
_BODY: dict[str, Any] = {
    "requestBody": {"content": {"application/json": {"schema": NegotiateRequest.model_json_schema()}}}
}
_ALL_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"model": EndpointsAnswer, "description": "where a client could connect"},
    **PROBLEM_ANSWER,
}

router = APIRouter(redirect_slashes=False)


async def find_requester(
    request: Request, caller: OptionalCaller, clients: ClientsPart, access: AccessPart
) -> Requester:
    """A caller that may negotiate for the hub, or the admission of a client.

    Raises ``Unauthenticated``, ``Forbidden``, ``InvalidName`` and ``RateLimited``, before the hub is
    checked and the body is read.
    """
    hub = _read_hub(request, access.hub_names.default)
    if caller is not None:
        check_caller(request, caller, hub or None)
        return caller
    return await clients.admit(hub, _read_client_request(request), access.address_of(request))


def _read_hub(request: Request, default: str | None) -> str | None:
    """The hub's name in lower case. None when there is no hub, or its name is not valid."""
    try:
        segment = request.path_params.get("hub")
        return default if segment is None else read_hub(request, segment)
    except InvalidName:
        return None


RequesterPart = Annotated[Requester, Depends(find_requester)]


@router.post(_PATH, operation_id="negotiate", openapi_extra=describe_path(_PATH) | _BODY, **_ROUTE)
async def negotiate(
    request: Request,
    requester: RequesterPart,
    names: PathNames,
    access: AccessPart,
    clients: ClientsPart,
    negotiator: NegotiatorPart,
) -> JSONResponse:
    """Where a client connects, with which token. A client sends no body. A caller may say for whom."""
    admission = await _read_admission(request, requester, names["hub"], access, clients)
    return _answer((await negotiator.negotiate(names["hub"], admission)).as_json())


@router.post("/api/negotiate", operation_id="negotiateDefaultHub", openapi_extra=_BODY, **_ROUTE)
async def negotiate_default_hub(
    request: Request,
    requester: RequesterPart,
    access: AccessPart,
    clients: ClientsPart,
    negotiator: NegotiatorPart,
) -> JSONResponse:
    """The same for the default hub, so that a page written for a function app keeps working."""
    hub = access.hub_names.default
    if hub is None:
        raise NoDefaultHub("Several hubs or none are configured: set BRIDGE_DEFAULT_HUB, or name the hub in the path.")
    admission = await _read_admission(request, requester, hub, access, clients)
    return _answer((await negotiator.negotiate(hub, admission)).as_json())


@router.post(
    _ALL_PATH,
    operation_id="negotiateEndpoints",
    openapi_extra=describe_path(_ALL_PATH) | _BODY,
    **_ROUTE | {"responses": _ALL_ANSWERS},
)
async def negotiate_endpoints(
    request: Request, caller: RequiredCaller, names: PathNames, clients: ClientsPart, negotiator: NegotiatorPart
) -> JSONResponse:
    """The same for every endpoint, so that the caller can choose one for its client."""
    admission = await _read_wish(
        request, await read_body(request, LARGEST_BODY), clients.rules_of(names["hub"]).defaults
    )
    if admission.endpoint is not None:
        raise InvalidItem([Fault("#/endpoint", InvalidItem, "Every endpoint is in the answer: name none.")])
    return _answer({"endpoints": [one.as_json() for one in await negotiator.negotiate_all(names["hub"], admission)]})


async def _read_admission(
    request: Request, requester: Requester, hub: str, access: Access, clients: ClientAdmission
) -> Admission:
    """What the client's token will say.

    A blank body is a client's call, even when it comes with a caller's key. Then the rules of the hub decide.
    """
    if isinstance(requester, Admission):
        access.hub_names.check_client(hub)
        await _refuse_body(request)
        return requester
    body = await read_body(request, LARGEST_BODY)
    if not is_blank(body):
        return await _read_wish(request, body, clients.rules_of(hub).defaults)
    admission = await clients.admit(hub, _read_client_request(request), access.address_of(request))
    access.hub_names.check_client(hub)
    return admission


async def _read_wish(request: Request, body: bytes, defaults: Admission) -> Admission:
    if is_blank(body):
        return defaults
    require_media_type(request, JSON)
    return read_request(body, defaults)


async def _refuse_body(request: Request) -> None:
    """Raises ``Unauthenticated`` when a client, which is not a caller, sends a body."""
    try:
        blank = is_blank(await read_body(request, LARGEST_BODY, _CLIENT_BODY_SECONDS))
    except (BodyTooLarge, MalformedJson):
        blank = False
    if not blank:
        raise Unauthenticated(_CALLERS_ONLY, headers=CHALLENGE)


def _answer(body: dict[str, Any]) -> JSONResponse:
    return JSONResponse(body, headers={"Cache-Control": "no-store"})


def _read_client_request(request: Request) -> ClientRequest:
    headers = [(name.decode("latin-1"), decode_header(value)) for name, value in request.headers.raw]
    return ClientRequest(group_values(headers), group_values(request.query_params.multi_items()))
