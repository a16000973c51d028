"""Values of settings as they were found, with name and source, and diagnostics about them.

``__`` in the environment and ``:`` in files both separate levels. Names ignore case. A blank value is as if it were not
set, from whatever source, and the end of a line is not a part of a value.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Self, TypeAlias

from signalr_bridge.errors import SettingsError

COMMAND_LINE = "command line"
ENVIRONMENT = "environment"
PROGRAM = "program"
SECRETS = "secrets directory"
_FLAGS = {"bridge_settings_file": "--settings", "bridge_function_app__folder": "--function-app"}
UNWATCHED = frozenset({COMMAND_LINE, ENVIRONMENT, PROGRAM})
"""Sources whose values stay the same until the next start."""


@dataclass(frozen=True, slots=True)
class Value:
    """One setting as it was found.

    ``written`` is the name as it was written. ``shadows`` are the sources whose values for it do not count.
    ``line`` is its line in a file, from 1, and ``items`` are the lines of the items of a list.
    """

    written: str
    value: Any = field(repr=False)
    source: str
    shadows: tuple[str, ...] = ()
    line: int | None = None
    items: tuple[int, ...] = ()

    @property
    def text(self) -> str:
        """The value as text, without blanks at both ends."""
        return str(self.value).strip()

    @property
    def is_blank(self) -> bool:
        """Whether it is as if it were not set, such as what compose makes of ``${NAME:-}``."""
        return isinstance(self.value, str) and not self.value.strip()

    @property
    def place(self) -> str:
        """The source, or the flag of the command line."""
        if self.source != COMMAND_LINE:
            return self.source
        return _FLAGS.get(self.written, f"--{self.written.removeprefix('bridge_')}")


Values: TypeAlias = Mapping[str, Value]
"""Settings by name. Names are in lower case, with levels joined by ``:``."""


def spell(name: str) -> str:
    """A name in the spelling of ``Values``."""
    return name.replace("__", ":").lower()


def name_values(
    named: Iterable[tuple[str, Any]], source: str, lines: Mapping[str, tuple[int, ...]] = MappingProxyType({})
) -> Values:
    """The settings of one source by name. None is a setting that is not given.

    Args:
        named: Names and values.
        source: Where they were found.
        lines: By name in the spelling of ``Values``: the line of the setting, and those of the items of its list.
    """
    return {
        spell(name): Value(name, _cut_line_end(value), source, (), *_split(lines.get(spell(name), ())))
        for name, value in named
        if value is not None
    }


def _cut_line_end(value: Any) -> Any:
    """The value without the end of its line, which an env file from Windows and a file with one secret leave there."""
    return value.rstrip("\r\n") if isinstance(value, str) else value


def _split(lines: tuple[int, ...]) -> tuple[int | None, tuple[int, ...]]:
    return (lines[0], lines[1:]) if lines else (None, ())


def first_of(*sources: Values) -> Values:
    """The settings of all sources. The first source wins where several have the same setting, unless it is blank."""
    merged: dict[str, Value] = {}
    for source in reversed(sources):
        for name, found in source.items():
            below = merged.get(name)
            if below is None or below.is_blank:
                merged[name] = found
            elif not found.is_blank:
                merged[name] = replace(found, shadows=(*found.shadows, below.source, *below.shadows))
    return merged


def drop_blank(values: Values) -> Values:
    """The settings that are set. A blank one only tells where somebody meant to set it."""
    return {name: found for name, found in values.items() if not found.is_blank}


class Level(StrEnum):
    """How serious a diagnostic is: ``ERROR`` stops everything, ``UNKNOWN`` fails `check`, the others are only shown.

    ``WARNING`` is about what may be meant otherwise, and ``NOTE`` about what is well, but may surprise.
    """

    ERROR = "mistake"
    UNKNOWN = "unknown"
    WARNING = "warning"
    NOTE = "note"

    @property
    def is_wrong(self) -> bool:
        """Whether `check` fails for it."""
        return self in {Level.ERROR, Level.UNKNOWN}


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """Something to say about a setting.

    ``setting`` is the name as it was written, or empty. ``text`` says what to do. ``place`` is where the setting was
    found, ``line`` its line in that file, and ``column`` where in the line, both from 1.
    """

    level: Level
    setting: str
    text: str
    place: str = ""
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return self.as_error().detail

    def as_error(self) -> SettingsError:
        """The diagnostic as an error."""
        return SettingsError(self.text, setting=self.setting, place=self.place, line=self.line, column=self.column)

    @classmethod
    def of(cls, error: SettingsError) -> Self:
        """What an error says."""
        return cls(Level.ERROR, error.setting, error.sentence, error.place, error.line, error.column)

    @classmethod
    def error(cls, setting: str, text: str) -> Self:
        return cls(Level.ERROR, setting, text)

    @classmethod
    def warning(cls, setting: str, text: str) -> Self:
        return cls(Level.WARNING, setting, text)

    @classmethod
    def note(cls, setting: str, text: str) -> Self:
        return cls(Level.NOTE, setting, text)


def refuse_errors(diagnostics: Iterable[Diagnostic]) -> None:
    """Raises ``SettingsError`` with a line for each error, if there is one."""
    lines = dict.fromkeys(str(one) for one in diagnostics if one.level is Level.ERROR)
    if lines:
        raise SettingsError("\n".join(lines))
