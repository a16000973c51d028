"""The levels of the log: one for all, and others for single loggers."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from pydantic import AfterValidator

LEVELS = ("debug", "info", "warning", "error")

LOGGERS = (
    "access",
    "asgi",
    "audit",
    "callers",
    "credentials",
    "emulator",
    "endpoints",
    "functions",
    "log",
    "negotiate",
    "sends",
    "server",
    "settings",
    "telemetry",
    "tokens",
    "upstream",
    "web",
)
"""What the loggers below ``signalr_bridge`` are called."""

ALL = ""
"""In place of a logger: all that are not named."""


def read_log_levels(text: str) -> Mapping[str, str]:
    """The levels by logger in a text such as ``info,access=warning``. ``ALL`` is always there, as ``info`` if need be.

    Raises ``ValueError`` for a level or a logger that does not exist, and for one that is named twice.
    """
    levels: dict[str, str] = {}
    for one in text.lower().split(","):
        name, has_name, level = (part.strip() for part in one.rpartition("="))
        if level not in LEVELS:
            raise ValueError("write debug, info, warning or error, or levels by logger: info,access=warning")
        if has_name and name.removeprefix("signalr_bridge.") not in LOGGERS:
            raise ValueError(f"names a logger that does not exist: write one of {', '.join(LOGGERS)}")
        name = name.removeprefix("signalr_bridge.") if has_name else ALL
        if name in levels:
            raise ValueError(f"has two levels for {name or 'all loggers'}: write one")
        levels[name] = level
    return MappingProxyType({ALL: "info"} | levels)


def _check(text: str) -> str:
    read_log_levels(text)
    return text


LogLevels = Annotated[str, AfterValidator(_check)]
"""A level, or levels by logger with commas between, as ``read_log_levels`` takes them."""
