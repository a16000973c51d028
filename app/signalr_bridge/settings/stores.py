"""Settings in stores: Azure Key Vault and App Configuration, asked again and again, with their last values kept."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping
from concurrent.futures import Future
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from importlib import import_module
from math import isfinite
from threading import Thread
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from signalr_bridge.errors import SettingsError
from signalr_bridge.runtime import RUNTIME, Runtime, WallClock
from signalr_bridge.settings.value import Values, name_values, spell

DEFAULT_SECONDS = 60.0

VAULT_SOURCE = "Key Vault"
VAULT_EXTRA = "key-vault"
_OURS = "bridge-"
_MOST_AT_ONCE = 8

CONFIGURATION_SOURCE = "App Configuration"
CONFIGURATION_EXTRA = "app-configuration"
_REFERENCE = "application/vnd.microsoft.appconfig.keyvaultref+json"
_FEATURES = ".appconfig.featureflag/"
_NO_LABEL = "\0"

READ_SECONDS = 10.0
_LOG = logging.getLogger("signalr_bridge.settings")
_AZURES = ("bridge_", "azure:signalr", "azuresignalr")


@dataclass(frozen=True, slots=True)
class StoreAddresses:
    """Where the stores are, and every how many ``seconds`` they are asked."""

    vault: str | None = None
    configuration: str | None = None
    connection_string: str | None = field(default=None, repr=False)
    label: str | None = None
    prefix: str = ""
    seconds: float = DEFAULT_SECONDS

    @property
    def any(self) -> bool:
        """Whether there is a store at all."""
        return bool(self.vault or self.configuration or self.connection_string)


def read_addresses(values: Values) -> StoreAddresses:
    """The stores that the settings name. Raises ``SettingsError`` for what is not an address."""
    return StoreAddresses(
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
    """Whether the text is an https address. Anything else would get our credential."""
    try:
        parts = urlsplit(text)
        return parts.scheme == "https" and bool(parts.hostname) and parts.username is None
    except ValueError:
        return False


def _read_seconds(values: Values) -> float:
    """How often the stores are asked. A wrong value counts as the default here, the model reports it."""
    try:
        seconds = float(_read(values, "reload:stores_seconds") or DEFAULT_SECONDS)
    except ValueError:
        return DEFAULT_SECONDS
    return seconds if isfinite(seconds) and seconds > 0 else DEFAULT_SECONDS


def import_library(module: str, extra: str, setting: str) -> ModuleType:
    """An optional library. Raises ``SettingsError``, which names the extra that installs it."""
    try:
        return import_module(module)
    except ImportError:
        raise SettingsError(
            f"{setting}: this installation has no library for it: install signalr-bridge[{extra}]."
        ) from None


class StoreCredential:
    """An ``AsyncTokenCredential`` that caches tokens itself.

    Every reading has its own event loop, so the library's cache would not last. ``clock`` gives seconds since
    1970.
    """

    def __init__(self, authority: str | None, clock: WallClock) -> None:
        self._authority, self._clock = authority, clock
        self._tokens: dict[str, Any] = {}

    async def get_token(self, *scopes: str, **options: Any) -> Any:
        """A token in the form of older client libraries."""
        from azure.core.credentials import AccessToken

        found = await self._find(scopes)
        return AccessToken(found.token, found.expires_on)

    async def get_token_info(self, *scopes: str, options: Any = None) -> Any:
        """A token in the form of newer client libraries."""
        return await self._find(scopes)

    async def _find(self, scopes: tuple[str, ...]) -> Any:
        """A store may ask for its own tenant. As everywhere, the credential's tenant is used instead."""
        known = " ".join(scopes)
        token = self._tokens.get(known)
        if token is None or token.expires_on - self._clock() < 300:
            token = self._tokens[known] = await self._ask(scopes)
        return token

    async def _ask(self, scopes: tuple[str, ...]) -> Any:
        from azure.identity.aio import DefaultAzureCredential

        # The library's log messages may quote an answer.
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


def name_setting(secret: str) -> str:
    """The setting that a secret's name stands for."""
    name = secret.replace("--", "__")
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
    """A client of the vault. Raises ``SettingsError``, which names ``setting``, when the library is missing."""
    library = import_library("azure.keyvault.secrets.aio", VAULT_EXTRA, setting)
    return library.SecretClient(url, credential, **options)


