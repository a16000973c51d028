"""From names and values to the one frozen Settings, or an error that names every setting that is wrong."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from app.errors import SettingsError
from app.protocol.connection_string import EMULATOR_KEY
from app.settings.azure import CONNECTION, read_endpoints
from app.settings.model import EndpointSettings, ForwardSettings, Settings
from app.settings.sources import Values, first_of, read_environment, read_file, read_flags

_PREFIX = "bridge_"
_FORWARD = "forward"
_ENDPOINTS = "endpoints"
_OF_AN_ENDPOINT = frozenset({"upstream_app_id"})
_AUTHORITY = "azure_authority_host"
_NOT_A_FIELD = frozenset({"endpoints", "authority_host", "development"})
_READ_ELSEWHERE = frozenset({"settings_file"})


def gather(environment: Mapping[str, str], flags: Mapping[str, Any]) -> Values:
    """Every setting there is, first match wins: flags, environment, file."""
    found = first_of(read_flags(flags), read_environment(environment))
    named_file = found.get(_PREFIX + "settings_file")
    return found if named_file is None else first_of(found, read_file(Path(str(named_file.value))))


def load(values: Values) -> Settings:
    """Raises ``SettingsError`` with a line for each setting that is wrong; it never holds a value."""
    nested: dict[str, Any] = {}
    for path, value in _bridge_values(values):
        _put(nested, path, value)
    endpoints = _complete(read_endpoints(values), nested.pop(_ENDPOINTS, {}))
    if (authority := values.get(_AUTHORITY)) is not None:
        nested["authority_host"] = authority.value
    try:
        return Settings(endpoints=endpoints, **nested)
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(error))) from None


def unknown_names(values: Values) -> list[str]:
    """The ``BRIDGE_*`` names that mean nothing, as they were written."""
    known = {":".join(path) for path, _ in _bridge_values(values)}
    return sorted(
        found.written
        for name, found in values.items()
        if name.startswith(_PREFIX)
        and (rest := name.removeprefix(_PREFIX)) not in known
        and rest not in _READ_ELSEWHERE
    )


def check_servable(settings: Settings) -> None:
    """What ``serve`` refuses to start with. Raises ``SettingsError`` that says which setting to set."""
    if not settings.endpoints:
        raise SettingsError(
            f"No endpoint: set {CONNECTION} to the connection string of your SignalR instance, "
            "or Azure__SignalR__Endpoints__<name> for each of several."
        )
    if not settings.callers.keys:
        raise SettingsError(
            "Nobody could call: set BRIDGE_CALLERS__KEYS to one or more keys of at least 16 characters."
        )
    if not settings.allow_emulator_key and any(one.connection.access_key == EMULATOR_KEY for one in settings.endpoints):
        raise SettingsError(
            "An endpoint has the emulator's access key, which is public and would let anybody sign upstream calls: "
            "set BRIDGE_ALLOW_EMULATOR_KEY=true if this is no production."
        )
    _check_entra(settings)


def _complete(endpoints: Iterable[EndpointSettings], more: dict[str, dict[str, Any]]) -> tuple[EndpointSettings, ...]:
    """The endpoints with what ``BRIDGE_ENDPOINTS__<NAME>__*`` says of them, by name in lower case."""
    texts = {name: {key: str(value) for key, value in values.items()} for name, values in more.items()}
    completed = tuple(one.model_copy(update=texts.get(one.name.lower())) for one in endpoints)
    for name in sorted(more.keys() - {one.name.lower() for one in completed}):
        raise SettingsError(f"BRIDGE_ENDPOINTS__{name.upper()}: there is no endpoint of this name.")
    return completed


def _check_entra(settings: Settings) -> None:
    believed = {one.lower() for one in settings.upstream.entra.app_ids}
    for endpoint in settings.endpoints:
        named = endpoint.upstream_app_id
        if named is not None and not {named.lower(), "*"} & believed:
            raise SettingsError(
                f"BRIDGE_ENDPOINTS__{endpoint.name.upper()}__UPSTREAM_APP_ID is not one of "
                "BRIDGE_UPSTREAM__ENTRA__APP_IDS: its tokens would never be believed."
            )


def _bridge_values(values: Values) -> Iterator[tuple[list[str], Any]]:
    for name, found in values.items():
        if name.startswith(_PREFIX):
            path = _find_path(name.removeprefix(_PREFIX).split(":"))
            if path is not None:
                yield path, found.value


def _find_path(levels: list[str]) -> list[str] | None:
    """The path into the model, or None for a name that means nothing. Of ``forward`` and ``endpoints`` names only the
    known suffix is split off, so that a name may hold the separator."""
    if levels[0] in {_FORWARD, _ENDPOINTS}:
        known = ForwardSettings.model_fields.keys() if levels[0] == _FORWARD else _OF_AN_ENDPOINT
        named = len(levels) > 2 and levels[-1] in known
        return [levels[0], ":".join(levels[1:-1]), levels[-1]] if named else None
    model: type[BaseModel] | None = Settings
    for level in levels:
        if model is None or level not in model.model_fields or level in _NOT_A_FIELD:
            return None
        model = _section(model.model_fields[level].annotation)
    return levels if model is None else None


def _section(annotation: Any) -> type[BaseModel] | None:
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _put(nested: dict[str, Any], path: list[str], value: Any) -> None:
    for level in path[:-1]:
        nested = nested.setdefault(level, {})
    nested[path[-1]] = value


def _explain(error: ValidationError) -> Iterable[str]:
    for fault in error.errors(include_input=False, include_url=False, include_context=False):
        location = [str(part).upper() for part in _name_of_setting(fault["loc"])]
        message = fault["msg"].removeprefix("Value error, ")
        yield f"BRIDGE_{'__'.join(location)}: {message[0].lower()}{message[1:]}."


def _name_of_setting(location: Iterable[int | str]) -> Iterator[int | str]:
    """The part of a fault's location before the first index: what follows stands in the value, and may be secret."""
    return takewhile(lambda part: not isinstance(part, int), location)


def describe(values: Values) -> list[str]:
    """A line for each setting that was found, with its source; values are not shown, for many are secret."""
    name = CONNECTION.lower()
    wanted = (_PREFIX, "azure:signalr:", name, f"connectionstrings:{name}", f"customconnstr_{name}")
    found = [value for name, value in sorted(values.items()) if name.startswith(wanted)]
    width = max((len(value.written) for value in found), default=0)
    return [f"{value.written:{width}}  set by {value.source}" for value in found]
