"""Settings as tests give them: an environment, and perhaps a file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from signalr_bridge.settings import Settings, gather, load, review
from signalr_bridge.settings.value import Level, Values


def connection(name: str = "contoso", key: str = "k") -> str:
    return f"Endpoint=https://{name}.service.signalr.net;AccessKey={key};Version=1.0;"


def loaded(environment: Mapping[str, str] | None = None, flags: Mapping[str, Any] | None = None) -> Settings:
    return load(gather(environment or {}, flags or {}))


def from_file(folder: Path, name: str, text: str, environment: Mapping[str, str] | None = None) -> Settings:
    file = folder / name
    file.write_bytes(text.encode("utf-8"))
    return loaded({"BRIDGE_SETTINGS_FILE": str(file), **(environment or {})})


def toml(folder: Path, text: str, environment: Mapping[str, str] | None = None) -> Settings:
    return from_file(folder, "bridge.toml", text, environment)


def unknown_names(values: Values) -> list[str]:
    """The ``BRIDGE_*`` names that mean nothing, as they were written."""
    return sorted(one.setting for one in review(values).diagnostics if one.level is Level.UNKNOWN)
