"""Azure's own setting names, as a function app has them, and the endpoints they mean.

Source: ``spec/functions-bindings.md`` 4.3 and 4.4.
"""

from collections.abc import Iterator
from typing import Literal

from app.errors import MalformedConnectionString, SettingsError
from app.protocol.connection_string import parse_connection_string
from app.settings.model import EndpointSettings
from app.settings.sources import Value, Values

CONNECTION = "AzureSignalRConnectionString"
_NAMED = "azure:signalr:endpoints:"
_EndpointType = Literal["Primary", "Secondary"]


def read_endpoints(values: Values) -> tuple[EndpointSettings, ...]:
    """The unnamed endpoint first, then the named ones in the order of their names. Raises ``SettingsError``."""
    unnamed, named = list(_read_unnamed(values)), list(_read_named(values))
    endpoints = [*unnamed, *named]
    if unnamed and any(one.name.lower() == "default" for one in named):
        raise SettingsError(f"A named endpoint 'default' stands beside {CONNECTION}, which has that name: rename it.")
    if endpoints and not any(one.endpoint_type == "Primary" for one in endpoints):
        raise SettingsError("Every endpoint is Secondary: make one Primary.")
    return tuple(endpoints)


def _read_unnamed(values: Values) -> Iterator[EndpointSettings]:
    name = CONNECTION.lower()
    for spelling in (f"connectionstrings:{name}", f"customconnstr_{name}", name):
        found = values.get(spelling)
        if found is not None and str(found.value).strip():
            yield _parse(found, "default", "Primary")
            return
    _refuse_identity(values, name, CONNECTION)


def _read_named(values: Values) -> Iterator[EndpointSettings]:
    for name, written in _names(values):
        _refuse_identity(values, _NAMED + name, f"the endpoint '{written}'")
        forms: tuple[tuple[str, _EndpointType], ...] = (
            ("", "Primary"),
            (":primary", "Primary"),
            (":secondary", "Secondary"),
        )
        for suffix, endpoint_type in forms:
            if (found := values.get(_NAMED + name + suffix)) is not None:
                yield _parse(found, written, endpoint_type)


def _names(values: Values) -> list[tuple[str, str]]:
    """The endpoints' names in lower case, each as it was written."""
    names: dict[str, str] = {}
    for spelled, found in values.items():
        if spelled.startswith(_NAMED):
            written = found.written.replace("__", ":").split(":")[3]
            names.setdefault(spelled.split(":")[3], written)
    return sorted(names.items())


def _parse(found: Value, name: str, endpoint_type: _EndpointType) -> EndpointSettings:
    try:
        connection = parse_connection_string(str(found.value))
    except MalformedConnectionString as error:
        raise MalformedConnectionString(f"{found.written}: {error.detail}") from None
    if connection.access_key is None:
        raise SettingsError(f"{found.written}: AuthType is not supported yet; use an AccessKey.")
    return EndpointSettings(name=name, endpoint_type=endpoint_type, connection=connection)


def _refuse_identity(values: Values, prefix: str, kind: str) -> None:
    if f"{prefix}:serviceuri" in values:
        raise SettingsError(f"{kind}: serviceUri (identity) is not supported yet; use a connection string.")
