"""Rules across settings: what `serve` refuses to start with, and what deserves a warning."""

import re
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias
from urllib.parse import urlsplit

from signalr_bridge.protocol.connection_string import EMULATOR_KEY
from signalr_bridge.protocol.origin import is_loopback_name
from signalr_bridge.settings.azure import UNNAMED, WRITTEN_BY_TOOLS, name_endpoint, spellings
from signalr_bridge.settings.azure_identity import OF_IDENTITIES
from signalr_bridge.settings.diagnosis import locate
from signalr_bridge.settings.files import EVERY_ORIGIN, NO_VALUES, read_bytes
from signalr_bridge.settings.model import EndpointSettings, Settings
from signalr_bridge.settings.names import PREFIX, find_path
from signalr_bridge.settings.value import SECRETS, UNWATCHED, Diagnostic, Level, Values, refuse_errors, spell

_OURS = ("bridge_", "azure:signalr", "azuresignalr")
_Judge: TypeAlias = Callable[[Settings], Iterator[Diagnostic]]
_PORTABLE = re.compile(r"[A-Za-z0-9_]+")


def check_servable(settings: Settings, values: Values = MappingProxyType({})) -> None:
    """Raises ``SettingsError`` when `serve` cannot start. Each line says which setting to set, and where it stands."""
    refuse_errors(locate(one, values) for one in judge_servable(settings))


def take_quotes_off(values: Values, connections: Iterable[str] = ()) -> tuple[Values, list[Diagnostic]]:
    """The values without quotes around them, and an error for each that had some.

    Shells take quotes off, but `docker --env-file`, Kubernetes and files with one secret do not.

    Args:
        values: All settings.
        connections: The names of connections, in lower case.
    """
    ours = (*_OURS, *OF_IDENTITIES, *map(spell, WRITTEN_BY_TOOLS), "connectionstrings:", "customconnstr_", *connections)
    quoted = {name: found for name, found in values.items() if name.startswith(ours) and _is_quoted(found.value)}
    plain = {name: replace(found, value=found.text[1:-1]) for name, found in quoted.items()}
    text = "stands in quotes, which are kept and would be a part of it: write it without them."
    return {**values, **plain}, [Diagnostic.error(found.written, text) for found in quoted.values()]


def _is_quoted(value: object) -> bool:
    text = value.strip() if isinstance(value, str) else ""
    return len(text) > 1 and text[0] == text[-1] and text[0] in "'\""


def check_embedded(settings: Settings, values: Values = MappingProxyType({})) -> None:
    """The same for a bridge inside another app, where nobody need be able to call."""
    refuse_errors(locate(one, values) for one in judge_servable(settings, is_embedded=True))


def judge_servable(
    settings: Settings, *, is_embedded: bool = False, wrong: Set[str] = frozenset()
) -> Iterator[Diagnostic]:
    """The reasons why `serve` cannot start with these settings, or, if ``is_embedded``, a bridge inside another app.

    ``wrong`` names the sections in which something is wrong already. Nothing is said that may only follow from that.
    """
    judges: dict[_Judge, set[str]] = {
        _judge_endpoints: {"endpoints", "connection"},
        _judge_callers: {"callers"},
        _judge_ports: {"callers", "port"},
        _judge_emulator_key: {"allow_emulator_key"},
        _judge_certificates: set(),
        _judge_plain_http: {"allow_emulator_key"},
        _judge_entra: {"upstream"},
    }
    for judge, sections in judges.items():
        if not sections & wrong and not (is_embedded and judge is _judge_callers):
            yield from judge(settings)


def _judge_endpoints(settings: Settings) -> Iterator[Diagnostic]:
    if not settings.all_endpoints():
        yield Diagnostic.error(
            settings.connection,
            "there is no endpoint: set it to the connection string of your SignalR instance, "
            "or Azure__SignalR__Endpoints__<name> for each of several.",
        )


def _judge_callers(settings: Settings) -> Iterator[Diagnostic]:
    callers = settings.callers
    has_app = settings.function_app.folder or settings.functions.url  # whose functions say themselves who may call
    if not has_app and not callers.keys and callers.oidc.issuer is None and not callers.anonymous:
        yield Diagnostic.error(
            "BRIDGE_CALLERS__KEYS",
            "nobody could call: set it to one or more keys of at least 16 characters, "
            "or BRIDGE_CALLERS__OIDC__* for tokens.",
        )


def _judge_ports(settings: Settings) -> Iterator[Diagnostic]:
    taken = {settings.port: "BRIDGE_PORT"}
    own = {"BRIDGE_CALLERS__LISTEN": settings.callers.listen_address, "BRIDGE_METRICS_LISTEN": settings.metrics_address}
    for setting, address in own.items():
        if address is None or address[1] == 0:
            continue
        if address[1] in taken:
            text = f"is for a listener of its own: give it another port than {taken[address[1]]}."
            yield Diagnostic.error(setting, text)
        taken[address[1]] = setting


