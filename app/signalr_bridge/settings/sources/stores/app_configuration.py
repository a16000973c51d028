"""Azure App Configuration: key-values as settings, with references to secrets in Key Vault."""

import json
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit

from signalr_bridge.errors import SettingsError
from signalr_bridge.settings.sources.stores.key_vault import open_vault
from signalr_bridge.settings.sources.stores.places import Places, import_library, is_https
from signalr_bridge.settings.sources.value import Values, name_values

SOURCE = "App Configuration"
EXTRA = "app-configuration"
_REFERENCE = "application/vnd.microsoft.appconfig.keyvaultref+json"
_FEATURES = ".appconfig.featureflag/"
_NO_LABEL = "\0"


class AppConfiguration:
    """One store. Pages that have not changed, by their ETags, are not sent again; references are always followed, for
    a secret changes without them."""

    def __init__(self, places: Places, credential: Any, options: Mapping[str, Any]) -> None:
        self._places, self._credential, self._options = places, credential, dict(options)
        self._etags: list[str] = []
        self._items: list[tuple[str, str, bool]] = []

    async def read(self) -> Values:
        async with self._open() as client:
            if not self._etags or await self._has_changed(client):
                await self._read_all(client)
        return name_values(await self._follow(), SOURCE)

    def _open(self) -> Any:
        places = self._places
        setting = "BRIDGE_APP_CONFIGURATION_ENDPOINT"
        library = import_library("azure.appconfiguration.aio", EXTRA, setting)
        if places.connection_string is None:
            return library.AzureAppConfigurationClient(places.configuration, self._credential, **self._options)
        try:
            return library.AzureAppConfigurationClient.from_connection_string(places.connection_string, **self._options)
        except ValueError:
            raise SettingsError("BRIDGE_APP_CONFIGURATION_CONNECTION_STRING is no connection string.") from None

    def _list(self, client: Any) -> Any:
        label = self._places.label or _NO_LABEL
        return client.list_configuration_settings(key_filter=f"{self._places.prefix}*", label_filter=label)

    async def _has_changed(self, client: Any) -> bool:
        async for _ in self._list(client).by_page(match_conditions=list(self._etags)):
            return True
        return False

    async def _read_all(self, client: Any) -> None:
        etags, items = [], []
        pages = self._list(client).by_page()
        async for page in pages:
            etags.append(pages.etag)
            items += [_read_item(one, self._places.prefix) async for one in page]
        self._etags, self._items = etags, [one for one in items if one is not None]

    async def _follow(self) -> list[tuple[str, str]]:
        """Every setting, with the secret where there was a reference."""
        found = [(name, value) for name, value, is_reference in self._items if not is_reference]
        async with AsyncExitStack() as stack:
            vaults: dict[str, Any] = {}
            for name, value, is_reference in self._items:
                if is_reference:
                    vault, secret, version = _read_reference(name, value)
                    if vault not in vaults:
                        opened = open_vault(vault, self._credential, self._options, name)
                        vaults[vault] = await stack.enter_async_context(opened)
                    found.append((name, (await vaults[vault].get_secret(secret, version)).value or ""))
        return found


def _read_item(item: Any, prefix: str) -> tuple[str, str, bool] | None:
    if item.key.startswith(_FEATURES):
        return None
    kind = (item.content_type or "").partition(";")[0].strip().lower()
    return item.key.removeprefix(prefix), item.value or "", kind == _REFERENCE


def _read_reference(name: str, value: str) -> tuple[str, str, str | None]:
    """Vault, secret and version of ``{"uri": "https://<vault>/secrets/<name>[/<version>]"}``."""
    try:
        uri = str(json.loads(value)["uri"])
        host, path = urlsplit(uri).netloc, [one for one in urlsplit(uri).path.split("/") if one]
    except (ValueError, KeyError, TypeError):
        uri, host, path = "", "", []
    if not is_https(uri) or len(path) not in {2, 3} or path[0] != "secrets":
        raise SettingsError(f"{name}: refers to no secret in Key Vault.")
    return f"https://{host}", path[1], path[2] if len(path) == 3 else None
