"""The routes of negotiation, for SignalR clients and for backends that ask on behalf of their clients."""

import re
from collections.abc import Mapping
from dataclasses import replace

from msgspec import structs
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from signalr_bridge.endpoints.client_signers import ClientSigners
from signalr_bridge.errors import (
    BodyTooLarge,
    Fault,
    Forbidden,
    InvalidItem,
    InvalidName,
    InvalidQuery,
    MalformedJson,
    NoDefaultHub,
    ReservedClaim,
    SettingsError,
    TokenTooLong,
    Unauthenticated,
    UnknownEndpoint,
)
from signalr_bridge.negotiate.admitter import Candidate
from signalr_bridge.negotiate.identity import drop_old_parameters, drop_old_tokens, find_old_mark
from signalr_bridge.negotiate.negotiator import ClientToken, ConnectionInfo, Negotiator
from signalr_bridge.negotiate.request import is_blank, read_request
from signalr_bridge.negotiate.rules import ClientAdmission, log_refusal, read_client_request
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.admission import NegotiateRequest
from signalr_bridge.protocol.claims import claim_text
from signalr_bridge.protocol.platform_headers import is_imitation, is_platform_header
from signalr_bridge.protocol.upstream_event import HeaderLines, decode_header, read_client_query
from signalr_bridge.settings.model import EndpointType
from signalr_bridge.web.authorize import Access
from signalr_bridge.web.callers import CHALLENGE, Right
from signalr_bridge.web.problems import PROBLEM_ANSWER
from signalr_bridge.web.refusals import Refusals
from signalr_bridge.web.request import JSON, Request
from signalr_bridge.web.table import Audience, Description, Route
from signalr_bridge.web.trace import CLIENT, NOTE
from signalr_bridge.wire.exchange import Answer, make_answer

LARGEST_BODY = 64 * 1024
_CLIENT_BODY_SECONDS = 5.0
"""Seconds to read a client's body. Clients send none, so one that comes slowly is not waited for."""
_CALLERS_ONLY = "Only a caller may say for whom: send an API key in the header X-API-Key."

_LONGEST_QUERY = 8 * 1024
_NOT_KEPT = ((b"cache-control", b"no-store"),)


_Claim = str | float | bool


class NegotiateBody(BaseModel):
    """What a caller may ask for. A client sends nothing."""

    model_config = ConfigDict(title="NegotiateRequest", extra="forbid")

    userId: str | None = Field(None, min_length=1)
    claims: dict[str, _Claim | list[_Claim]] | None = Field(None, examples=[{"role": ["admin", "editor"]}])
    lifetimeSeconds: int | None = Field(None, ge=1, le=86_400, description="without it, what the settings say")
    endpoint: str | None = Field(None, description="the name of an endpoint that is online")
    closeOnExpiry: bool | None = Field(None, description="without it, what the settings say")


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
    admitted = await _admit(request, _read_hub(request))
    request.read_names()
    return await _negotiate(request, request.hub, admitted)


async def negotiate_default_hub(request: Request) -> Answer:
    """The same for the default hub, so that a page written for a function app keeps working."""
    hub = request.part(Access).hub_names.default
    admitted = await _admit(request, hub)
    if hub is None:
        raise NoDefaultHub("Several hubs or none are configured: set BRIDGE_DEFAULT_HUB, or name the hub in the path.")
    return await _negotiate(request, hub, admitted)


async def negotiate_endpoints(request: Request) -> Answer:
    """The same for every endpoint, so that the caller can choose one for its client."""
    defaults = request.part(ClientAdmission).rules_of(request.hub).defaults
    wanted = _read_wish(request, await request.read_body(LARGEST_BODY), defaults)
    if wanted.endpoint is not None:
        raise InvalidItem([Fault("#/endpoint", InvalidItem, "Every endpoint is in the answer: name none.")])
    choices = await request.part(Negotiator).negotiate_all(request.hub, wanted)
    return _answer(json_text.encode({"endpoints": [one.as_json() for one in choices]}))


def _read_hub(request: Request) -> str | None:
    """The hub in lower case. None when its name is not valid. That is told to whoever may negotiate, and not before."""
    try:
        return request.hub
    except InvalidName:
        return None


