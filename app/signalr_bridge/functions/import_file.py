"""The ``bridge.toml`` that ``import`` writes. It names secrets and never holds them."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Set

from pydantic import ValidationError

from signalr_bridge.functions.expressions import find_settings
from signalr_bridge.functions.imported_app import LOCAL_SETTINGS, ImportedApp
from signalr_bridge.functions.importer import Judgement
from signalr_bridge.functions.source_hints import SourceHints
from signalr_bridge.settings.access import CorsSettings
from signalr_bridge.settings.value import spell

FUNCTIONS_URL = "http://localhost:7071"
"""Where a program beside the bridge listens, as the Functions host's tools do."""

_PLAIN: Mapping[str, re.Pattern[str]] = {
    "AzureSignalRServiceTransportType": re.compile(r"Transient|Persistent|[01]"),
    "AzureSignalRHttpClientTimeout": re.compile(r"[\d.:]{1,20}"),
    "AzureSignalRRetry:MaxRetries": re.compile(r"\d{1,4}"),
    "AzureSignalRRetry:Delay": re.compile(r"[\d.:]{1,20}"),
    "AzureSignalRRetry:MaxDelay": re.compile(r"[\d.:]{1,20}"),
    "AzureSignalRRetry:Mode": re.compile(r"Fixed|Exponential", re.IGNORECASE),
    "Azure:SignalR:HubProtocol:MessagePack:Enabled": re.compile(r"true|false", re.IGNORECASE),
}
"""The settings of the bindings that are no secrets, and what their values look like. Nothing else is copied."""

_ENDPOINTS = "azure:signalr:endpoints:"
_OF_OTHERS = (
    _ENDPOINTS,
    "bridge_",
    "host:",
    "local.settings.json:",
    "functions_",
    "azurewebjobs",
    "azurefunctionsjobhost",
)
"""The settings that the Functions host reads, those that are listed elsewhere, and those that are ours."""
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ORIGINS = "bridge_cors:origins"


def write_file(app: ImportedApp, judgement: Judgement, hints: SourceHints) -> str:
    """The text of a ``bridge.toml`` for an app. The same app gives the same text."""
    sections = [
        _write_head(app),
        _write_names(app, judgement),
        _write_top(app, judgement),
        _write_app(app, judgement),
        _write_negotiate(judgement),
        _write_output(hints),
        _write_cors(app),
        _write_hubs(judgement),
    ]
    return "\n".join("".join(f"{line}\n" for line in one) for one in map(list, sections) if one)


def _write_head(app: ImportedApp) -> Iterator[str]:
    yield "# Settings of the bridge for a function app, written by: signalr-bridge import"
    yield f"# The app: {app.model}. Secrets are named here, and are kept elsewhere."


def _write_names(app: ImportedApp, judgement: Judgement) -> Iterator[str]:
    yield "# Set these in the environment, in the folder BRIDGE_SECRETS_DIR, or in Key Vault:"
    told = dict(_list_names(app, judgement))
    yield from (f"#   {_clean(name)}: {what}" for name, what in told.items())
    yield "#   BRIDGE_UPSTREAM__CODE: a secret of your own, which the service's upstream URL has as ?code=..."
    yield "#   BRIDGE_CALLERS__KEYS: keys for backends that call the bridge, and for functions that want a key"
    if app.has_settings and app.model.is_python:
        yield f"# The app's own {LOCAL_SETTINGS} is read, too, where all these are silent."
    elif app.has_settings:
        yield f"# The app's own {LOCAL_SETTINGS} is read by a second --settings in front of this file's."


def _list_names(app: ImportedApp, judgement: Judgement) -> Iterator[tuple[str, str]]:
    """The settings that the app needs, and what for."""
    connections = sorted({judgement.connections.default, *judgement.connections.of_hubs.values()}, key=str.lower)
    for name in connections:
        below = _list_below(app, f"{spell(name)}:")
        yield from ((one, "the connection by identity") for one in below)
        if not below or spell(name) in app.settings:
            yield name, "the connection string of the SignalR instance"
    yield from ((name, "an endpoint") for name in _list_below(app, _ENDPOINTS))
    read = _list_read(app, connections)
    yield from ((name, "bindings read it") for name in read)
    known = {spell(one) for one in (*connections, *read, *_PLAIN)}
    known |= {f"connectionstrings:{one}" for one in known}
    yield from ((name, "the app's code may read it") for name in _list_others(app, known))


