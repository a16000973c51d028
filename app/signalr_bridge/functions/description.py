"""What a function app says of a function: its trigger and its bindings, as a ``function.json`` has them.

Source: https://learn.microsoft.com/azure/azure-functions/functions-triggers-bindings
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from signalr_bridge.errors import SettingsError

RETURN = "$return"
"""The name of the binding that takes what a function returns."""


class Direction(StrEnum):
    """Which way a binding's value goes, seen from the function."""

    IN = "in"
    OUT = "out"
    INOUT = "inout"


class Kind(StrEnum):
    """The types of triggers and bindings that work here, in lower case."""

    SIGNALR_TRIGGER = "signalrtrigger"
    HTTP_TRIGGER = "httptrigger"
    TIMER_TRIGGER = "timertrigger"
    CONNECTION_INFO = "signalrconnectioninfo"
    NEGOTIATION = "signalrnegotiation"
    ENDPOINTS = "signalrendpoints"
    SIGNALR = "signalr"
    HTTP = "http"


TRIGGERS = frozenset({Kind.SIGNALR_TRIGGER, Kind.HTTP_TRIGGER, Kind.TIMER_TRIGGER})


@dataclass(frozen=True, slots=True)
class Binding:
    """One binding of a function.

    Attributes:
        name: The name of the parameter or of the payload's member. ``$return`` is what the function returns.
        type: The type as it was written, such as ``signalRTrigger``.
        direction: Which way its value goes.
        properties: All other members, as they were written. They are not shown, because they may hold secrets.
    """

    name: str
    type: str
    direction: Direction
    properties: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def kind(self) -> str:
        """The type in lower case. It is a ``Kind`` where the binding works here."""
        return self.type.lower()

    @property
    def is_trigger(self) -> bool:
        """Whether it starts the function."""
        return self.kind.endswith("trigger")

    def value(self, name: str) -> Any:
        """The property of this name, ignoring case. None when there is none."""
        return next((one for given, one in self.properties.items() if given.lower() == name.lower()), None)

    def text(self, name: str) -> str:
        """The property of this name as text, without blanks at both ends. Empty when there is none."""
        found = self.value(name)
        return "" if found is None else str(found).strip()

    def texts(self, name: str) -> tuple[str, ...] | None:
        """The property of this name as a list of texts. None when there is none. A text alone is a list of one."""
        found = self.value(name)
        if found is None:
            return None
        return tuple(map(str, found)) if isinstance(found, list | tuple) else (str(found),)


@dataclass(frozen=True, slots=True)
class FunctionDescription:
    """A function and its bindings.

    Attributes:
        name: Its name. No two functions of an app have one name in any case.
        bindings: All of its bindings, the trigger among them.
        source: Where people find it, such as ``negotiate/function.json``.
        script_file: The file with its code, as ``function.json`` has it. Empty without one.
        entry_point: The name of its code in that file. Empty without one.
        is_disabled: Whether the app itself says that it does not run.
        disabled_by: The setting that says whether it runs, where ``disabled`` in ``function.json`` names one.
    """

    name: str
    bindings: tuple[Binding, ...]
    source: str
    script_file: str = ""
    entry_point: str = ""
    is_disabled: bool = False
    disabled_by: str = ""

    @property
    def trigger(self) -> Binding | None:
        """What starts it. None for a function that nothing starts."""
        return next((one for one in self.bindings if one.is_trigger), None)

    @property
    def inputs(self) -> Sequence[Binding]:
        """What it is given besides its trigger."""
        return [one for one in self.bindings if one.direction is not Direction.OUT and not one.is_trigger]

    @property
    def outputs(self) -> Sequence[Binding]:
        """What it gives."""
        return [one for one in self.bindings if one.direction is not Direction.IN and not one.is_trigger]

    def find(self, name: str) -> Binding | None:
        """The binding of this name, ignoring case. None when there is none."""
        return next((one for one in self.bindings if one.name.lower() == name.lower()), None)


def read_description(document: object, name: str, source: str) -> FunctionDescription:
    """The function that a ``function.json`` describes. Raises ``SettingsError`` for what is not such a document.

    Args:
        document: The decoded JSON.
        name: The function's name.
        source: Where people find the document.
    """
    bindings = document.get("bindings") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(bindings, list):
        raise SettingsError(f"{source} is not a function.json: write an object with 'bindings', which is a list.")
    return FunctionDescription(
        name,
        tuple(_read_binding(one, source) for one in bindings),
        source,
        str(document.get("scriptFile") or ""),
        str(document.get("entryPoint") or ""),
        *_read_disabled(document.get("disabled")),
    )


def _read_disabled(given: object) -> tuple[bool, str]:
    """Whether ``disabled`` says so itself, and the setting that it names, as ``NAME`` or ``%NAME%``."""
    text = given.strip() if isinstance(given, str) else ""
    if text.lower() in {"true", "1", "false", "0"}:
        return text.lower() in {"true", "1"}, ""
    return given is True, text.strip("%")


def _read_binding(given: object, source: str) -> Binding:
    members = {name.lower(): one for name, one in given.items()} if isinstance(given, dict) else {}
    name, kind = members.get("name"), members.get("type")
    direction = str(members.get("direction") or Direction.IN).lower()
    if not isinstance(name, str) or not isinstance(kind, str) or not name or direction not in set(Direction):
        raise SettingsError(f"{source}: a binding has a 'name', a 'type', and a 'direction' (in, out or inout).")
    return Binding(name, kind, Direction(direction), dict(given) if isinstance(given, dict) else {})
