"""Settings in stores: Azure Key Vault and App Configuration, asked again and again, with their last values kept."""

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping
from concurrent.futures import Future
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from math import isfinite
from threading import Thread
from typing import Any, TypeVar

from signalr_bridge.errors import SettingsError
from signalr_bridge.runtime import RUNTIME, Runtime, WallClock
from signalr_bridge.settings.azure_identity import (
    OF_IDENTITIES,
    AzureVariables,
    leave_out_of_store,
    make_default,
    read_variables,
)
from signalr_bridge.settings.key_vault import (
    SECRET_CALL,
    SecretAddress,
    Vault,
    import_library,
    is_https,
    open_vault,
    read_secret_address,
)
from signalr_bridge.settings.references import Reference, advise, drop_references, find_references, is_reference
from signalr_bridge.settings.value import Diagnostic, Values, name_values, refuse_errors, spell
from signalr_bridge.tracing import Called, tracing_call

DEFAULT_SECONDS = 60.0

CONFIGURATION_SOURCE = "App Configuration"
CONFIGURATION_EXTRA = "app-configuration"
_KIND_OF_REFERENCE = "application/vnd.microsoft.appconfig.keyvaultref+json"
_STORES = ("bridge_key_vault", "bridge_app_configuration")
_FEATURES = ".appconfig.featureflag/"
_NO_LABEL = "\0"

READ_SECONDS = 10.0
_Result = TypeVar("_Result")
_LOG = logging.getLogger("signalr_bridge.settings")
_AZURES = ("bridge_", "azure:signalr", "azuresignalr", "azure_signalr_connectionstring", *OF_IDENTITIES)


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
    for found in (values[name] for name in values if name.startswith(_STORES) and is_reference(values[name])):
        text = "is read before any reference to Key Vault is resolved: write the value itself."
        raise SettingsError(text, setting=found.written, place=found.place, line=found.line)
    return StoreAddresses(
        vault=_read_address(values, "key_vault_url"),
        configuration=_read_address(values, "app_configuration_endpoint"),
        connection_string=_read(values, "bridge_app_configuration_connection_string"),
        label=_read(values, "bridge_app_configuration_label"),
        prefix=_read(values, "bridge_app_configuration_prefix") or "",
        seconds=_read_seconds(values),
    )


def _read(values: Values, name: str) -> str | None:
    found = values.get(name)
    return None if found is None else found.text or None


def _read_address(values: Values, name: str) -> str | None:
    text = _read(values, f"bridge_{name}")
    if text is not None and not is_https(text):
        raise SettingsError(f"BRIDGE_{name.upper()}: write an https address.")
    return text


def _read_seconds(values: Values) -> float:
    """How often the stores are asked. A wrong value counts as the default here, the model reports it."""
    try:
        seconds = float(_read(values, "bridge_reload:stores_seconds") or DEFAULT_SECONDS)
    except ValueError:
        return DEFAULT_SECONDS
    return seconds if isfinite(seconds) and seconds > 0 else DEFAULT_SECONDS


