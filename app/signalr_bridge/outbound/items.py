"""What a backend sends: an item (message, group action or close), read from JSON and checked.

The shapes are those of the Functions output binding, without its traps. Source:
``docs/protocol/functions-bindings.md`` 3.1 to 3.4.
"""

from collections.abc import Callable, Collection, Iterator
from enum import StrEnum
from typing import Any, TypeAlias, TypedDict

import msgspec

from signalr_bridge.endpoints.endpoint import LARGEST_MESSAGE
from signalr_bridge.errors import Fault, InvalidItem, InvalidName, UnknownEndpoint, UrlTooLong
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.names import check_connection_id, check_group, check_user_id
from signalr_bridge.protocol.rest import Action, Message, Operation, write_target
from signalr_bridge.web.object_reader import MOST_FAULTS, ObjectReader

HasEndpoint: TypeAlias = Callable[[str], bool]
"""Whether a hub has an endpoint of this name, in any case."""
Fits: TypeAlias = Callable[[Action, Message], bool]
"""Whether the service takes a message of this size. Raises ``MalformedJson``."""

LONGEST_TARGET = 8_000
"""The most bytes of a URL that goes out. The service takes 12 KB, and proxies before it take less."""
MOST_ITEMS = 1000
LARGEST_ITEM = 1024 * 1024

_LONGEST_TTL = 2**31 - 1
_MOST_EXCLUDED = LONGEST_TARGET // len("&excluded=")
"""No URL holds so many."""
_MOST_ENDPOINTS = 1000
_TOO_LONG = f"Its URL would be longer than {LONGEST_TARGET:,} bytes: exclude fewer connections."
_EMPTY = b'""'
_NO_ARGUMENTS = msgspec.Raw(b"[]")
_LEAST_DUPLICATE = json_text.least_duplicate("target")
"""That of the shortest name of a plain message."""
_SEND = {
    "": Action.SEND_TO_ALL,
    "userId": Action.SEND_TO_USER,
    "groupName": Action.SEND_TO_GROUP,
    "connectionId": Action.SEND_TO_CONNECTION,
}
_CLOSE = {
    "userId": Action.CLOSE_USER,
    "groupName": Action.CLOSE_GROUP,
    "connectionId": Action.CLOSE_CONNECTION,
}
_CHECKS = {"userId": check_user_id, "groupName": check_group, "connectionId": check_connection_id}


class ItemReader(ObjectReader):
    """The properties of an item. What is wrong with one becomes a fault of the reader.

    Args:
        text: The item.
        pointer: The JSON pointer to it.
        empty_means_all: Whether an empty destination counts as absent.
    """

    def __init__(self, text: bytes, pointer: str, *, empty_means_all: bool = False) -> None:
        super().__init__(text, pointer)
        if empty_means_all:
            for name in _CHECKS:
                if self.raw(name) == _EMPTY:
                    self.leave_out(name)

    def name(self, name: str) -> str:
        """The user, group or connection in a property. It is empty when it is absent, or not valid (a fault)."""
        value = self.value(name, str, "a string")
        if value is None:
            return ""
        try:
            return _CHECKS[name](value)
        except InvalidName as error:
            self.fault(name, InvalidName, error.detail)
            return ""

    def texts(self, name: str) -> tuple[str, ...]:
        """The connection ids in a property. It is empty when it is absent."""
        values = self.value(name, list[str], "an array of connection ids") or []
        if len(values) > _MOST_EXCLUDED:
            self.fault("", UrlTooLong, _TOO_LONG)
            self.raise_faults()  # a million ids take a second to check
        for index, value in enumerate(values):
            try:
                check_connection_id(value)
            except InvalidName as error:
                self.fault(f"{name}/{index}", InvalidName, error.detail)
        return tuple(values)

    def endpoints(self, has_endpoint: HasEndpoint) -> frozenset[str] | None:
        """The names in ``endpoints``, in lower case. None when it is absent."""
        values = self.value("endpoints", list[str | dict[str, Any]], "an array of endpoint names or objects")
        if values is None:
            return None
        if not values:
            self.fault("endpoints", InvalidItem, "Name at least one endpoint, or leave this out to mean all.")
        if len(values) > _MOST_ENDPOINTS:
            self.fault("endpoints", InvalidItem, f"Name at most {_MOST_ENDPOINTS:,} endpoints.")
            self.raise_faults()
        names = [_endpoint_name(one) for one in values]
        for index, name in enumerate(names):
            if not isinstance(name, str) or not has_endpoint(name):
                self.fault(f"endpoints/{index}", UnknownEndpoint, "No endpoint has this name.")
        return frozenset(str(name).lower() for name in names)


