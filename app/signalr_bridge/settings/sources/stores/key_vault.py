"""Azure Key Vault: its secrets as settings.

A secret's name holds letters, digits and dashes alone: ``--`` stands for the separator and, in our own names, ``-`` for
``_`` (``BRIDGE-CALLERS--KEYS``).
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from signalr_bridge.settings.sources.stores.places import import_library
from signalr_bridge.settings.sources.value import Values, name_values

SOURCE = "Key Vault"
EXTRA = "key-vault"
_OURS = "bridge-"
_MOST_AT_ONCE = 8


def name_setting(secret: str) -> str:
    """The setting that a secret's name stands for."""
    name = secret.replace("--", "__")
    if not secret.lower().startswith(_OURS):
        return name
    name = name.replace("-", "_")
    return name[:7] + name[7:].lstrip("_")


class Vault:
    """One vault. A secret is fetched when its ``updated_on`` is new, and once more after: a second has room for two
    changes."""

    def __init__(self, url: str, credential: Any, options: Mapping[str, Any]) -> None:
        self._url, self._credential, self._options = url, credential, dict(options)
        self._known: dict[str, tuple[Any, bool, str]] = {}

    async def read(self, wanted: Callable[[str], bool]) -> Values:
        """``wanted`` says of a setting's name whether it may be one of ours: others are left alone."""
        async with open_vault(self._url, self._credential, self._options) as client:
            listed = {
                one.name: one.updated_on
                async for one in client.list_properties_of_secrets()
                if one.enabled is not False and one.key_id is None and wanted(name_setting(one.name))
            }
            limit = asyncio.Semaphore(_MOST_AT_ONCE)
            found = await asyncio.gather(*(self._fetch(client, limit, *one) for one in listed.items()))
        self._known = dict(zip(listed, found, strict=True))
        return name_values(((name_setting(name), value) for name, (_, _, value) in self._known.items()), SOURCE)

    async def _fetch(self, client: Any, limit: asyncio.Semaphore, name: str, updated: Any) -> tuple[Any, bool, str]:
        known = self._known.get(name)
        same = known is not None and known[0] == updated
        if known is not None and same and known[1]:
            return known
        async with limit:
            secret = await client.get_secret(name)
        return updated, same, secret.value or ""


def open_vault(url: str, credential: Any, options: Mapping[str, Any], setting: str = "BRIDGE_KEY_VAULT_URL") -> Any:
    library = import_library("azure.keyvault.secrets.aio", EXTRA, setting)
    return library.SecretClient(url, credential, **options)
