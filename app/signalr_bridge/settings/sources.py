"""The sources of settings in their order: command line, environment, secrets, stores, and a settings file."""

import hashlib
import os
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from signalr_bridge.errors import SettingsError
from signalr_bridge.settings.files import read_file, read_text
from signalr_bridge.settings.stores import Stores
from signalr_bridge.settings.value import COMMAND_LINE, ENVIRONMENT, SECRETS, Value, Values, first_of, name_values

_OF_KUBERNETES = re.compile(
    r"BRIDGE_(?:[A-Z0-9]+_)*(?:SERVICE_(?:HOST|PORT(?:_\w+)?)|PORT_\d+_(?:TCP|UDP|SCTP)(?:_\w+)?)", re.ASCII
)
_PORT_OF_KUBERNETES = re.compile(r"BRIDGE_(?:[A-Z0-9]+_)*PORT", re.ASCII)
_ADDRESS_OF_KUBERNETES = re.compile(r"(?:tcp|udp|sctp)://")
_SECRETS_DIR = "bridge_secrets_dir"
_SETTINGS_FILE = "bridge_settings_file"
LOCAL_SETTINGS = "local.settings.json"
"""The file of a function app with its settings."""
_FUNCTION_APP = "bridge_function_app:folder"


def read_secrets(folder: Path) -> Values:
    """One setting for each file of a folder, named like the file. Raises ``SettingsError``.

    Files whose names begin with a dot belong to the platform.
    """
    try:
        # What is neither a file nor a folder is an error. A link to a file that is gone is not a setting that is unset.
        files = sorted(path for path in folder.iterdir() if not path.name.startswith(".") and not path.is_dir())
    except OSError as error:
        why = os.strerror(error.errno or 0).lower()
        raise SettingsError(
            f"the folder '{folder.name}' cannot be read ({why}): write the path of a mounted folder.",
            setting="BRIDGE_SECRETS_DIR",
        ) from None
    return name_values(((path.name, read_text(path, "BRIDGE_SECRETS_DIR").strip()) for path in files), SECRETS)


def _is_of_kubernetes(name: str, text: Any) -> bool:
    """Whether Kubernetes wrote the variable, as it does in every container for a Service named ``bridge``.

    A Service may also be named ``bridge-metrics`` or so.

    Source: https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables.
    """
    return _OF_KUBERNETES.fullmatch(name) is not None or (
        _PORT_OF_KUBERNETES.fullmatch(name) is not None and _ADDRESS_OF_KUBERNETES.match(str(text)) is not None
    )


@dataclass(frozen=True, slots=True)
class Look:
    """What can be seen of the sources without reading them.

    ``files`` are the watched files, with what tells of a change of each. ``stores`` changes when it is time to ask one.
    """

    files: tuple[tuple[str, tuple[int, ...] | None], ...]
    stores: Hashable


@dataclass(frozen=True, slots=True)
class Reading:
    """What the files said, or why they could not be read, and what was seen of them just before."""

    look: Look
    found: Values = field(default_factory=dict, repr=False)
    files: tuple[Values, ...] = field(default=(), repr=False)
    error: SettingsError | None = None

    @property
    def digest(self) -> bytes:
        """The SHA-256 of all that was found. Readings of the same files in the same state have the same one."""
        values = [
            (name, one.value, one.source, one.line) for some in (self.found, *self.files) for name, one in some.items()
        ]
        return hashlib.sha256(
            repr((self.look.files, values, str(self.error))).encode("utf-8", "surrogatepass")
        ).digest()


