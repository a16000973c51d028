"""Azure Key Vault: its secrets as settings, and the address of a single secret."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from signalr_bridge.errors import SettingsError
from signalr_bridge.settings.value import Values, name_values
from signalr_bridge.tracing import Called, tracing_call

VAULT_SOURCE = "Key Vault"
VAULT_EXTRA = "key-vault"
_OURS = "bridge-"
_OF_AZURE = frozenset({"azure-client-id", "azure-tenant-id", "azure-signalr-connectionstring"})
_MOST_AT_ONCE = 8
SECRET_CALL = Called("/secrets/{secret}", "store")
"""What the span of the reading of one secret says."""


def is_https(text: str) -> bool:
    """Whether the text is an https address. Anything else would get our credential."""
    try:
        parts = urlsplit(text)
        return parts.scheme == "https" and bool(parts.hostname) and parts.username is None
    except ValueError:
        return False


def import_library(module: str, extra: str, setting: str) -> ModuleType:
    """An optional library. Raises ``SettingsError``, which names the extra that installs it."""
    try:
        return import_module(module)
    except ImportError:
        raise SettingsError(
            f"{setting}: this installation has no library for it: install signalr-bridge[{extra}]."
        ) from None


def name_setting(secret: str) -> str:
    """The setting that a secret's name stands for."""
    name = secret.replace("--", "__")
    if secret.lower() in _OF_AZURE:
        return secret.replace("-", "_")
    if not secret.lower().startswith(_OURS):
        return name
    name = name.replace("-", "_")
    return name[:7] + name[7:].lstrip("_")


class Vault:
    """One key vault. A secret is fetched when its ``updated_on`` is new, and once more at the next reading.

    The second time is needed because two changes may happen within the same second.
    """

    def __init__(self, url: str, credential: Any, options: Mapping[str, Any]) -> None:
        self._url, self._credential, self._options = url, credential, dict(options)
        self._known: dict[str, tuple[Any, bool, str]] = {}

    async def read(self, wanted: Callable[[str], bool]) -> Values:
        """The secrets as settings. Only those are fetched whose setting's name is ``wanted``."""
        async with open_vault(self._url, self._credential, self._options) as client:
            with tracing_call("GET", self._url, Called("/secrets", "store")):
                listed = {
                    one.name: one.updated_on
                    async for one in client.list_properties_of_secrets()
                    if one.enabled is not False and one.key_id is None and wanted(name_setting(one.name))
                }
            limit = asyncio.Semaphore(_MOST_AT_ONCE)
            found = await asyncio.gather(*(self._fetch(client, limit, *one) for one in listed.items()))
        self._known = dict(zip(listed, found, strict=True))
        return name_values(((name_setting(name), value) for name, (_, _, value) in self._known.items()), VAULT_SOURCE)

    async def _fetch(self, client: Any, limit: asyncio.Semaphore, name: str, updated: Any) -> tuple[Any, bool, str]:
        known = self._known.get(name)
        same = known is not None and known[0] == updated
        if known is not None and same and known[1]:
            return known
        async with limit:
            with tracing_call("GET", self._url, SECRET_CALL):
                secret = await client.get_secret(name)
        return updated, same, secret.value or ""


def open_vault(url: str, credential: Any, options: Mapping[str, Any], setting: str = "BRIDGE_KEY_VAULT_URL") -> Any:
    """A client of the vault. Raises ``SettingsError``, which names ``setting``, when the library is missing."""
    library = import_library("azure.keyvault.secrets.aio", VAULT_EXTRA, setting)
    return library.SecretClient(url, credential, **options)


@dataclass(frozen=True, slots=True)
class SecretAddress:
    """Where one secret is. Without ``version`` it is the newest one."""

    vault: str
    name: str
    version: str | None = None


def read_secret_address(uri: str) -> SecretAddress | None:
    """The secret at ``https://<vault>/secrets/<name>[/<version>]``. None for what is no such address."""
    if not is_https(uri):
        return None
    parts = urlsplit(uri)
    path = [one for one in parts.path.split("/") if one]
    if len(path) not in {2, 3} or path[0] != "secrets":
        return None
    return SecretAddress(f"https://{parts.netloc}", path[1], path[2] if len(path) == 3 else None)
