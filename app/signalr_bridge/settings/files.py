"""The settings file, which is a ``bridge.toml`` or a function app's ``local.settings.json``, read with its lines."""

import json
import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from signalr_bridge.errors import SettingsError
from signalr_bridge.settings.lines import KeyPath, find_json_lines, find_toml_lines, without_comments
from signalr_bridge.settings.names import PREFIX, find_path
from signalr_bridge.settings.value import Values, name_values, spell

_SETTING = "BRIDGE_SETTINGS_FILE"
MOST_BYTES = 1_048_576
"""The most bytes of a file. It is what Kubernetes takes for a secret, and no file of settings comes near it."""
_NOT_OURS = ("azure", "connectionstrings")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_KEY = re.compile(r"[\w.\"'-]+\s*=|\[\w")
_POSITION = re.compile(r"\(at line (\d+), column \d+\)")

_TOML_HINTS = (
    ("Illegal character", "a text is not closed: write the second quote on the same line"),
    ("Unterminated string", "a text is not closed: write its second quote"),
    ('Expected "\'"', "a text is not closed: write the second quote on the same line"),
    ("Unescaped '\\'", "a backslash in \"...\" begins an escape: write the text in '...', or each backslash twice"),
    ("Invalid hex value", "a backslash in \"...\" begins an escape: write the text in '...', or each backslash twice"),
    ("declare", "this table stands here for the second time: put its keys together under one [table]"),
    ("overwrite", "this key stands here for the second time: keep one of the two"),
    ("mutate", "this table was given before: put its keys together in one place"),
    ("Duplicate", "this key stands here for the second time: keep one of the two"),
    ("Expected ']'", "a table's name is not closed: write [name] on a line of its own"),
    ("Unclosed array", "a list is not closed: write ] behind its last value"),
    ("Unclosed inline table", "a table in braces is not closed: write } behind its last value"),
    ("Expected '='", 'write name = "value"'),
    ("Invalid value", 'this is no value: write a text in quotes ("text"), a number, or true or false'),
    ("Invalid statement", 'a line is name = "value", [table], or begins with #'),
    ("after a statement", "a value ends its line: write the rest on the next line, or a text in quotes"),
)
"""By a part of the parser's own sentence: what is probably wrong, and what to write."""

_JSON_HINTS = (
    ("Expecting ',' delimiter", "write a comma in front of this"),
    ("Expecting ':' delimiter", 'write "name": "value"'),
    ("Expecting property name", 'write each name in double quotes: "name": "value"'),
    ("Invalid \\", "a backslash begins an escape: write each backslash twice"),
    ("Invalid control character", "a text is not closed: write the second quote on the same line"),
    ("Unterminated string", "a text is not closed: write its second quote"),
    ("Expecting value", 'write a text in double quotes ("text"), a number, or true or false'),
    ("Extra data", "remove what stands behind the last }"),
)
_KNOWN_MEMBERS = {"values", "connectionstrings", "host", "isencrypted"}
EVERY_ORIGIN = "host:cors"
"""``"CORS": "*"`` of a ``local.settings.json``."""
NO_VALUES = "local.settings.json:values"
"""Stands for the ``Values`` of a ``local.settings.json`` that has none."""
_OF_HOST = {"cors": "BRIDGE_CORS__ORIGINS", "corscredentials": "BRIDGE_CORS__CREDENTIALS"}


def read_file(path: Path) -> Values:
    """The settings of a file. Raises ``SettingsError`` when it cannot be read."""
    text = read_text(path, _SETTING)
    if path.suffix != ".json":
        return name_values(_read_toml(text, path), path.name, _name_lines(find_toml_lines(text), _name_toml))
    text = without_comments(text)
    return name_values(_read_local_settings(text, path), path.name, _name_lines(find_json_lines(text), _name_json))


def read_text(path: Path, setting: str) -> str:
    """The text of a file that ``setting`` names. Raises ``SettingsError``."""
    try:
        read = read_bytes(path)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"the file '{path.name}' cannot be read ({_explain(error)}): write another path.", setting=setting
        ) from None
    if read.startswith(_UTF_16):
        raise SettingsError("the file cannot be read as UTF-16: save it as UTF-8.", setting=setting, place=path.name)
    try:
        return read.decode("utf-8-sig")  # Windows editors write a byte order mark
    except UnicodeDecodeError as error:
        line = read.count(b"\n", 0, error.start) + 1
        raise SettingsError(
            "the file cannot be read, because this is not UTF-8: save it as UTF-8.",
            setting=setting,
            place=path.name,
            line=line,
        ) from None


