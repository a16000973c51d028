"""The output binding's routes for items: send, groups and outputs."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

from starlette.responses import Response

from signalr_bridge.endpoints.outcome import Result
from signalr_bridge.errors import BodyTooLarge, Fault, InvalidItem, InvalidQuery
from signalr_bridge.outbound import resource_routes
from signalr_bridge.outbound.answers import IDEMPOTENCY_KEY, answer_item, answer_items, answer_once
from signalr_bridge.outbound.items import LARGEST_ITEM, Item, Kind
from signalr_bridge.outbound.sender import ALL_KINDS, LARGE, Sender
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
from signalr_bridge.web.callers import Caller, Right
from signalr_bridge.web.problems import PROBLEM_ANSWER
from signalr_bridge.web.request import JSON, Request
from signalr_bridge.web.table import Description, Route
from signalr_bridge.wire.exchange import Answer

LARGEST_ARRAY = 8 * 1024 * 1024

_MANY_OUTCOMES = 5000
"""An answer with more of them is written in a thread, because 50,000 take a tenth of a second."""

SendAll: TypeAlias = Callable[[Sequence[Item]], Awaitable[Sequence[Result]]]
"""Sends the items of an array."""

_MESSAGES, _GROUP_ACTIONS = frozenset({Kind.MESSAGE}), frozenset({Kind.GROUP_ACTION})


async def send(request: Request) -> Answer:
    """Send a message, or an array of messages, to everybody, a user, a group or a connection."""
    return await _answer(request, _MESSAGES)


async def change_groups(request: Request) -> Answer:
    """Add a user or a connection to a group, or remove it from one or all: a group action, or an array of them."""
    return await _answer(request, _GROUP_ACTIONS)


async def send_outputs(request: Request) -> Answer:
    """Send an array that mixes messages, group actions and closes."""
    return await _answer(request, ALL_KINDS)


async def _answer(request: Request, kinds: frozenset[Kind]) -> Answer:
    """The answer to an array of items, or to a single item where only one kind may come.

    Raises ``Forbidden`` for an item beyond the caller's rights.
    """
    sender = request.part(Sender)
    send_all = _choose_order(request, sender) if request.values else None
    request.require_media_type(JSON)
    text = await request.read_body(LARGEST_ARRAY)
    if request.headers_of(IDEMPOTENCY_KEY):
        if len(kinds) > 1 and json_text.first_character(text) == b"[":
            # What was kept is given to nobody who has lost the right of an item since.
            _check_rights(request.require_caller(), request.hub, await sender.read(text, request.hub, kinds), kinds)
        return await answer_once(request, text, lambda: _send(request, sender, send_all, text, kinds))
    return await _send(request, sender, send_all, text, kinds)


async def _send(
    request: Request, sender: Sender, send_all: SendAll | None, text: bytes, kinds: frozenset[Kind]
) -> Answer:
    if json_text.first_character(text) == b"[":
        items = await sender.read(text, request.hub, kinds)
        _check_rights(request.require_caller(), request.hub, items, kinds)
        results = await (send_all or _choose_order(request, sender))(items)
        if sum(len(one.outcomes) for one in results) <= _MANY_OUTCOMES:
            return answer_items(items, results)
        return await sender.work_apart(lambda: answer_items(items, results))
    hub = request.hub
    if len(text) <= LARGE:  # without a coroutine of its own, because most items are small
        item = _read_single(sender, text, hub, kinds)
    else:
        item = await sender.work_apart(lambda: _read_single(sender, text, hub, kinds))
    return answer_item(item.operation.action, await sender.send(item, seconds=request.deadline))


def _read_single(sender: Sender, text: bytes, hub: str, kinds: frozenset[Kind]) -> Item:
    if len(kinds) > 1:
        json_text.check_roughly(text)  # what does not parse at all is another error
        raise InvalidItem([Fault("#", InvalidItem, "The body is a JSON array of items.")])
    if len(text) > LARGEST_ITEM:
        raise BodyTooLarge(f"A single item may have {LARGEST_ITEM:,} bytes.")
    return sender.read_one(text, hub, kinds)


def _check_rights(caller: Caller, hub: str, items: Sequence[Item], kinds: frozenset[Kind]) -> None:
    """Raises ``Forbidden`` for a kind beyond the caller's rights. With one kind, the front has checked that already."""
    if len(kinds) > 1:
        for kind in {item.kind for item in items}:
            caller.check((Right(kind.value),), hub)


def _choose_order(request: Request, sender: Sender) -> SendAll:
    """What sends the array as the query asks: in order or side by side, with or without a stop at a failure."""
    on_error = _choice(request, "onError", "stop", "continue")
    if _choice(request, "order", "sequence", "none") == "none":
        return partial(sender.send_side_by_side, seconds=request.deadline)
    return partial(sender.send_in_order, seconds=request.deadline, stop_at_failure=on_error == "stop")


def _choice(request: Request, name: str, *choices: str) -> str:
    """The value of a query parameter, one of ``choices``. The first one is the default. Raises ``InvalidQuery``."""
    value = request.one_of(name)
    if value is not None and value not in choices:
        raise InvalidQuery(f"The parameter {name} is one of {', '.join(choices)}.")
    return value or choices[0]


_ITEM_ANSWERS: dict[int | str, dict[str, Any]] = {
    202: {"model": ResultShape, "description": "accepted"},
    207: {"model": ResultShape, "description": "partly done; 'endpoints' says where"},
    **PROBLEM_ANSWER,
}
_RESULTS_ANSWERS: dict[int | str, dict[str, Any]] = {
    202: {"model": ResultsShape, "description": "all accepted"},
    207: {"model": ResultsShape, "description": "partly done; 'results' says what"},
}


def _route(
    template: str,
    operation: str,
    answer: Callable[[Request], Awaitable[Answer]],
    rights: set[Right],
    body: dict[str, Any],
    responses: dict[int | str, dict[str, Any]] = _ITEM_ANSWERS,
) -> Route:
    """A POST of items."""
    more = {"status_code": 202, "response_class": Response}
    return Route(
        "POST",
        template,
        operation,
        answer,
        rights=frozenset(rights),
        query=("onError", "order"),
        has_deadline=True,
        is_idempotent=True,
        reads_body=True,
        description=Description(tags=["send"], responses=responses, body=body, more=more),
    )


ROUTES = (
    *resource_routes.ROUTES,
    _route("/hubs/{hub}/send", "send", send, {Right.SEND}, body_of(MessageShape)),
    _route("/hubs/{hub}/groups", "changeGroups", change_groups, {Right.GROUPS}, body_of(GroupAction)),
    _route(
        "/hubs/{hub}/outputs",
        "sendOutputs",
        send_outputs,
        # One of them admits the request. Each item is then checked by its own right.
        {Right.SEND, Right.GROUPS, Right.CONNECTIONS},
        body_of_any(MessageShape, GroupAction, CloseShape),
        _ITEM_ANSWERS | _RESULTS_ANSWERS,
    ),
)
