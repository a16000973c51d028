"""The places where settings stand: the environment and files. Each gives names and values, all names in one spelling.

``__`` in the environment and ``:`` in files both separate levels; names ignore case.
"""

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Value:
    """One setting as it was found. ``written`` is the name as somebody wrote it."""

    written: str
    value: Any = field(repr=False)
    source: str


Values = Mapping[str, Value]
"""Settings by name, in lower case, levels joined by ``:``."""


def read_environment(environment: Mapping[str, str]) -> Values:
    return {_spell(name): Value(name, value, "environment") for name, value in environment.items()}


def read_flags(flags: Mapping[str, Any]) -> Values:
    """Command-line flags, by the names of the settings they stand for; None is a flag that was not given."""
    return {_spell(name): Value(name, value, "command line") for name, value in flags.items() if value is not None}


def read_file(path: Path) -> Values:
    """A function app's ``local.settings.json``, or a ``bridge.toml``. Raises ``SettingsError``."""
    try:
        text = path.read_text("utf-8-sig")  # Windows editors write a byte order mark
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"BRIDGE_SETTINGS_FILE: the file '{path.name}' cannot be read.") from None
    named = _read_local_settings(text, path) if path.suffix == ".json" else _read_toml(text, path)
    return {_spell(name): Value(name, value, path.name) for name, value in named if value is not None}


def first_of(*places: Values) -> Values:
    """All settings of all places; of one that stands in several, the first place's."""
    merged: dict[str, Value] = {}
    for place in reversed(places):
        merged |= place
    return merged


def _spell(name: str) -> str:
    return name.replace("__", ":").lower()


def _read_local_settings(text: str, path: Path) -> Iterator[tuple[str, Any]]:
    try:
        document = json.loads(text)
        values, strings = document.get("Values") or {}, document.get("ConnectionStrings") or {}
        yield from values.items()
        yield from ((f"ConnectionStrings:{name}", value) for name, value in strings.items())
    except (ValueError, AttributeError, RecursionError):
        raise SettingsError(f"The file '{path.name}' is no local.settings.json: an object with 'Values'.") from None


def _read_toml(text: str, path: Path) -> Iterator[tuple[str, Any]]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise SettingsError(f"The file '{path.name}' is not well-formed TOML.") from None
    for name, value in _flatten(document):
        first = name.partition(":")[0].lower()
        yield (name if first.startswith(("azure", "connectionstrings")) else f"BRIDGE_{name}"), value


def _flatten(table: Mapping[str, Any], path: Iterable[str] = ()) -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flatten(value, [*path, name])
        else:
            yield ":".join([*path, name]), value
