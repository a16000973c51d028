"""What the code of an app shows without being run: empty destinations, and the platform's headers.

It is a reading of lines, not of meaning. What it finds is worth a look, and it may miss what is put together elsewhere.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from signalr_bridge.errors import SettingsError
from signalr_bridge.settings.files import read_text

_SUFFIXES = frozenset({".py", ".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".jsx", ".tsx", ".go", ".rs"})
_OF_OTHERS = frozenset({"node_modules", "__pycache__", "venv", "env", "target", "test", "tests", "obj", "bin"})
_OF_PAGES = frozenset({"content", "public", "static", "wwwroot", "www", "client", "frontend"})
_MOST_FILES = 2_000
_MOST_BYTES = 1_048_576

_NAMES = r"(?:userId|groupName|connectionId)"
_EMPTY = r"(?:\"\"|''|``)(?![\"'`])"
_GIVEN = re.compile(
    rf"(?:(?<![\w.])[\"'`]?(?P<member>{_NAMES})[\"'`]?\s*:|(?:\[[\"']|\.|[(,]\s*)(?P<set>{_NAMES})(?:[\"']\])?\s*=(?!=))"
    r"\s*(?P<value>.*)"
)
_WITHOUT_VALUE = re.compile(rf"(?<![\w.\"'])({_NAMES})\s*[,}}]")
_IDENTIFIER = re.compile(r"([A-Za-z_$][\w$]*)\s*(?:[,}\])]|$)")
_MAY_BE_EMPTY = re.compile(rf"(?:\|\||\?\?|\bor\b|\belse\b|[:,?(=])\s*{_EMPTY}")
_GO_TAG = re.compile(rf"`[^`]*json:\"{_NAMES}\"[^`]*`")
_OF_A_BINDING = re.compile(r"signalRConnectionInfo|signalRNegotiation", re.IGNORECASE)
_NEAR = 8
"""How many lines around the type of an input binding its other properties stand."""
_BEFORE = 60
"""How many lines before its use a variable may have got its value."""
_COMMENT = re.compile(r"^\s*(?://|#|\*|/\*)")
_PLATFORM = re.compile(r"(?:[\"'`]|\{headers\.)(x-ms-client-principal[\w-]*|x-ms-token-[\w-]+)[\"'`}]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Hint:
    """A line of the app's code. ``place`` is its file and number, and ``word`` what it names."""

    place: str
    word: str


@dataclass(frozen=True, slots=True)
class SourceHints:
    """What the code shows.

    Attributes:
        empty_destinations: Where a message may get an empty destination, which means everybody to the bindings.
        platform_headers: Where a header is read that the platform writes.
    """

    empty_destinations: Sequence[Hint] = ()
    platform_headers: Sequence[Hint] = ()


def read_hints(folder: Path) -> SourceHints:
    """What the code of an app shows. A file that cannot be read shows nothing."""
    empty: list[Hint] = []
    platform: list[Hint] = []
    for path in _find_files(folder):
        lines = _read_lines(path)
        shown = path.relative_to(folder).as_posix()
        empty += (Hint(f"{shown}:{number}", word) for number, word in _find_empty(lines))
        platform += (
            Hint(f"{shown}:{number}", match[1].lower()) for number, line in lines for match in _PLATFORM.finditer(line)
        )
    return SourceHints(tuple(empty), tuple(platform))


def _find_files(folder: Path) -> list[Path]:
    """The app's own files with code, sorted. Packages of others and folders with a dot are left out."""
    found: list[Path] = []
    waiting = [folder]
    while waiting and len(found) < _MOST_FILES:
        try:
            inside = sorted(waiting.pop().iterdir())
        except OSError:
            continue
        for path in inside:
            if path.is_dir() and not path.is_symlink() and not _is_of_others(path.name):
                waiting.append(path)
            elif path.suffix in _SUFFIXES and path.is_file():
                found.append(path)
    return sorted(found)


def _is_of_others(name: str) -> bool:
    return name.startswith(".") or name.lower() in _OF_OTHERS | _OF_PAGES


def _read_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a file that are no comments, with their numbers."""
    try:
        text = "" if path.stat().st_size > _MOST_BYTES else read_text(path, path.name)
    except (OSError, SettingsError):
        return []
    return [(number, line) for number, line in enumerate(text.splitlines(), 1) if not _COMMENT.match(line)]


def _find_empty(lines: Sequence[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The lines where a destination is given that may be empty, and its name."""
    of_bindings = [number for number, line in lines if _OF_A_BINDING.search(line)]
    for number, line in lines:
        if any(abs(number - one) <= _NEAR for one in of_bindings):
            continue  # there it is a client's own id, and no destination
        if _GO_TAG.search(line):
            found = [] if ",omitempty" in line else [_name_of(line)]
        else:
            before = [text for other, text in lines if number - _BEFORE <= other <= number]
            found = [
                one["member"] or one["set"] for one in _GIVEN.finditer(line) if _may_be_empty(one["value"], before)
            ]
            found += [one[1] for one in _WITHOUT_VALUE.finditer(line) if _is_set_empty(one[1], before)]
        yield from ((number, one) for one in dict.fromkeys(found))


def _name_of(line: str) -> str:
    match = re.search(_NAMES, line)
    return "" if match is None else match[0]


def _may_be_empty(value: str, lines: Sequence[str]) -> bool:
    if re.match(_EMPTY, value):
        return True
    own = re.split(r",\s*[\"'`]?\w+[\"'`]?\s*:", value, maxsplit=1)[0]  # without the members behind it
    if _MAY_BE_EMPTY.search(own):
        return True
    identifier = _IDENTIFIER.match(own)
    return identifier is not None and _is_set_empty(identifier[1], lines)


def _is_set_empty(name: str, lines: Sequence[str]) -> bool:
    """Whether a variable is given an empty text in these lines."""
    given = re.compile(rf"(?<![\w.$]){re.escape(name)}\s*(?::\s*\w+\s*)?(?::=|=(?!=))\s*(.*)")
    for line in lines:
        match = given.search(line)
        if match and (re.match(_EMPTY, match[1]) or _MAY_BE_EMPTY.search(match[1])):
            return True
    return False