def _list_below(app: ImportedApp, prefix: str) -> list[str]:
    return sorted(one.written for name, one in app.settings.items() if name.startswith(prefix))


def _list_others(app: ImportedApp, known: Set[str]) -> list[str]:
    """The app's settings that neither the bindings nor the Functions host read."""
    beginnings = (*_OF_OTHERS, *(f"{name}:" for name in known))
    return sorted(
        one.written for name, one in app.settings.items() if name not in known and not name.startswith(beginnings)
    )


def _list_read(app: ImportedApp, connections: Iterable[str]) -> list[str]:
    """The app settings that bindings read as ``%Name%``."""
    known = {spell(one) for one in connections}
    return sorted({one for function in app.functions for one in find_settings(function) if spell(one) not in known})


def _write_top(app: ImportedApp, judgement: Judgement) -> Iterator[str]:
    if judgement.grants.platform_identity or judgement.grants.trust_client_input:
        yield "# Decide: what is opened under [negotiate] lets whoever reaches the bridge say who they are. Until then"
        yield "# this machine alone reaches it. Take this line out once what stands in front sees to that."
        yield 'host = "127.0.0.1"'
    if judgement.connections.default != "AzureSignalRConnectionString":
        yield f"connection = {_quote(judgement.connections.default)}"
    for name, form in _PLAIN.items():
        found = app.settings.get(spell(name))
        if found is not None and form.fullmatch(found.text):
            yield f"{_quote_key(name)} = {_quote(found.text)}"


def _write_app(app: ImportedApp, judgement: Judgement) -> Iterator[str]:
    if app.model.is_python:
        yield "[function_app]"
        yield f"folder = {_quote(app.folder.as_posix())}  # from where the bridge is started"
    elif app.model.runs_here:
        yield "[functions]"
        yield f"url = {_quote(FUNCTIONS_URL)}  # where the program with the functions listens"
        if not app.model.is_javascript:
            yield f"folder = {_quote(app.folder.as_posix())}  # from where the bridge is started"
    if any(fate.brought is not None and fate.brought.timers for fate in judgement.fates):
        yield from () if app.model.is_python else ("",)
        yield "# Decide: set BRIDGE_FUNCTION_APP__TIMERS=true for one replica. If there is one only, this will do."
        yield from () if app.model.is_python else ("# [function_app]",)
        yield "# timers = true"


def _write_negotiate(judgement: Judgement) -> Iterator[str]:
    grants = judgement.grants
    if grants.platform_identity or grants.trust_client_input:
        yield "[negotiate]"
    if grants.platform_identity:
        yield "# Bindings read who has signed in from headers that App Service, Container Apps or Static Web Apps"
        yield "# write. Such a platform takes them off what clients send. A container does not."
        yield "platform_identity = true"
    if grants.trust_client_input:
        yield "# Bindings name a client by a header or a parameter that the client writes itself."
        yield "trust_client_input = true"


def _write_output(hints: SourceHints) -> Iterator[str]:
    if hints.empty_destinations:
        yield "[output]"
        yield f"# The code seems to send to an empty destination, as in {hints.empty_destinations[0].place}."
        yield "# To the bindings that means everybody. Take this out if the app does not rely on it."
        yield "empty_means_all = true"


def _write_cors(app: ImportedApp) -> Iterator[str]:
    found = app.settings.get(_ORIGINS)
    origins = [] if found is None else [one.strip() for one in found.text.split(",") if one.strip()]
    good = [one for one in origins if _is_origin(one)]
    if good:
        yield "[cors]"
        yield f"origins = [{', '.join(map(_quote, good))}]"
    if len(good) < len(origins):
        yield f"# {len(origins) - len(good)} of the app's origins cannot be used: an origin is scheme://host[:port]."


def _is_origin(text: str) -> bool:
    try:
        CorsSettings(origins=(text,))
    except ValidationError:
        return False
    return True


def _write_hubs(judgement: Judgement) -> Iterator[str]:
    for hub, name in judgement.connections.of_hubs.items():
        yield f"[hubs.{_quote_key(hub)}]"
        yield f"connection = {_quote(name)}"


def _quote(text: str) -> str:
    """A text in TOML. What JSON leaves as it is and TOML forbids is one character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _quote_key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _quote(name)


def _clean(name: str) -> str:
    """A name in a comment: one line of it."""
    return "".join(one for one in name[:200] if one.isprintable())
