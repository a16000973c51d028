"""The assembly of ``check``, which shows the settings, what is wrong with them, and whether the endpoints answer."""

import asyncio
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from signalr_bridge.endpoints.credentials import Credentials, find_proxies
from signalr_bridge.endpoints.endpoint import ANSWERS, Code, Outcome, make_endpoint
from signalr_bridge.endpoints.prober import PROBE, PROBE_SECONDS
from signalr_bridge.endpoints.rest_transport import RestTransport
from signalr_bridge.errors import SettingsError
from signalr_bridge.functions.app_values import load_app
from signalr_bridge.functions.python_app import PythonApp
from signalr_bridge.hubs import HubFacts, describe_clients
from signalr_bridge.main import create_app
from signalr_bridge.parts import Parts
from signalr_bridge.runtime import RUNTIME
from signalr_bridge.settings.azure import UNNAMED
from signalr_bridge.settings.azure_calls import name_of_azure
from signalr_bridge.settings.azure_identity import VARIABLES
from signalr_bridge.settings.diagnosis import locate
from signalr_bridge.settings.fields import is_live
from signalr_bridge.settings.model import EndpointSettings, Settings
from signalr_bridge.settings.names import (
    PREFIX,
    READ_ELSEWHERE,
    find_path,
    settings_below,
    settings_by_path,
    write_name,
)
from signalr_bridge.settings.value import UNWATCHED, Diagnostic, Level, Value, Values, drop_blank
from signalr_bridge.upstream.dispatch import ANY
from signalr_bridge.validation import review_to_serve
from signalr_bridge.web.observer import SILENT

WIDTH = 100
"""The longest line of a table, in characters, but for addresses and ids: they are shown whole."""

_UNCUT = 10_000
"""The width of tables in which nothing is cut: half a name of an endpoint or half of what to do is of no use."""
_WHOLE = re.compile(r"://|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|/subscriptions/")
"""What an address or an id holds."""

MASK = "***"
"""Stands for a secret."""

_ADDRESSES = frozenset({"client_endpoint", "server_endpoint"})
_AT_ONCE = {True: "at once", False: ""}
_CALLS = ("azuresignalrservicetransporttype", "azuresignalrhttpclienttimeout", "azuresignalrretry:")
_AUTHORITY = "azure_authority"
_AUTHORITY_USERINFO = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://)?.*@")  # its scheme may be left out
_URL_USERINFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^\s\"',]*@")
_MESSAGEPACK = "azure:signalr:hubprotocol:messagepack:enabled"


@dataclass(frozen=True, slots=True)
class Row:
    """A setting as it may be shown, with secrets masked. ``live`` tells whether a change of it is in force at once.

    ``setting`` is its name as it was written, and ``name`` that of its environment variable.
    """

    setting: str
    value: str
    source: str
    live: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class Probe:
    """How an endpoint answered a call with its credential. ``word`` says it for people, ``well`` whether it is well."""

    name: str
    address: str
    word: str
    well: bool


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The result of ``check``. ``settings`` is None when there is an error in them, and then no hub is known."""

    values: Values
    settings: Settings | None
    diagnostics: tuple[Diagnostic, ...]
    probes: tuple[Probe, ...] = ()
    hubs: tuple[HubFacts, ...] = ()

    @property
    def errors(self) -> int:
        """How many things are wrong, apart from warnings and notes."""
        wrong = sum(one.level.is_wrong for one in self.diagnostics)
        return wrong + sum(not probe.well for probe in self.probes)

    @property
    def good(self) -> bool:
        """Whether nothing is wrong, apart from warnings, and every endpoint answers well."""
        return self.errors == 0


def list_settings(values: Values, diagnostics: Iterable[Diagnostic] = ()) -> list[Row]:
    """All settings that were given, except endpoints, which ``list_endpoints`` gives. Wrong values are not shown."""
    wrong = {one.setting.lower().replace(":", "__") for one in diagnostics if one.level is Level.ERROR}
    return [
        Row(
            found.written,
            "not understood" if _key(found) in wrong else shown,
            found.source,
            _is_live(spelled, found),
            _name(spelled, found),
        )
        for spelled, found in sorted(drop_blank(values).items())
        if (shown := _show(spelled, found)) is not None
    ]


def list_endpoints(settings: Settings) -> list[dict[str, str]]:
    """The endpoints of every connection. With several connections, each endpoint says to which it belongs."""
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
        "client_endpoint": one.connection.client_endpoint or one.connection.endpoint,
        "server_endpoint": one.connection.server_endpoint or one.connection.endpoint,
    }


def lay_out(rows: Sequence[Sequence[str]], width: int = WIDTH) -> list[str]:
    """Lines with aligned columns. The widest columns but the first are cut until a line fits into ``width`` characters.

    No address and no id is cut. A line with one of these may be longer.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    while sum(widths) + 2 * (len(widths) - 1) > width and max(widths[1:], default=1) > 1:
        widths[1 + widths[1:].index(max(widths[1:]))] -= 1
    return ["  ".join(_fit(cell, wide) for cell, wide in zip(row, widths, strict=True)).rstrip() for row in rows]


