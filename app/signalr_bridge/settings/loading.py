"""Turns gathered names and values into the one frozen ``Settings``, with diagnostics for all that is wrong."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from signalr_bridge.errors import InvalidName, SettingsError
from signalr_bridge.protocol.names import check_hub
from signalr_bridge.settings.azure import (
    DEFAULT,
    Candidate,
    find_written_by_tools,
    judge_connection,
    read_named,
    read_unnamed,
)
from signalr_bridge.settings.azure_calls import find_unused, read_calls
from signalr_bridge.settings.diagnosis import explain, find_paths, locate
from signalr_bridge.settings.model import EndpointSettings, EndpointTuning, Settings
from signalr_bridge.settings.names import (
    PREFIX,
    READ_ELSEWHERE,
    Path,
    find_path,
    named_sections,
    names_near,
    nearest_name,
    write_name,
)
from signalr_bridge.settings.rules import find_notices, take_quotes_off
from signalr_bridge.settings.sources import Sources
from signalr_bridge.settings.value import Diagnostic, Level, Value, Values, drop_blank, refuse_errors, spell

_PREFIX = PREFIX.lower()
_OF_A_HUB = ("hubs", ("connection",))
_AUTHORITY = "azure_authority_host"
_MOST_ROUNDS = 3
_APPS = (("function_app", "folder"), ("functions", "url"))
_DECISIVE = {"url", "category", "format", "unsigned"}


@dataclass(frozen=True, slots=True)
class Review:
    """The settings and what is to be said about them.

    ``settings`` is None when there is an error. ``partial`` are then the settings without the values that are wrong, so
    that the rules in them can be judged in the same run. Nothing is ever started with it. It may be None, too.
    """

    settings: Settings | None
    diagnostics: tuple[Diagnostic, ...]
    partial: Settings | None = None

    def accept(self) -> Settings:
        """The settings. Raises ``SettingsError`` with a line for each error."""
        refuse_errors(self.diagnostics)
        if self.settings is None:
            raise SettingsError("The settings cannot be used.")
        return self.settings


def gather(environment: Mapping[str, str], flags: Mapping[str, Any]) -> Values:
    """Every setting of every source. The first match wins. Raises ``SettingsError`` for a file that cannot be read."""
    return Sources(environment, flags).read()


def load(values: Values) -> Settings:
    """The settings. Raises ``SettingsError`` with a line for each setting that is wrong, which never holds a value."""
    return review(values).accept()


def review(values: Values) -> Review:
    """The settings with all diagnostics. Never raises for what the values say."""
    everything = values
    values, quoted = take_quotes_off(drop_blank(values))
    connections = find_connections(values)
    values, more = take_quotes_off(values, [spell(one) for one in connections])
    values = _adopt(values, connections)
    nested, diagnostics = _nest(values)
    named = read_named(values)
    read = {name: read_unnamed(values, name) for name in connections}
    adopted = None if named or any(read.values()) else find_written_by_tools(values, connections[0])
    if adopted is not None:
        read[connections[0]] = [adopted]
    calls = read_calls(values, everything)
    used = {one for found in (*read.values(), named) for candidate in found for one in candidate.used} | calls.used
    tuned = {name: _tune([*unnamed, *named], nested.get("endpoints", {}), values) for name, unnamed in read.items()}
    is_strict = _is_strict(nested)
    diagnostics = [replace(one, level=Level.ERROR) if is_strict else one for one in diagnostics]
    diagnostics += [
        *quoted,
        *more,
        *(one for name, unnamed in read.items() for one in judge_connection(name, unnamed, named)),
        *(one for unnamed in read.values() for candidate in unnamed for one in candidate.diagnostics),
        *(one for candidate in named for one in candidate.diagnostics),
        *_judge_tuning(
            nested.get("endpoints", {}), [*named, *(one for found in read.values() for one in found)], values
        ),
        *_judge_names(values),
        *_judge_connections(connections, tuned),
        *calls.diagnostics,
        *find_unused(values, connections, used, strict=is_strict),
        *find_notices(values, connections),
    ]
    nested["endpoints"] = tuned[connections[0]]
    nested["connections"] = {spell(name): tuned[name] for name in connections[1:]}
    nested["calls"] = calls.settings
    if any(nested.get(section, {}).get(name) for section, name in _APPS):
        nested["app_settings"] = list_app_settings(values)
    settings, wrong = _build(nested, values)
    diagnostics = list(dict.fromkeys(locate(one, everything) for one in [*diagnostics, *wrong]))
    is_wrong = any(one.level is Level.ERROR for one in diagnostics)
    return Review(None if is_wrong else settings, tuple(diagnostics), settings or _build_partial(nested))


def list_app_settings(values: Values) -> dict[str, str]:
    """The settings of a function app by their names as they were written: all that are not ours. They hold secrets."""
    return {one.written: one.text for name, one in values.items() if not name.startswith(_PREFIX)}


def _is_strict(nested: Mapping[str, Any]) -> bool:
    """Whether unknown names stop the start. A value that is neither true nor false is reported with the others."""
    try:
        return Settings(strict=nested.get("strict", False)).strict
    except ValidationError:
        return False


def find_connections(values: Values) -> list[str]:
    """The names of all connections, as they were written, the default one first."""
    named = [found for found in _find_naming(values) if not _is_connection_string(found)]
    default = next((found.text for found in named if spell(found.written) == f"{_PREFIX}connection"), DEFAULT)
    names = [default, *(found.text for found in named)]
    return list({spell(name): name for name in reversed(names)}.values())[::-1]


def _find_naming(values: Values) -> Iterator[Value]:
    """The settings that name a connection."""
    for spelled, found in sorted(values.items()):
        path = find_path(spelled.removeprefix(_PREFIX)) if spelled.startswith(_PREFIX) else None
        if path is not None and found.text and (path == ("connection",) or (path[0], path[2:]) == _OF_A_HUB):
            yield found


def _is_connection_string(found: Value) -> bool:
    """Whether the connection itself stands where its name belongs. It holds a key, so nothing may say it."""
    return "=" in found.text or ";" in found.text


def _judge_names(values: Values) -> Iterator[Diagnostic]:
    for found in _find_naming(values):
        if _is_connection_string(found):
            text = "takes the name of a connection: write the connection string itself as AzureSignalRConnectionString."
            yield Diagnostic.error(found.written, text)


def _adopt(values: Values, connections: Iterable[str]) -> Values:
    """The values, with connections in a ``bridge.toml`` under their own names.

    A connection's name may stand there, where every name is first taken for one of ours.
    """
    plain = dict(values)
    for name in connections:
        taken = f"{_PREFIX}{spell(name)}"
        for spelled in [one for one in plain if one == taken or one.startswith(f"{taken}:")]:
            if find_path(spelled.removeprefix(_PREFIX)) is None:
                found = plain.pop(spelled)
                plain.setdefault(spelled.removeprefix(_PREFIX), replace(found, written=found.written[len(PREFIX) :]))
    return plain


def _judge_connections(
    connections: list[str], tuned: Mapping[str, tuple[EndpointSettings, ...]]
) -> Iterator[Diagnostic]:
    for name in connections[1:]:
        if not tuned[name]:
            yield Diagnostic.error(
                name, "a hub's CONNECTION names it, but there is no endpoint: set it, or write another name."
            )


def _tune(candidates: Iterable[Candidate], tuning: Mapping[str, Any], values: Values) -> tuple[EndpointSettings, ...]:
    """The endpoints with their own tuning, ``BRIDGE_ENDPOINTS__<NAME>__*``, which is by name in lower case."""
    found: dict[EndpointSettings, None] = {}  # exact duplicates collapse
    for one in candidates:
        if one.settings is not None:
            told, _ = _read_tuning(one.name.lower(), tuning.get(one.name.lower(), {}), values)
            found[one.settings.model_copy(update=told)] = None
    return tuple(found)


def _read_tuning(name: str, given: Mapping[str, Any], values: Values) -> tuple[dict[str, Any], list[Diagnostic]]:
    texts = {key: str(one) if key == "upstream_app_id" else one for key, one in given.items()}
    try:
        return EndpointTuning.model_validate(texts).model_dump(include=set(texts)), []
    except ValidationError as error:
        return {}, list(explain(error, values, ("endpoints", name)))


def _judge_tuning(tuning: Mapping[str, Any], candidates: Iterable[Candidate], values: Values) -> Iterator[Diagnostic]:
    names = {one.name.lower() for one in candidates}
    for name, given in sorted(tuning.items()):
        if name not in names:
            near = nearest_name(name, names)
            text = "there is no endpoint of this name" + (f"; did you mean {near.upper()}?" if near else ".")
            yield Diagnostic.error(write_name(("endpoints", name)), text)
        yield from _read_tuning(name, given, values)[1]


def _nest(values: Values) -> tuple[dict[str, Any], list[Diagnostic]]:
    """The values in the nesting of the model, and what is wrong with their names."""
    nested: dict[str, Any] = {}
    diagnostics: list[Diagnostic] = []
    for spelled, found in sorted(values.items()):
        if not spelled.startswith(_PREFIX) or (rest := spelled.removeprefix(_PREFIX)) in READ_ELSEWHERE:
            continue
        path = find_path(rest)
        if path is None:
            diagnostics.append(_unknown(found))
        elif path[0] == "hubs":
            diagnostics += _put_hub(nested, path, found)
        else:
            _put(nested, path, found.value)
    if (authority := values.get(_AUTHORITY)) is not None:
        nested["authority_host"] = authority.value
    return nested, diagnostics


def _unknown(found: Value) -> Diagnostic:
    section = found.written.removeprefix(PREFIX).lower()
    if isinstance(found.value, list) and section in named_sections():
        text = f"is no list: write a table with a name for each, [{section}.<name>]."
        return Diagnostic(Level.UNKNOWN, found.written, text)
    near = nearest_name(found.written, names_near(found.written))
    return Diagnostic(Level.UNKNOWN, found.written, "means nothing" + (f"; did you mean {near}?" if near else "."))


def _put_hub(nested: dict[str, Any], path: Path, found: Value) -> Iterator[Diagnostic]:
    """Puts a hub's setting in its place. A hub's name holds no ``:``, so each was written as ``__``."""
    try:
        _put(nested, ("hubs", check_hub(path[1].replace(":", "__")), *path[2:]), found.value)
    except InvalidName as error:
        yield Diagnostic.error(found.written, error.detail)


def _put(nested: dict[str, Any], path: Path, value: Any) -> None:
    for level in path[:-1]:
        nested = nested.setdefault(level, {})
    nested[path[-1]] = value


def _build(nested: Mapping[str, Any], values: Values) -> tuple[Settings | None, list[Diagnostic]]:
    try:
        return Settings(**nested), []
    except ValidationError as error:
        return None, list(explain(error, values))


def _build_partial(nested: dict[str, Any]) -> Settings | None:
    """The settings without what is wrong in them, which is taken out of ``nested``."""
    for _ in range(_MOST_ROUNDS):  # what is wrong between settings shows when each of them is right
        try:
            return Settings(**nested)
        except ValidationError as error:
            for path in find_paths(error):
                _take_out(nested, path)
    return None


def _take_out(nested: dict[str, Any], path: Path) -> None:
    """Takes a setting out. A rule goes as a whole where its other settings mean nothing without this one."""
    path = path[:2] if path[:1] == ("forward",) and set(path[2:]) & _DECISIVE else path
    for level in path[:-1]:
        nested = nested.get(level, {})
    if path:
        nested.pop(path[-1], None)
