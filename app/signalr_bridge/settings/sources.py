"""The sources of settings in their order: command line, environment, secrets, stores, and a settings file.

The settings file is a function app's ``local.settings.json`` or a ``bridge.toml``.
"""

import json
import tomllib
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from signalr_bridge.errors import SettingsError
from signalr_bridge.settings.names import PREFIX, find_path
from signalr_bridge.settings.stores import Stores
from signalr_bridge.settings.value import COMMAND_LINE, ENVIRONMENT, SECRETS, Value, Values, first_of, name_values

_NOT_OURS = ("azure", "connectionstrings")

_SECRETS_DIR = "bridge_secrets_dir"
_SETTINGS_FILE = "bridge_settings_file"


def read_file(path: Path) -> Values:
    """The settings of a file. Raises ``SettingsError`` when it cannot be read."""
    text = _read_text(path, "BRIDGE_SETTINGS_FILE")
    return name_values(
        _read_local_settings(text, path) if path.suffix == ".json" else _read_toml(text, path), path.name
    )


def read_secrets(folder: Path) -> Values:
    """One setting for each file of a folder, named like the file. Raises ``SettingsError``.

    Files whose names begin with a dot belong to the platform.
    """
    try:
        files = sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.is_file())
    except OSError:
        raise SettingsError(f"BRIDGE_SECRETS_DIR: the folder '{folder.name}' cannot be read.") from None
    return name_values(((path.name, _read_text(path, "BRIDGE_SECRETS_DIR").strip()) for path in files), SECRETS)


def _read_text(path: Path, setting: str) -> str:
    try:
        return path.read_text("utf-8-sig")  # Windows editors write a byte order mark
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"{setting}: the file '{path.name}' cannot be read.") from None


def _read_local_settings(text: str, path: Path) -> Iterator[tuple[str, Any]]:
    try:
        document = json.loads(_without_comments(text))
        encrypted = document.get("IsEncrypted") is True
        values, strings = document.get("Values") or {}, document.get("ConnectionStrings") or {}
        named = [*values.items(), *((f"ConnectionStrings:{name}", _string(one)) for name, one in strings.items())]
    except (ValueError, AttributeError, RecursionError):
        raise SettingsError(f"The file '{path.name}' is no local.settings.json: an object with 'Values'.") from None
    if encrypted:
        raise SettingsError(f"The file '{path.name}' is encrypted: run 'func settings decrypt' first.")
    yield from named


def _without_comments(text: str) -> str:
    """The text without lines that are comments, as the Functions tools take them. No line of JSON begins like one."""
    return "\n".join(line for line in text.split("\n") if not line.lstrip().startswith("//"))


def _string(given: Any) -> Any:
    """A connection string, which may stand in an object beside its provider."""
    return given.get("ConnectionString") if isinstance(given, dict) else given


def _read_toml(text: str, path: Path) -> Iterator[tuple[str, Any]]:
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        raise SettingsError(f"The file '{path.name}' is not well-formed TOML.") from None
    for name, value in document.items():
        ours = not name.lower().startswith(_NOT_OURS)
        yield from _flatten(f"{PREFIX}{name}" if ours else name, value)


def _flatten(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, Mapping) or _is_setting(name):
        yield name, value
    else:
        for key, inner in value.items():
            yield from _flatten(f"{name}:{key}", inner)


def _is_setting(name: str) -> bool:
    """Whether a table is the value of one setting that is a map."""
    lowered = name.lower().replace("__", ":")
    return lowered.startswith(PREFIX.lower()) and find_path(lowered.removeprefix(PREFIX.lower())) is not None


@dataclass(frozen=True, slots=True)
class Sources:
    """All sources together.

    Args:
        environment: The environment variables.
        flags: Command-line flags, by the names of the settings they stand for. None is a flag that was not given.
        stores: Key Vault and App Configuration.
    """

    environment: Mapping[str, str] = field(repr=False)
    flags: Mapping[str, Any] = field(repr=False)
    stores: Stores = field(default_factory=Stores, repr=False, compare=False)

    def read(self) -> Values:
        """Every setting of every source. Raises ``SettingsError`` for a file or a store that cannot be read."""
        fixed = self._fixed()
        found = first_of(fixed, *(read_secrets(folder) for folder in _path(fixed, _SECRETS_DIR)))
        files = [read_file(file) for file in _files(found)]
        stored = self.stores.read(first_of(found, *files))
        return first_of(found, *stored, *files) if files or stored else found

    def look(self) -> Hashable:
        """A value that changes when a watched file changes, or when it is time to ask a store. Never raises."""
        fixed = self._fixed()
        watched = [*_path(fixed, _SECRETS_DIR), *_files(fixed)]
        for folder in _path(fixed, _SECRETS_DIR):
            watched += sorted(folder.glob("*"))
            # The path of the settings file may itself be a secret.
            watched += [Path(text) for text in _read_quietly(folder / "BRIDGE_SETTINGS_FILE")]
        return (self.stores.look(), *((str(path), _stat(path)) for path in watched))

    def _fixed(self) -> Values:
        return first_of(
            name_values(self.flags.items(), COMMAND_LINE), name_values(self.environment.items(), ENVIRONMENT)
        )


def _path(values: Values, name: str) -> Iterator[Path]:
    found: Value | None = values.get(name)
    if found is not None and found.text:
        yield Path(found.text)


def _files(values: Values) -> Sequence[Path]:
    """The settings files, those that count first in front. The command line gives them as a list."""
    found = values.get(_SETTINGS_FILE)
    if found is None or not isinstance(found.value, list):
        return list(_path(values, _SETTINGS_FILE))
    return [Path(one) for one in reversed(found.value)]


def _stat(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read_quietly(path: Path) -> Iterator[str]:
    try:
        yield path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return
