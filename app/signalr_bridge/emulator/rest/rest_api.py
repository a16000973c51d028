"""The REST operations of the service, ``/api/hubs/...``, done on the hubs of this process.

Source: ``spec/service-emulation.md`` 1.2 to 1.5 and 7.3. Statuses are the hosted service's.
"""

import asyncio

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from signalr_bridge.emulator.client_calls import ClientGone
from signalr_bridge.emulator.hubs import Hub, Hubs, Member
from signalr_bridge.emulator.identity import TokenCheck, find_parameter, refuse_token
from signalr_bridge.emulator.rest.answers import json_answer, not_found, problem, refuse, refuse_path
from signalr_bridge.emulator.rest.members import list_members
from signalr_bridge.emulator.rest.payloads import BadRequest, Refused, deliver, read_message
from signalr_bridge.errors import BadToken, BridgeError, InvalidName, InvalidQuery, Unauthenticated
from signalr_bridge.protocol.hub_message import Completion, Invocation
from signalr_bridge.protocol.names import check_connection_id, check_group, check_hub, check_user_id
from signalr_bridge.protocol.rest import ERROR_CODE_HEADER, Action, Operation, read_target
from signalr_bridge.protocol.rest_answer import CLIENT_ERROR_CODE, write_client_error, write_result

_CLOSES = frozenset({Action.CLOSE_ALL, Action.CLOSE_USER, Action.CLOSE_GROUP})


class RestApi:
    """Answers REST requests. ``invoke_seconds``: how long a called client may take."""

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
        except Refused as exc:
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


async def _invoke(hub: Hub, operation: Operation, request: Request, seconds: float) -> Response:
    message = await read_message(request)
    member = hub.find_connection(operation.connection)
    if member is None:
        return not_found("Error.Connection.NotExisted")
    if not isinstance(message, Invocation):
        raise Refused(415, "Unsupported Media Type")
    try:
        async with asyncio.timeout(seconds):
            completion = await member.call(message)
    except TimeoutError:
        return problem(504, "The client did not answer.")
    except ClientGone:
        return not_found("Error.Connection.NotExisted")
    return _answer_call(completion)


def _answer_call(completion: Completion) -> Response:
    if completion.error is None:
        return json_answer(write_result(completion.result))
    return json_answer(write_client_error(completion.error), 400, {ERROR_CODE_HEADER: CLIENT_ERROR_CODE})


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
    return Response(status_code=200) if found else not_found(code)


def _change(hub: Hub, operation: Operation) -> Response:
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


def _close_connection(hub: Hub, operation: Operation) -> Response:
    member = hub.find_connection(operation.connection)
    if member is None:
        return not_found("Warning.Connection.NotExisted")
    member.close(operation.reason)
    return Response(status_code=200)
