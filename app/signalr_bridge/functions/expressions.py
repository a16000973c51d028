"""Binding expressions: what ``{...}`` and ``%...%`` in the properties of bindings stand for.

Source: https://learn.microsoft.com/azure/azure-functions/functions-bindings-expressions-patterns
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from signalr_bridge.errors import SettingsError
from signalr_bridge.functions.app_settings import AppSettings
from signalr_bridge.functions.description import Binding, FunctionDescription, Kind
from signalr_bridge.functions.dotnet_format import (
    DEFAULT_MOMENT,
    is_guid_format,
    is_moment_format,
    write_guid,
    write_moment,
)
from signalr_bridge.negotiate.identity import take_only
from signalr_bridge.protocol.hub_message import Payload

_SETTING = re.compile(r"%([A-Za-z_][^%{}\s/]*)%")
_REFERENCE = re.compile(r"\{([^{}]*)\}")
_WITH_SETTINGS = frozenset({"hubname", "category", "event", "userid", "idtoken", "schedule", "route"})
"""The properties in which ``%Name%`` stands for an app setting."""
_GUID, _MOMENT = "guid", "moment"
_OF_THE_SYSTEM = {
    "rand-guid": _GUID,
    "sys.randguid": _GUID,
    "datetime": _MOMENT,
    "sys.utcnow": _MOMENT,
    "sys.methodname": "method",
}
_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")


@dataclass(frozen=True, slots=True)
class BindingData:
    """What the expressions of one call read. The names of headers, parameters and claims are in lower case.

    Attributes:
        method: The function's name, which is ``{sys.methodname}``.
        moment: When the call came, in UTC.
        guid: The one random GUID of the call.
        headers: The values of each header that may be read.
        query: The values of each parameter of the query.
        claims: The values of each verified claim.
        named: Parameters of the route, members of a JSON body, and arguments of a message by the trigger's names.
            Their names are in lower case, too.
        is_request: Whether a request has started the function, so that its sender can be refused.
    """

    method: str
    moment: datetime
    guid: str
    headers: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    query: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    claims: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    named: Mapping[str, Payload] = field(default_factory=dict, repr=False)
    is_request: bool = False


class Origin(StrEnum):
    """Where the value of an expression comes from."""

    HEADERS = "headers"
    QUERY = "query"
    CLAIMS = "claims"
    NAMED = "named"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Reference:
    """One ``{...}``.

    Attributes:
        written: It as it was written, without braces.
        origin: Where its value comes from.
        name: The name there, in lower case. Dots lead into objects.
        format: How a moment or a GUID is written. Empty for the usual way.
    """

    written: str
    origin: Origin
    name: str
    format: str = ""

    def find(self, data: BindingData) -> Sequence[str]:
        """Its values: one, unless it is absent or repeated."""
        match self.origin:
            case Origin.HEADERS:
                return data.headers.get(self.name, ())
            case Origin.QUERY:
                return data.query.get(self.name, ())
            case Origin.CLAIMS:
                return data.claims.get(self.name, ())
            case Origin.NAMED:
                return _write_value(_walk(data.named, self.name.split(".")))
        return (self._write_of_system(data),)

    def _write_of_system(self, data: BindingData) -> str:
        if self.name == _GUID:
            return write_guid(UUID(data.guid), self.format or "D")
        return write_moment(data.moment, self.format or DEFAULT_MOMENT) if self.name == _MOMENT else data.method


def _walk(value: Any, path: Sequence[str]) -> Any:
    """What a path leads to, ignoring case. None where it leads nowhere."""
    for name in path:
        if not isinstance(value, Mapping):
            return None
        value = next((one for given, one in value.items() if str(given).lower() == name), None)
    return value


def _write_value(value: Any) -> Sequence[str]:
    """A value as the host writes it. Null, and what is no single value, is absent."""
    if value is None or isinstance(value, Mapping | list | tuple):
        return ()
    return (value if isinstance(value, str) else str(value),)


@dataclass(frozen=True, slots=True)
class Expression:
    """A property of a binding, with what stands in it for something else.

    Attributes:
        references: What stands in it for something else, in order.
    """

    references: Sequence[Reference]
    _texts: Sequence[str] = field(repr=False)
    """The text in front of each reference, and that behind the last one."""

    @property
    def is_fixed(self) -> bool:
        """Whether it is the same in every call."""
        return not self.references

    @property
    def text(self) -> str:
        """The property, where it is fixed."""
        return self._texts[0]

    def fill(self, data: BindingData) -> str:
        """The property of one call. Raises ``BadToken`` for a value that is absent, empty or repeated."""
        filled = self._texts[0]
        for one, behind in zip(self.references, self._texts[1:], strict=True):
            filled += take_only(one.find(data), one.origin) + behind
        return filled


def parse(text: str, names: Iterable[str] = ()) -> Expression:
    """The expressions in a property, in which app settings stand already.

    Raises ``SettingsError`` for a brace that is alone, and for what is no expression.

    Args:
        text: The property.
        names: What the trigger itself names. Such a name counts before ``datetime``.
    """
    texts, references, position = [], [], 0
    for match in _REFERENCE.finditer(text):
        texts.append(text[position : match.start()])
        references.append(_read_reference(match[1].strip(), {one.lower() for one in names}))
        position = match.end()
    texts.append(text[position:])
    if any(brace in one for one in texts for brace in "{}"):
        raise SettingsError("a brace is not closed, or not opened: an expression is {name}.")
    return Expression(tuple(references), tuple(texts))


def _read_reference(written: str, names: set[str]) -> Reference:
    name, colon, wanted = written.partition(":")
    spelled = name.strip().lower()
    if (kind := _OF_THE_SYSTEM.get(spelled)) is not None and spelled not in names:
        return Reference(written, Origin.SYSTEM, kind, _check_format(kind, wanted.strip(), written))
    place, _, rest = spelled.partition(".")
    if place in {Origin.HEADERS, Origin.QUERY, Origin.CLAIMS} and place not in names and rest:
        rest = written.partition(".")[2].strip().lower()  # the type of a claim may be an address, with a colon
        return Reference(written, Origin(place), rest)
    if colon or place == "sys" or not _PATH.fullmatch(spelled):
        raise SettingsError(f"{{{_show(written)}}} is no expression of the host: {_WHAT_THERE_IS}")
    return Reference(written, Origin.NAMED, spelled)


_WHAT_THERE_IS = (
    "write {headers.x}, {query.x}, {claims.x}, {rand-guid}, {datetime}, {sys.methodname}, {sys.utcnow}, "
    "{sys.randguid}, or the name of what the trigger brings."
)


def _check_format(kind: str, wanted: str, written: str) -> str:
    takes = {_GUID: is_guid_format, _MOMENT: is_moment_format}.get(kind)
    if not wanted or (takes is not None and takes(wanted)):
        return wanted
    what = "N, D, B or P" if kind == _GUID else "such as yyyy-MM-ddTHH-mm-ss" if kind == _MOMENT else "none"
    raise SettingsError(f"{{{_show(written)}}} has a format that is not known here: write {what}.")


def _show(written: str) -> str:
    return "".join(one for one in written[:64] if one.isprintable())


def resolve_settings(function: FunctionDescription, app_settings: AppSettings) -> FunctionDescription:
    """The function with app settings for each ``%Name%`` in its bindings that work here.

    Raises ``SettingsError`` for a setting that is missing.
    """
    bindings = [
        _resolve_binding(function, one, app_settings) if one.kind in set(Kind) else one for one in function.bindings
    ]
    return replace(function, bindings=tuple(bindings))


def find_settings(function: FunctionDescription) -> list[str]:
    """The names of the app settings that stand as ``%Name%`` in the bindings of a function that work here."""
    texts = (
        text
        for binding in function.bindings
        for property_, text in binding.properties.items()
        if binding.kind in set(Kind) and property_.lower() in _WITH_SETTINGS and isinstance(text, str)
    )
    return [name for text in texts for name in _SETTING.findall(text)]


def _resolve_binding(function: FunctionDescription, binding: Binding, app_settings: AppSettings) -> Binding:
    def resolve(property_: str, value: Any) -> Any:
        if property_.lower() not in _WITH_SETTINGS or not isinstance(value, str):
            return value
        return _SETTING.sub(lambda match: find(property_, match[1]), value)

    def find(property_: str, name: str) -> str:
        if value := app_settings.find(name):
            return value
        shown = _show(name)
        raise fault(function, binding, property_, f"%{shown}% stands for a setting that is not there: set {shown}.")

    return replace(binding, properties={name: resolve(name, one) for name, one in binding.properties.items()})


def fault(function: FunctionDescription, binding: Binding, property_: str, sentence: str) -> SettingsError:
    """The error of a property, which names function, binding and property."""
    return SettingsError(sentence, setting=f"{function.name}.{binding.name}.{property_}", place=function.source)
