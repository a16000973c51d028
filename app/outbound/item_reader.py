"""Reading an item: an object's properties by name, in any case, and every fault found while reading them."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from app.errors import BridgeError, Fault, InvalidItem, InvalidName, UnknownEndpoint, UnknownProperty
from app.protocol import json_text
from app.protocol.names import check_connection_id, check_group, check_user_id

HasEndpoint = Callable[[str], bool]
MOST_FAULTS = 1000
"""So many are told at most: an answer must not be many times as large as what was sent."""
_CHECKS = {"userId": check_user_id, "groupName": check_group, "connectionId": check_connection_id}


class Reader:
    """An object's properties by name, and the faults found while reading them."""

    def __init__(self, text: bytes, pointer: str) -> None:
        self._pointer = pointer
        self._faults: list[Fault] = []
        self._given: dict[str, tuple[str, bytes]] = {}
        try:
            members = json_text.members(text)
        except json_text.DuplicateMember as error:
            members = {}
            self.fault(pointer_part(error.name), InvalidItem, "This property stands there more than once.")
            self.raise_faults()
        for name, value in members.items():
            if name.lower() in self._given:
                detail = "This property stands there more than once, in two spellings."
                self.fault(pointer_part(name), InvalidItem, detail)
            if value != b"null":
                self._given[name.lower()] = (name, value)

    def fault(self, name: str, kind: type[BridgeError], detail: str) -> None:
        if len(self._faults) < MOST_FAULTS:
            self._faults.append(Fault(f"{self._pointer}/{name}" if name else self._pointer, kind, detail))

    def raise_faults(self) -> None:
        if self._faults:
            raise InvalidItem(list(dict.fromkeys(self._faults)))

    def has(self, name: str) -> bool:
        return name.lower() in self._given

    def refuse_unknown(self, known: Iterable[str]) -> None:
        lowered = {name.lower() for name in known}
        for spelled, (name, _) in self._given.items():
            if len(self._faults) >= MOST_FAULTS:
                return
            if spelled not in lowered:
                self.fault(pointer_part(name), UnknownProperty, f"The property '{printable(name)}' is not known here.")

    def raw(self, name: str) -> bytes | None:
        found = self._given.get(name.lower())
        return None if found is None else found[1]

    def value(self, name: str, expected: Any, kind: str) -> Any:
        """The property as ``expected``, or None when it is absent or (a fault) something else."""
        text = self.raw(name)
        if text is None:
            return None
        try:
            return msgspec.json.decode(text, type=expected)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.fault(name, InvalidItem, f"This is not {kind}.")
            return None

    def name(self, name: str) -> str:
        """A destination that was given, checked; the empty text when it is absent or (a fault) unusable."""
        value = self.value(name, str, "a string")
        if value is None:
            return ""
        try:
            return _CHECKS[name](value)
        except InvalidName as error:
            self.fault(name, InvalidName, error.detail)
            return ""

    def texts(self, name: str) -> tuple[str, ...]:
        values = self.value(name, list[str], "an array of connection ids") or []
        for index, value in enumerate(values):
            try:
                check_connection_id(value)
            except InvalidName as error:
                self.fault(f"{name}/{index}", InvalidName, error.detail)
        return tuple(values)

    def endpoints(self, has_endpoint: HasEndpoint) -> frozenset[str] | None:
        values = self.value("endpoints", list[str | dict[str, Any]], "an array of endpoint names or objects")
        if values is None:
            return None
        if not values:
            self.fault("endpoints", InvalidItem, "Name at least one endpoint, or leave this out to mean all.")
        names = [_endpoint_name(one) for one in values]
        for index, name in enumerate(names):
            if not isinstance(name, str) or not has_endpoint(name):
                self.fault(f"endpoints/{index}", UnknownEndpoint, "No endpoint has this name.")
        return frozenset(str(name).lower() for name in names)


def _endpoint_name(given: str | dict[str, Any]) -> Any:
    """The name in one of an item's ``endpoints``; an object's own property ignores case, as everywhere."""
    if isinstance(given, str):
        return given
    named = [value for name, value in given.items() if name.lower() == "name"]
    return named[0] if len(named) == 1 else None


def printable(name: str) -> str:
    """At most 64 printable ASCII characters of a name that somebody sent."""
    return "".join(one for one in name[:64] if one.isascii() and one.isprintable())


def pointer_part(name: str) -> str:
    """Such a name as one part of a JSON pointer."""
    return printable(name).replace("~", "~0").replace("/", "~1")
