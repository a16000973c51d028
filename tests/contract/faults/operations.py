"""Every operation of the HTTP contract, and how a service that is well answers it."""

import json
from dataclasses import dataclass
from typing import Any

from tests.contract.endpoints.programmable import answer_of

MEMBERS = json.dumps({"value": [{"connectionId": "c", "userId": "u"}]}).encode()
RESULT = b'{"result": 7}'
_NOT_THERE = answer_of(404, x_ms_error_code="Warning.Connection.NotExisted")


@dataclass(frozen=True, slots=True)
class Operation:
    """``well``: how an endpoint that is well answers; ``other``: how the second one does, of two. ``honest`` are the
    answers to what is asked beforehand."""

    request: str
    body: Any = None
    well: bytes = answer_of(202)
    other: bytes = answer_of(202)
    repeats: bool = True
    honest: tuple[tuple[str, bytes], ...] = ()
    other_honest: tuple[tuple[str, bytes], ...] = ()


def _message(**destination: str) -> Operation:
    return Operation("POST /hubs/chat/send", {"target": "t", "arguments": [1]} | destination, repeats=False)


def _action(**action: str) -> Operation:
    return Operation("POST /hubs/chat/groups", action)


KINDS: dict[str, tuple[Operation, ...]] = {
    "message": (
        _message(),
        _message(userId="u"),
        _message(groupName="g"),
        _message(connectionId="c"),
    ),
    "join": (
        Operation("PUT /hubs/chat/groups/g/connections/c"),
        Operation("PUT /hubs/chat/groups/g/users/u?ttlSeconds=5"),
        _action(action="add", userId="u", groupName="g"),
        _action(action="add", connectionId="c", groupName="g"),
    ),
    "leave": (
        Operation("DELETE /hubs/chat/groups/g/connections/c"),
        Operation("DELETE /hubs/chat/groups/g/users/u"),
        Operation("DELETE /hubs/chat/users/u/groups"),
        Operation("DELETE /hubs/chat/connections/c/groups"),
        _action(action="remove", connectionId="c", groupName="g"),
        _action(action="removeAll", userId="u"),
    ),
    "close many": (
        Operation("DELETE /hubs/chat/users/u/connections?reason=r"),
        Operation("DELETE /hubs/chat/groups/g/connections?excluded=c"),
        Operation("DELETE /hubs/chat/connections?confirm=all"),
    ),
    "close one": (Operation("DELETE /hubs/chat/connections/c?reason=r"),),
    "exists": tuple(
        Operation(request, well=answer_of(200), other=_NOT_THERE)
        for request in (
            "GET /hubs/chat/groups/g",
            "GET /hubs/chat/users/u",
            "GET /hubs/chat/connections/c",
            "HEAD /hubs/chat/connections/c",
            "GET /hubs/chat/groups/g/users/u",
            "GET /hubs/chat/exists?groupName=g",
            "GET /hubs/chat/exists?userId=u",
            "GET /hubs/chat/exists?connectionId=c",
            "GET /hubs/chat/exists?groupName=g&userId=u",
        )
    ),
    "members": (
        Operation("GET /hubs/chat/groups/g/connections", well=answer_of(200, MEMBERS), other=answer_of(200, MEMBERS)),
    ),
    "invoke": (
        Operation(
            "POST /hubs/chat/connections/c/invoke",
            {"target": "t", "arguments": [1]},
            well=answer_of(200, RESULT),
            repeats=False,
            honest=(("HEAD ", answer_of(200)),),
            other_honest=(("HEAD ", _NOT_THERE),),
        ),
    ),
}
"""By what they have in common: those of a kind answer alike."""
