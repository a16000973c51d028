"""The members of a group over all endpoints, in pages, and the token of the next page."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from signalr_bridge.endpoints.endpoint import Endpoint, Outcome
from signalr_bridge.endpoints.outcome import Judgement, Meaning, judge, merge
from signalr_bridge.endpoints.registry import Registry
from signalr_bridge.errors import InvalidContinuationToken, MalformedJson
from signalr_bridge.outbound.answers import make_problem
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.rest import Action, MemberPage, Operation

LARGEST_PAGE = 200
"""The most members of a page."""
_LONGEST_TOKEN = 6000
_NOT_ASKED = "An endpoint that may have members could not be asked; 'endpoints' names it."


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page begins.

    Args:
        name: The name of the endpoint.
        nth: Which endpoint of this name it is, from 0.
        token: The service's token of the page. None for the endpoint's first page.
    """

    name: str
    nth: int = 0
    token: str | None = None


def write_position(position: Position) -> str:
    """The token for a position: base64url of JSON, without padding."""
    text = json_text.encode([position.name, position.nth, position.token])
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def read_position(text: str) -> Position:
    """The position in a token. Raises ``InvalidContinuationToken``."""
    try:
        if len(text) > _LONGEST_TOKEN:
            raise ValueError
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        name, nth, token = json_text.decode(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error, MalformedJson):
        raise _refusal() from None
    if not isinstance(name, str) or type(nth) is not int or nth < 0 or not isinstance(token, str | None):
        raise _refusal()
    return Position(name, nth, token)


def _refusal() -> InvalidContinuationToken:
    return InvalidContinuationToken("This is no continuation token of ours: begin again without one.")


async def list_members(
    registry: Registry, hub: str, group: str, *, top: int, token: str | None, deadline: float
) -> dict[str, Any]:
    """One page of members and the token of the next page, as JSON. The endpoints are asked one after the other.

    Args:
        registry: The endpoints of the hub.
        hub: The hub.
        group: The group.
        top: The most members of the page.
        token: The token of the page. None for the first one.
        deadline: A time of the registry's clock.

    Raises:
        InvalidContinuationToken: The token was not made for this list.
        NoEndpointAvailable: An endpoint could not be asked. The error names it, so a list is never silently too short.
    """
    endpoints = registry.instances()
    index, behind = (0, None) if token is None else _find(endpoints, read_position(token))
    members: list[dict[str, Any]] = []
    while index < len(endpoints) and len(members) < top:
        size = top - len(members)
        question = Operation(Action.LIST_MEMBERS, hub, group=group, page_size=size, continuation=behind)
        page = _read(await registry.perform_at(endpoints[index], question, deadline=deadline), behind)
        members += _describe(page, endpoints[index].name)
        behind = page.continuation
        index += behind is None
    following = None if index == len(endpoints) else write_position(_place(endpoints, index, behind))
    return {"value": members, "continuationToken": following}


def _describe(page: MemberPage, endpoint: str) -> list[dict[str, Any]]:
    return [{"connectionId": one.connection_id, "userId": one.user_id, "endpoint": endpoint} for one in page.members]


def _find(endpoints: Sequence[Endpoint], position: Position) -> tuple[int, str | None]:
    places = [index for index, one in enumerate(endpoints) if one.name == position.name]
    if position.nth >= len(places):
        raise _refusal()
    return places[position.nth], position.token


def _place(endpoints: Sequence[Endpoint], index: int, token: str | None) -> Position:
    name = endpoints[index].name
    return Position(name, sum(one.name == name for one in endpoints[:index]), token)


def _read(outcome: Outcome, asked: str | None) -> MemberPage:
    """The page in an outcome. A group that an endpoint does not know has no members there.

    A page that leads to itself would be read for ever, so it is refused. Raises ``NoEndpointAvailable``.
    """
    judgement = judge(Action.LIST_MEMBERS, merge(Action.LIST_MEMBERS, [outcome]))
    page = outcome.answer if isinstance(outcome.answer, MemberPage) else MemberPage(())
    if page.continuation is not None and page.continuation == asked:
        judgement = Judgement(Meaning.NOT_KNOWN, judgement.result)
    if judgement.error is not None:
        raise make_problem(judgement, _NOT_ASKED)
    return page
