"""A body's own properties: an object's members by name, in any case, and every fault found while reading them."""

from collections.abc import Iterable
from typing import Any

import msgspec

from signalr_bridge.errors import BridgeError, Fault, InvalidItem, UnknownProperty
from signalr_bridge.protocol import json_text

MOST_FAULTS = 1000
"""So many are told at most: an answer must not be many times as large as what was sent."""


class Properties:
    """An object's properties by name. Raises ``MalformedJson``, and ``InvalidItem`` for one that stands there twice."""

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


def printable(name: str) -> str:
    """At most 64 printable ASCII characters of a name that somebody sent."""
    return "".join(one for one in name[:64] if one.isascii() and one.isprintable())


def pointer_part(name: str) -> str:
    """Such a name as one part of a JSON pointer."""
    return printable(name).replace("~", "~0").replace("/", "~1")
