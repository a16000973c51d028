"""Handlers loaded anew when their files change, for development: the process, and who is connected to it, stay."""

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

Stamps = Mapping[Path, tuple[int, int]]
"""Of each file when it was changed (ns) and how long it is."""

_INSTALLED = [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")]


class Reloader:
    """Watches the modules of ``imports``, what they import from the author's folders, and the files beside those.

    ``install`` loads the handlers and puts them to use, or raises ``SettingsError``: then the old ones stay.
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
        while True:
            await asyncio.sleep(self._interval_seconds)
            self.look()

    def look(self) -> bool:
        """Reloads when something has changed since the last time, and nothing any more since the last look."""
        now = self._look_around()
        settled, self._before = now == self._before, now
        if not settled or now == self._loaded:
            return False
        changed = sorted({path.name for path, _ in now.items() ^ self._loaded.items()})
        self._loaded = now
        self._reload(", ".join(changed[:3]) + (", ..." if len(changed) > 3 else ""))
        # A module that is imported for the first time is watched from now on; it has not changed.
        self._loaded = {**self._look_around(), **self._loaded}
        self._before = self._loaded
        return True

    def _look_around(self) -> Stamps:
        if self._known != len(sys.modules):  # going through all of them is no work for every look
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
        except BaseException as error:  # a kind of the author's own too, or nobody would watch any longer
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
        """The modules in the folders of the handlers and of the process, by name; none of ours but those named."""
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
    """The folder in which the module's outermost package stands."""
    levels = name.count(".") + (path.name == "__init__.py")
    return path.parents[levels]


def _forget_compiled(modules: Iterable[ModuleType]) -> None:
    """Compiled files know a change by the second: one within the same second would go unseen."""
    for file in filter(None, map(_file_of, modules)):
        with suppress(OSError):
            Path(cache_from_source(file)).unlink()