class AppConfiguration:
    """One store of App Configuration. Pages whose ETags have not changed are not sent again.

    References are always followed, because a secret changes without its reference.
    """

    def __init__(self, addresses: StoreAddresses, credential: Any, options: Mapping[str, Any]) -> None:
        self._addresses, self._credential, self._options = addresses, credential, dict(options)
        self._etags: list[str] = []
        self._items: list[tuple[str, str, bool]] = []

    async def read(self) -> Values:
        async with self._open() as client:
            if not self._etags or await self._has_changed(client):
                await self._read_all(client)
        return name_values(await self._follow(), CONFIGURATION_SOURCE)

    def _open(self) -> Any:
        addresses = self._addresses
        setting = "BRIDGE_APP_CONFIGURATION_ENDPOINT"
        library = import_library("azure.appconfiguration.aio", CONFIGURATION_EXTRA, setting)
        if addresses.connection_string is None:
            return library.AzureAppConfigurationClient(addresses.configuration, self._credential, **self._options)
        try:
            text = addresses.connection_string
            return library.AzureAppConfigurationClient.from_connection_string(text, **self._options)
        except ValueError:
            raise SettingsError("BRIDGE_APP_CONFIGURATION_CONNECTION_STRING is no connection string.") from None

    def _list(self, client: Any) -> Any:
        label = self._addresses.label or _NO_LABEL
        return client.list_configuration_settings(key_filter=f"{self._addresses.prefix}*", label_filter=label)

    async def _has_changed(self, client: Any) -> bool:
        async for _ in self._list(client).by_page(match_conditions=list(self._etags)):
            return True
        return False

    async def _read_all(self, client: Any) -> None:
        etags, items = [], []
        pages = self._list(client).by_page()
        async for page in pages:
            etags.append(pages.etag)
            items += [_read_item(one, self._addresses.prefix) async for one in page]
        self._etags, self._items = etags, [one for one in items if one is not None]

    async def _follow(self) -> list[tuple[str, str]]:
        """Every setting, with the secret in place of its reference."""
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


class Stores:
    """Both stores together. What they said last counts while they cannot be asked.

    Args:
        runtime: The clocks.
        options: For tests: passed to the client libraries as they are.
    """

    def __init__(self, runtime: Runtime = RUNTIME, options: Mapping[str, Any] | None = None) -> None:
        self._clock, self._wall_clock, self._options = runtime.clock, runtime.wall_clock, dict(options or {})
        self._addresses = StoreAddresses()
        self._vault: Vault | None = None
        self._configuration: AppConfiguration | None = None
        self._last: dict[str, Values] = {}
        self._read_at, self._rounds = self._clock(), 0

    def read(self, local: Values) -> list[Values]:
        """The settings of each store, the first match wins. ``local`` are the settings of the other sources.

        The stores are read in a thread with its own event loop, because the caller may run in a loop already. Raises
        ``SettingsError`` when a store cannot be read that was never read before.
        """
        self._open(read_addresses(local), local)
        if not self._addresses.any:
            return []
        was_due = self._is_due()
        try:
            return _run_apart(self._read(_wanted_names(local)))
        finally:
            self._rounds, self._read_at = self._rounds + was_due, self._clock()

    @property
    def are_there(self) -> bool:
        """Whether the settings that were read name a store."""
        return self._addresses.any

    def look(self) -> Hashable:
        """A value that changes when it is time to ask again, and does not change back when that is done."""
        return self._rounds + self._is_due()

    def _is_due(self) -> bool:
        return self._addresses.any and self._clock() >= self._read_at + self._addresses.seconds

    def _open(self, addresses: StoreAddresses, local: Values) -> None:
        if addresses == self._addresses:
            return
        authority = local.get("azure_authority_host")
        credential = StoreCredential(None if authority is None else authority.text or None, self._wall_clock)
        self._addresses, self._last = addresses, {}
        self._vault = Vault(addresses.vault, credential, self._options) if addresses.vault else None
        configured = addresses.configuration or addresses.connection_string
        self._configuration = AppConfiguration(addresses, credential, self._options) if configured else None

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
        except Exception as error:  # the libraries raise many types, and their texts may quote an answer
            refusal = error if isinstance(error, SettingsError) else SettingsError(_explain(setting, error))
            if setting not in self._last:
                raise refusal from None
            _LOG.warning("a store could not be read, what it said last stays", extra={"reason": refusal.detail})
        return self._last[setting]


def _run_apart(reading: Coroutine[Any, Any, list[Values]]) -> list[Values]:
    """Runs it in a loop of its own, in a thread that the end of the process does not wait for."""
    future: Future[list[Values]] = Future()

    def run() -> None:
        try:
            future.set_result(asyncio.run(reading))
        except BaseException as error:  # also what ends a loop: whoever waits would wait for ever
            future.set_exception(error)

    Thread(target=run, name="stores", daemon=True).start()
    return future.result()


def _explain(setting: str, error: Exception) -> str:
    status = getattr(error, "status_code", None)
    why = type(error).__name__ if not isinstance(status, int) else f"status {status}"
    return f"{setting}: the store cannot be read ({why})."


def _wanted_names(local: Values) -> Callable[[str], bool]:
    """Says of a name whether it may be a setting: ours, Azure's for SignalR, or that of a connection."""
    connections = {spell(one.text) for name, one in local.items() if name.endswith("connection") and one.text}
    known = (*_AZURES, *connections)
    prefixes = (*known, *(f"{kind}{name}" for kind in ("connectionstrings:", "customconnstr_") for name in known))
    return lambda name: spell(name).startswith(prefixes)
