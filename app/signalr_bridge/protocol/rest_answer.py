"""The bodies of the service's answers, both ways: a page of a group's members, and what a called client answered.

Source: ``spec/rest-and-management.md`` 4.4 and 4.6. Raises ``MalformedMessage`` for what is neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from signalr_bridge.errors import MalformedJson, MalformedMessage
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.names import escape_segment

CLIENT_ERROR_CODE = "Error.Connection.InvocationFailed"
"""The ``x-ms-error-code`` that says for certain that the client itself reported an error.

The real service's word for it is published nowhere: this is our emulator's, in the service's form.
"""


@dataclass(frozen=True, slots=True)
class ListedConnection:
    """One connection of a group; without ``user_id`` it is anonymous."""

    connection_id: str
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class MemberPage:
    """Some of a group's members; ``continuation`` is the service's token for those after them."""

    members: Sequence[ListedConnection]
    continuation: str | None = None


def write_member_page(page: MemberPage, url: str) -> bytes:
    """``url`` is what was asked for, without query: the next link leads there."""
    members = [{"connectionId": one.connection_id} | _user(one) for one in page.members]
    if page.continuation is None:
        return json_text.encode({"value": members})
    link = f"{url}?continuationToken={escape_segment(page.continuation)}"
    return json_text.encode({"value": members, "nextLink": link})


def read_member_page(body: bytes) -> MemberPage:
    """Of the next link only the token is taken: following a URL from outside would hand it our credential."""
    document = json_text.decode_object(body)
    value, link = document.get("value"), document.get("nextLink")
    if not isinstance(value, list) or not isinstance(link, str | None):
        raise MalformedMessage("The answer is no page of members.")
    return MemberPage([_read_member(one) for one in value], None if not link else _read_continuation(link))


def _user(member: ListedConnection) -> dict[str, str]:
    return {} if member.user_id is None else {"userId": member.user_id}


def _read_member(value: Any) -> ListedConnection:
    connection, user = (value.get("connectionId"), value.get("userId")) if isinstance(value, dict) else (None, None)
    if not isinstance(connection, str) or not isinstance(user, str | None):
        raise MalformedMessage("The answer is no page of members.")
    return ListedConnection(connection, user)


def _read_continuation(link: str) -> str:
    try:
        query = parse_qsl(urlsplit(link).query, keep_blank_values=True, errors="strict")
    except ValueError:
        query = []
    tokens = [value for name, value in query if name.lower() == "continuationtoken" and value]
    if not tokens:
        raise MalformedMessage("The link to the next page has no continuation token.")
    return tokens[-1]


# --- what a client answered


@dataclass(frozen=True, slots=True)
class ClientAnswer:
    """What a client returned, as JSON; or, if ``error`` is not None, the text with which it refused."""

    result: msgspec.Raw | None = None
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {"result": self.result} if self.error is None else {"error": self.error}


def write_result(result: Any) -> bytes:
    return json_text.encode({"result": result})


def write_client_error(text: str) -> bytes:
    return json_text.encode({"code": CLIENT_ERROR_CODE, "message": text})


def read_result(body: bytes) -> msgspec.Raw:
    """The JSON of what the client returned, as it is; null when it returned nothing."""
    try:
        members = json_text.members(body)
    except (MalformedJson, json_text.DuplicateMember):
        raise MalformedMessage("The answer is no result.") from None
    return msgspec.Raw(members.get("result", b"null"))


def read_client_error(body: bytes) -> str:
    """The text with which the client refused; empty when the answer does not say."""
    message = json_text.decode_object(body).get("message")
    return message if isinstance(message, str) else ""
