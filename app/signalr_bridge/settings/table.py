"""What was understood, as `check` prints it: every setting with its source, secrets masked."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from signalr_bridge.settings.azure.connections import UNNAMED
from signalr_bridge.settings.finding import Finding, Level
from signalr_bridge.settings.model import EndpointSettings, Settings
from signalr_bridge.settings.names import PREFIX, READ_ELSEWHERE, find_path, settings_below, settings_by_path
from signalr_bridge.settings.sources import Value, Values

WIDTH = 100
MASK = "***"
_CALLS = ("azuresignalrservicetransporttype", "azuresignalrhttpclienttimeout", "azuresignalrretry:", "azure_authority")
_MESSAGEPACK = "azure:signalr:hubprotocol:messagepack:enabled"


@dataclass(frozen=True, slots=True)
class Row:
    """A setting as one may show it."""

    setting: str
    value: str
    source: str


def list_settings(values: Values, findings: Iterable[Finding] = ()) -> list[Row]:
    """All that were set, but for the endpoints: those are ``list_endpoints``. What is wrong is not shown."""
    wrong = {one.setting.lower().replace(":", "__") for one in findings if one.level is Level.MISTAKE}
    return [
        Row(found.written, "not understood" if _key(found) in wrong else shown, found.source)
        for spelled, found in sorted(values.items())
        if (shown := _show(spelled, found)) is not None
    ]


def list_endpoints(settings: Settings) -> list[dict[str, str]]:
    """The endpoints of every connection; with several connections each says to which it belongs."""
    if not settings.connections:
        return [_describe(one) for one in settings.endpoints]
    connections = {settings.connection: settings.endpoints, **settings.connections}
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for connection, endpoints in connections.items():
        for one in endpoints:
            told = {"connection": connection if one.name == UNNAMED else "every", **_describe(one)}
            rows.setdefault(tuple(told.values()), told)
    return list(rows.values())


def _describe(one: EndpointSettings) -> dict[str, str]:
    return {
        "name": one.name,
        "type": one.endpoint_type,
        "address": one.connection.endpoint,
        "credential": one.credential.describe(),
        "weight": f"{one.weight:g}",
        "source": one.source,
    }


def lay_out(rows: Sequence[Sequence[str]], width: int = WIDTH) -> list[str]:
    """Lines with the columns below one another, the widest ones cut until all fits into ``width``."""
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    while sum(widths) + 2 * (len(widths) - 1) > width:
        widths[widths.index(max(widths))] -= 1
    return ["  ".join(_fit(cell, wide) for cell, wide in zip(row, widths, strict=True)).rstrip() for row in rows]


def _fit(cell: str, width: int) -> str:
    return cell.ljust(width) if len(cell) <= width else cell[: width - 1] + "…"


# --- what may be shown


def _show(spelled: str, found: Value) -> str | None:
    """None for what is no setting of ours, or an endpoint's."""
    if spelled.startswith(_CALLS) or spelled == _MESSAGEPACK:
        return found.text
    if not spelled.startswith(PREFIX.lower()):
        return None
    rest = spelled.removeprefix(PREFIX.lower())
    field = find_field(rest)
    if field is None:
        return found.text if rest in READ_ELSEWHERE else None
    return _mask(field, found.value)


def find_field(name: str) -> FieldInfo | None:
    path = find_path(name)
    if path is None:
        return None
    return settings_by_path().get(path) or settings_below(path[0])[path[2:]]


def _mask(field: FieldInfo, value: Any) -> str:
    if holds_secrets(field.annotation):
        return MASK
    text = str(value).strip()
    return text if field.repr else _without_query(text)


def _without_query(text: str) -> str:
    try:
        parts = urlsplit(text)
        host = parts.netloc.rpartition("@")[2]  # without a user and a password
        return f"{parts.scheme}://{host}{parts.path}" + (f"?{MASK}" if parts.query else "")
    except ValueError:
        return MASK


def holds_secrets(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return any(holds_secrets(field.annotation) for field in annotation.model_fields.values())
    return annotation is SecretStr or any(map(holds_secrets, get_args(annotation)))


def _key(found: Value) -> str:
    return found.written.lower().replace(":", "__")


def write_tables(values: Values, settings: Settings | None, findings: Iterable[Finding]) -> Iterator[str]:
    """The lines of `check`."""
    rows = [(row.setting, row.value, row.source) for row in list_settings(values, findings)]
    if rows:
        yield from lay_out([("setting", "value", "source"), *rows])
    endpoints = [] if settings is None else list_endpoints(settings)
    if endpoints:
        columns = list(endpoints[0])
        yield ""
        yield from lay_out([columns, *(list(one.values()) for one in endpoints)])
