"""The service's REST operations and messages, written as requests and read back from them.

Source: ``docs/protocol/rest-and-management.md`` 2 to 4 and 6, ``docs/protocol/service-emulation.md`` 1.2 and 7.3.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

import msgspec

from signalr_bridge.errors import InvalidName, InvalidQuery, MalformedJson, MalformedMessage
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.names import escape_segment, unescape_segment

Write: TypeAlias = Callable[[str, bytes], bytes]
"""Packs a target and its arguments, which are a JSON array."""

API_VERSION = "2022-06-01"
"""The api-version of every operation that exists in it."""
NEWEST_VERSION = "2024-12-01"
"""The api-version of the operations that no older one has."""

JSON, MESSAGEPACK, EVERY_PROTOCOL = "application/json", "application/x-msgpack", "application/octet-stream"

ERROR_CODE_HEADER = "x-ms-error-code"
ABSENT_CODES = frozenset(
    code.lower()
    for code in (
        "Warning.Connection.NotExisted",
        "Warning.User.NotExisted",
        "Warning.Group.NotExisted",
        "Error.Connection.NotExisted",
        "Info.User.NotInGroup",
    )
)
"""The values of ``x-ms-error-code``, in lower case, with which a 404 says that the target is not there."""
CLIENT_ERROR_CODE = "Error.Connection.InvocationFailed"
"""The ``x-ms-error-code`` that says for certain that the client itself reported an error.

The real service's word for it is published nowhere. This one is our emulator's, in the service's form.
"""


class Action(Enum):
    """What an operation does: its method, and its path below ``/api/hubs/{hub}``.

    Two more facts follow where they are not the usual ones: the api-version of the operation, and whether the service's
    answer has a body that is read.
    """

    SEND_TO_ALL = ("POST", "/:send")
    SEND_TO_USER = ("POST", "/users/{user}/:send")
    SEND_TO_GROUP = ("POST", "/groups/{group}/:send")
    SEND_TO_CONNECTION = ("POST", "/connections/{connection}/:send")
    CLOSE_ALL = ("POST", "/:closeConnections")
    CLOSE_USER = ("POST", "/users/{user}/:closeConnections")
    CLOSE_GROUP = ("POST", "/groups/{group}/:closeConnections")
    CLOSE_CONNECTION = ("DELETE", "/connections/{connection}")
    CONNECTION_EXISTS = ("HEAD", "/connections/{connection}")
    USER_EXISTS = ("HEAD", "/users/{user}")
    GROUP_EXISTS = ("HEAD", "/groups/{group}")
    USER_IN_GROUP = ("HEAD", "/users/{user}/groups/{group}")
    ADD_CONNECTION = ("PUT", "/groups/{group}/connections/{connection}")
    REMOVE_CONNECTION = ("DELETE", "/groups/{group}/connections/{connection}")
    REMOVE_CONNECTION_FROM_ALL = ("DELETE", "/connections/{connection}/groups")
    ADD_USER = ("PUT", "/users/{user}/groups/{group}")
    REMOVE_USER = ("DELETE", "/users/{user}/groups/{group}")
    REMOVE_USER_FROM_ALL = ("DELETE", "/users/{user}/groups")
    LIST_MEMBERS = ("GET", "/groups/{group}/connections", NEWEST_VERSION, True)
    INVOKE = ("POST", "/connections/{connection}/:invoke", NEWEST_VERSION, True)

    def __init__(self, method: str, path: str, api_version: str = API_VERSION, has_answer: bool = False) -> None:
        self.method = method
        self.path = path
        self.api_version = api_version
        self.has_answer = has_answer
        self.is_message = path.endswith(":send")
        """Whether it delivers a message."""
        self.may_repeat = not path.endswith((":send", ":invoke"))
        """Whether doing it twice has the effect of doing it once. A message or a client's call must not be repeated."""
        self.is_question = method == "HEAD"
        """Whether it only asks whether a connection, a user, a group or a member exists."""
        self.is_removal = method == "DELETE" or path.endswith(":closeConnections")
        """Whether it removes or closes. It counts as done when its target is not there."""

    # That of an enumeration hashes the name, in Python. A member is equal to itself alone, so this is the same.
    __hash__ = object.__hash__


