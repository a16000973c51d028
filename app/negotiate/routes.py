"""The negotiate routes: what a SignalR client asks for by itself, and what a backend asks for on its behalf."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from app.errors import BodyTooLarge, NoDefaultHub, Unauthenticated
from app.negotiate.identity import ClientRules, group_values
from app.negotiate.negotiator import Negotiator
from app.negotiate.request import is_blank, read_request
from app.protocol.names import check_user_id
from app.web.bodies import JSON, read_body, require_media_type
from app.web.callers import CHALLENGE, Caller, OptionalCaller
from app.web.names import PathNames, describe_path
from app.web.parts import part
from app.web.problems import PROBLEM_ANSWER

LARGEST_BODY = 64 * 1024
_CALLERS_ONLY = "Only a caller may say for whom: send an API key in the header X-API-Key."

NegotiatorPart = Annotated[Negotiator, part("negotiator")]
RulesPart = Annotated[ClientRules, part("client_rules")]
DefaultHub = Annotated[str | None, part("default_hub")]

router = APIRouter(redirect_slashes=False)


async def find_somebody(caller: OptionalCaller, rules: RulesPart) -> Caller | None:
    """The caller, or None for a client; ``Unauthenticated`` before anything is said about hubs or bodies."""
    if caller is None:
        rules.check_open()
    return caller


Somebody = Annotated[Caller | None, Depends(find_somebody)]


class NegotiateRequest(BaseModel):
    """What a caller may ask for; a client sends nothing."""

    userId: str | None = None
    claims: dict[str, Any] = Field({}, examples=[{"role": ["admin", "editor"]}])
    lifetimeSeconds: int = Field(3600, ge=1, le=86_400)
    endpoint: str | None = Field(None, description="the name of an endpoint that is online")
    closeOnExpiry: bool = False


class NegotiateAnswer(BaseModel):
    """Where a client connects, with which token."""

    url: str = Field(examples=["https://contoso.service.signalr.net/client/?hub=chat"])
    accessToken: str


_ROUTE: dict[str, Any] = {
    "response_class": JSONResponse,
    "responses": {200: {"model": NegotiateAnswer, "description": "where to connect"}, **PROBLEM_ANSWER},
    "tags": ["negotiate"],
}
_BODY: dict[str, Any] = {
    "requestBody": {"content": {"application/json": {"schema": NegotiateRequest.model_json_schema()}}}
}
_PATH = "/hubs/{hub:segment}/negotiate"


@router.post(_PATH, operation_id="negotiate", openapi_extra=describe_path(_PATH) | _BODY, **_ROUTE)
async def negotiate(
    request: Request, caller: Somebody, names: PathNames, rules: RulesPart, negotiator: NegotiatorPart
) -> JSONResponse:
    """Where a client connects, with which token. A client sends no body; a caller may say for whom."""
    return await _negotiate(request, caller, names["hub"], rules, negotiator)


@router.post("/api/negotiate", operation_id="negotiateDefaultHub", openapi_extra=_BODY, **_ROUTE)
async def negotiate_default_hub(
    request: Request, caller: Somebody, hub: DefaultHub, rules: RulesPart, negotiator: NegotiatorPart
) -> JSONResponse:
    """The same for the default hub, so that a page written for a function app keeps working."""
    if hub is None:
        raise NoDefaultHub("Several hubs or none are configured: set BRIDGE_DEFAULT_HUB, or name the hub in the path.")
    return await _negotiate(request, caller, hub, rules, negotiator)


async def _negotiate(
    request: Request, caller: Caller | None, hub: str, rules: ClientRules, negotiator: Negotiator
) -> JSONResponse:
    body = await _read_body(request, caller)
    if is_blank(body):
        admission = rules.admit(hub, _read_sources(request))
        if admission.user_id is not None:
            check_user_id(admission.user_id)
    elif caller is None:
        raise Unauthenticated(_CALLERS_ONLY, headers=CHALLENGE)
    else:
        require_media_type(request, JSON)
        admission = read_request(body, rules.defaults)
    info = await negotiator.negotiate(hub, admission)
    return JSONResponse(info.as_json(), headers={"Cache-Control": "no-store"})


async def _read_body(request: Request, caller: Caller | None) -> bytes:
    try:
        return await read_body(request, LARGEST_BODY)
    except BodyTooLarge:
        if caller is None:  # a body at all is one too many
            raise Unauthenticated(_CALLERS_ONLY, headers=CHALLENGE) from None
        raise


def _read_sources(request: Request) -> dict[str, dict[str, list[str]]]:
    return {
        "query": group_values(request.query_params.multi_items()),
        "headers": group_values(request.headers.items()),
    }
