"""How endpoints are called, from a function app's settings: transport, time-out, retries and payloads.

Source: ``docs/protocol/functions-bindings.md`` 4.2.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from signalr_bridge.settings.azure import DEFAULT, KEYS, NAMED, WRITTEN_BY_TOOLS, spellings
from signalr_bridge.settings.names import nearest_name
from signalr_bridge.settings.traffic import CallSettings, RetrySettings
from signalr_bridge.settings.value import Diagnostic, Level, Value, Values, spell

_TRANSPORT = "azuresignalrservicetransporttype"
_TIMEOUT = "azuresignalrhttpclienttimeout"
_RETRY = "azuresignalrretry"
_MESSAGEPACK = "azure:signalr:hubprotocol:messagepack:enabled"
_TIME = re.compile(r"(?:(\d{1,5})\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2}(?:\.\d{1,7})?))?")

_PREFIXES = ("azuresignalr", "azure:signalr", "azure_signalr_connectionstring")
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
    **{
        spell(name): f"is not used, because there are other endpoints: {DEFAULT} is its name."
        for name in WRITTEN_BY_TOOLS
    },
    "azure:signalr:hubprotocol": "is not used: payloads are JSON as callers wrote them.",
    "azure:signalr:hubprotocol:newtonsoftjson:camelcase": "is not used: payloads are JSON as callers wrote them.",
    "azure:signalr:hubprotocol:messagepack": (
        "is an older spelling: write Azure__SignalR__HubProtocol__MessagePack__Enabled=true."
    ),
}


@dataclass(frozen=True, slots=True)
class CallsFound:
    """The settings of calls, with what is wrong with them. ``used`` are the names they were read from."""

    settings: CallSettings
    diagnostics: tuple[Diagnostic, ...]
    used: frozenset[str]


def name_of_azure(spelled: str) -> str | None:
    """The name of a setting of calls as Azure spells it. None for another one. ``spelled`` is that in ``Values``."""
    return next((name for name in (*_OTHERS, "AZURE_AUTHORITY_HOST") if spell(name) == spelled), None)


def read_calls(values: Values, named: Collection[str] = ()) -> CallsFound:
    """How endpoints are called. What is wrong is in the result's ``diagnostics``.

    ``named`` are all names that were found, those of blank values among them.
    """
    reader = _ValueReader(values)
    persistent = reader.read(_TRANSPORT, _read_transport, "write Transient or Persistent, in this spelling.") or False
    seconds = reader.read(_TIMEOUT, _read_time, "write hours, minutes and seconds, such as 00:01:40, and no zero.")
    messagepack = reader.read(_MESSAGEPACK, _read_flag, "write true or false.") or False
    retry = _read_retry(reader, {*values, *named})
    if persistent:
        text = "Persistent is served over REST, as Transient is: there is no persistent transport yet."
        reader.diagnostics.append(Diagnostic.warning(values[_TRANSPORT].written, text))
    settings = CallSettings(attempt_seconds=seconds, retry=retry, messagepack=messagepack)
    return CallsFound(settings, tuple(reader.diagnostics), frozenset(reader.used))


class _ValueReader:
    """Reads values one by one. Collects what was wrong, and which names were there."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self.diagnostics: list[Diagnostic] = []
        self.used: set[str] = set()

    def read(self, name: str, convert: Callable[[str], Any], otherwise: str) -> Any:
        """The converted value. None for one that is missing, blank or wrong.

        Args:
            name: The setting's name, in lower case.
            convert: Gives None for a wrong text.
            otherwise: The text of the diagnostic for a wrong value.
        """
        found: Value | None = self._values.get(name)
        if found is None:
            return None
        self.used.add(name)
        value = convert(found.text) if found.text else None
        if found.text and value is None:
            self.diagnostics.append(Diagnostic.error(found.written, otherwise))
        return value