async def _admit(request: Request, hub: str | None) -> ClientToken | Candidate | None:
    """The token of a client, or the client about whom a handler decides, or None for a caller, who may negotiate.

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


async def _admit_client(request: Request, access: Access, hub: str | None) -> ClientToken | Candidate:
    """What the rules of the hub say of a client. Only where clients may negotiate, a handler decides about it."""
    if (note := NOTE.get()) is not None:
        note.by = CLIENT  # also where a caller asks without a body
    clients, address = request.part(ClientAdmission), access.address_of(request)
    lines, query = _leave_out_old_tokens(request, hub)
    if hub is not None:
        handler = clients.find_handler(hub)
        if handler is not None and access.hub_names.is_for_clients(hub):
            return await clients.verify(hub, handler, lines, query, address)
    return await clients.admit(hub, read_client_request(lines, query), address)


def _leave_out_old_tokens(request: Request, hub: str | None) -> tuple[HeaderLines, bytes]:
    """The header lines and the query that say who the client is."""
    lines, query = request.incoming.headers, request.incoming.query
    if hub is not None and request.last_header(b"authorization") is not None:
        lines = drop_old_tokens(request.part(ClientSigners), hub, lines)
    if hub is not None and b"access_token" in query.lower():
        query = drop_old_parameters(request.part(ClientSigners), hub, query)
    return lines, query


async def _negotiate(request: Request, hub: str, admitted: ClientToken | Candidate | None) -> Answer:
    """The answer for a client that was admitted, or for a caller.

    A blank body is a client's call, even when it comes with a caller's key. Then the rules of the hub decide.
    """
    access = request.part(Access)
    if admitted is not None:
        access.hub_names.check_client(hub)
        await _refuse_body(request)
    else:
        body = await request.read_body(LARGEST_BODY)
        if is_blank(body):
            admitted = await _admit_client(request, access, hub)
            access.hub_names.check_client(hub)
        else:
            admitted = _read_wish(request, body, request.part(ClientAdmission).rules_of(hub).defaults)
            return _answer((await request.part(Negotiator).negotiate(hub, admitted)).write())
    if isinstance(admitted, Candidate):
        return _answer((await _negotiate_by_handler(request, access, admitted)).write())
    admitted = _mark(request, access, hub, admitted)
    return _answer((await request.part(Negotiator).negotiate(hub, admitted)).write())


def _mark(request: Request, access: Access, hub: str, token: ClientToken) -> ClientToken:
    """The token with what tells this negotiation from others, where handlers may refuse the connection.

    Raises ``Forbidden`` for a client whose connection they refused a moment ago. A caller is never held up: all of its
    clients have its address and cookies.
    """
    refusals = request.part(Refusals)
    if not refusals.may_refuse(hub) or access.is_backend(request):
        return token
    if not request.part(ClientAdmission).rules_of(hub).lossless:
        return token  # it has no place for a mark
    query = str(read_client_query(request.incoming.query.decode("latin-1")))
    cookies = b"\0".join(value for name, value in request.incoming.headers if name == b"cookie")
    claims = repr((token.claims, token.groups)) if token.claims or token.groups else ""
    before = "" if token.user_id is not None or cookies else _find_old_mark(request, hub)
    address = access.find_exact_address(request) or ""
    mark = refusals.mark(hub, token.user_id, query, cookies, address, claims=claims, before=before)
    try:
        refusals.check(mark)
    except Forbidden:
        log_refusal("a handler of connected refused it a moment ago", access.address_of(request))
        raise
    return structs.replace(token, mark=mark)


def _find_old_mark(request: Request, hub: str) -> str:
    if request.last_header(b"authorization") is None:
        return ""
    return find_old_mark(request.part(ClientSigners), hub, request.incoming.headers)


async def _negotiate_by_handler(request: Request, access: Access, candidate: Candidate) -> ConnectionInfo:
    """The answer for a client about whom a handler decides. What it names and no token can hold is its failure."""
    asked = _describe(request, access, candidate)
    token = await request.part(ClientAdmission).decide(candidate, asked, access.address_of(request))
    marked = _mark(request, access, candidate.hub, token)
    try:
        return await request.part(Negotiator).negotiate(candidate.hub, marked)
    except (ReservedClaim, TokenTooLong, UnknownEndpoint) as error:
        if token is candidate.token:  # the rules stand, and are not the handler's
            raise
        candidate.fail(error.detail)


def _describe(request: Request, access: Access, candidate: Candidate) -> NegotiateRequest:
    """What the handler learns of the request."""
    token = candidate.token if candidate.is_verified else None
    origins = request.headers_of(b"origin")
    return NegotiateRequest(
        candidate.hub,
        None if token is None else token.user_id,
        {} if token is None else {name: list(map(claim_text, values)) for name, values in token.claims.items()},
        read_client_query(request.incoming.query.decode("latin-1")),
        _list_headers(candidate),
        access.find_exact_address(request),
        origins[0] if len(origins) == 1 else None,
        request.host_scope,
    )


def _list_headers(candidate: Candidate) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for name, value in candidate.lines:
        spelled = name.decode("latin-1")
        if not is_imitation(spelled) and (candidate.platform or not is_platform_header(spelled)):
            headers.setdefault(spelled, []).append(decode_header(value))
    return headers


def _read_wish(request: Request, body: bytes, defaults: ClientToken) -> ClientToken:
    if is_blank(body):
        return defaults
    request.require_media_type(JSON)
    return read_request(body, defaults)


async def _refuse_body(request: Request) -> None:
    """Raises ``Unauthenticated`` when a client, which is not a caller, sends a body."""
    try:
        blank = is_blank(await request.read_body(LARGEST_BODY, _CLIENT_BODY_SECONDS, drops_blanks=True))
    except (BodyTooLarge, MalformedJson):
        blank = False
    if not blank:
        raise Unauthenticated(_CALLERS_ONLY, headers=CHALLENGE)


def _answer(body: bytes) -> Answer:
    return make_answer(200, body, JSON, _NOT_KEPT)


_BODY = {"content": {"application/json": {"schema": NegotiateBody.model_json_schema()}}}
_DESCRIPTION = Description(
    tags=["negotiate"],
    responses={200: {"model": NegotiateAnswer, "description": "where to connect"}, **PROBLEM_ANSWER},
    body=_BODY,
    more={"response_class": JSONResponse},
)
_RIGHTS = frozenset({Right.NEGOTIATE})

_DEFAULT_PATH = "/api/negotiate"
_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_RESERVED = ("hubs", "upstream", "runtime", "health", "metrics", "docs", "openapi.json", "events")
"""The first segments of the bridge's own paths."""
_PATHS_SETTING = "BRIDGE_NEGOTIATE__PATHS"


