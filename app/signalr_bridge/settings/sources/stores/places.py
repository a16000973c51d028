"""Which stores there are, as the settings outside of them say; and the libraries that speak to them."""

from dataclasses import dataclass, field
from importlib import import_module
from math import isfinite
from types import ModuleType
from urllib.parse import urlsplit

from signalr_bridge.errors import SettingsError
from signalr_bridge.settings.sources.value import Values

DEFAULT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Places:
    """``seconds``: how often they are asked."""

    vault: str | None = None
    configuration: str | None = None
    connection_string: str | None = field(default=None, repr=False)
    label: str | None = None
    prefix: str = ""
    seconds: float = DEFAULT_SECONDS

    @property
    def any(self) -> bool:
        return bool(self.vault or self.configuration or self.connection_string)


def read_places(values: Values) -> Places:
    """Raises ``SettingsError`` for an address that is none."""
    return Places(
        vault=_read_address(values, "key_vault_url"),
        configuration=_read_address(values, "app_configuration_endpoint"),
        connection_string=_read(values, "app_configuration_connection_string"),
        label=_read(values, "app_configuration_label"),
        prefix=_read(values, "app_configuration_prefix") or "",
        seconds=_read_seconds(values),
    )


def _read(values: Values, name: str) -> str | None:
    found = values.get(f"bridge_{name}")
    return None if found is None else found.text or None


def _read_address(values: Values, name: str) -> str | None:
    text = _read(values, name)
    if text is not None and not is_https(text):
        raise SettingsError(f"BRIDGE_{name.upper()}: write an https address.")
    return text


def is_https(text: str) -> bool:
    """Whether it is an address; anything else would get our credential."""
    try:
        parts = urlsplit(text)
        return parts.scheme == "https" and bool(parts.hostname) and parts.username is None
    except ValueError:
        return False


def _read_seconds(values: Values) -> float:
    """The model says what is wrong with another value."""
    try:
        seconds = float(_read(values, "reload:stores_seconds") or DEFAULT_SECONDS)
    except ValueError:
        return DEFAULT_SECONDS
    return seconds if isfinite(seconds) and seconds > 0 else DEFAULT_SECONDS


def import_library(module: str, extra: str, setting: str) -> ModuleType:
    """``SettingsError`` names the extra that has it."""
    try:
        return import_module(module)
    except ImportError:
        raise SettingsError(
            f"{setting}: this installation has no library for it: install signalr-bridge[{extra}]."
        ) from None
