"""The ``BRIDGE_*`` names that the model defines: a setting is found by its name, a misspelt one by the nearest name.

A name may have a free part: the name of a hub, a rule or an endpoint. Only the known suffix is split off there, so the
free part may hold the separator.
"""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from types import MappingProxyType, UnionType
from typing import Any, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from signalr_bridge.settings.model import EndpointTuning, ForwardSettings, HubSettings, Settings

PREFIX = "BRIDGE_"
READ_ELSEWHERE: Mapping[str, str] = {
    "secrets_dir": "a folder with one file for each setting, as platforms mount secrets",
    "settings_file": "a `bridge.toml`, or a function app's `local.settings.json`",
}
"""The settings that say where other settings are read from, with their descriptions."""

Path: TypeAlias = tuple[str, ...]
"""The names of a setting's sections and of its field, from the outside in."""

_NAMED: Mapping[str, type[BaseModel]] = {"hubs": HubSettings, "forward": ForwardSettings, "endpoints": EndpointTuning}
_NO_NAMES = frozenset({*_NAMED, "connections", "calls", "authority_host", "app_settings", "development"})


@cache
def settings_by_path() -> Mapping[Path, FieldInfo]:
    """All settings that have a fixed name."""
    top = {name: field for name, field in Settings.model_fields.items() if name not in _NO_NAMES}
    return MappingProxyType(dict(_walk(top, ())))


@cache
def settings_below(section: str) -> Mapping[Path, FieldInfo]:
    """All settings of the section ``hubs``, ``forward`` or ``endpoints``, by the path behind the free name."""
    return MappingProxyType(dict(_walk(_NAMED[section].model_fields, ())))


def named_sections() -> Iterable[str]:
    """The sections whose settings have a free part in their names: a hub, a rule of forwarding or an endpoint."""
    return _NAMED


def find_path(name: str) -> Path | None:
    """The path of a setting. ``name`` is without prefix, in lower case, with ``:``. None for an unknown name."""
    levels = tuple(name.split(":"))
    if levels[0] not in _NAMED:
        return levels if levels in settings_by_path() else None
    known = settings_below(levels[0])
    cuts = (at for at in range(2, len(levels)) if levels[at:] in known and all(levels[1:at]))
    at = next(cuts, None)
    return None if at is None else (levels[0], ":".join(levels[1:at]), *levels[at:])


def write_name(path: Iterable[str]) -> str:
    """The name of a setting's environment variable."""
    return PREFIX + "__".join(level.replace(":", "__").upper() for level in path)


def nearest_name(written: str, known: Iterable[str]) -> str | None:
    """The one of ``known`` that is nearest to what was written. None when none is near."""
    plain = {name.lower(): name for name in known}
    found = get_close_matches(written.replace(":", "__").lower(), plain, n=1, cutoff=0.7)
    return plain[found[0]] if found else None


def names_near(written: str) -> list[str]:
    """The names that ``written`` may be meant for: all fixed ones, and those with its free part."""
    levels = written.replace(":", "__").upper().removeprefix(PREFIX).split("__")
    return [*map(write_name, settings_by_path()), *_with_free_names(levels), *_elsewhere()]


def _elsewhere() -> Iterator[str]:
    return (PREFIX + name.upper() for name in sorted(READ_ELSEWHERE))


def _with_free_names(levels: list[str]) -> Iterator[str]:
    for section in _NAMED:
        for path in settings_below(section):
            free = levels[1 : -len(path)] or ["<NAME>"]
            yield write_name((section, *free, *path))


def _walk(fields: Mapping[str, FieldInfo], path: Path) -> Iterator[tuple[Path, FieldInfo]]:
    for name, field in fields.items():
        section = find_section(field.annotation)
        if section is None:
            yield (*path, name), field
        else:
            yield from _walk(section.model_fields, (*path, name))


def find_section(annotation: Any) -> type[BaseModel] | None:
    """The section that a field holds, also if it may be None. None for a field that holds no section."""
    if isinstance(annotation, type):
        return annotation if issubclass(annotation, BaseModel) else None
    if get_origin(annotation) not in {Union, UnionType}:
        return None
    return next((one for one in get_args(annotation) if isinstance(one, type) and issubclass(one, BaseModel)), None)