def list_routes(paths: Mapping[str, str]) -> list[Route]:
    """All routes of negotiation. A path of the settings may be that of the default hub, and then stands in its place.

    Raises ``SettingsError`` for a path that cannot be one, and for two that are one.

    Args:
        paths: Further paths, and the hub of each.
    """
    lowered = [path.lower() for path in paths]
    for path, again in zip(paths, lowered, strict=True):
        _check_path(path)
        if lowered.count(again) > 1:
            raise SettingsError(
                f"the path '{path}' stands twice: letters' case does not count.", setting=_PATHS_SETTING
            )
    own = [one for one in ROUTES if one.template != _DEFAULT_PATH or _DEFAULT_PATH not in lowered]
    return [*own, *(_make_path_route(path, hub, number) for number, (path, hub) in enumerate(paths.items(), start=1))]


def _check_path(path: str) -> None:
    segments = path.split("/")
    if not _PATH.fullmatch(path) or not {".", ".."}.isdisjoint(segments):
        text = "a path begins with / and ends without, holds letters, digits, '-', '.', '_' and '~', and no parameters."
    elif segments[1].lower() in _RESERVED:
        text = f"the bridge itself answers below '/{segments[1]}': write another path, such as /api/chat/negotiate."
    else:
        return
    raise SettingsError(text, setting=_PATHS_SETTING)


def _make_path_route(path: str, hub: str, number: int) -> Route:
    return Route(
        "POST",
        path,
        f"negotiatePath{number}",
        negotiate,
        audience=Audience.CLIENTS,
        rights=_RIGHTS,
        reads_body=True,
        description=replace(_DESCRIPTION, summary=f"Negotiate for the hub {hub}"),
        segments={"hub": hub},
        yields=True,
        ignores_case=True,
    )


ROUTES = (
    Route(
        "POST",
        "/hubs/{hub}/negotiate",
        "negotiate",
        negotiate,
        audience=Audience.CLIENTS,
        rights=_RIGHTS,
        reads_body=True,
        description=_DESCRIPTION,
    ),
    Route(
        "POST",
        _DEFAULT_PATH,
        "negotiateDefaultHub",
        negotiate_default_hub,
        audience=Audience.CLIENTS,
        rights=_RIGHTS,
        reads_body=True,
        description=_DESCRIPTION,
        yields=True,
    ),
    Route(
        "POST",
        "/hubs/{hub}/negotiate/endpoints",
        "negotiateEndpoints",
        negotiate_endpoints,
        rights=_RIGHTS,
        reads_body=True,
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