def _fit(cell: str, width: int) -> str:
    return cell.ljust(width) if len(cell) <= width or _WHOLE.search(cell) else cell[: width - 1] + "…"


def _name(spelled: str, found: Value) -> str:
    """The name of a setting as its environment variable is called, whichever way it was written."""
    rest = spelled.removeprefix(PREFIX.lower())
    path = find_path(rest) if rest != spelled else None
    if path is not None:
        return write_name(path)
    if spelled in VARIABLES:
        return spelled.upper()
    return name_of_azure(spelled) or (found.written.replace(":", "__") if rest == spelled else PREFIX + rest.upper())


def _show(spelled: str, found: Value) -> str | None:
    """The value to show. None for what is not one of our settings, or belongs to an endpoint."""
    if spelled.startswith(_AUTHORITY):
        return _AUTHORITY_USERINFO.sub(rf"\1{MASK}@", found.text)
    if (is_secret := VARIABLES.get(spelled)) is not None:
        return MASK if is_secret else _mask_userinfo(found.text)
    if spelled.startswith(_CALLS) or spelled == _MESSAGEPACK:
        return _mask_userinfo(found.text)
    if not spelled.startswith(PREFIX.lower()):
        return None
    rest = spelled.removeprefix(PREFIX.lower())
    field = find_field(rest)
    if field is None:
        return _mask_userinfo(found.text) if rest in READ_ELSEWHERE else None
    return _mask(field, found.value)


def find_field(name: str) -> FieldInfo | None:
    """The field of a setting, whose name is without prefix, in lower case, with ``:``. None for an unknown name."""
    path = find_path(name)
    if path is None:
        return None
    return settings_by_path().get(path) or settings_below(path[0])[path[2:]]


def _is_live(spelled: str, found: Value) -> bool:
    """Whether a change is in force at once. What the environment and the command line say holds until a restart."""
    field = find_field(spelled.removeprefix(PREFIX.lower())) if spelled.startswith(PREFIX.lower()) else None
    return field is not None and is_live(field) and found.source not in UNWATCHED


def _mask(field: FieldInfo, value: Any) -> str:
    if holds_secrets(field.annotation):
        return MASK
    text = str(value).strip()
    return _mask_userinfo(text if field.repr else _without_query(text))


def _mask_userinfo(text: str) -> str:
    """The text with the user and the password in each URL masked. What is no proper URL loses all up to the last @."""
    return _URL_USERINFO.sub(rf"\1{MASK}@", text)


def _without_query(text: str) -> str:
    try:
        parts = urlsplit(text)
        if parts.fragment:  # a password with # in it would be cut there
            return MASK
        return f"{parts.scheme}://{parts.netloc}{parts.path}" + (f"?{MASK}" if parts.query else "")
    except ValueError:
        return MASK


