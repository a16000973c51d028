"""The REST operations of the service, ``/api/hubs/...``, performed on the hubs of this process.

Source: ``docs/protocol/service-emulation.md`` 1.2 to 1.5 and 7.3. Statuses are the hosted service's.
"""

import asyncio
from typing import Any

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from signalr_bridge.emulator.clients import ClientGone
from signalr_bridge.emulator.hubs import Hubs, HubState, Member
from signalr_bridge.emulator.identity import TokenCheck, find_parameter, refuse_token
from signalr_bridge.emulator.rest_payloads import BadRequest, BodyRefused, deliver, read_message, too_deep
from signalr_bridge.errors import BadToken, BridgeError, InvalidName, InvalidQuery, MalformedJson, Unauthenticated
from signalr_bridge.protocol.access_token import client_audience, client_claims, sign_token
from signalr_bridge.protocol.hub_message import UNHELD, Completion, Invocation
from signalr_bridge.protocol.issued_key import (
    KEY_PATHS,
    TokenRequest,
    read_token_request,
    write_generated_token,
    write_issued_key,
)
from signalr_bridge.protocol.names import check_connection_id, check_group, check_hub, check_user_id
from signalr_bridge.protocol.rest import (
    CLIENT_ERROR_CODE,
    ERROR_CODE_HEADER,
    Action,
    ListedConnection,
    MemberPage,
    Operation,
    read_target,
    write_client_error,
    write_member_page,
    write_result,
)

_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
_PROBLEM = "application/problem+json; charset=utf-8"

LARGEST_PAGE = 200

_CLOSES = frozenset({Action.CLOSE_ALL, Action.CLOSE_USER, Action.CLOSE_GROUP})


