"""The output binding's routes for single operations, whose names stand in the path or the query."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.responses import JSONResponse, Response

from signalr_bridge.errors import ConfirmationRequired, InvalidQuery
from signalr_bridge.outbound.answers import answer_call, answer_change, answer_once, answer_question
from signalr_bridge.outbound.client_calls import read_call
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
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.names import check_connection_id, check_group, check_user_id
from signalr_bridge.protocol.rest import Action, Operation
from signalr_bridge.web.callers import Right
from signalr_bridge.web.problems import PROBLEM_ANSWER
from signalr_bridge.web.request import JSON, Request
from signalr_bridge.web.table import Answerer, Description, Route
from signalr_bridge.wire.exchange import Answer, make_answer

LARGEST_CALL = 1024 * 1024

_CONNECTION = "/hubs/{hub}/connections/{connectionId}"
_USER = "/hubs/{hub}/users/{userId}"
_GROUP = "/hubs/{hub}/groups/{groupName}"
_MEMBER = _GROUP + "/connections/{connectionId}"
_USER_MEMBER = _GROUP + "/users/{userId}"
_CLOSE = ("reason", "excluded")
_BY_QUERY = {
    ("groupName",): Action.GROUP_EXISTS,
    ("userId",): Action.USER_EXISTS,
    ("connectionId",): Action.CONNECTION_EXISTS,
    ("groupName", "userId"): Action.USER_IN_GROUP,
}
_CHECKS = {"groupName": check_group, "userId": check_user_id, "connectionId": check_connection_id}


def _operation(request: Request, action: Action, names: dict[str, str] | None = None, **more: Any) -> Operation:
    given = request.names if names is None else names
    user, group, connection = (given.get(name, "") for name in ("userId", "groupName", "connectionId"))
    return Operation(action, request.hub, user=user, group=group, connection=connection, **more)


def _answer_change(action: Action) -> Answerer:
    async def change(request: Request) -> Answer:
        if action is Action.CLOSE_ALL and request.one_of("confirm") != "all":
            raise ConfirmationRequired("This closes every connection of the hub; say so by '?confirm=all'.")
        operation = _operation(request, action, **_read_options(request))

        async def answer() -> Answer:
            return answer_change(action, await request.part(Sender).perform(operation, seconds=request.deadline))

        return await answer_once(request, b"", answer)

    return change


def _read_options(request: Request) -> dict[str, Any]:
    ttl = request.one_of("ttlSeconds")
    if ttl is not None and not (ttl.isascii() and ttl.isdigit() and len(ttl) < 10):
        raise InvalidQuery("The parameter ttlSeconds is a number of seconds from 0.")
    excluded = tuple(map(check_connection_id, request.values.get("excluded", ())))
    return {"ttl": None if ttl is None else int(ttl), "reason": request.one_of("reason"), "excluded": excluded}


def _answer_question(action: Action) -> Answerer:
    async def question(request: Request) -> Answer:
        result = await request.part(Sender).perform(_operation(request, action), seconds=request.deadline)
        return answer_question(action, result)

    return question


async def exists(request: Request) -> Answer:
    """Is there such a group, user or connection, or such a user in the group?"""
    given = {name: request.one_of(name) for name in _CHECKS if name in request.values}
    action = _BY_QUERY.get(tuple(given))
    if action is None:
        raise InvalidQuery("Name a groupName, a userId, a connectionId, or a groupName and a userId.")
    asked = {name: _CHECKS[name](value or "") for name, value in given.items()}
    operation = _operation(request, action, asked)
    return answer_question(action, await request.part(Sender).perform(operation, seconds=request.deadline))


async def list_connections(request: Request) -> Answer:
    """The connections of a group, over all endpoints."""
    sender, hub, group = request.part(Sender), request.hub, request.names["groupName"]
    top, token = _read_top(request.one_of("top")), request.one_of("continuationToken")
    check_target(Operation(Action.LIST_MEMBERS, hub, group=group, continuation=token), sender.longest_target(hub))
    until = sender.deadline(request.deadline)
    members = await list_members(sender.registry(hub), hub, group, top=top, token=token, deadline=until)
    return make_answer(200, json_text.encode(members), JSON)


def _read_top(text: str | None) -> int:
    if text is None:
        return LARGEST_PAGE
    if not (text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= LARGEST_PAGE):
        raise InvalidQuery(f"The parameter top is a number from 1 to {LARGEST_PAGE}.")
    return int(text)


async def invoke(request: Request) -> Answer:
    """Call a method of one client and wait for its answer."""
    request.require_media_type(JSON)
    text = await request.read_body(LARGEST_CALL)
    sender = request.part(Sender)

    async def answer() -> Answer:
        call = read_call(text, sender.registry(request.hub).fits)
        seconds = call.seconds if request.deadline is None else min(call.seconds, request.deadline)
        operation = _operation(request, Action.INVOKE)
        return answer_call(await sender.invoke(operation, call.message, seconds=seconds))

    return await answer_once(request, text, answer)


_CHANGED: dict[int | str, dict[str, Any]] = {
    204: {"description": "done"},
    207: {"model": ResultShape, "description": "partly done; 'endpoints' says where"},
    **PROBLEM_ANSWER,
}
_ASKED: dict[int | str, dict[str, Any]] = {200: {"model": Existence, "description": "there is one"}, **PROBLEM_ANSWER}


def _change(
    method: str, template: str, action: Action, right: Right, summary: str, query: tuple[str, ...] = ()
) -> Route:
    more = {"status_code": 204, "response_class": Response}
    return Route(
        method,
        template,
        _camel(action),
        _answer_change(action),
        rights=frozenset({right}),
        query=query,
        has_deadline=True,
        is_idempotent=True,
        description=Description(tags=["groups and connections"], responses=_CHANGED, summary=summary, more=more),
    )


def _question(
    template: str,
    operation: str,
    answer: Callable[[Request], Awaitable[Answer]],
    summary: str,
    query: tuple[str, ...],
    responses: dict[int | str, dict[str, Any]] = _ASKED,
    response_class: type[Response] = Response,
) -> tuple[Route, Route]:
    """A question by GET and by HEAD."""
    more = {"response_class": response_class}
    description = Description(tags=["who is there"], responses=responses, summary=summary, more=more)
    get, head = (
        Route(
            method,
            template,
            name,
            answer,
            rights=frozenset({Right.READ}),
            query=query,
            has_deadline=True,
            description=description,
        )
        for method, name in (("GET", operation), ("HEAD", f"{operation}Head"))
    )
    return get, head


def _one_question(template: str, action: Action, summary: str) -> tuple[Route, Route]:
    return _question(template, _camel(action), _answer_question(action), summary, ())


def _camel(action: Action) -> str:
    first, *rest = action.name.lower().split("_")
    return first + "".join(word.title() for word in rest)


_JOINS, _CLOSES = Right.GROUPS, Right.CONNECTIONS

ROUTES = (
    _change("PUT", _MEMBER, Action.ADD_CONNECTION, _JOINS, "A connection joins a group."),
    _change("DELETE", _MEMBER, Action.REMOVE_CONNECTION, _JOINS, "A connection leaves a group."),
    _change("PUT", _USER_MEMBER, Action.ADD_USER, _JOINS, "A user joins a group.", ("ttlSeconds",)),
    _change("DELETE", _USER_MEMBER, Action.REMOVE_USER, _JOINS, "A user leaves a group."),
    _change("DELETE", _USER + "/groups", Action.REMOVE_USER_FROM_ALL, _JOINS, "A user leaves all groups."),
    _change(
        "DELETE", _CONNECTION + "/groups", Action.REMOVE_CONNECTION_FROM_ALL, _JOINS, "A connection leaves all groups."
    ),
    _change("DELETE", _CONNECTION, Action.CLOSE_CONNECTION, _CLOSES, "Close a connection.", ("reason",)),
    _change("DELETE", _USER + "/connections", Action.CLOSE_USER, _CLOSES, "Close a user's connections.", _CLOSE),
    _change("DELETE", _GROUP + "/connections", Action.CLOSE_GROUP, _CLOSES, "Close a group's connections.", _CLOSE),
    _change(
        "DELETE",
        "/hubs/{hub}/connections",
        Action.CLOSE_ALL,
        _CLOSES,
        "Close the whole hub.",
        ("confirm", *_CLOSE),
    ),
    *_one_question(_CONNECTION, Action.CONNECTION_EXISTS, "Is the connection there?"),
    *_one_question(_USER, Action.USER_EXISTS, "Is the user connected?"),
    *_one_question(_GROUP, Action.GROUP_EXISTS, "Is anybody in the group?"),
    *_one_question(_USER_MEMBER, Action.USER_IN_GROUP, "Is the user in the group?"),
    *_question("/hubs/{hub}/exists", "exists", exists, "", tuple(_CHECKS)),
    *_question(
        _GROUP + "/connections",
        "listConnectionsInGroup",
        list_connections,
        "",
        ("top", "continuationToken"),
        {200: {"model": MembersShape, "description": "a page of members"}, **PROBLEM_ANSWER},
        JSONResponse,
    ),
    Route(
        "POST",
        _CONNECTION + "/invoke",
        "invokeConnection",
        invoke,
        rights=frozenset({Right.SEND}),
        query=(),
        has_deadline=True,
        is_idempotent=True,
        reads_body=True,
        description=Description(
            tags=["send"],
            responses={200: {"model": InvocationAnswer, "description": "the client's answer"}, **PROBLEM_ANSWER},
            body=body_of(InvocationShape),
            more={"response_class": JSONResponse},
        ),
    ),
)
