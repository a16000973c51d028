"""The output binding's routes for single operations, whose names stand in the path or the query."""

from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from signalr_bridge.errors import ConfirmationRequired, InvalidQuery
from signalr_bridge.outbound.answers import answer_call, answer_change, answer_question
from signalr_bridge.outbound.client_calls import read_call
from signalr_bridge.outbound.idempotency import answer_once
from signalr_bridge.outbound.members import LARGEST_PAGE, list_members
from signalr_bridge.outbound.sender import Sender, check_target
from signalr_bridge.outbound.shapes import (
    Existence,
    InvocationAnswer,
    InvocationShape,
    MembersShape,
    ResultShape,
    body_of,
)
from signalr_bridge.protocol.names import check_connection_id, check_group, check_user_id
from signalr_bridge.protocol.rest import Action, Operation
from signalr_bridge.web.authorize import RequiredCaller
from signalr_bridge.web.document import IDEMPOTENCY_HEADER, TIMEOUT_HEADER
from signalr_bridge.web.problems import PROBLEM_ANSWER
from signalr_bridge.web.request import (
    JSON,
    Deadline,
    PathNames,
    describe_path,
    describe_query,
    one_of,
    part,
    read_body,
    read_query,
    require_media_type,
)

LARGEST_CALL = 1024 * 1024

SenderPart = Annotated[Sender, part(Sender)]

_CONNECTION = "/hubs/{hub:segment}/connections/{connectionId:segment}"
_USER = "/hubs/{hub:segment}/users/{userId:segment}"
_GROUP = "/hubs/{hub:segment}/groups/{groupName:segment}"
_MEMBER = _GROUP + "/connections/{connectionId:segment}"
_USER_MEMBER = _GROUP + "/users/{userId:segment}"
_EXISTS = "/hubs/{hub:segment}/exists"
_CLOSE = ("reason", "excluded")
_BY_QUERY = {
    ("groupName",): Action.GROUP_EXISTS,
    ("userId",): Action.USER_EXISTS,
    ("connectionId",): Action.CONNECTION_EXISTS,
    ("groupName", "userId"): Action.USER_IN_GROUP,
}
_CHECKS = {"groupName": check_group, "userId": check_user_id, "connectionId": check_connection_id}
_CHANGE_ANSWERS: dict[int | str, dict[str, Any]] = {
    204: {"description": "done"},
    207: {"model": ResultShape, "description": "partly done; 'endpoints' says where"},
    **PROBLEM_ANSWER,
}
_QUESTION_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"model": Existence, "description": "there is one"},
    **PROBLEM_ANSWER,
}
_CHANGE: dict[str, Any] = {
    "status_code": 204,
    "response_class": Response,
    "responses": _CHANGE_ANSWERS,
    "tags": ["groups and connections"],
}
_QUESTION: dict[str, Any] = {"response_class": Response, "responses": _QUESTION_ANSWERS, "tags": ["who is there"]}
_INVOKE = describe_path(_CONNECTION) | body_of(InvocationShape)
_INVOKE["parameters"] += [TIMEOUT_HEADER, IDEMPOTENCY_HEADER]

router = APIRouter(redirect_slashes=False)


def _operation(action: Action, names: dict[str, str], **more: Any) -> Operation:
    user, group, connection = (names.get(name, "") for name in ("userId", "groupName", "connectionId"))
    return Operation(action, names["hub"], user=user, group=group, connection=connection, **more)


def _add_change(method: str, path: str, action: Action, summary: str, known: tuple[str, ...] = ()) -> None:
    async def change(
        request: Request, caller: RequiredCaller, names: PathNames, deadline: Deadline, sender: SenderPart
    ) -> Response:
        query = read_query(request, known)
        if "confirm" in known and one_of(query, "confirm") != "all":
            raise ConfirmationRequired("This closes every connection of the hub; say so by '?confirm=all'.")
        operation = _operation(action, names, **_read_options(query))

        async def answer() -> Response:
            return answer_change(action, await sender.perform(operation, seconds=deadline))

        return await answer_once(request, caller, b"", answer)

    described = describe_path(path)
    described["parameters"] += [*describe_query(*known), TIMEOUT_HEADER, IDEMPOTENCY_HEADER]
    router.add_api_route(
        path, change, methods=[method], operation_id=_camel(action), summary=summary, openapi_extra=described, **_CHANGE
    )


def _read_options(query: dict[str, list[str]]) -> dict[str, Any]:
    ttl = one_of(query, "ttlSeconds")
    if ttl is not None and not (ttl.isascii() and ttl.isdigit() and len(ttl) < 10):
        raise InvalidQuery("The parameter ttlSeconds is a number of seconds from 0.")
    excluded = tuple(map(check_connection_id, query.get("excluded", ())))
    return {"ttl": None if ttl is None else int(ttl), "reason": one_of(query, "reason"), "excluded": excluded}


def _add_question(path: str, action: Action, summary: str) -> None:
    async def question(
        request: Request, caller: RequiredCaller, names: PathNames, deadline: Deadline, sender: SenderPart
    ) -> Response:
        read_query(request, ())
        return answer_question(action, await sender.perform(_operation(action, names), seconds=deadline))

    described = describe_path(path)
    described["parameters"].append(TIMEOUT_HEADER)
    for method in ("GET", "HEAD"):
        router.add_api_route(
            path,
            question,
            methods=[method],
            operation_id=_camel(action) + ("" if method == "GET" else "Head"),
            summary=summary,
            openapi_extra=described,
            **_QUESTION,
        )


