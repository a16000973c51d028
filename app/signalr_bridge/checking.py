"""ASSEMBLY of `check`: what was understood of the settings, what is wrong, and whether the endpoints answer."""

import asyncio
import json
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from signalr_bridge.endpoints.credentials.credentials import Credentials
from signalr_bridge.endpoints.endpoint import make_endpoint
from signalr_bridge.endpoints.health.prober import PROBE
from signalr_bridge.endpoints.health.schedule import PROBE_SECONDS
from signalr_bridge.endpoints.outcome import Outcome, Verdict
from signalr_bridge.endpoints.rest_transport import RestTransport
from signalr_bridge.errors import SettingsError
from signalr_bridge.main import create_app
from signalr_bridge.settings import EndpointSettings, Finding, Level, Settings, judge_servable, review
from signalr_bridge.settings.finding import mistake
from signalr_bridge.settings.sources import Values
from signalr_bridge.settings.table import lay_out, list_endpoints, list_settings, write_tables

_WELL = frozenset({Verdict.ACCEPTED, Verdict.ABSENT})


@dataclass(frozen=True, slots=True)
class Probe:
    """How an endpoint answered to its credential."""

    name: str
    address: str
    word: str
    well: bool


@dataclass(frozen=True, slots=True)
class Report:
    """All there is to say. ``settings`` is None when they could not be understood."""

    values: Values
    settings: Settings | None
    findings: tuple[Finding, ...]
    probes: tuple[Probe, ...] = ()

    @property
    def good(self) -> bool:
        wrong = any(one.level is not Level.WARNING for one in self.findings)
        return not wrong and all(probe.well for probe in self.probes)


def examine(values: Values) -> Report:
    """What `serve` would say of these settings; nothing is opened."""
    found = review(values)
    more = [] if found.settings is None else [*judge_servable(found.settings)]
    if found.settings is not None and not more:
        more += _judge_assembly(found.settings)
    return Report(values, found.settings, (*found.findings, *more))


def _judge_assembly(settings: Settings) -> Iterator[Finding]:
    try:
        create_app(settings)
    except SettingsError as error:
        yield mistake("", error.detail)


async def probe_endpoints(settings: Settings) -> tuple[Probe, ...]:
    """Asks all endpoints, side by side."""
    asked = {one.connection.endpoint: one for one in settings.all_endpoints()}
    opened = Credentials(settings.authority_host, clock=time.time, random=random.random)
    async with opened as credentials, RestTransport() as transport:
        return tuple(await asyncio.gather(*(_probe(transport, credentials, one) for one in asked.values())))


async def _probe(transport: RestTransport, credentials: Credentials, one: EndpointSettings) -> Probe:
    credential = credentials.find(one)
    endpoint = make_endpoint(one.name, one.endpoint_type, one.connection, time.time, credential=credential)
    outcome = await transport.perform(endpoint, PROBE, None, _seconds(one))
    return Probe(one.name, endpoint.server_url, _word(outcome), outcome.verdict in _WELL)


def _seconds(one: EndpointSettings) -> float:
    """An identity has to be asked for a token first."""
    return PROBE_SECONDS if one.credential.kind == "access-key" else 5 * PROBE_SECONDS


def _word(outcome: Outcome) -> str:
    if outcome.verdict in _WELL:
        return "answers, and takes the credential"
    if outcome.code == "denied":
        return "answers, but refuses the credential: check the key"
    if outcome.why is not None:
        return f"{outcome.code}: {outcome.why}"
    status = "" if outcome.status_code is None else f" (status {outcome.status_code})"
    return f"{outcome.code or outcome.verdict.value}{status}"


# --- as text and as JSON


def write_text(report: Report) -> Iterator[str]:
    yield from write_tables(report.values, report.settings, report.findings)
    if report.probes:
        yield ""
        yield from lay_out([("probe", "address", "answer"), *((p.name, p.address, p.word) for p in report.probes)])


def write_findings(findings: Sequence[Finding]) -> Iterator[str]:
    for level in Level:
        yield from (f"{level.value}: {one}" for one in findings if one.level is level)


def write_json(report: Report) -> str:
    found: Mapping[str, object] = {
        "ok": report.good,
        "settings": [
            {"name": row.setting, "value": row.value, "source": row.source}
            for row in list_settings(report.values, report.findings)
        ],
        "endpoints": [] if report.settings is None else list_endpoints(report.settings),
        "findings": [{"level": one.level.value, "setting": one.setting, "text": one.text} for one in report.findings],
        "probes": [
            {"name": one.name, "address": one.address, "answer": one.word, "ok": one.well} for one in report.probes
        ],
    }
    return json.dumps(found, indent=2)
