"""The reader of a JSON object in a body: properties in any case, and what is wrong with them."""

from collections.abc import Collection
from functools import lru_cache
from typing import Any

import msgspec

from signalr_bridge.errors import BridgeError, Fault, InvalidItem, UnknownProperty
from signalr_bridge.protocol import json_text

MOST_FAULTS = 1000
"""So many faults are told at most, because an answer must not be many times as large as what was sent."""

_MOST_MEMBERS = MOST_FAULTS + 100
"""No object of ours has so many properties. The rest of one that has more is not looked at."""


@lru_cache(maxsize=64)
def _decoder(expected: Any) -> msgspec.json.Decoder[Any]:
    """The decoder of a type. To make one for each value costs many times what the decoding does."""
    return msgspec.json.Decoder(expected)


class ObjectReader:
    """Reads the properties of a JSON object, whose names are found in any case, and collects faults.

    A property whose value is null counts as absent.

    Args:
        text: The object.
        pointer: The JSON pointer to it, with which the pointers in faults begin.

    Raises:
        MalformedJson: The text is not a JSON object.
        InvalidItem: A property stands there twice.
    """

    def __init__(self, text: bytes, pointer: str) -> None:
        self._pointer = pointer
        self._faults: list[Fault] = []
        self._given: dict[str, tuple[str, bytes]] = {}
        try:
            members = json_text.members(text, _MOST_MEMBERS)
        except json_text.DuplicateMember as error:
            members = {}
            self.fault(pointer_part(error.name), InvalidItem, "This property stands there more than once.")
            self.raise_faults()
        for name, value in members.items():
            spelled = name.lower()
            if spelled in self._given:
                detail = "This property stands there more than once, in two spellings."
                self.fault(pointer_part(name), InvalidItem, detail)
            if value != b"null":
                self._given[spelled] = (name, value)

    def fault(self, name: str, kind: type[BridgeError], detail: str) -> None:
        """Note a fault of the property ``name``, or of the object itself when the name is empty."""
        if len(self._faults) < MOST_FAULTS:
            self._faults.append(Fault(f"{self._pointer}/{name}" if name else self._pointer, kind, detail))

    def raise_faults(self) -> None:
        """Raise ``InvalidItem`` with all faults, if there are any."""
        if self._faults:
            raise InvalidItem(list(dict.fromkeys(self._faults)))

    def has(self, name: str) -> bool:
        """Whether the property is there."""
        return name.lower() in self._given

    def leave_out(self, name: str) -> None:
        """Take the property for absent."""
        self._given.pop(name.lower(), None)

    def refuse_unknown(self, known: Collection[str]) -> None:
        """Note a fault for each property that is not ``known``."""
        if all(name in known for name, _ in self._given.values()):  # the usual case
            return
        lowered = {name.lower() for name in known}
        for spelled, (name, _) in self._given.items():
            if len(self._faults) >= MOST_FAULTS:
                return
            if spelled not in lowered:
                self.fault(pointer_part(name), UnknownProperty, f"The property '{printable(name)}' is not known here.")

    def raw(self, name: str) -> bytes | None:
        """The property as JSON text, or None when it is absent."""
        found = self._given.get(name.lower())
        return None if found is None else found[1]

    def value(self, name: str, expected: Any, kind: str) -> Any:
        """The property, or None when it is absent. A value of another type is a fault, and None, too.

        Args:
            name: The property.
            expected: The type of its value.
            kind: This type in words, for the text of the fault.
        """
        text = self.raw(name)
        if text is None:
            return None
        try:
            return _decoder(expected).decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.fault(name, InvalidItem, f"This is not {kind}.")
            return None


def printable(name: str) -> str:
    """The first printable ASCII characters of a name in a request, 64 at most."""
    return "".join(one for one in name[:64] if one.isascii() and one.isprintable())


def pointer_part(name: str) -> str:
    """A name in a request as one part of a JSON pointer, cut as ``printable`` does."""
    return printable(name).replace("~", "~0").replace("/", "~1")