def read_bytes(path: Path) -> bytes:
    """The content of a regular file. It does not wait for a writer, as the reader of a pipe would.

    Raises ``OSError`` also for what is not a file and for a file that is too large, and ``ValueError`` for a text that
    is not a path.
    """
    with open(path, "rb", opener=_open_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("it is a pipe or a device")
        read = file.read(MOST_BYTES + 1)
    if len(read) > MOST_BYTES:
        raise OSError(f"it has more than {MOST_BYTES} bytes")
    return read


def _explain(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return (os.strerror(error.errno) if error.errno else str(error)).lower()
    return "not a path"


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def _fault(path: Path, sentence: str, line: int | None = None, column: int | None = None) -> SettingsError:
    return SettingsError(sentence, setting=_SETTING, place=path.name, line=line, column=column)


def _find_hint(hints: tuple[tuple[str, str], ...], said: str) -> str:
    """What to write. The parser's own sentence is not shown, because it may quote a value."""
    return next((hint for words, hint in hints if words in said), "see what stands there")


def _read_local_settings(text: str, path: Path) -> Iterator[tuple[str, Any]]:
    document = _decode(text, path)
    if not isinstance(document, dict):
        raise _fault(path, 'is no local.settings.json: write the settings as {"Values": {...}}.')
    members = {name.lower(): value for name, value in document.items()}
    if members and not members.keys() & _KNOWN_MEMBERS:
        raise _fault(path, 'is no local.settings.json: write the settings as {"Values": {...}}.')
    if str(members.get("isencrypted")).lower() == "true":
        raise _fault(path, "is encrypted: run 'func settings decrypt' first.")
    values, strings = members.get("values"), members.get("connectionstrings") or {}
    if not isinstance(values or {}, dict) or not isinstance(strings, dict):
        raise _fault(path, "is no local.settings.json: 'Values' is an object, {\"Values\": {...}}.")
    yield from _read_host(members.get("host"))
    yield from [(NO_VALUES, path.name)] if members and values is None else (values or {}).items()
    yield from ((f"ConnectionStrings:{name}", _string(one)) for name, one in strings.items())


def _read_host(host: Any) -> Iterator[tuple[str, Any]]:
    """What the Functions host is told. Origins for CORS are ours, but for all of them, which we never allow."""
    for name, value in host.items() if isinstance(host, dict) else ():
        origins = [one.strip() for one in str(value).split(",")]
        if name.lower() == "cors" and "*" in origins:
            yield f"Host:{name}", "*"
            origins.remove("*")
            value = ",".join(origins) or None
        yield _name_of_host(name), value


def _name_of_host(name: str) -> str:
    return _OF_HOST.get(name.lower(), f"Host:{name}")


def _decode(text: str, path: Path) -> Any:
    if not text.strip():
        raise _fault(path, 'the file is empty: write {"Values": {...}}.')
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        hint = _find_hint(_JSON_HINTS, error.msg)
        raise _fault(path, f"is not well-formed JSON: {hint}.", error.lineno, error.colno) from None
    except (ValueError, RecursionError):
        raise _fault(path, "is not well-formed JSON: see what stands there.") from None


def _string(given: Any) -> Any:
    """A connection string, which may stand in an object beside its provider."""
    return given.get("ConnectionString") if isinstance(given, dict) else given


def _read_toml(text: str, path: Path) -> Iterator[tuple[str, Any]]:
    for name, value in _parse_toml(text, path).items():
        yield from _flatten(_name_toml((name,)) or name, value)


def _parse_toml(text: str, path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = str(error)
        position = _POSITION.search(said)
        line = text.count("\n") + 1 if position is None else int(position[1])
        hint = _find_hint(_TOML_HINTS, "Unclosed array" if _is_in_list(text, line) else said)
    except RecursionError:
        line, hint = None, "its lists are too deep"
    raise _fault(path, f"is not well-formed TOML: {hint}.", line)


def _is_in_list(text: str, line: int) -> bool:
    """Whether a list seems to go on where the line begins a key or a table, which the parser takes for a value."""
    *before, here = (one.strip() for one in text.split("\n")[:line])
    return _KEY.match(here) is not None and next(filter(None, reversed(before)), "").endswith((",", "= ["))


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


def _name_toml(names: tuple[str, ...]) -> str:
    joined = ":".join(names)
    return joined if joined.lower().startswith(_NOT_OURS) else PREFIX + joined


def _name_json(names: tuple[str, ...]) -> str:
    """The setting at a path in a ``local.settings.json``. Empty for what is not one."""
    if len(names) != 2:
        return ""
    named = {"host": _name_of_host(names[1]), "values": names[1], "connectionstrings": f"ConnectionStrings:{names[1]}"}
    return named.get(names[0].lower(), "")


def _name_lines(found: Mapping[KeyPath, int], name: Any) -> Mapping[str, tuple[int, ...]]:
    """The lines by name in the spelling of ``Values``: of the setting, and of the items of its list."""
    lines: dict[str, tuple[int, ...]] = {}
    for path, line in found.items():
        names = tuple(one for one in path if isinstance(one, str))
        if path == names:
            lines.setdefault(spell(name(names)), (line,))
        elif path[:-1] == names:
            lines[spell(name(names))] += (line,)
    return lines
