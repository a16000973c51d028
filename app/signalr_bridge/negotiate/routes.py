"""The routes of negotiation, for SignalR clients and for backends that ask on behalf of their clients."""

from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from signalr_bridge.errors import (
    BodyTooLarge,
    Fault,
    InvalidItem,
    InvalidName,
    InvalidQuery,
    MalformedJson,
    NoDefaultHub,
    Unauthenticated,
)
from signalr_bridge.negotiate.negotiator import Admission, Negotiator
from signalr_bridge.negotiate.request import is_blank, read_request
from signalr_bridge.negotiate.rules import ClientAdmission, read_client_request
from signalr_bridge.protocol import json_text
from signalr_bridge.settings.model import EndpointType
from signalr_bridge.web.authorize import Access
from signalr_bridge.web.callers import CHALLENGE, Right
from signalr_bridge.web.problems import PROBLEM_ANSWER
from signalr_bridge.web.request import JSON, Request
from signalr_bridge.web.table import Audience, Description, Route
from signalr_bridge.wire.exchange import Answer, make_answer

LARGEST_BODY = 64 * 1024
_CLIENT_BODY_SECONDS = 5.0
"""Seconds to read a client's body. Clients send none, so one that comes slowly must not block others."""
_CALLERS_ONLY = "Only a caller may say for whom: send an API key in the header X-API-Key."

_LONGEST_QUERY = 8 * 1024
_NOT_KEPT = ((b"cache-control", b"no-store"),)


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


async def negotiate(request: Request) -> Answer:
    """Where a client connects, with which token. A client sends no body. A caller may say for whom."""
    admission = await _admit(request, _read_hub(request))
    request.read_names()
    return await _negotiate(request, request.hub, admission)


async def negotiate_default_hub(request: Request) -> Answer:
    """The same for the default hub, so that a page written for a function app keeps working."""
    hub = request.part(Access).hub_names.default
    admission = await _admit(request, hub)
    if hub is None:
        raise NoDefaultHub("Several hubs or none are configured: set BRIDGE_DEFAULT_HUB, or name the hub in the path.")
    return await _negotiate(request, hub, admission)


async def negotiate_endpoints(request: Request) -> Answer:
    """The same for every endpoint, so that the caller can choose one for its client."""
    defaults = request.part(ClientAdmission).rules_of(request.hub).defaults
    admission = _read_wish(request, await request.read_body(LARGEST_BODY), defaults)
    if admission.endpoint is not None:
        raise InvalidItem([Fault("#/endpoint", InvalidItem, "Every endpoint is in the answer: name none.")])
    choices = await request.part(Negotiator).negotiate_all(request.hub, admission)
    return _answer(json_text.encode({"endpoints": [one.as_json() for one in choices]}))


def _read_hub(request: Request) -> str | None:
    """The hub in lower case. None when its name is not valid. That is told to whoever may negotiate, and not before."""
    try:
        return request.hub
    except InvalidName:
        return None


async def _admit(request: Request, hub: str | None) -> Admission | None:
    """The admission of a client, or None for a caller, who may negotiate for the hub.

    Raises ``InvalidQuery``, ``Unauthenticated``, ``Forbidden``, ``InvalidName`` and ``RateLimited``, before the hub is
    checked and the body is read.
    """
    if len(request.incoming.query) > _LONGEST_QUERY:
        raise InvalidQuery(f"The query may have {_LONGEST_QUERY:,} bytes.")
    access = request.part(Access)
    if request.caller is not None:
        access.check_caller(request, request.caller, hub)
        return None
    return await _admit_client(request, access, hub)


async def _admit_client(request: Request, access: Access, hub: str | None) -> Admission:
    client_request = read_client_request(request.incoming.headers, request.incoming.query)
    return await request.part(ClientAdmission).admit(hub, client_request, access.address_of(request))


async def _negotiate(request: Request, hub: str, admission: Admission | None) -> Answer:
    """The answer for a client that was admitted, or for a caller.

    A blank body is a client's call, even when it comes with a caller's key. Then the rules of the hub decide.
    """
    access = request.part(Access)
    if admission is not None:
        access.hub_names.check_client(hub)
        await _refuse_body(request)
    else:
        body = await request.read_body(LARGEST_BODY)
        if is_blank(body):
            admission = await _admit_client(request, access, hub)
            access.hub_names.check_client(hub)
        else:
            admission = _read_wish(request, body, request.part(ClientAdmission).rules_of(hub).defaults)
    return _answer((await request.part(Negotiator).negotiate(hub, admission)).write())


def _read_wish(request: Request, body: bytes, defaults: Admission) -> Admission:
    if is_blank(body):
        return defaults
    request.require_media_type(JSON)
    return read_request(body, defaults)


async def _refuse_body(request: Request) -> None:
    """Raises ``Unauthenticated`` when a client, which is not a caller, sends a body."""
    try:
        blank = is_blank(await request.read_body(LARGEST_BODY, _CLIENT_BODY_SECONDS))
    except (BodyTooLarge, MalformedJson):
        blank = False
    if not blank:
        raise Unauthenticated(_CALLERS_ONLY, headers=CHALLENGE)


def _answer(body: bytes) -> Answer:
    return make_answer(200, body, JSON, _NOT_KEPT)


_BODY = {"content": {"application/json": {"schema": NegotiateRequest.model_json_schema()}}}
_DESCRIPTION = Description(
    tags=["negotiate"],
    responses={200: {"model": NegotiateAnswer, "description": "where to connect"}, **PROBLEM_ANSWER},
    body=_BODY,
    more={"response_class": JSONResponse},
)
_RIGHTS = frozenset({Right.NEGOTIATE})

ROUTES = (
    Route(
        "POST",
        "/hubs/{hub}/negotiate",
        "negotiate",
        negotiate,
        audience=Audience.CLIENTS,
        rights=_RIGHTS,
        description=_DESCRIPTION,
    ),
    Route(
        "POST",
        "/api/negotiate",
        "negotiateDefaultHub",
        negotiate_default_hub,
        audience=Audience.CLIENTS,
        rights=_RIGHTS,
        description=_DESCRIPTION,
    ),
    Route(
        "POST",
        "/hubs/{hub}/negotiate/endpoints",
        "negotiateEndpoints",
        negotiate_endpoints,
        rights=_RIGHTS,
        description=Description(
            tags=["negotiate"],
            responses={
                200: {"model": EndpointsAnswer, "description": "where a client could connect"},
                **PROBLEM_ANSWER,
            },
            body=_BODY,
            more={"response_class": JSONResponse},
        ),
    ),
)
