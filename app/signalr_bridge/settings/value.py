"""Values of settings as they were found, with name and source, and diagnostics about them.

``__`` in the environment and ``:`` in files both separate levels. Names ignore case.
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
"""Sources whose values stay the same until the next start."""


@dataclass(frozen=True, slots=True)
class Value:
    """One setting as it was found.

    ``written`` is the name as it was written. ``shadows`` are the sources whose values for it do not count.
    """

    written: str
    value: Any = field(repr=False)
    source: str
    shadows: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The value as text, without blanks at both ends."""
        return str(self.value).strip()


Values: TypeAlias = Mapping[str, Value]
"""Settings by name. Names are in lower case, with levels joined by ``:``."""


def spell(name: str) -> str:
    """A name in the spelling of ``Values``."""
    return name.replace("__", ":").lower()


def name_values(named: Iterable[tuple[str, Any]], source: str) -> Values:
    """The settings of one source by name. None is a setting that is not given."""
    return {spell(name): Value(name, value, source) for name, value in named if value is not None}


def first_of(*sources: Values) -> Values:
    """The settings of all sources. The first source wins where several have the same setting."""
    merged: dict[str, Value] = {}
    for source in reversed(sources):
        for name, found in source.items():
            below = merged.get(name)
            merged[name] = (
                found if below is None else replace(found, shadows=(*found.shadows, below.source, *below.shadows))
            )
    return merged


class Level(StrEnum):
    """How serious a diagnostic is. ``ERROR`` stops everything, ``UNKNOWN`` fails `check`, ``WARNING`` is only shown."""

    ERROR = "mistake"
    UNKNOWN = "unknown"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """Something to say about a setting.

    ``setting`` is the name as it was written, or empty. ``text`` says what to do.
    """

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
    """Raises ``SettingsError`` with a line for each error, if there is one."""
    lines = dict.fromkeys(str(one) for one in diagnostics if one.level is Level.ERROR)
    if lines:
        raise SettingsError("\n".join(lines))
