"""The assembly of ``import``: a function app in, a ``bridge.toml`` and a table out."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from signalr_bridge.errors import SettingsError
from signalr_bridge.functions.bindings import Bindings
from signalr_bridge.functions.import_file import write_file
from signalr_bridge.functions.import_table import list_hands, list_rows, write_table
from signalr_bridge.functions.imported_app import read_app
from signalr_bridge.functions.importer import Judge
from signalr_bridge.functions.source_hints import read_hints
from signalr_bridge.main import create_app
from signalr_bridge.parts import Parts
from signalr_bridge.settings import Settings
from signalr_bridge.settings.traffic import FunctionAppSettings, FunctionsSettings


@dataclass(frozen=True, slots=True)
class Migration:
    """What ``import`` gives: the text of a ``bridge.toml``, and the lines of the table."""

    text: str
    table: tuple[str, ...] = field(default=())


def migrate(folder: Path, *, run: bool = True) -> Migration:
    """What becomes of a function app.

    Args:
        folder: The app's folder.
        run: Whether the app may be loaded, in a process of its own.

    Raises:
        SettingsError: The app cannot be read or loaded.
    """
    app = read_app(folder, run=run)
    judgement, hints = Judge(app, make_bindings).judge(), read_hints(folder)
    table = write_table(app, list_rows(app, judgement), list_hands(app, judgement, hints))
    return Migration(write_file(app, judgement, hints), tuple(table))


def make_bindings(settings: Settings) -> Bindings:
    """The bindings of functions under settings. No function app, handler or backend is loaded for them."""
    nothing = {
        "function_app": FunctionAppSettings(),
        "functions": FunctionsSettings(),
        "handlers": (),
        "forward": {},
    }
    parts: Parts = create_app(settings.model_copy(update=nothing), hubs=()).state.parts
    return Bindings(settings, parts.clients.rules_of, parts.negotiator, parts.directory, parts.sender)


def write_settings(migration: Migration, file: Path) -> Iterator[str]:
    """Write the ``bridge.toml``, and say so. Nothing is overwritten, unless it is the same.

    Raises:
        SettingsError: There is another file, or it cannot be written.
    """
    try:
        if file.exists() and file.read_text("utf-8") == migration.text:
            yield f"{file} is as it was."
            return
        with file.open("x", encoding="utf-8") as opened:
            opened.write(migration.text)
    except FileExistsError:
        raise SettingsError(
            f"The file '{file}' is there, and import overwrites nothing: name another by --out."
        ) from None
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"The file '{file}' cannot be written: name another by --out.") from None
    yield f"{file} is written."