def _read_retry(reader: _ValueReader, names: Collection[str]) -> RetrySettings | None:
    """The retries. Any name below the prefix switches them on, even ``Default``, which has no value."""
    below = [name for name in names if name.startswith(f"{_RETRY}:")]
    if not below:
        return None
    reader.used.update(name for name in below if name == f"{_RETRY}:default")
    time = "write hours, minutes and seconds, such as 00:00:00.8."
    given = {
        "max_retries": reader.read(f"{_RETRY}:maxretries", _read_count, "write a number from 0 to 100."),
        "delay_seconds": reader.read(f"{_RETRY}:delay", _read_delay, time),
        "max_delay_seconds": reader.read(f"{_RETRY}:maxdelay", _read_delay, time),
        "mode": reader.read(f"{_RETRY}:mode", _read_mode, "write Fixed or Exponential."),
    }
    return RetrySettings.model_validate({name: value for name, value in given.items() if value is not None})


def _read_transport(text: str) -> bool | None:
    return {"Transient": False, "0": False, "Persistent": True, "1": True}.get(text)


def _read_mode(text: str) -> str | None:
    return {"fixed": "Fixed", "0": "Fixed", "exponential": "Exponential", "1": "Exponential"}.get(text.lower())


def _read_flag(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.lower())


def _read_count(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= 100 else None


def _read_delay(text: str) -> float | None:
    seconds = _parse_time(text)
    return seconds if seconds is not None and seconds <= 3600 else None


def _read_time(text: str) -> float | None:
    return _parse_time(text) or None


def _parse_time(text: str) -> float | None:
    """Seconds from .NET's ``[days.]hours:minutes[:seconds[.fraction]]``. A bare number is wrong: it would be days."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    fits = hours < 24 and minutes < 60 and seconds < 60
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds if fits else None


def find_unused(
    values: Values, connections: Iterable[str], used: Collection[str], *, strict: bool = False
) -> Iterator[Diagnostic]:
    """A warning for each setting that is meant for us and that nobody reads.

    Args:
        values: All settings.
        connections: The names of the connections, as written.
        used: The names that were read.
        strict: Whether one that means nothing is an error.
    """
    names = list(connections)
    for spelled, found in sorted(values.items()):
        if spelled not in used and _is_meant_for_us(spelled, names):
            known = _HINTS.get(spelled) or _explain(spelled, found, names, values)
            level = Level.ERROR if strict and known is None else Level.WARNING
            yield Diagnostic(level, found.written, known or _explain_unknown(spelled, found, names))


def _is_meant_for_us(spelled: str, connections: Iterable[str]) -> bool:
    lowered = [spell(name) for name in connections]
    own = {one for name in lowered for one in spellings(name)}
    below = tuple(f"{name}:" for name in lowered)
    plain = spelled.removeprefix("connectionstrings:").removeprefix("customconnstr_")
    return spelled in own or spelled.startswith(below) or plain.startswith(_PREFIXES)


def _explain(spelled: str, found: Value, connections: list[str], values: Values) -> str | None:
    """Why a name that means something is not used. None for one that means nothing."""
    if spelled in (spellings_of_all := [one for name in connections for one in spellings(name)]):
        winner = next(values[one].written for one in spellings_of_all if one in values)
        return f"is not used: {winner} takes priority."
    key = spelled.rpartition(":")[2]
    if key in {one.lower() for one in KEYS if one != "serviceUri"} and _find_near(spelled, found, connections) is None:
        return f"is not used: it needs {found.written[: -len(key)]}serviceUri beside it."
    return None


def _explain_unknown(spelled: str, found: Value, connections: list[str]) -> str:
    near = _find_near(spelled, found, connections)
    return f"is not used: did you mean {near}?" if near else "is not used: remove it."


def _find_near(spelled: str, found: Value, connections: list[str]) -> str | None:
    near = nearest_name(found.written, _known(spelled, found, connections))
    return None if near is None or spell(near) == spelled else near


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