def _endpoint_name(given: str | dict[str, Any]) -> Any:
    """The name of one entry of ``endpoints``. The property of an object may be in any case."""
    if isinstance(given, str):
        return given
    named = [value for name, value in given.items() if name.lower() == "name"]
    return named[0] if len(named) == 1 else None


class Kind(StrEnum):
    """What an item is. Its value is the right that a caller needs for it."""

    MESSAGE = "send"
    GROUP_ACTION = "groups"
    CLOSE = "connections"


_PROPERTIES: dict[Kind, frozenset[str]] = {
    Kind.MESSAGE: frozenset({"target", "arguments", "userId", "groupName", "connectionId", "excluded", "endpoints"}),
    Kind.GROUP_ACTION: frozenset({"action", "userId", "connectionId", "groupName", "ttlSeconds", "endpoints"}),
    Kind.CLOSE: frozenset({"action", "connectionId", "userId", "groupName", "reason", "endpoints"}),
}


class Item(msgspec.Struct, frozen=True, gc=False):
    """One operation, with its message if it has one.

    ``endpoints`` are names in lower case. None means all endpoints that are online.
    """

    kind: Kind
    operation: Operation
    message: Message | None = None
    endpoints: frozenset[str] | None = None


def read_item(
    text: bytes,
    hub: str,
    kinds: Collection[Kind],
    has_endpoint: HasEndpoint,
    fits: Fits,
    *,
    pointer: str = "#",
    longest_target: int = LONGEST_TARGET,
    empty_means_all: bool = False,
) -> Item:
    """One item from a JSON object. Raises ``InvalidItem`` with all faults, and ``MalformedJson``.

    Args:
        text: The JSON object.
        hub: The hub that it is for.
        kinds: The kinds that it may be.
        has_endpoint: Whether a name may stand in ``endpoints``.
        fits: Whether a message is small enough.
        pointer: Where the item stands in the body, as a JSON pointer.
        longest_target: The most bytes of the path and query of its URL.
        empty_means_all: Whether an empty destination counts as absent, as in the Functions binding.
    """
    item = _read_plain(text, hub) if Kind.MESSAGE in kinds else None
    if item is None:
        item = _read_any(text, hub, kinds, has_endpoint, pointer, empty_means_all=empty_means_all)
    if len(text) > longest_target // 4 and len(write_target(item.operation)) > longest_target:
        raise InvalidItem([Fault(pointer, UrlTooLong, _TOO_LONG)])
    if item.message is not None and not fits(item.operation.action, item.message):
        detail = f"The message is larger than {LARGEST_MESSAGE:,} bytes, which the service refuses."
        raise InvalidItem([Fault(pointer, InvalidItem, detail)])
    return item


class _PlainMessage(msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    """A message as most are: every name is spelled as it is documented, and has a value of its type."""

    target: str
    arguments: msgspec.Raw = _NO_ARGUMENTS
    user_id: str | msgspec.UnsetType = msgspec.UNSET
    group_name: str | msgspec.UnsetType = msgspec.UNSET
    connection_id: str | msgspec.UnsetType = msgspec.UNSET


_PLAIN = msgspec.json.Decoder(_PlainMessage)


def _read_plain(text: bytes, hub: str) -> Item | None:
    """The item of a message as most are, for a fraction of the time. None for any other text, and for one with a fault.

    What it takes, ``_read_any`` takes too, and reads the same from it. So it does not take an empty destination.
    """
    try:
        json_text.check_utf8(text)
        plain = _PLAIN.decode(text)
        known, action, names = _read_plain_names(plain)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidName):
        return None
    arguments = bytes(plain.arguments)
    if plain.arguments is not _NO_ARGUMENTS:
        known += 4 + len("arguments") + len(arguments)
    if len(text) - known >= _LEAST_DUPLICATE or not plain.target or not arguments.startswith(b"["):
        return None
    return Item(Kind.MESSAGE, Operation(action, hub, *names), Message(plain.target, arguments))


