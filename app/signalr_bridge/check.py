"""The assembly of ``check``, which shows the settings, what is wrong with them, and whether the endpoints answer."""

import asyncio
import json
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from signalr_bridge.endpoints.credentials import Credentials, find_proxies
from signalr_bridge.endpoints.endpoint import ANSWERS, Code, Outcome, make_endpoint
from signalr_bridge.endpoints.prober import PROBE, PROBE_SECONDS
from signalr_bridge.endpoints.rest_transport import RestTransport
from signalr_bridge.errors import SettingsError
from signalr_bridge.functions.app_values import load_app
from signalr_bridge.functions.python_app import PythonApp
from signalr_bridge.hubs import HubFacts, describe_clients
from signalr_bridge.main import create_app
from signalr_bridge.masked_settings import list_settings
from signalr_bridge.parts import Parts
from signalr_bridge.runtime import RUNTIME
from signalr_bridge.settings.azure import UNNAMED
from signalr_bridge.settings.diagnosis import locate
from signalr_bridge.settings.model import EndpointSettings, Settings
from signalr_bridge.settings.value import Diagnostic, Level, Values
from signalr_bridge.upstream.dispatch import ANY
from signalr_bridge.validation import review_to_serve
from signalr_bridge.web.observer import SILENT

_LOG = logging.getLogger("signalr_bridge.settings")

WIDTH = 100
"""The longest line of a table, in characters, but for addresses and ids: they are shown whole."""

_UNCUT = 10_000
"""The width of tables in which nothing is cut: half a name of an endpoint or half of what to do is of no use."""
_WHOLE = re.compile(r"://|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|/subscriptions/")
"""What an address or an id holds."""

_ADDRESSES = frozenset({"client_endpoint", "server_endpoint"})
_AT_ONCE = {True: "at once", False: ""}


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


def log_diagnostics(diagnostics: Iterable[Diagnostic]) -> None:
    """A line of the log for each diagnostic that is not a mistake. A mistake ends the process, which says why."""
    for one in diagnostics:
        if one.level is not Level.ERROR:
            _LOG.log(logging.INFO if one.level is Level.NOTE else logging.WARNING, str(one))


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