def holds_secrets(annotation: Any) -> bool:
    """Whether a field of this type holds secrets, perhaps deep inside."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return any(holds_secrets(field.annotation) for field in annotation.model_fields.values())
    return annotation is SecretStr or any(map(holds_secrets, get_args(annotation)))


def _key(found: Value) -> str:
    return found.written.lower().replace(":", "__")


def write_tables(values: Values, settings: Settings | None, diagnostics: Iterable[Diagnostic]) -> Iterator[str]:
    """The tables of settings and endpoints."""
    rows = [(row.name, row.value, _AT_ONCE[row.live], row.source) for row in list_settings(values, diagnostics)]
    if rows:
        yield from lay_out([("setting", "value", "changes", "source"), *rows])
    endpoints = [] if settings is None else list_endpoints(settings)
    if endpoints:
        columns = [one for one in endpoints[0] if _tells(one, endpoints)]
        yield ""
        heads = [one.replace("_", " ") for one in columns]
        yield from lay_out([heads, *([one[column] for column in columns] for one in endpoints)], _UNCUT)


def _tells(column: str, endpoints: Iterable[Mapping[str, str]]) -> bool:
    """Whether a column is shown. The further addresses of endpoints are not, where all are their own ones."""
    return column not in _ADDRESSES or any(one[column] != one["address"] for one in endpoints)


def list_handlers(hub: HubFacts) -> str:
    """What handles the events of a hub: ``connected (chat:hub)``."""
    return ", ".join(f"{one.event} ({one.source})" if one.event != ANY else one.source for one in hub.handlers)


def write_hubs(hubs: Sequence[HubFacts]) -> Iterator[str]:
    """The table of hubs: who may connect, and what handles their events."""
    if hubs:
        yield ""
        rows = [(one.name, describe_clients(one.clients), list_handlers(one) or "none") for one in hubs]
        yield from lay_out([("hub", "clients", "handlers"), *rows], _UNCUT)


def examine(values: Values, folder: Path = Path()) -> CheckReport:
    """A report with what ``serve`` would say about these settings. No connection is opened.

    Args:
        values: All settings of all sources.
        folder: The folder that the path of a function app is relative to.
    """
    app, values, unloaded = _load_app(values, folder)
    found = review_to_serve(values)
    found = replace(found, diagnostics=(*found.diagnostics, *unloaded))
    is_wrong = any(one.level is Level.ERROR for one in found.diagnostics)
    hubs, more = ([], []) if is_wrong or found.settings is None else _assemble(found.settings, app)
    said = (*found.diagnostics, *(locate(one, values) for one in more))
    return CheckReport(values, found.settings, said, hubs=tuple(hubs))


def report_unreadable(error: SettingsError) -> CheckReport:
    """The report where no setting could be read at all."""
    return CheckReport({}, None, (Diagnostic.of(error),))


def _load_app(values: Values, folder: Path) -> tuple[PythonApp | None, Values, list[Diagnostic]]:
    try:
        return *load_app(values, folder), []
    except SettingsError as error:
        return None, values, [Diagnostic.of(error)]


def _assemble(settings: Settings, app: PythonApp | None) -> tuple[Sequence[HubFacts], list[Diagnostic]]:
    """The hubs of the application that ``serve`` would run, whose handlers are loaded, or why it would not."""
    try:
        parts: Parts = create_app(settings, python_app=app).state.parts
    except SettingsError as error:
        return [], [Diagnostic.of(error)]
    left_out = [
        Diagnostic.warning(one.name, f"this function is left out, because {one.reason}.")
        for one in parts.function_apps.left_out
    ]
    return parts.hubs.describe(), left_out


async def probe_endpoints(settings: Settings) -> tuple[Probe, ...]:
    """Call all endpoints side by side, each with its credential."""
    asked = {one.connection.endpoint: one for one in settings.all_endpoints()}
    opened = Credentials(settings.authority_host, runtime=RUNTIME, observer=SILENT)
    async with opened as credentials, RestTransport(proxies=find_proxies(os.environ)) as transport:
        return tuple(await asyncio.gather(*(_probe(transport, credentials, one) for one in asked.values())))


async def _probe(transport: RestTransport, credentials: Credentials, one: EndpointSettings) -> Probe:
    credential = credentials.find(one)
    endpoint = make_endpoint(
        one.name,
        one.endpoint_type,
        one.connection,
        RUNTIME.wall_clock,
        lenient_404=one.lenient_404,
        credential=credential,
    )
    outcome = await transport.begin(endpoint, PROBE, None, _seconds(one))
    return Probe(one.name, endpoint.server_url, _word(outcome), outcome.verdict in ANSWERS)


def _seconds(one: EndpointSettings) -> float:
    """Seconds for one probe. An identity has to get a token first."""
    return PROBE_SECONDS if one.credential.kind == "access-key" else 5 * PROBE_SECONDS


def _word(outcome: Outcome) -> str:
    if outcome.verdict in ANSWERS:
        return "answers, and takes the credential"
    if outcome.code is Code.DENIED:
        return "answers, but refuses the credential: check the key"
    if outcome.why is not None:
        return f"{outcome.code}: {outcome.why}"
    status = "" if outcome.status_code is None else f" (status {outcome.status_code})"
    return f"{outcome.code or outcome.verdict.value}{status}"


def write_text(report: CheckReport) -> Iterator[str]:
    """The lines of ``check``, without the diagnostics."""
    yield from write_tables(report.values, report.settings, report.diagnostics)
    yield from write_hubs(report.hubs)
    if report.probes:
        yield ""
        rows = [("probe", "address", "answer"), *((p.name, p.address, p.word) for p in report.probes)]
        yield from lay_out(rows, _UNCUT)


def write_diagnostics(diagnostics: Sequence[Diagnostic]) -> Iterator[str]:
    """A line for each diagnostic, the most serious first."""
    for level in Level:
        yield from (f"{level.value}: {one}" for one in diagnostics if one.level is level)


def write_verdict(report: CheckReport) -> str:
    """The last line of ``check``: ``good``, or how many mistakes there are."""
    return "good" if report.good else f"{report.errors} mistake{'s' * (report.errors > 1)}"


def write_json(report: CheckReport) -> str:
    """The report as JSON text, for ``check --json``."""
    found: Mapping[str, object] = {
        "ok": report.good,
        "settings": [
            {"name": row.setting, "value": row.value, "source": row.source, "live": row.live, "canonical": row.name}
            for row in list_settings(report.values, report.diagnostics)
        ],
        "endpoints": [] if report.settings is None else list_endpoints(report.settings),
        # Programs read this name. It is older than the class.
        "findings": [
            {
                "level": one.level.value,
                "setting": one.setting,
                "text": one.text,
                "place": one.place,
                "line": one.line,
            }
            | ({} if one.column is None else {"column": one.column})
            for one in report.diagnostics
        ],
        "probes": [
            {"name": one.name, "address": one.address, "answer": one.word, "ok": one.well} for one in report.probes
        ],
        "hubs": [one.as_json() for one in report.hubs],
    }
    return json.dumps(found, indent=2)