class Operation(msgspec.Struct, frozen=True, gc=False):
    """One operation on a hub. Its names are not escaped. Only ``write_target`` escapes them.

    Args:
        action: What is done.
        hub: The hub.
        user: The user that it concerns, or empty.
        group: The group that it concerns, or empty.
        connection: The connection that it concerns, or empty.
        excluded: The ids of connections that are left out.
        reason: Why a connection is closed, for its client.
        ttl: Seconds that a user's membership lasts. 0 concerns only connections that are open now.
        page_size: The most members that a page may have.
        continuation: The service's token of the page that is asked for. None for the first page.
    """

    action: Action
    hub: str
    user: str = ""
    group: str = ""
    connection: str = ""
    excluded: tuple[str, ...] = ()
    reason: str | None = None
    ttl: int | None = None
    page_size: int | None = None
    continuation: str | None = None


class Message(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A message for clients: the name of their method, and its arguments.

    Args:
        target: The client's method.
        arguments: A JSON array in UTF-8. It goes out as it is, without being decoded.
    """

    target: str
    arguments: bytes = b"[]"
    _written: dict[Write, bytes] = {}  # each message gets a dict of its own

    def written(self, write: Write) -> bytes:
        """What ``write`` makes of the message. It is made once and kept for further sendings."""
        if (found := self._written.get(write)) is None:
            found = self._written[write] = write(self.target, self.arguments)
        return found

    def __repr__(self) -> str:
        return f"Message(target={self.target!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message):
            return NotImplemented
        return self.target == other.target and self.arguments == other.arguments

    def __hash__(self) -> int:
        return hash((self.target, self.arguments))


@dataclass(frozen=True, slots=True)
class ListedConnection:
    """One connection of a group. Without ``user_id`` it is anonymous."""

    connection_id: str
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class MemberPage:
    """Some of a group's members. ``continuation`` is the service's token for those after them."""

    members: Sequence[ListedConnection]
    continuation: str | None = None


@dataclass(frozen=True, slots=True)
class ClientAnswer:
    """What a client returned, as JSON. If ``error`` is not None, it is the text with which the client refused."""

    result: msgspec.Raw | None = None
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The answer as it stands in answers of the bridge."""
        return {"result": self.result} if self.error is None else {"error": self.error}


_TARGETS: dict[Operation, str] = {}
_MOST_TARGETS, _LONGEST_KEPT = 1024, 512
"""How many targets are kept, and the most characters of one."""


def write_target(operation: Operation) -> str:
    """Path and query, completely escaped. Append it to an endpoint's URL, and hand that over as already encoded.

    Raises ``InvalidName`` for a name that the operation needs and that is empty, ``.`` or ``..``. A URL library on the
    way would drop the segment, and one group's message would go to everybody.
    """
    if (target := _TARGETS.get(operation)) is None:
        target = _write_target(operation)
        if len(target) <= _LONGEST_KEPT:
            if len(_TARGETS) >= _MOST_TARGETS:
                _TARGETS.clear()
            _TARGETS[operation] = target
    return target


def _write_target(operation: Operation) -> str:
    path = "/api/hubs/{hub}" + operation.action.path
    path = path.format(
        hub=escape_segment(operation.hub.lower()),
        user=escape_segment(operation.user),
        group=escape_segment(operation.group),
        connection=escape_segment(operation.connection),
    )
    if not {"", ".", ".."}.isdisjoint(path.split("/")[1:]):
        raise InvalidName("A name in the service's URL is empty, '.' or '..', which no URL can carry.")
    query = [("api-version", operation.action.api_version)]
    query += [("excluded", one) for one in operation.excluded]
    if operation.reason is not None:
        query.append(("reason", operation.reason))
    if operation.ttl is not None:
        query.append(("ttl", str(operation.ttl)))
    if operation.page_size is not None:
        query.append(("maxpagesize", str(operation.page_size)))
    if operation.continuation is not None:
        query.append(("continuationToken", operation.continuation))
    return path + "?" + "&".join(f"{name}={escape_segment(value)}" for name, value in query)


def write_path(target: str) -> str:
    """The part of a target that a token is made for: the path without its query."""
    return target.partition("?")[0]


def write_message(target: str, arguments: bytes) -> bytes:
    """The JSON body of a send. ``arguments`` is a JSON array and goes out as it is."""
    return b'{"target":' + json_text.encode(target) + b',"arguments":' + arguments + b"}"


def media_type_of(body: bytes) -> str:
    """What a body is. It says so itself: a JSON object begins with a brace, which no map of MessagePack does."""
    return JSON if body.startswith(b"{") else EVERY_PROTOCOL


def find_action(method: str, path: str) -> Action | None:
    """What a request asks for, by its method and path alone. None for an unknown path or method."""
    also = _PATTERNS["HEAD"] if method == "GET" else []
    found = [*_PATTERNS.get(method, ()), *also]
    return next((action for pattern, action in found if pattern.fullmatch(path) is not None), None)


def read_target(method: str, path: str, query: str) -> Operation | None:
    """The operation that a request asks for. None for an unknown path or method.

    ``path`` is as it came, still escaped. What every SDK sends is taken: ``/api`` and ``/api/v1``, sends without
    ``/:send``, GET for HEAD, both orders of user and group. Raises ``InvalidName`` and ``InvalidQuery``.
    """
    also = _PATTERNS["HEAD"] if method == "GET" else []
    for pattern, action in [*_PATTERNS.get(method, ()), *also]:
        if (match := pattern.fullmatch(path)) is not None:
            names = {kind: unescape_segment(segment) for kind, segment in match.groupdict().items()}
            return _read_query(action, names, query)
    return None


def _read_query(action: Action, names: dict[str, str], query: str) -> Operation:
    try:
        values = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=10_000)
    except ValueError:
        raise InvalidQuery("The query is not percent-encoded UTF-8, or has more than 10,000 parts.") from None
    named = [(name.lower(), value) for name, value in values]
    return Operation(
        action,
        hub=names["hub"],
        user=names.get("user", ""),
        group=names.get("group", ""),
        connection=names.get("connection", ""),
        excluded=tuple(value for name, value in named if name == "excluded"),
        reason=_last(named, "reason"),
        ttl=_read_number(named, "ttl"),
        page_size=_read_number(named, "maxpagesize"),
        continuation=_last(named, "continuationtoken"),
    )


