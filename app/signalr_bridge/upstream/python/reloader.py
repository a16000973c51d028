"""Reloads handlers in development when their files change. The process and its connections stay."""

import asyncio
import importlib
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path
from types import ModuleType

from signalr_bridge.errors import SettingsError

INTERVAL_SECONDS = 0.25
"""Seconds between two looks."""

Stamps = Mapping[Path, tuple[int, int]]
"""When each file was changed (in nanoseconds), and its size in bytes."""

_INSTALLED = [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")]


class Reloader:
    """Watches modules, what they import from the author's folders, and the files beside those.

    Args:
        imports: The hubs, as ``module:attribute``.
        install: Loads the handlers and puts them to use. When it raises, the old ones stay.
        say: Prints a line for the developer.
        interval_seconds: Seconds between two looks.
    """

    def __init__(
        self,
        imports: Iterable[str],
        install: Callable[[], None],
        say: Callable[[str], None],
        interval_seconds: float = INTERVAL_SECONDS,
    ) -> None:
        self._names = [name.partition(":")[0] for name in imports]
        self._install = install
        self._say = say
        self._interval_seconds = interval_seconds
        self._folders: set[Path] = set()
        self._known = 0
        self._loaded = self._before = self._look_around()

    async def run(self) -> None:
        """Look for changes until the task is cancelled."""
        while True:
            await asyncio.sleep(self._interval_seconds)
            self.look()

    def look(self) -> bool:
        """Reload when files have changed since the last reload, and none since the last look. True when it did."""
        now = self._look_around()
        settled, self._before = now == self._before, now
        if not settled or now == self._loaded:
            return False
        changed = sorted({path.name for path, _ in now.items() ^ self._loaded.items()})
        self._loaded = now
        self._reload(", ".join(changed[:3]) + (", ..." if len(changed) > 3 else ""))
        # A module that is imported for the first time is watched from now on. It has not changed.
        self._loaded = {**self._look_around(), **self._loaded}
        self._before = self._loaded
        return True

    def _look_around(self) -> Stamps:
        if self._known != len(sys.modules):  # walking through all of them at every look would cost too much
            self._known = len(sys.modules)
            self._folders |= {path.parent for path in self.own_modules().values()}
        stamps = {}
        for path in (path for folder in self._folders for path in folder.glob("*.py")):
            try:
                found = path.stat()
            except OSError:
                continue  # an editor is just replacing it
            stamps[path] = (found.st_mtime_ns, found.st_size)
        return stamps

    def _reload(self, changed: str) -> None:
        old = {name: sys.modules.pop(name) for name in self.own_modules()}
        _forget_compiled(old.values())
        importlib.invalidate_caches()
        try:
            self._install()
        except (KeyboardInterrupt, asyncio.CancelledError):
            raise
        except BaseException as error:  # also a type of the author's own, or the watching would end
            for name in self.own_modules():
                del sys.modules[name]
            sys.modules.update(old)
            self._explain(changed, error)
        else:
            self._say(f"Handlers reloaded: {changed}")

    def _explain(self, changed: str, error: BaseException) -> None:
        known = isinstance(error, SettingsError)
        self._say(f"Handlers not reloaded ({changed}), the old ones stay. {error if known else ''}".rstrip())
        cause = error.__cause__ if known else error
        if cause is not None:
            self._say("".join(traceback.format_exception(cause)).rstrip())

    def own_modules(self) -> dict[str, Path]:
        """The files of the author's modules, by the module's name.

        They are those in the folders of the handlers and of the process. Modules of the bridge count only when a
        handler's import names them.
        """
        files = {name: Path(file) for name, one in list(sys.modules.items()) if (file := _file_of(one))}
        named = {name: files[name] for name in self._names if name in files}
        roots = {Path.cwd(), *(_root(name, path) for name, path in named.items() if not _is_installed(path))}
        others = {
            name: path
            for name, path in files.items()
            if not _is_ours(name) and not _is_installed(path) and any(path.is_relative_to(root) for root in roots)
        }
        return others | named


def _file_of(module: ModuleType) -> str | None:
    return getattr(module, "__file__", None)


def _is_ours(name: str) -> bool:
    return name == "__main__" or name.partition(".")[0] == __name__.partition(".")[0]


def _is_installed(path: Path) -> bool:
    return any(path.is_relative_to(folder) for folder in _INSTALLED)


def _root(name: str, path: Path) -> Path:
    """The folder that holds the module's outermost package."""
    levels = name.count(".") + (path.name == "__init__.py")
    return path.parents[levels]


def _forget_compiled(modules: Iterable[ModuleType]) -> None:
    """Remove compiled files. They know a change by the second, so one within the same second would be missed."""
    for file in filter(None, map(_file_of, modules)):
        with suppress(OSError):
            Path(cache_from_source(file)).unlink()