class StoreCredential:
    """An ``AsyncTokenCredential`` that caches tokens itself.

    Every reading has its own event loop, so the library's cache would not last.

    Args:
        authority: The address at which Entra issues tokens. None is what the library takes.
        variables: What the environment, the files and the folder of secrets say of the credential.
        clock: Gives seconds since 1970.
    """

    def __init__(self, authority: str | None, variables: AzureVariables, clock: WallClock) -> None:
        self._authority, self._variables, self._clock = authority, variables, clock
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
        # The library's log messages may quote an answer.
        logging.getLogger("azure.identity").setLevel(logging.CRITICAL)
        more = {} if self._authority is None else {"authority": self._authority}
        made: Any = make_default(self._variables, os.environ, more)
        with tracing_call("POST", "", Called(of="identity")):
            async with made as credential:
                return await credential.get_token_info(*scopes)

    async def close(self) -> None:
        """Nothing stays open."""

    async def __aenter__(self) -> "StoreCredential":
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing stays open."""


class AppConfiguration:
    """One store of App Configuration. Pages whose ETags have not changed are not sent again.

    References are always followed, because a secret changes without its reference.
    """

    def __init__(self, addresses: StoreAddresses, credential: Any, options: Mapping[str, Any]) -> None:
        self._addresses, self._credential, self._options = addresses, credential, dict(options)
        self._etags: list[str] = []
        self._items: list[tuple[str, str, bool]] = []

    async def read(self) -> Values:
        with tracing_call("GET", self._addresses.configuration or "", Called("/kv", "store")):
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
                    secret = _read_reference(name, value)
                    if secret.vault not in vaults:
                        opened = open_vault(secret.vault, self._credential, self._options, name)
                        vaults[secret.vault] = await stack.enter_async_context(opened)
                    with tracing_call("GET", secret.vault, SECRET_CALL):
                        fetched = await vaults[secret.vault].get_secret(secret.name, secret.version)
                    found.append((name, fetched.value or ""))
        return found


def _read_item(item: Any, prefix: str) -> tuple[str, str, bool] | None:
    if item.key.startswith(_FEATURES):
        return None
    kind = (item.content_type or "").partition(";")[0].strip().lower()
    return item.key.removeprefix(prefix), item.value or "", kind == _KIND_OF_REFERENCE


def _read_reference(name: str, value: str) -> SecretAddress:
    """The secret that ``{"uri": "https://<vault>/secrets/<name>[/<version>]"}`` refers to."""
    try:
        found = read_secret_address(str(json.loads(value)["uri"]))
    except (ValueError, KeyError, TypeError):
        found = None
    if found is None:
        raise SettingsError(f"{name}: refers to no secret in Key Vault.")
    return found


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
        self._authority: str | None = None
        self._variables = AzureVariables()
        self._credential = StoreCredential(None, self._variables, self._wall_clock)
        self._last: dict[str, Values] = {}
        self._secrets: dict[SecretAddress, str] = {}
        self._are_references = False
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
            return [leave_out_of_store(one) for one in _run_apart(self._read(_wanted_names(local)))]
        finally:
            self._rounds, self._read_at = self._rounds + was_due, self._clock()

    def follow(self, values: Values) -> Values:
        """The settings, with the secret in the place of each reference to Key Vault.

        A secret that cannot be read counts as it was read last. Raises ``SettingsError`` with a line for each reference
        in a setting of ours that means nothing, or whose secret was never read.
        """
        references = find_references(values, _wanted_names(values))
        self._are_references = bool(references.found)
        refuse_errors(references.diagnostics)
        said = [*references.diagnostics, *self._fetch_due(references.secrets)]
        refuse_errors(said)
        for one in said:
            _LOG.warning("a reference to Key Vault stays as it is", extra={"reason": str(one)})
        return references.fill(values, self._secrets)

    def _fetch_due(self, secrets: Mapping[SecretAddress, Reference]) -> list[Diagnostic]:
        if not secrets:
            return []
        was_due = self._is_due()
        try:
            return _run_apart(self._fetch(secrets))
        finally:
            self._rounds, self._read_at = self._rounds + was_due, self._clock()

    async def _fetch(self, secrets: Mapping[SecretAddress, Reference]) -> list[Diagnostic]:
        """Reads the secrets, each of which one setting refers to. A version of a secret never changes."""
        self._secrets = {one: text for one, text in self._secrets.items() if one in secrets}
        missing = [one for one in secrets if one.version is None or one not in self._secrets]
        async with AsyncExitStack() as stack:
            clients: dict[str, Any] = {}
            for one in missing:
                if one.vault not in clients:
                    opened = open_vault(one.vault, self._credential, self._options, secrets[one].setting.written)
                    clients[one.vault] = await stack.enter_async_context(opened)
            fetches = [self._fetch_one(clients[one.vault], one, secrets[one]) for one in missing]
            said = [await one for one in fetches[:1]]  # which brings the token for all
            said += await asyncio.gather(*fetches[1:])
        return [one for one in said if one is not None]

    async def _fetch_one(self, client: Any, secret: SecretAddress, reference: Reference) -> Diagnostic | None:
        """Reads a secret. Gives what is to be said of one that was never read, and cannot be read now."""
        try:
            async with asyncio.timeout(READ_SECONDS):
                with tracing_call("GET", secret.vault, SECRET_CALL):
                    self._secrets[secret] = (await client.get_secret(secret.name, secret.version)).value or ""
        except Exception as error:  # the library raises many types, and their texts may quote an answer
            refusal = advise(error)
            if secret not in self._secrets:
                return reference.fault(refusal)
            _LOG.warning("a secret could not be read, what it was last stays", extra={"reason": refusal})
        return None

    @property
    def are_there(self) -> bool:
        """Whether the settings that were read name a store, or refer to one."""
        return self._addresses.any or self._are_references

    def look(self) -> Hashable:
        """A value that changes when it is time to ask again, and does not change back when that is done."""
        return self._rounds + self._is_due()

    def _is_due(self) -> bool:
        return self.are_there and self._clock() >= self._read_at + self._addresses.seconds

    def _open(self, addresses: StoreAddresses, local: Values) -> None:
        authority = _read(local, "azure_authority_host")
        variables = read_variables(drop_references(local))
        if (addresses, authority, variables) == (self._addresses, self._authority, self._variables):
            return
        if addresses != self._addresses:
            self._last = {}
        self._addresses, self._authority, self._variables = addresses, authority, variables
        self._credential = StoreCredential(authority, variables, self._wall_clock)
        self._vault = Vault(addresses.vault, self._credential, self._options) if addresses.vault else None
        configured = addresses.configuration or addresses.connection_string
        self._configuration = AppConfiguration(addresses, self._credential, self._options) if configured else None

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


def _run_apart(reading: Coroutine[Any, Any, _Result]) -> _Result:
    """Runs it in a loop of its own, in a thread that the end of the process does not wait for."""
    future: Future[_Result] = Future()

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
