"""Which of Azure's names for SignalR will not be used, and what was probably meant."""

from collections.abc import Collection, Iterable, Iterator

from signalr_bridge.settings.azure.connections import NAMED, spellings
from signalr_bridge.settings.azure.identity import KEYS
from signalr_bridge.settings.finding import Finding, warning
from signalr_bridge.settings.names import nearest_name
from signalr_bridge.settings.sources import Value, Values
from signalr_bridge.settings.sources.value import spell

_PREFIXES = ("azuresignalr", "azure:signalr")
_OTHERS = (
    "AzureSignalRServiceTransportType",
    "AzureSignalRHttpClientTimeout",
    "AzureSignalRRetry__MaxRetries",
    "AzureSignalRRetry__Delay",
    "AzureSignalRRetry__MaxDelay",
    "AzureSignalRRetry__Mode",
    "Azure__SignalR__HubProtocol__MessagePack__Enabled",
)
_HINTS = {
    "azure:signalr:connectionstring": "is the name of the SDK; functions call it AzureSignalRConnectionString.",
    "azure:signalr:hubprotocol": "is not used: payloads are JSON as callers wrote them.",
    "azure:signalr:hubprotocol:newtonsoftjson:camelcase": "is not used: payloads are JSON as callers wrote them.",
    "azure:signalr:hubprotocol:messagepack": (
        "is an older spelling: write Azure__SignalR__HubProtocol__MessagePack__Enabled=true."
    ),
}


def find_unused(values: Values, connections: Iterable[str], used: Collection[str]) -> Iterator[Finding]:
    """A warning for each. ``connections`` are their names as written, ``used`` the names that were read."""
    names = list(connections)
    for spelled, found in sorted(values.items()):
        if spelled not in used and _is_meant_for_us(spelled, names):
            yield warning(found.written, _HINTS.get(spelled) or _explain(spelled, found, names, values))


def _is_meant_for_us(spelled: str, connections: Iterable[str]) -> bool:
    lowered = [name.lower() for name in connections]
    own = {one for name in lowered for one in spellings(name)}
    below = tuple(f"{name}:" for name in lowered)
    plain = spelled.removeprefix("connectionstrings:").removeprefix("customconnstr_")
    return spelled in own or spelled.startswith(below) or plain.startswith(_PREFIXES)


def _explain(spelled: str, found: Value, connections: list[str], values: Values) -> str:
    if not found.text:
        return "is blank, and so not used: remove it, or write its value."
    if spelled in (spellings_of_all := [one for name in connections for one in spellings(name.lower())]):
        winner = next(values[one].written for one in spellings_of_all if one in values)
        return f"is not used: {winner} takes priority."
    near = nearest_name(found.written, _known(spelled, found, connections))
    if near is not None and spell(near) != spelled:
        return f"is not used: did you mean {near}?"
    if spelled.rpartition(":")[2] in {key.lower() for key in KEYS}:
        return f"is not used: it needs {found.written[: -len(spelled.rpartition(':')[2])]}serviceUri beside it."
    return "is not used: remove it."


def _known(spelled: str, found: Value, connections: list[str]) -> Iterator[str]:
    yield from _OTHERS
    written = found.written.replace(":", "__").split("__")
    for name in connections:
        yield name
        yield from (f"{name}__{key}" for key in KEYS)
    if len(written) > 3:
        endpoint = f"Azure__SignalR__Endpoints__{written[3]}"
        yield endpoint
        if spelled.startswith(NAMED):
            yield from (f"{endpoint}__{key}" for key in (*KEYS, "primary", "secondary"))
