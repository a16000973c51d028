"""Both stores together: asked every so often; what they said last counts while they cannot be asked."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from importlib import import_module
from math import isfinite
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from signalr_bridge.errors import SettingsError
from signalr_bridge.runtime import Clock
from signalr_bridge.settings.value import Values, name_values

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


class StoreCredential:
    """An ``AsyncTokenCredential``. Every reading has its own event loop, so that the library's cache would not last."""

    def __init__(self, authority: str | None) -> None:
        self._authority = authority
        self._tokens: dict[str, Any] = {}

    async def get_token(self, *scopes: str, **options: Any) -> Any:
        from azure.core.credentials import AccessToken

        found = await self._find(scopes)
        return AccessToken(found.token, found.expires_on)

    async def get_token_info(self, *scopes: str, options: Any = None) -> Any:
        return await self._find(scopes)

    async def _find(self, scopes: tuple[str, ...]) -> Any:
        """A store may name its tenant; ours is that of the credential, as everywhere."""
        known = " ".join(scopes)
        token = self._tokens.get(known)
        if token is None or token.expires_on - time.time() < 300:
            token = self._tokens[known] = await self._ask(scopes)
        return token

    async def _ask(self, scopes: tuple[str, ...]) -> Any:
        from azure.identity.aio import DefaultAzureCredential

        # What the library logs may quote an answer.
        logging.getLogger("azure.identity").setLevel(logging.CRITICAL)
        more = {} if self._authority is None else {"authority": self._authority}
        async with DefaultAzureCredential(**more) as credential:
            return await credential.get_token_info(*scopes)

    async def close(self) -> None:
        """Nothing stays open."""

    async def __aenter__(self) -> "StoreCredential":
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing stays open."""


VAULT_SOURCE = "Key Vault"
VAULT_EXTRA = "key-vault"
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
        return name_values(((name_setting(name), value) for name, (_, _, value) in self._known.items()), VAULT_SOURCE)

    async def _fetch(self, client: Any, limit: asyncio.Semaphore, name: str, updated: Any) -> tuple[Any, bool, str]:
        known = self._known.get(name)
        same = known is not None and known[0] == updated
        if known is not None and same and known[1]:
            return known
        async with limit:
            secret = await client.get_secret(name)
        return updated, same, secret.value or ""


def open_vault(url: str, credential: Any, options: Mapping[str, Any], setting: str = "BRIDGE_KEY_VAULT_URL") -> Any:
    library = import_library("azure.keyvault.secrets.aio", VAULT_EXTRA, setting)
    return library.SecretClient(url, credential, **options)


CONFIGURATION_SOURCE = "App Configuration"
CONFIGURATION_EXTRA = "app-configuration"
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
        return name_values(await self._follow(), CONFIGURATION_SOURCE)

    def _open(self) -> Any:
        places = self._places
        setting = "BRIDGE_APP_CONFIGURATION_ENDPOINT"
        library = import_library("azure.appconfiguration.aio", CONFIGURATION_EXTRA, setting)
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


READ_SECONDS = 10.0
_LOG = logging.getLogger("signalr_bridge.settings")
_AZURES = ("bridge_", "azure:signalr", "azuresignalr")


class Stores:
    """``clock`` gives seconds; ``options`` go to the client libraries as they are, and are for tests alone."""

    def __init__(self, clock: Clock = time.monotonic, options: Mapping[str, Any] | None = None) -> None:
        self._clock, self._options = clock, dict(options or {})
        self._places = Places()
        self._vault: Vault | None = None
        self._configuration: AppConfiguration | None = None
        self._last: dict[str, Values] = {}
        self._read_at, self._rounds = clock(), 0

    def read(self, local: Values) -> list[Values]:
        """What each store says, the first match wins. ``local`` are the settings that stand elsewhere.

        In a thread of its own, with its own event loop: whoever reads settings may have one already. Raises
        ``SettingsError`` when a store that was never read cannot be.
        """
        self._open(read_places(local), local)
        if not self._places.any:
            return []
        was_due = self._is_due()
        try:
            with ThreadPoolExecutor(1) as thread:
                return thread.submit(asyncio.run, self._read(_wanted_names(local))).result()
        finally:
            self._rounds, self._read_at = self._rounds + was_due, self._clock()

    def look(self) -> Hashable:
        """Something that is different once it is time to ask again, and stays so when that is done."""
        return self._rounds + self._is_due()

    def _is_due(self) -> bool:
        return self._places.any and self._clock() >= self._read_at + self._places.seconds

    def _open(self, places: Places, local: Values) -> None:
        if places == self._places:
            return
        authority = local.get("azure_authority_host")
        credential = StoreCredential(None if authority is None else authority.text or None)
        self._places, self._last = places, {}
        self._vault = Vault(places.vault, credential, self._options) if places.vault else None
        configured = places.configuration or places.connection_string
        self._configuration = AppConfiguration(places, credential, self._options) if configured else None

    async def _read(self, wanted: Callable[[str], bool]) -> list[Values]:
        readings = []
        if self._vault is not None:
            readings.append(self._try("BRIDGE_KEY_VAULT_URL", self._vault.read(wanted)))
        if self._configuration is not None:
            readings.append(self._try("BRIDGE_APP_CONFIGURATION_ENDPOINT", self._configuration.read()))
        return await asyncio.gather(*readings)

    async def _try(self, setting: str, reading: Awaitable[Values]) -> Values:
        try:
            async with asyncio.timeout(READ_SECONDS):
                self._last[setting] = await reading
        except Exception as error:  # whatever the libraries raise: their words may quote an answer
            refusal = error if isinstance(error, SettingsError) else SettingsError(_explain(setting, error))
            if setting not in self._last:
                raise refusal from None
            _LOG.warning("a store could not be read, what it said last stays", extra={"reason": refusal.detail})
        return self._last[setting]


def _explain(setting: str, error: Exception) -> str:
    status = getattr(error, "status_code", None)
    why = type(error).__name__ if not isinstance(status, int) else f"status {status}"
    return f"{setting}: the store cannot be read ({why})."


def _wanted_names(local: Values) -> Callable[[str], bool]:
    """Which names may be settings: ours, Azure's for SignalR, and those of the connections that are named."""
    connections = {one.text.lower() for name, one in local.items() if name.endswith("connection") and one.text}
    known = (*_AZURES, *connections)
    prefixes = (*known, *(f"{kind}{name}" for kind in ("connectionstrings:", "customconnstr_") for name in known))
    return lambda name: name.replace("__", ":").lower().startswith(prefixes)