def _judge_emulator_key(settings: Settings) -> Iterator[Diagnostic]:
    upstreams = [settings.upstream, *(one.upstream for one in settings.hubs.values() if one.upstream is not None)]
    found = [
        name_source(settings, one) for one in settings.all_endpoints() if one.connection.access_key == EMULATOR_KEY
    ]
    if any(one.get_secret_value() == EMULATOR_KEY for upstream in upstreams for one in upstream.keys):
        found.append("BRIDGE_UPSTREAM__KEYS")
    if found and not settings.allow_emulator_key:
        yield Diagnostic.error(
            found[0],
            "has the emulator's access key, which is public and would let anybody sign upstream calls: write your "
            "instance's own, or set BRIDGE_ALLOW_EMULATOR_KEY=true if this is no production.",
        )


def name_source(settings: Settings, endpoint: EndpointSettings) -> str:
    """The setting that the endpoint was read from."""
    if endpoint.name != UNNAMED:
        return name_endpoint(endpoint.name)
    if endpoint.setting:
        return endpoint.setting
    return next((name for name, found in settings.connections.items() if endpoint in found), settings.connection)


def _judge_certificates(settings: Settings) -> Iterator[Diagnostic]:
    """Whether the files can be read. Their content is checked when they are used."""
    for endpoint in settings.all_endpoints():
        path = endpoint.credential.certificate_file
        if path is not None and not _is_readable(path):
            yield Diagnostic.error(
                name_source(settings, endpoint),
                "clientCertificate (ClientCert) names a file that cannot be read: write the path of a PEM or PFX.",
            )


def _judge_plain_http(settings: Settings) -> Iterator[Diagnostic]:
    """An Entra token is valid for every instance that the identity may use. So it may not travel in plain text."""
    for endpoint in settings.all_endpoints():
        parts = urlsplit(endpoint.connection.server_endpoint or endpoint.connection.endpoint)
        is_safe = parts.scheme == "https" or is_loopback_name(parts.hostname or "")
        if endpoint.credential.kind != "access-key" and not is_safe and not settings.allow_emulator_key:
            yield Diagnostic.error(
                name_source(settings, endpoint), "is opened by an identity, whose token nobody may see: write https."
            )


def _is_readable(path: str) -> bool:
    try:
        read_bytes(Path(path))
    except (OSError, ValueError):
        return False
    return True


def _judge_entra(settings: Settings) -> Iterator[Diagnostic]:
    believed = {one.lower() for one in settings.upstream.entra.app_ids}
    for endpoint in settings.all_endpoints():
        named = endpoint.upstream_app_id
        if named is not None and not {named.lower(), "*"} & believed:
            yield Diagnostic.error(
                f"BRIDGE_ENDPOINTS__{endpoint.name.upper()}__UPSTREAM_APP_ID",
                "is not one of BRIDGE_UPSTREAM__ENTRA__APP_IDS: its tokens would never be believed.",
            )


def find_notices(values: Values, connections: Iterable[str]) -> Iterator[Diagnostic]:
    """The warnings about the values themselves. ``connections`` are the names of the connections."""
    names = [spelled for name in connections for spelled in spellings(name)]
    yield from _find_shadows(values, (*_OURS, *names))
    yield from _find_empty_file(values)
    yield from _find_awkward(values)
    if (missing := values.get(NO_VALUES)) is not None:
        text = f"the file '{missing.text}' has none, and they are a function app's settings: write them there."
        yield Diagnostic(Level.WARNING, "Values", text, missing.source)
    if (everybody := values.get(EVERY_ORIGIN)) is not None:
        yield Diagnostic.warning(
            everybody.written, '"*" is not used, because pages get in with cookies: write the origins of your pages.'
        )


def _find_shadows(values: Values, ours: tuple[str, ...]) -> Iterator[Diagnostic]:
    """Values that hide others. Without a warning, a rotated value that is not seen would be a bad surprise."""
    for spelled, found in sorted(values.items()):
        hidden = [source for source in found.shadows if source not in UNWATCHED]
        if spelled.startswith(ours) and found.source in UNWATCHED and hidden:
            yield Diagnostic.warning(
                found.written,
                f"the {found.source} hides what {_the(hidden[0])} says, so that changes there are not seen: "
                f"remove it from the {found.source}.",
            )


def _find_empty_file(values: Values) -> Iterator[Diagnostic]:
    found = values.get("bridge_settings_file")
    paths = [] if found is None else found.value if isinstance(found.value, list) else [found.text]
    read = {source for one in values.values() for source in (one.source, *one.shadows)}
    for name in (Path(path).name for path in paths if path):
        if found is not None and name not in read:
            text = f"no setting stands in the file '{name}': write some, or another path."
            yield Diagnostic.warning(found.written, text)


def _the(source: str) -> str:
    return f"the {source}" if source == SECRETS else source


def _find_awkward(values: Values) -> Iterator[Diagnostic]:
    """Free names that not every platform can hold in an environment variable."""
    seen: set[tuple[str, str]] = set()
    for spelled in sorted(values):
        path = find_path(spelled.removeprefix(PREFIX.lower())) if spelled.startswith(PREFIX.lower()) else None
        if path is None or path[0] != "hubs" or _PORTABLE.fullmatch(path[1].replace(":", "__")):
            continue
        if values[spelled].source in UNWATCHED and (path[0], path[1]) not in seen:
            seen.add((path[0], path[1]))
            yield Diagnostic.warning(
                values[spelled].written,
                f'many shells and platforms cannot hold such a name: write it in bridge.toml, as [hubs."{path[1]}"].',
            )
