"""The REST operations of the service, ``/api/hubs/...``, done on the hubs of this process.

Source: ``spec/service-emulation.md`` 1.2 to 1.5 and 7.3. Statuses are the hosted service's.
"""

from typing import Any

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from app.emulator.hubs import Hub, Hubs, Member, send
from app.emulator.identity import TokenCheck, find_parameter, refuse_token
from app.errors import BadToken, BridgeError, InvalidName, InvalidQuery, MalformedJson, Unauthenticated
from app.protocol import json_text
from app.protocol.hub_message import Invocation
from app.protocol.names import check_connection_id, check_group, check_hub, check_user_id
from app.protocol.rest import ERROR_CODE_HEADER, Action, Operation, read_target

LARGEST_BODY = 1024 * 1024
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
_PROBLEM = "application/problem+json; charset=utf-8"
_CLOSES = frozenset({Action.CLOSE_ALL, Action.CLOSE_USER, Action.CLOSE_GROUP})


class BadRequest(Exception):
    """What is wrong with which parameter."""

    def __init__(self, parameter: str, detail: str) -> None:
        super().__init__(detail)
        self.parameter, self.detail = parameter, detail


class RestApi:
    """Answers REST requests."""

    def __init__(self, hubs: Hubs, tokens: TokenCheck) -> None:
        self._hubs, self._tokens = hubs, tokens

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
                return _refuse_path(target[0], request.method)
        except (InvalidName, InvalidQuery) as exc:
            fault = exc
        try:
            self._tokens.read_claims(request)
            return await self._perform(_or_raise(operation, fault), request)
        except (Unauthenticated, BadToken) as exc:
            return refuse_token(exc)
        except (InvalidName, InvalidQuery) as exc:
            return _refuse("request", exc.detail)
        except BadRequest as exc:
            return _refuse(exc.parameter, exc.detail)

    async def _perform(self, operation: Operation, request: Request) -> Response:
        _check_names(operation)
        hub = self._hubs.find(_full_hub_name(operation, request))
        if operation.action.is_message:
            return await _deliver(hub, operation, request)
        if operation.action in _CLOSES:
            for member in _addressed(hub, operation):
                member.close(operation.reason)
            return Response(status_code=204)
        return _ask(hub, operation) if operation.action.is_question else _change(hub, operation)


def _or_raise(operation: Operation | None, fault: BridgeError | None) -> Operation:
    if operation is None:
        raise fault or InvalidQuery("The request cannot be read.")
    return operation


# --- names


def _check_names(operation: Operation) -> None:
    check_hub(operation.hub)
    if operation.group:
        check_group(operation.group)
    if operation.user:
        check_user_id(operation.user)
    if operation.connection:
        check_connection_id(operation.connection)


def _full_hub_name(operation: Operation, request: HTTPConnection) -> str:
    """With an application, the hub that its clients name ``application_hub``."""
    applications = find_parameter(request, "application")
    if not applications or not applications[-1]:
        return operation.hub
    try:
        return f"{check_hub(applications[-1])}_{operation.hub.lower()}"
    except InvalidName as exc:
        raise BadRequest("application", f"Invalid value of 'application'. {exc.detail}") from None


# --- operations


async def _deliver(hub: Hub, operation: Operation, request: Request) -> Response:
    kind = request.headers.get("content-type")
    body = await _read_body(request)
    if (kind is None and body) or (kind is not None and kind.partition(";")[0].strip().lower() != "application/json"):
        return _problem(415, "Unsupported Media Type")
    if body is None:
        return _problem(413, "Payload Too Large")
    message = read_payload(body)
    try:
        send(_addressed(hub, operation), message)
    except RecursionError:
        raise BadRequest("message", "The message is nested too deeply.") from None
    return Response(status_code=202)


def _addressed(hub: Hub, operation: Operation) -> list[Member]:
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


def _ask(hub: Hub, operation: Operation) -> Response:
    match operation.action:
        case Action.CONNECTION_EXISTS:
            found, code = hub.find_connection(operation.connection) is not None, "Warning.Connection.NotExisted"
        case Action.USER_EXISTS:
            found, code = bool(hub.find_user(operation.user)), "Warning.User.NotExisted"
        case Action.GROUP_EXISTS:
            found, code = hub.has_group(operation.group), "Warning.Group.NotExisted"
        case _:
            found, code = hub.is_user_in_group(operation.user, operation.group), "Info.User.NotInGroup"
    return Response(status_code=200) if found else _not_found(code)


def _change(hub: Hub, operation: Operation) -> Response:
    user, group, connection = operation.user, operation.group, operation.connection
    match operation.action:
        case Action.CLOSE_CONNECTION:
            return _close_connection(hub, operation)
        case Action.ADD_CONNECTION:
            if not hub.add_connection(group, connection):
                return _not_found("Error.Connection.NotExisted")
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


def _close_connection(hub: Hub, operation: Operation) -> Response:
    member = hub.find_connection(operation.connection)
    if member is None:
        return _not_found("Warning.Connection.NotExisted")
    member.close(operation.reason)
    return Response(status_code=200)


# --- bodies


async def _read_body(request: Request) -> bytes | None:
    """None when it is too large; read to its end even then, so that the client sees the answer."""
    body, size = bytearray(), 0
    async for piece in request.stream():
        size += len(piece)
        if size <= LARGEST_BODY:
            body += piece
    return bytes(body) if size <= LARGEST_BODY else None


def read_payload(body: bytes) -> Invocation:
    """The message in a send's body, member names in any case. Raises ``BadRequest``."""
    try:
        payload: Any = json_text.decode(body) if body.strip() else None
    except MalformedJson as exc:
        raise BadRequest("message", exc.detail) from None
    if payload is None:
        raise BadRequest("message", "Message in request body is required.")
    if not isinstance(payload, dict):
        raise BadRequest("message", "The message is not a JSON object.")
    members = {name.lower(): value for name, value in payload.items()}
    target, arguments = members.get("target"), members.get("arguments")
    if not isinstance(target, str) or not target:
        raise BadRequest("Target", "The Target field is required.")
    if arguments is not None and not isinstance(arguments, list):
        raise BadRequest("Arguments", "The Arguments field is not an array.")
    return Invocation(target, arguments or [])


# --- refusals


def _refuse_path(path: str, method: str) -> Response:
    others = [other for other in _METHODS if other != method and read_target(other, path, "") is not None]
    if others:
        return Response(status_code=405, headers={"Allow": ", ".join(others)})
    return _problem(404, "Not Found")


def _not_found(code: str) -> Response:
    return _problem(404, "Not Found", headers={ERROR_CODE_HEADER: code})


def _refuse(parameter: str, detail: str) -> Response:
    return _problem(400, "One or more validation errors occurred.", errors={parameter: [detail]})


def _problem(status: int, title: str, headers: dict[str, str] | None = None, **members: Any) -> Response:
    content = {"title": title, "status": status} | members
    return JSONResponse(content, status, headers, media_type=_PROBLEM)