def _camel(action: Action) -> str:
    first, *rest = action.name.lower().split("_")
    return first + "".join(word.title() for word in rest)


_add_change("PUT", _MEMBER, Action.ADD_CONNECTION, "A connection joins a group.")
_add_change("DELETE", _MEMBER, Action.REMOVE_CONNECTION, "A connection leaves a group.")
_add_change("PUT", _USER_MEMBER, Action.ADD_USER, "A user joins a group.", ("ttlSeconds",))
_add_change("DELETE", _USER_MEMBER, Action.REMOVE_USER, "A user leaves a group.")
_add_change("DELETE", _USER + "/groups", Action.REMOVE_USER_FROM_ALL, "A user leaves all groups.")
_add_change("DELETE", _CONNECTION + "/groups", Action.REMOVE_CONNECTION_FROM_ALL, "A connection leaves all groups.")
_add_change("DELETE", _CONNECTION, Action.CLOSE_CONNECTION, "Close a connection.", ("reason",))
_add_change("DELETE", _USER + "/connections", Action.CLOSE_USER, "Close a user's connections.", _CLOSE)
_add_change("DELETE", _GROUP + "/connections", Action.CLOSE_GROUP, "Close a group's connections.", _CLOSE)
_add_change("DELETE", "/hubs/{hub:segment}/connections", Action.CLOSE_ALL, "Close the whole hub.", ("confirm", *_CLOSE))
_add_question(_CONNECTION, Action.CONNECTION_EXISTS, "Is the connection there?")
_add_question(_USER, Action.USER_EXISTS, "Is the user connected?")
_add_question(_GROUP, Action.GROUP_EXISTS, "Is anybody in the group?")
_add_question(_USER_MEMBER, Action.USER_IN_GROUP, "Is the user in the group?")


async def exists(
    request: Request, caller: RequiredCaller, names: PathNames, deadline: Deadline, sender: SenderPart
) -> Response:
    """Is there such a group, user or connection, or such a user in the group?"""
    query = read_query(request, _CHECKS)
    given = {name: one_of(query, name) for name in _CHECKS if name in query}
    action = _BY_QUERY.get(tuple(given))
    if action is None:
        raise InvalidQuery("Name a groupName, a userId, a connectionId, or a groupName and a userId.")
    asked = {name: _CHECKS[name](value or "") for name, value in given.items()}
    return answer_question(action, await sender.perform(_operation(action, names | asked), seconds=deadline))


for _method, _id in (("GET", "exists"), ("HEAD", "existsHead")):
    _described = describe_path(_EXISTS)
    _described["parameters"] += [*describe_query(*_CHECKS), TIMEOUT_HEADER]
    router.add_api_route(_EXISTS, exists, methods=[_method], operation_id=_id, openapi_extra=_described, **_QUESTION)


@router.get(
    _GROUP + "/connections",
    operation_id="listConnectionsInGroup",
    openapi_extra={
        "parameters": [
            *describe_path(_GROUP)["parameters"],
            *describe_query("top", "continuationToken"),
            TIMEOUT_HEADER,
        ],
    },
    responses={200: {"model": MembersShape, "description": "a page of members"}, **PROBLEM_ANSWER},
    response_class=JSONResponse,
    tags=["who is there"],
)
async def list_connections(
    request: Request, caller: RequiredCaller, names: PathNames, deadline: Deadline, sender: SenderPart
) -> Response:
    """The connections of a group, over all endpoints."""
    query = read_query(request, ("top", "continuationToken"))
    top, token = _read_top(one_of(query, "top")), one_of(query, "continuationToken")
    hub, group = names["hub"], names["groupName"]
    check_target(Operation(Action.LIST_MEMBERS, hub, group=group, continuation=token), sender.longest_target(hub))
    until = sender.deadline(deadline)
    return JSONResponse(await list_members(sender.registry(hub), hub, group, top=top, token=token, deadline=until))


def _read_top(text: str | None) -> int:
    if text is None:
        return LARGEST_PAGE
    if not (text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= LARGEST_PAGE):
        raise InvalidQuery(f"The parameter top is a number from 1 to {LARGEST_PAGE}.")
    return int(text)


@router.post(
    _CONNECTION + "/invoke",
    operation_id="invokeConnection",
    openapi_extra=_INVOKE,
    responses={200: {"model": InvocationAnswer, "description": "the client's answer"}, **PROBLEM_ANSWER},
    response_class=JSONResponse,
    tags=["send"],
)
async def invoke(
    request: Request, caller: RequiredCaller, names: PathNames, deadline: Deadline, sender: SenderPart
) -> Response:
    """Call a method of one client and wait for its answer."""
    read_query(request, ())
    require_media_type(request, JSON)
    text = await read_body(request, LARGEST_CALL)

    async def answer() -> Response:
        call = read_call(text, sender.registry(names["hub"]).fits)
        seconds = call.seconds if deadline is None else min(call.seconds, deadline)
        return answer_call(await sender.invoke(_operation(Action.INVOKE, names), call.message, seconds=seconds))

    return await answer_once(request, caller, text, answer)
