"""The output binding's routes for items: send, groups and outputs."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from starlette.responses import Response

from signalr_bridge.endpoints.outcome import Result
from signalr_bridge.errors import BodyTooLarge, Fault, InvalidItem, InvalidQuery
from signalr_bridge.outbound.answers import answer_item, answer_items
from signalr_bridge.outbound.idempotency import answer_once
from signalr_bridge.outbound.items import LARGEST_ITEM, Item, Kind
from signalr_bridge.outbound.resource_routes import SenderPart
from signalr_bridge.outbound.resource_routes import router as resource_router
from signalr_bridge.outbound.sender import ALL_KINDS, Sender
from signalr_bridge.outbound.shapes import (
    CloseShape,
    GroupAction,
    MessageShape,
    ResultShape,
    ResultsShape,
    body_of,
    body_of_any,
)
from signalr_bridge.protocol import json_text
from signalr_bridge.web.authorize import RequiredCaller
from signalr_bridge.web.callers import Caller, Right
from signalr_bridge.web.document import IDEMPOTENCY_HEADER, TIMEOUT_HEADER
from signalr_bridge.web.problems import PROBLEM_ANSWER
from signalr_bridge.web.request import (
    JSON,
    Deadline,
    PathNames,
    describe_path,
    describe_query,
    one_of,
    read_body,
    read_query,
    require_media_type,
)

LARGEST_ARRAY = 8 * 1024 * 1024

router = APIRouter(redirect_slashes=False)
router.include_router(resource_router)

_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])

_ITEM_ANSWERS: dict[int | str, dict[str, Any]] = {
    202: {"model": ResultShape, "description": "accepted"},
    207: {"model": ResultShape, "description": "partly done; 'endpoints' says where"},
    **PROBLEM_ANSWER,
}
_ITEM: dict[str, Any] = {"status_code": 202, "response_class": Response, "responses": _ITEM_ANSWERS, "tags": ["send"]}
_RESULTS_ANSWERS: dict[int | str, dict[str, Any]] = {
    202: {"model": ResultsShape, "description": "all accepted"},
    207: {"model": ResultsShape, "description": "partly done; 'results' says what"},
}
_RESULTS = {"responses": _ITEM_ANSWERS | _RESULTS_ANSWERS}
_MESSAGES, _GROUP_ACTIONS = frozenset({Kind.MESSAGE}), frozenset({Kind.GROUP_ACTION})


def _item_route(path: str, operation_id: str, body: dict[str, Any], **more: Any) -> Callable[[_Endpoint], _Endpoint]:
    """Declares a POST of items."""
    described = describe_path(path)
    described["parameters"] += [*describe_query("onError", "order"), TIMEOUT_HEADER, IDEMPOTENCY_HEADER]
    return router.post(path, operation_id=operation_id, openapi_extra=described | body, **_ITEM | more)


@_item_route("/hubs/{hub:segment}/send", "send", body_of(MessageShape))
async def send(
    request: Request, caller: RequiredCaller, names: PathNames, deadline: Deadline, sender: SenderPart
) -> Response:
    """Send a message, or an array of messages, to everybody, a user, a group or a connection."""
    return await _answer(request, caller, sender, names["hub"], deadline, _MESSAGES)


@_item_route("/hubs/{hub:segment}/groups", "changeGroups", body_of(GroupAction))
async def change_groups(
    request: Request, caller: RequiredCaller, names: PathNames, deadline: Deadline, sender: SenderPart
) -> Response:
    """Add a user or a connection to a group, or remove it from one or all: a group action, or an array of them."""
    return await _answer(request, caller, sender, names["hub"], deadline, _GROUP_ACTIONS)


@_item_route(
    "/hubs/{hub:segment}/outputs", "sendOutputs", body_of_any(MessageShape, GroupAction, CloseShape), **_RESULTS
)
async def send_outputs(
    request: Request, caller: RequiredCaller, names: PathNames, deadline: Deadline, sender: SenderPart
) -> Response:
    """Send an array that mixes messages, group actions and closes."""
    return await _answer(request, caller, sender, names["hub"], deadline, ALL_KINDS)


async def _answer(
    request: Request, caller: Caller, sender: Sender, hub: str, seconds: float | None, kinds: frozenset[Kind]
) -> Response:
    """The answer to an array of items, or to a single item where only one kind may come.

    ``seconds`` is the deadline. Raises ``Forbidden`` for an item beyond the caller's rights.
    """
    send_all = _choose_order(request, sender, seconds)
    require_media_type(request, JSON)
    text = await read_body(request, LARGEST_ARRAY)

    async def send() -> Response:
        if json_text.first_character(text) == b"[":
            items = await sender.read(text, hub, kinds)
            _check_rights(caller, hub, items, kinds)
            return answer_items(items, await send_all(items))
        item = _read_single(sender, text, hub, kinds)
        return answer_item(item.operation.action, await sender.send(item, seconds=seconds))

    return await answer_once(request, caller, text, send)


def _read_single(sender: Sender, text: bytes, hub: str, kinds: frozenset[Kind]) -> Item:
    if len(kinds) > 1:
        json_text.decode(text)  # what does not parse at all is another error
        raise InvalidItem([Fault("#", InvalidItem, "The body is a JSON array of items.")])
    if len(text) > LARGEST_ITEM:
        raise BodyTooLarge(f"A single item may have {LARGEST_ITEM:,} bytes.")
    return sender.read_one(text, hub, kinds)


def _check_rights(caller: Caller, hub: str, items: Sequence[Item], kinds: frozenset[Kind]) -> None:
    """Raises ``Forbidden`` for a kind beyond the caller's rights. With one kind, the route has checked that already."""
    if len(kinds) > 1:
        for kind in {item.kind for item in items}:
            caller.check((Right(kind.value),), hub)


def _choose_order(
    request: Request, sender: Sender, seconds: float | None
) -> Callable[[Sequence[Item]], Awaitable[Sequence[Result]]]:
    """What sends the array as the query asks: in order or side by side, with or without a stop at a failure."""
    query = read_query(request, ("onError", "order"))
    on_error = _choice(query, "onError", "stop", "continue")
    if _choice(query, "order", "sequence", "none") == "none":
        return partial(sender.send_side_by_side, seconds=seconds)
    return partial(sender.send_in_order, seconds=seconds, stop_at_failure=on_error == "stop")


def _choice(query: dict[str, list[str]], name: str, *choices: str) -> str:
    """The value of a query parameter, one of ``choices``. The first one is the default. Raises ``InvalidQuery``."""
    value = one_of(query, name)
    if value is not None and value not in choices:
        raise InvalidQuery(f"The parameter {name} is one of {', '.join(choices)}.")
    return value or choices[0]