def _last(values: Iterable[tuple[str, str]], wanted: str) -> str | None:
    found = None
    for name, value in values:
        found = value if name == wanted else found
    return found


def _read_number(values: Iterable[tuple[str, str]], name: str) -> int | None:
    text = _last(values, name)
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) > 2**31 - 1:
        raise InvalidQuery(f"The value of {name} is not a 32-bit number from 0.")
    return int(text)


def _compile(path: str) -> re.Pattern[str]:
    segments = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path))
    return re.compile(r"(?i:/api(?:/v1)?/hubs)/(?P<hub>[^/]+)" + segments)


def _patterns() -> dict[str, list[tuple[re.Pattern[str], Action]]]:
    """The patterns of each method. No path matches two of them."""
    found: dict[str, list[tuple[re.Pattern[str], Action]]] = {}
    for action in Action:
        paths = [action.path]
        if action.is_message:
            paths.append(action.path.removesuffix("/:send"))
        if "/groups/{group}" in action.path and action.path.count("/") == 4:
            one, other = re.findall(r"/\w+/\{\w+\}", action.path)
            paths.append(other + one)
        found.setdefault(action.method, []).extend((_compile(path), action) for path in paths)
    return found


_PATTERNS = _patterns()


def write_member_page(page: MemberPage, url: str) -> bytes:
    """The body of a page. ``url`` is what was asked for, without query: the next link leads there."""
    members = [{"connectionId": one.connection_id} | _user(one) for one in page.members]
    if page.continuation is None:
        return json_text.encode({"value": members})
    link = f"{url}?continuationToken={escape_segment(page.continuation)}"
    return json_text.encode({"value": members, "nextLink": link})


def read_member_page(body: bytes) -> MemberPage:
    """The page in a body. Raises ``MalformedMessage``.

    Of the next link only the token is taken, because following a URL from outside would hand it our credential.
    """
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


def write_result(result: Any) -> bytes:
    """The body of an answer with what a client returned."""
    return json_text.encode({"result": result})


def write_client_error(text: str) -> bytes:
    """The body of an answer with the text with which a client refused."""
    return json_text.encode({"code": CLIENT_ERROR_CODE, "message": text})


def read_result(body: bytes) -> msgspec.Raw:
    """The JSON of what the client returned, as it is. It is null when the client returned nothing.

    A half character that stands alone is read as U+FFFD. Raises ``MalformedMessage``.
    """
    try:
        members = json_text.members(json_text.mend_half_characters(body))
    except (MalformedJson, json_text.DuplicateMember):
        raise MalformedMessage("The answer is no result.") from None
    return msgspec.Raw(members.get("result", b"null"))


def read_client_error(body: bytes) -> str:
    """The text with which the client refused. It is empty when the answer does not say.

    Raises ``MalformedMessage``.
    """
    message = json_text.decode_object(json_text.mend_half_characters(body)).get("message")
    return message if isinstance(message, str) else ""
