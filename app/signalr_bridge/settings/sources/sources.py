"""All places that settings come from, to be read once or again and again."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from signalr_bridge.settings.sources.files import read_file, read_secrets
from signalr_bridge.settings.sources.stores import Stores
from signalr_bridge.settings.sources.value import COMMAND_LINE, ENVIRONMENT, Value, Values, first_of, name_values

_SECRETS_DIR = "bridge_secrets_dir"
_SETTINGS_FILE = "bridge_settings_file"


@dataclass(frozen=True, slots=True)
class Sources:
    """``flags`` are command-line flags by the names of the settings they stand for; None is one that was not given."""

    environment: Mapping[str, str] = field(repr=False)
    flags: Mapping[str, Any] = field(repr=False)
    stores: Stores = field(default_factory=Stores, repr=False, compare=False)

    def read(self) -> Values:
        """Every setting there is. Raises ``SettingsError`` for a file or a store that cannot be read."""
        fixed = self._fixed()
        found = first_of(fixed, *(read_secrets(folder) for folder in _path(fixed, _SECRETS_DIR)))
        files = [read_file(file) for file in _path(found, _SETTINGS_FILE)]
        stored = self.stores.read(first_of(found, *files))
        return first_of(found, *stored, *files) if files or stored else found

    def look(self) -> Hashable:
        """Something that is different once a watched file is, or it is time to ask a store. Never raises."""
        fixed = self._fixed()
        watched = [*_path(fixed, _SECRETS_DIR), *_path(fixed, _SETTINGS_FILE)]
        for folder in _path(fixed, _SECRETS_DIR):
            watched += sorted(folder.glob("*"))
            # The path of the file may be a secret like any other.
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
