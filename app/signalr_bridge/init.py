"""`init`: a folder with a first handler, its test, settings, page and compose file, to run by its own README."""

import base64
import os
import secrets
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from signalr_bridge.errors import SettingsError

_HERE = Path(__file__).parent
_TEMPLATES = _HERE / "templates"
_WORDS = "words.toml"
"""It makes a folder of templates a language, and says what is different in the files that languages share."""
_RENAMED = {"env": ".env", "gitignore": ".gitignore"}
"""Files whose names would mean something to tools in the place where the templates are."""
_SECRET_FILES = {".env"}
_LIBRARY = ("signalr.min.js", "signalr.LICENSE.txt")
"""Microsoft's client. It goes into the folder, so that the page needs nothing from elsewhere."""


def list_languages() -> list[str]:
    """The names of the languages that ``write_project`` knows."""
    return sorted(path.parent.name for path in _TEMPLATES.glob(f"*/{_WORDS}"))


def write_project(language: str, folder: Path) -> list[Path]:
    """Write a new folder for a language.

    Args:
        language: Its name. Upper and lower case are the same.
        folder: Where to. It is made where it is missing, and otherwise must be empty.

    Returns:
        The files, relative to the folder.

    Raises:
        SettingsError: There is no such language, the folder is not empty, or it cannot be written.
    """
    language = language.lower()
    if language not in list_languages():
        raise SettingsError(f"init knows no such language. It knows: {', '.join(list_languages())}.")
    files = dict(_render(language))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise SettingsError(f"The folder '{folder}' is not empty, and init overwrites nothing: name another one.")
        for name, data in files.items():
            _write(folder / name, data)
    except OSError as error:
        raise SettingsError(f"The folder '{folder}' cannot be written: {error.strerror}.") from None
    return sorted(files)


def _render(language: str) -> Iterator[tuple[Path, bytes]]:
    """The files: what all languages have, what those with a backend have, and the language's own."""
    template = _TEMPLATES / language
    words = tomllib.loads((template / _WORDS).read_text("utf-8")) | _make_secrets() | {"language": language}
    shared = [_TEMPLATES / "all"] if (template / "README.md").exists() else [_TEMPLATES / "all", _TEMPLATES / "backend"]
    for source in (*shared, template):
        for path in source.rglob("*"):
            name = path.relative_to(source)
            if path.is_file() and name.name != _WORDS and path.suffix != ".pyc":
                yield name.with_name(_RENAMED.get(name.name, name.name)), _fill(path.read_bytes(), words)
    for library in _LIBRARY:
        yield Path("page", library), _read_library(library)


def _make_secrets() -> dict[str, str]:
    secret = base64.b64encode(secrets.token_bytes(32)).decode()
    return {"secret": f"whsec_{secret}", "key": secrets.token_hex(24), "code": secrets.token_hex(24)}


def _fill(text: bytes, words: Mapping[str, str]) -> bytes:
    for word, meaning in words.items():
        text = text.replace(b"{{%s}}" % word.encode(), meaning.encode())
    return text


def _read_library(name: str) -> bytes:
    try:
        return (_HERE / "static" / name).read_bytes()
    except FileNotFoundError:
        raise SettingsError("The page's library is missing: run 'make static'.") from None


def _write(path: Path, data: bytes) -> None:
    """Write a file that does not exist. One with secrets is nobody else's to read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = 0o600 if path.name in _SECRET_FILES else 0o666
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