def _read_plain_names(plain: _PlainMessage) -> tuple[int, Action, tuple[str, str, str]]:
    """How many characters the texts take at least, what is done, and the user, the group and the connection.

    Raises ``InvalidName``, also for a message with several destinations.
    """
    known = 1 + 4 + len("target") + 2 + len(plain.target)
    destination, names = "", ("", "", "")
    if plain.user_id is not msgspec.UNSET:
        destination, names = "userId", (check_user_id(plain.user_id), "", "")
    if plain.group_name is not msgspec.UNSET:
        destination, names = destination + "groupName", ("", check_group(plain.group_name), "")
    if plain.connection_id is not msgspec.UNSET:
        destination, names = destination + "connectionId", ("", "", check_connection_id(plain.connection_id))
    if destination not in _SEND:
        raise InvalidName("There are several destinations.")
    if destination:
        known += 4 + len(destination) + 2 + sum(map(len, names))
    return known, _SEND[destination], names


def _read_any(
    text: bytes,
    hub: str,
    kinds: Collection[Kind],
    has_endpoint: HasEndpoint,
    pointer: str,
    *,
    empty_means_all: bool,
) -> Item:
    """An item of any form. Raises ``InvalidItem`` with all faults, and ``MalformedJson``."""
    if json_text.first_character(text) != b"{":
        json_text.check_roughly(text)  # what does not parse at all is another error
        raise InvalidItem([Fault(pointer, InvalidItem, "An item is a JSON object.")])
    reader = ItemReader(text, pointer, empty_means_all=empty_means_all)
    kind = _find_kind(reader, kinds)
    item = _READERS[kind](reader, hub)
    endpoints = reader.endpoints(has_endpoint)
    reader.refuse_unknown(_PROPERTIES[kind])
    reader.raise_faults()
    return item if endpoints is None else msgspec.structs.replace(item, endpoints=endpoints)


def read_items(
    text: bytes,
    hub: str,
    kinds: Collection[Kind],
    has_endpoint: HasEndpoint,
    fits: Fits,
    *,
    longest_target: int = LONGEST_TARGET,
    empty_means_all: bool = False,
) -> Iterator[Item | None]:
    """The items of a JSON array one by one, each as ``read_item`` reads it. None stands for one with a fault.

    Raises ``InvalidItem`` with the faults of all when the last one has been read, or at once for an array that is too
    long. It reads no further once there are as many faults as are told. Raises ``MalformedJson``.
    """
    try:
        elements = json_text.first_elements(text, MOST_ITEMS)
    except json_text.TooManyElements:
        raise InvalidItem([Fault("#", InvalidItem, f"An array has at most {MOST_ITEMS} items.")]) from None
    faults: list[Fault] = []
    for index, raw in enumerate(elements):
        item, pointer, element = None, f"#/{index}", bytes(raw)
        try:
            if len(element) > LARGEST_ITEM:
                raise InvalidItem([Fault(pointer, InvalidItem, f"An item may have {LARGEST_ITEM:,} bytes.")])
            item = read_item(
                element,
                hub,
                kinds,
                has_endpoint,
                fits,
                pointer=pointer,
                longest_target=longest_target,
                empty_means_all=empty_means_all,
            )
        except InvalidItem as error:
            faults += error.faults[: MOST_FAULTS - len(faults)]
            if len(faults) == MOST_FAULTS:
                break
        yield item
    if faults:
        raise InvalidItem(faults)


class _Names(TypedDict):
    """The target of an operation, by the names of its fields."""

    user: str
    group: str
    connection: str


def _find_kind(reader: ItemReader, kinds: Collection[Kind]) -> Kind:
    if len(kinds) == 1:
        return next(iter(kinds))
    if reader.has("target") or not reader.has("action"):
        return Kind.MESSAGE
    action = reader.value("action", str, "a string")
    return Kind.CLOSE if isinstance(action, str) and action.lower() == "close" else Kind.GROUP_ACTION


