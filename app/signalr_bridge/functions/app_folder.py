"""The files of a function app: its ``host.json``, and the ``function.json`` of each function.

Source: https://learn.microsoft.com/azure/azure-functions/functions-host-json
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from signalr_bridge.errors import SettingsError
from signalr_bridge.functions.description import FunctionDescription, read_description
from signalr_bridge.settings.files import read_text
from signalr_bridge.settings.lines import without_comments

HOST_FILE = "host.json"
FUNCTION_FILE = "function.json"
ROUTE_PREFIX = "api"
"""What stands in front of the routes of HTTP functions where ``host.json`` says nothing else."""

_TIME_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2}(?:\.\d+)?))?")
_NAME = re.compile(r"[A-Za-z][\w-]{0,127}", re.ASCII)


@dataclass(frozen=True, slots=True)
class HostFile:
    """What a ``host.json`` says, as far as it means something here.

    Attributes:
        is_there: Whether the app has one. The Functions host calls a folder without it no app.
        route_prefix: What stands in front of routes, without slashes. It may be empty.
        functions: The names of the functions that run, in lower case. None is all of them.
        timeout_seconds: How long a function may run. ``inf`` is without limit. None where nothing is said.
        custom_handler: What is said of the program that runs the functions. None where there is none.
        others: The names of its other members.
    """

    is_there: bool = False
    route_prefix: str = ROUTE_PREFIX
    functions: frozenset[str] | None = None
    timeout_seconds: float | None = None
    custom_handler: Mapping[str, Any] | None = field(default=None, repr=False)
    others: tuple[str, ...] = ()

    @property
    def forwards_requests(self) -> bool:
        """Whether an HTTP function without other bindings is sent the request itself."""
        return (self.custom_handler or {}).get("enableforwardinghttprequest") is True

    def runs(self, name: str) -> bool:
        """Whether the function of this name is one of those that run."""
        return self.functions is None or name.lower() in self.functions


def read_json(path: Path, shown: str) -> Any:
    """The JSON of a file of an app, which may hold comments, trailing commas and a byte order mark.

    Args:
        path: The file.
        shown: What it is called in errors.

    Raises:
        SettingsError: It cannot be read, or is not well formed. The text has line and column, and holds no value.
    """
    text = without_comments(read_text(path, shown))
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"{shown}, line {error.lineno}, column {error.colno}"
        raise SettingsError(f"{where}: this is not well-formed JSON: see what stands there.") from None
    except (ValueError, RecursionError):
        raise SettingsError(f"{shown}: this is not well-formed JSON: see what stands there.") from None


def read_host(folder: Path) -> HostFile:
    """What the ``host.json`` of an app says. Raises ``SettingsError`` for one that is not an object of known form."""
    path = folder / HOST_FILE
    if not path.is_file():
        return HostFile()
    document = _lower(read_json(path, HOST_FILE))
    extensions = _lower(document.get("extensions") or {})
    http = _lower(extensions.get("http") or {})
    prefix = http.get("routeprefix")
    named = document.get("functions")
    custom = document.get("customhandler")
    return HostFile(
        True,
        ROUTE_PREFIX if prefix is None else str(prefix).strip("/ "),
        None if not isinstance(named, list) else frozenset(str(one).lower() for one in named),
        _read_timeout(document.get("functiontimeout")),
        None if custom is None else _lower(custom),
        tuple(sorted(document.keys() - {"version", "functions", "functiontimeout", "customhandler"})),
    )


def _read_timeout(given: object) -> float | None:
    return math.inf if str(given).strip() in {"-1", "-1.00:00:00"} else read_time_span(given)


def _lower(given: object) -> dict[str, Any]:
    """The members of an object by their names in lower case."""
    if not isinstance(given, dict):
        raise SettingsError(
            f"{HOST_FILE} is not one: it is an object, and so are its 'extensions' and 'customHandler'."
        )
    return {str(name).lower(): value for name, value in given.items()}


def read_time_span(text: object) -> float | None:
    """The seconds of a time span such as ``00:05:00`` or ``1.00:00:00``. None for what is not a positive one."""
    match = _TIME_SPAN.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        return None
    days, hours, minutes, seconds = (float(one or 0) for one in match.groups())
    return days * 86_400 + hours * 3_600 + minutes * 60 + seconds or None


def find_function_files(folder: Path) -> Sequence[Path]:
    """The ``function.json`` files of an app, sorted by the names of their folders, which are the functions' names."""
    found = (path for path in folder.glob(f"*/{FUNCTION_FILE}") if _NAME.fullmatch(path.parent.name))
    return sorted(found, key=lambda path: (path.parent.name.lower(), path.parent.name))


def read_functions(folder: Path) -> list[FunctionDescription]:
    """The functions of an app that ``function.json`` files describe. Raises ``SettingsError``."""
    return [read_function(path) for path in find_function_files(folder)]


def read_function(path: Path) -> FunctionDescription:
    """The function that a ``function.json`` describes. Its folder has the function's name. Raises ``SettingsError``."""
    name = path.parent.name
    shown = f"{name}/{FUNCTION_FILE}"
    return read_description(read_json(path, shown), name, shown)


def list_members(document: Mapping[str, Any], section: str) -> Iterator[tuple[str, Any]]:
    """The members of one object of a document, whose name is taken in any case."""
    for name, found in document.items():
        if name.lower() == section.lower() and isinstance(found, dict):
            yield from found.items()