def json_answer(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer whose body is JSON."""
    return Response(body, status, headers, "application/json")


def refuse_path(path: str, method: str) -> Response:
    """The answer to an unknown path or method: 405 when another method is known there, else 404."""
    others = [other for other in _METHODS if other != method and read_target(other, path, "") is not None]
    if others:
        return Response(status_code=405, headers={"Allow": ", ".join(others)})
    return problem(404, "Not Found")


def not_found(code: str) -> Response:
    """The answer 404 with the service's error code in a header."""
    return problem(404, "Not Found", headers={ERROR_CODE_HEADER: code})


def refuse(parameter: str, detail: str) -> Response:
    """The answer 400 for a parameter."""
    return problem(400, "One or more validation errors occurred.", errors={parameter: [detail]})


def problem(status: int, title: str, headers: dict[str, str] | None = None, **members: Any) -> Response:
    """A problem as the service writes it."""
    content = {"title": title, "status": status} | members
    return JSONResponse(content, status, headers, media_type=_PROBLEM)


def list_members(hub: HubState, operation: Operation, url: str) -> Response:
    """One page of a group's members. Members who come or go between two pages do not move the others.

    ``url`` is the request's, without its query.
    """
    size = LARGEST_PAGE if operation.page_size is None else operation.page_size
    if not 1 <= size <= LARGEST_PAGE:
        raise BadRequest("maxpagesize", f"The value is not between 1 and {LARGEST_PAGE}.")
    behind = operation.continuation or ""
    found = sorted(hub.find_group(operation.group), key=lambda one: one.connection_id)
    found = [one for one in found if one.connection_id > behind]
    members = [ListedConnection(one.connection_id, one.user_id) for one in found[:size]]
    following = members[-1].connection_id if len(found) > size else None
    return json_answer(write_member_page(MemberPage(members, following), url))


class RestApi:
    """Answers REST requests. A client that is called may take ``invoke_seconds``."""

    def __init__(self, hubs: Hubs, tokens: TokenCheck, invoke_seconds: float) -> None:
        self._hubs, self._tokens = hubs, tokens
        self._invoke_seconds = invoke_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = await self._answer(request)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        target = request.scope["raw_path"].decode("latin-1"), request.scope["query_string"].decode("latin-1")
        fault: BridgeError | None = None
        operation = None
        try:
            operation = read_target(request.method, *target)
            if operation is None:
                return refuse_path(target[0], request.method)
        except (InvalidName, InvalidQuery) as exc:
            fault = exc
        try:
            if await self._tokens.admit(request) == "reader" and request.method not in {"GET", "HEAD"}:
                return problem(403, "Forbidden")
            return await self._perform(_or_raise(operation, fault), request)
        except (Unauthenticated, BadToken) as exc:
            return refuse_token(exc)
        except (InvalidName, InvalidQuery) as exc:
            return refuse("request", exc.detail)
        except BadRequest as exc:
            return refuse(exc.parameter, exc.detail)
        except BodyRefused as exc:
            return problem(exc.status, exc.title)

    async def _perform(self, operation: Operation, request: Request) -> Response:
        _check_names(operation)
        hub = self._hubs.find(_full_hub_name(operation, request))
        if operation.action.is_message:
            message = await read_message(request)
            deliver(_addressed(hub, operation), message)
            return Response(status_code=202)
        if operation.action is Action.INVOKE:
            return await _invoke(hub, operation, request, self._invoke_seconds)
        if operation.action is Action.LIST_MEMBERS:
            return list_members(hub, operation, str(request.url.replace(query="")))
        if operation.action in _CLOSES:
            for member in _addressed(hub, operation):
                member.close(operation.reason)
            return Response(status_code=204)
        return _ask(hub, operation) if operation.action.is_question else _change(hub, operation)


def _or_raise(operation: Operation | None, fault: BridgeError | None) -> Operation:
    if operation is None:
        raise fault or InvalidQuery("The request cannot be read.")
    return operation


def _check_names(operation: Operation) -> None:
    check_hub(operation.hub)
    if operation.group:
        check_group(operation.group)
    if operation.user:
        check_user_id(operation.user)
    if operation.connection:
        check_connection_id(operation.connection)


def _full_hub_name(operation: Operation, request: HTTPConnection) -> str:
    """The hub's name. With an application it is ``application_hub``, as its clients connect."""
    applications = find_parameter(request, "application")
    if not applications or not applications[-1]:
        return operation.hub
    try:
        return f"{check_hub(applications[-1])}_{operation.hub.lower()}"
    except InvalidName as exc:
        raise BadRequest("application", f"Invalid value of 'application'. {exc.detail}") from None


async def _invoke(hub: HubState, operation: Operation, request: Request, seconds: float) -> Response:
    message = await read_message(request)
    member = hub.find_connection(operation.connection)
    if member is None:
        return not_found("Error.Connection.NotExisted")
    if not isinstance(message, Invocation):
        raise BodyRefused(415, "Unsupported Media Type")
    try:
        async with asyncio.timeout(seconds):
            completion = await member.call(message)
    except TimeoutError:
        return problem(504, "The client did not answer.")
    except ClientGone:
        return not_found("Error.Connection.NotExisted")
    except (MalformedJson, RecursionError):
        raise too_deep() from None
    return _answer_call(completion)


def _answer_call(completion: Completion) -> Response:
    error = completion.error
    if error is None:
        try:
            return json_answer(write_result(completion.result))
        except (RecursionError, TypeError, ValueError):  # MessagePack that JSON cannot hold
            error = UNHELD
    return json_answer(write_client_error(error), 400, {ERROR_CODE_HEADER: CLIENT_ERROR_CODE})


def _addressed(hub: HubState, operation: Operation) -> list[Member]:
    if operation.connection:
        member = hub.find_connection(operation.connection)
        members = [] if member is None else [member]
    elif operation.group:
        members = hub.find_group(operation.group)
    elif operation.user:
        members = hub.find_user(operation.user)
    else:
        members = hub.members()
    excluded = frozenset(operation.excluded)
    return [member for member in members if member.connection_id not in excluded]


def _ask(hub: HubState, operation: Operation) -> Response:
    match operation.action:
        case Action.CONNECTION_EXISTS:
            found, code = hub.find_connection(operation.connection) is not None, "Warning.Connection.NotExisted"
        case Action.USER_EXISTS:
            found, code = bool(hub.find_user(operation.user)), "Warning.User.NotExisted"
        case Action.GROUP_EXISTS:
            found, code = hub.has_group(operation.group), "Warning.Group.NotExisted"
        case _:
            found, code = hub.is_user_in_group(operation.user, operation.group), "Info.User.NotInGroup"
    return Response(status_code=200) if found else not_found(code)


def _change(hub: HubState, operation: Operation) -> Response:
    user, group, connection = operation.user, operation.group, operation.connection
    match operation.action:
        case Action.CLOSE_CONNECTION:
            return _close_connection(hub, operation)
        case Action.ADD_CONNECTION:
            if not hub.add_connection(group, connection):
                return not_found("Error.Connection.NotExisted")
        case Action.REMOVE_CONNECTION:
            hub.remove_connection(group, connection)
        case Action.REMOVE_CONNECTION_FROM_ALL:
            hub.remove_connection_from_all(connection)
        case Action.ADD_USER:
            hub.add_user(user, group, operation.ttl)
        case Action.REMOVE_USER:
            hub.remove_user(user, group)
            return Response(status_code=204)
        case Action.REMOVE_USER_FROM_ALL:
            hub.remove_user_from_all(user)
            return Response(status_code=204)
    return Response(status_code=200)


def _close_connection(hub: HubState, operation: Operation) -> Response:
    member = hub.find_connection(operation.connection)
    if member is None:
        return not_found("Warning.Connection.NotExisted")
    member.close(operation.reason)
    return Response(status_code=200)


class TokenIssuer:
    """Issues signing keys, and whole tokens that ``key`` signs, to callers with an identity."""

    def __init__(self, tokens: TokenCheck, key: str) -> None:
        self._tokens, self._key = tokens, key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path, query = request.scope["raw_path"].decode("latin-1"), request.scope["query_string"].decode("latin-1")
        try:
            role = await self._tokens.admit(request)
            if path.lower() in KEY_PATHS:
                return self._issue_key() if role == "owner" else problem(403, "Forbidden")
            wanted = read_token_request(path, query)
            if wanted is None or role not in {"owner", "rest-owner"}:
                return problem(403, "Forbidden")
            return self._issue_token(wanted, str(request.base_url))
        except (Unauthenticated, BadToken) as exc:
            return refuse_token(exc)
        except (InvalidName, InvalidQuery) as exc:
            return refuse("request", exc.detail)

    def _issue_key(self) -> Response:
        return json_answer(write_issued_key(self._tokens.issued.issue()))

    def _issue_token(self, wanted: TokenRequest, url: str) -> Response:
        claims = client_claims(
            audience=client_audience(url, wanted.hub),
            user_id=wanted.user_id,
            claims={},
            now=int(self._tokens.clock()),
            lifetime=wanted.minutes * 60,
            lossless=False,
        )
        return json_answer(write_generated_token(sign_token(claims, self._key)))


def is_issuing(method: str, path: str) -> bool:
    """Whether a request is for ``TokenIssuer``. ``path`` is in lower case."""
    if path in KEY_PATHS:
        return method == "GET"
    return method == "POST" and path.startswith("/api/") and path.endswith("/:generatetoken")