@dataclass(frozen=True, slots=True)
class Sources:
    """All sources together.

    Args:
        environment: The environment variables, or what a program gives in their stead.
        flags: Command-line flags, by the names of the settings they stand for. None is a flag that was not given.
        stores: Key Vault and App Configuration.
        place: What ``environment`` is called: ``ENVIRONMENT`` or ``PROGRAM``.
        folder: The folder that paths are relative to. The process may go to another one later.
        defaults: What counts where all sources are silent.
    """

    environment: Mapping[str, Any] = field(repr=False)
    flags: Mapping[str, Any] = field(repr=False)
    stores: Stores = field(default_factory=Stores, repr=False, compare=False)
    place: str = ENVIRONMENT
    folder: Path = field(default_factory=Path.cwd, compare=False)
    defaults: Values = field(default_factory=dict, repr=False)

    @property
    def are_watched(self) -> bool:
        """Whether anything can change: a file, a folder or a store."""
        fixed = self._fixed()
        return self.stores.are_there or bool([*self._path(fixed, _SECRETS_DIR), *self._all_files(fixed)])

    def read(self) -> Values:
        """Every setting of every source. Raises ``SettingsError`` for a file or a store that cannot be read."""
        return self.complete(self.read_files())

    def read_files(self) -> Reading:
        """What can be read without asking a store. It does not raise for a file that cannot be read."""
        seen = self.look()
        try:
            return Reading(seen, *self._read_files())
        except SettingsError as error:
            return Reading(seen, error=error)

    def complete(self, reading: Reading) -> Values:
        """Every setting of every source. Raises ``SettingsError`` for a file or a store that cannot be read."""
        followed = self.stores.follow(self._merge(reading))
        return first_of(followed, self.defaults) if self.defaults else followed

    def read_as_written(self) -> Values:
        """The same as ``read``, but with references to Key Vault as they stand. Their vaults are not asked."""
        return first_of(self._merge(self.read_files()), self.defaults)

    def _merge(self, reading: Reading) -> Values:
        if reading.error is not None:
            raise reading.error
        found, files = reading.found, reading.files
        stored = self.stores.read(first_of(found, *files))
        return first_of(found, *stored, *files) if files or stored else found

    def _read_files(self) -> tuple[Values, tuple[Values, ...]]:
        fixed = self._fixed()
        with _locate(fixed, _SECRETS_DIR):
            found = first_of(fixed, *(read_secrets(folder) for folder in self._path(fixed, _SECRETS_DIR)))
        with _locate(found, _SETTINGS_FILE):
            files = tuple(read_file(file) for file in self._files(found))
        with _locate(found, _FUNCTION_APP):
            return found, (*files, *(read_file(file) for file in self._app_files(first_of(found, *files))))

    def look(self) -> Look:
        """What changes when a watched file changes, or when it is time to ask a store. Never raises."""
        fixed = self._fixed()
        watched = [*self._path(fixed, _SECRETS_DIR), *self._all_files(fixed)]
        for folder in self._path(fixed, _SECRETS_DIR):
            watched += sorted(folder.glob("*"))
            # The path of the settings file may itself be a secret.
            watched += [self.folder / text for text in _read_quietly(folder / "BRIDGE_SETTINGS_FILE")]
        return Look(tuple((str(path), _stat(path)) for path in watched), self.stores.look())

    def _fixed(self) -> Values:
        ours = ((name, text) for name, text in self.environment.items() if not _is_of_kubernetes(name, text))
        return first_of(name_values(self.flags.items(), COMMAND_LINE), name_values(ours, self.place))

    def _path(self, values: Values, name: str) -> Iterator[Path]:
        found: Value | None = values.get(name)
        if found is not None and found.text:
            yield self.folder / found.text

    def _files(self, values: Values) -> Sequence[Path]:
        """The settings files, those that count first in front. The command line gives them as a list."""
        found = values.get(_SETTINGS_FILE)
        if found is None or not isinstance(found.value, list):
            return list(self._path(values, _SETTINGS_FILE))
        return [self.folder / one for one in reversed(found.value)]

    def _app_files(self, values: Values) -> Iterator[Path]:
        """The settings file of a function app, unless it is named beside."""
        for folder in self._path(values, _FUNCTION_APP):
            file = folder / LOCAL_SETTINGS
            if file.is_file() and file not in self._files(values):
                yield file

    def _all_files(self, values: Values) -> Sequence[Path]:
        return [*self._files(values), *self._app_files(values)]


@contextmanager
def _locate(values: Values, name: str) -> Iterator[None]:
    """Adds where the setting ``name`` stands to an error that knows no better place."""
    try:
        yield
    except SettingsError as error:
        found = values.get(name)
        if error.place or found is None:
            raise
        raise SettingsError(error.sentence, setting=error.setting, place=found.place, line=found.line) from None


def _stat(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def _read_quietly(path: Path) -> Iterator[str]:
    try:
        yield read_text(path, "BRIDGE_SETTINGS_FILE").strip()
    except SettingsError:
        return
