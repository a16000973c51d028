"""Transport, time-out, retries and payloads, as a function app's settings name them.

Source: ``spec/functions-bindings.md`` 4.2.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from signalr_bridge.settings.finding import Finding, mistake, warning
from signalr_bridge.settings.sections.calls import CallSettings, RetrySettings
from signalr_bridge.settings.sources import Value, Values

_TRANSPORT = "azuresignalrservicetransporttype"
_TIMEOUT = "azuresignalrhttpclienttimeout"
_RETRY = "azuresignalrretry"
_MESSAGEPACK = "azure:signalr:hubprotocol:messagepack:enabled"
_TIME = re.compile(r"(?:(\d{1,5})\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2}(?:\.\d{1,7})?))?")


@dataclass(frozen=True, slots=True)
class Calls:
    settings: CallSettings
    findings: tuple[Finding, ...]
    used: frozenset[str]


def read_calls(values: Values) -> Calls:
    reader = _Reader(values)
    persistent = reader.read(_TRANSPORT, _read_transport, "write Transient or Persistent, in this spelling.") or False
    seconds = reader.read(_TIMEOUT, _read_time, "write hours, minutes and seconds, such as 00:01:40, and no zero.")
    messagepack = reader.read(_MESSAGEPACK, _read_flag, "write true or false.") or False
    retry = _read_retry(reader, values)
    if persistent:
        text = "Persistent is served over REST, as Transient is: there is no persistent transport yet."
        reader.findings.append(warning(values[_TRANSPORT].written, text))
    settings = CallSettings(persistent=persistent, attempt_seconds=seconds, retry=retry, messagepack=messagepack)
    return Calls(settings, tuple(reader.findings), frozenset(reader.used))


class _Reader:
    """Reads values one by one, and keeps what was wrong and which names were there."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self.findings: list[Finding] = []
        self.used: set[str] = set()

    def read(self, name: str, convert: Callable[[str], Any], otherwise: str) -> Any:
        """None for what is not there, blank or wrong."""
        found: Value | None = self._values.get(name)
        if found is None:
            return None
        self.used.add(name)
        value = convert(found.text) if found.text else None
        if found.text and value is None:
            self.findings.append(mistake(found.written, otherwise))
        return value


def _read_retry(reader: _Reader, values: Values) -> RetrySettings | None:
    """Any name below switches retries on, even an empty ``Default``."""
    below = [name for name in values if name.startswith(f"{_RETRY}:")]
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
    """.NET's ``[days.]hours:minutes[:seconds[.fraction]]``, in seconds. A bare number would be days: not taken."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    fits = hours < 24 and minutes < 60 and seconds < 60
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds if fits else None
