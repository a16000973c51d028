"""The output binding's routes: send, groups, outputs; and memberships, connections and existence one by one."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.errors import BodyTooLarge, ConfirmationRequired, Fault, InvalidItem, InvalidQuery
from app.outbound.answers import answer_change, answer_item, answer_items, answer_question
from app.outbound.item import Kind, read_item
from app.outbound.sender import ALL_KINDS, Sender
from app.outbound.shapes import (
    Close,
    Existence,
    GroupAction,
    Message,
    ResultShape,
    ResultsShape,
    body_of,
    body_of_any,
)
from app.protocol import json_text
from app.protocol.names import check_connection_id
from app.protocol.rest import Action, Operation
from app.web.bodies import JSON, read_body, require_media_type
from app.web.callers import RequiredCaller
from app.web.deadline import Deadline
from app.web.names import PathNames, describe_path, describe_query, one_of, read_query
from app.web.parts import part
from app.web.problems import PROBLEM_ANSWER

LARGEST_ITEM = 1024 * 1024
LARGEST_ARRAY = 8 * 1024 * 1024

SenderPart = Annotated[Sender, part("sender")]

router = APIRouter(redirect_slashes=False)

_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])

_ITEM_ANSWERS: dict[int | str, dict[str, Any]] = {
    202: {"model": ResultShape, "description": "accepted"},
    207: {"model": ResultShape, "description": "partly done; 'endpoints' says where"},
    **PROBLEM_ANSWER,
}
_CHANGE_ANSWERS: dict[int | str, dict[str, Any]] = {
    204: {"description": "done"},
    207: _ITEM_ANSWERS[207],
    **PROBLEM_ANSWER,
}
_QUESTION_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"model": Existence, "description": "there is one"},
    **PROBLEM_ANSWER,
}
_ITEM: dict[str, Any] = {"status_code": 202, "response_class": Response, "responses": _ITEM_ANSWERS, "tags": ["send"]}
_RESULTS_ANSWERS: dict[int | str, dict[str, Any]] = {
    202: {"model": ResultsShape, "description": "all accepted"},
    207: {"model": ResultsShape, "description": "partly done; 'results' says what"},
}
_RESULTS = {"responses": _ITEM_ANSWERS | _RESULTS_ANSWERS}
_CHANGE: dict[str, Any] = {
    "status_code": 204,
    "response_class": Response,
    "responses": _CHANGE_ANSWERS,
    "tags": ["groups and connections"],
}
_QUESTION: dict[str, Any] = {"response_class": Response, "responses": _QUESTION_ANSWERS, "tags": ["who is there"]}


# --- items


def _item_route(path: str, operation_id: str, body: dict[str, Any], **more: Any) -> Callable[[_Endpoint], _Endpoint]:
    """A POST of items."""
    described = describe_path(path)
    described["parameters"] += describe_query("onError", "order")
    return router.post(path, operation_id=operation_id, openapi_extra=described | body, **_ITEM | more)


@_item_route("/hubs/{hub:segment}/send", "send", body_of(Message))
async def send(
    request: Request, caller: RequiredCaller, names: PathNames, deadline: Deadline, sender: SenderPart
) -> Response:
    """Send a message, or an array of messages, to everybody, a user, a group or a connection."""
    return await _send(request, names["hub"], deadline, sender, frozenset({Kind.MESSAGE}))


@_item_route("/hubs/{hub:segment}/groups", "changeGroups", body_of(GroupAction))
async def change_groups(
    request: Request, caller: RequiredCaller, names: PathNames, deadline: Deadline, sender: SenderPart
) -> Response:
    """Add a user or a connection to a group, or remove it from one or all: a group action, or an array of them."""
    return await _send(request, names["hub"], deadline, sender, frozenset({Kind.GROUP_ACTION}))


@_item_route("/hubs/{hub:segment}/outputs", "sendOutputs", body_of_any(Message, GroupAction, Close), **_RESULTS)
async def send_outputs(
    request: Request, caller: RequiredCaller, names: PathNames, deadline: Deadline, sender: SenderPart
) -> Response:
    """Send an array that mixes messages, group actions and closes."""
    query = _read_order(request)
    text = await _read_text(request)
    if json_text.first_character(text) != b"[":
        json_text.decode(text)  # what does not parse at all is another mistake
        raise InvalidItem([Fault("#", InvalidItem, "The body is a JSON array of items.")])
    return await _send_array(text, names["hub"], deadline, sender, ALL_KINDS, query)


async def _send(request: Request, hub: str, deadline: float | None, sender: Sender, kinds: frozenset[Kind]) -> Response:
    order = _read_order(request)
    text = await _read_text(request)
    if json_text.first_character(text) == b"[":
        return await _send_array(text, hub, deadline, sender, kinds, order)
    if len(text) > LARGEST_ITEM:
        raise BodyTooLarge(f"A single item may have {LARGEST_ITEM:,} bytes.")
    item = read_item(text, hub, kinds, sender.registry.has_name, longest_target=sender.longest_target)
    return answer_item(item.operation.action, await sender.send(item, seconds=deadline))


async def _send_array(
    text: bytes, hub: str, deadline: float | None, sender: Sender, kinds: frozenset[Kind], order: str
) -> Response:
    items = sender.read(text, hub, kinds)
    if order == "none":
        results = await sender.send_side_by_side(items, seconds=deadline)
    else:
        results = await sender.send_in_order(items, seconds=deadline, stop_at_failure=order == "stop")
    return answer_items(items, results)


async def _read_text(request: Request) -> bytes:
    require_media_type(request, JSON)
    return await read_body(request, LARGEST_ARRAY)


def _read_order(request: Request) -> str:
    """``none`` for side by side; in order it is ``stop`` or ``continue``, what to do at a failure."""
    query = read_query(request, ("onError", "order"))
    on_error = _choice(query, "onError", "stop", "continue")
    return "none" if _choice(query, "order", "sequence", "none") == "none" else on_error


def _choice(query: dict[str, list[str]], name: str, *choices: str) -> str:
    """The value of a parameter that is one of ``choices``, of which the first is the default."""
    value = one_of(query, name)
    if value is not None and value not in choices:
        raise InvalidQuery(f"The parameter {name} is one of {', '.join(choices)}.")
    return value or choices[0]


# --- one by one: each route is an operation, with its names in the path


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
        return answer_change(action, await sender.perform(operation, seconds=deadline))

    described = describe_path(path)
    described["parameters"] += describe_query(*known)
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
        return answer_question(await sender.perform(_operation(action, names), seconds=deadline))

    for method in ("GET", "HEAD"):
        router.add_api_route(
            path,
            question,
            methods=[method],
            operation_id=_camel(action) + ("" if method == "GET" else "Head"),
            summary=summary,
            openapi_extra=describe_path(path),
            **_QUESTION,
        )


def _camel(action: Action) -> str:
    first, *rest = action.name.lower().split("_")
    return first + "".join(word.title() for word in rest)


_CONNECTION = "/hubs/{hub:segment}/connections/{connectionId:segment}"
_USER = "/hubs/{hub:segment}/users/{userId:segment}"
_GROUP = "/hubs/{hub:segment}/groups/{groupName:segment}"
_MEMBER = _GROUP + "/connections/{connectionId:segment}"
_USER_MEMBER = _GROUP + "/users/{userId:segment}"
_CLOSE = ("reason", "excluded")

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