def _read_message(reader: ItemReader, hub: str) -> Item:
    target = reader.value("target", str, "a string")
    if not target:
        reader.fault("target", InvalidItem, "A message has a target that is not empty.")
    destination, names = _read_destination(reader, at_most_one=True)
    excluded = reader.texts("excluded")
    if excluded and destination not in {"", "groupName"}:
        reader.fault("excluded", InvalidItem, "Connections are left out of messages to everybody or a group only.")
    arguments = reader.raw("arguments") or b"[]"
    if json_text.first_character(arguments) != b"[":
        reader.fault("arguments", InvalidItem, "This is not an array.")
    operation = Operation(_SEND[destination], hub, excluded=excluded, **names)
    return Item(Kind.MESSAGE, operation, Message(target or "", arguments))


def _read_close(reader: ItemReader, hub: str) -> Item:
    action = reader.value("action", str, "a string")
    if action is not None and action.lower() != "close":
        reader.fault("action", InvalidItem, "The action is not 'close'.")
    destination, names = _read_destination(reader, at_most_one=False)
    reason = reader.value("reason", str, "a string")
    return Item(Kind.CLOSE, Operation(_CLOSE.get(destination, Action.CLOSE_CONNECTION), hub, reason=reason, **names))


def _read_group_action(reader: ItemReader, hub: str) -> Item:
    action = str(reader.value("action", str, "a string") or "").lower()
    if action not in {"add", "remove", "removeall"}:
        reader.fault("action", InvalidItem, "The action is one of 'add', 'remove' and 'removeAll'.")
    group = reader.name("groupName")
    if reader.has("groupName") and action == "removeall":
        reader.fault("groupName", InvalidItem, "'removeAll' names no group.")
    if not reader.has("groupName") and action != "removeall":
        reader.fault("groupName", InvalidItem, "Name the group.")
    subject = _read_subject(reader)
    ttl = _read_ttl(reader, allowed=subject == "user" and action == "add")
    names = _Names(user=reader.name("userId"), connection=reader.name("connectionId"), group=group)
    return Item(Kind.GROUP_ACTION, Operation(group_action(action, subject), hub, ttl=ttl, **names))


def group_action(action: str, subject: str) -> Action:
    """The action for ``add``, ``remove`` or ``removeall`` of a ``user`` or a ``connection``."""
    verb = {"add": "ADD", "remove": "REMOVE"}.get(action, "REMOVE")
    suffix = "_FROM_ALL" if action == "removeall" else ""
    return Action[f"{verb}_{subject.upper()}{suffix}"]


def _read_subject(reader: ItemReader) -> str:
    if reader.has("userId") == reader.has("connectionId"):
        reader.fault("", InvalidItem, "Give exactly one of userId and connectionId.")
    return "user" if reader.has("userId") else "connection"


def _read_ttl(reader: ItemReader, *, allowed: bool) -> int | None:
    ttl = reader.value("ttlSeconds", int, "an integer")
    if ttl is not None and not allowed:
        reader.fault("ttlSeconds", InvalidItem, "Only adding a user to a group has a time to live.")
    if ttl is not None and not 0 <= ttl <= _LONGEST_TTL:
        reader.fault("ttlSeconds", InvalidItem, "This is a number of seconds from 0.")
    return int(ttl) if isinstance(ttl, int) else None


def _read_destination(reader: ItemReader, *, at_most_one: bool) -> tuple[str, _Names]:
    given = [name for name in ("userId", "groupName", "connectionId") if reader.has(name)]
    if len(given) > 1 or (not given and not at_most_one):
        wanted = "at most one" if at_most_one else "exactly one"
        reader.fault("", InvalidItem, f"Give {wanted} of userId, groupName and connectionId.")
    names = _Names(user=reader.name("userId"), group=reader.name("groupName"), connection=reader.name("connectionId"))
    return (given[0] if given else ""), names


_READERS: dict[Kind, Callable[[ItemReader, str], Item]] = {
    Kind.MESSAGE: _read_message,
    Kind.GROUP_ACTION: _read_group_action,
    Kind.CLOSE: _read_close,
}
