"""A setting as it was found: its value, how somebody wrote its name, and where.

``__`` in the environment and ``:`` in files both separate levels; names ignore case.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self, TypeAlias

from signalr_bridge.errors import SettingsError

COMMAND_LINE = "command line"
ENVIRONMENT = "environment"
SECRETS = "secrets directory"
UNWATCHED = frozenset({COMMAND_LINE, ENVIRONMENT})
"""What these say is so until the next start."""


@dataclass(frozen=True, slots=True)
class Value:
    """``written`` is the name as somebody wrote it; ``shadows`` are the sources that have it, too, and do not count."""

    written: str
    value: Any = field(repr=False)
    source: str
    shadows: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return str(self.value).strip()


Values: TypeAlias = Mapping[str, Value]
"""Settings by name, in lower case, levels joined by ``:``."""


def spell(name: str) -> str:
    """A name as it stands in ``Values``."""
    return name.replace("__", ":").lower()


def name_values(named: Iterable[tuple[str, Any]], source: str) -> Values:
    """None is a setting that is not given."""
    return {spell(name): Value(name, value, source) for name, value in named if value is not None}


def first_of(*places: Values) -> Values:
    """All settings of all places; of one that stands in several, the first place's."""
    merged: dict[str, Value] = {}
    for place in reversed(places):
        for name, found in place.items():
            below = merged.get(name)
            merged[name] = (
                found if below is None else replace(found, shadows=(*found.shadows, below.source, *below.shadows))
            )
    return merged


class Level(StrEnum):
    """``ERROR`` stops everything; ``UNKNOWN`` fails `check` alone; ``WARNING`` is said and no more."""

    ERROR = "mistake"
    UNKNOWN = "unknown"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """``setting`` is the name as it was written, where there is one; ``text`` is what to do about it."""

    level: Level
    setting: str
    text: str

    def __str__(self) -> str:
        return f"{self.setting}: {self.text}" if self.setting else self.text

    @classmethod
    def error(cls, setting: str, text: str) -> Self:
        return cls(Level.ERROR, setting, text)

    @classmethod
    def warning(cls, setting: str, text: str) -> Self:
        return cls(Level.WARNING, setting, text)


def refuse_errors(diagnostics: Iterable[Diagnostic]) -> None:
    """Raises ``SettingsError`` with a line for each mistake, if there is one."""
    lines = dict.fromkeys(str(one) for one in diagnostics if one.level is Level.ERROR)
    if lines:
        raise SettingsError("\n".join(lines))
