"""Both stores together: asked every so often; what they said last counts while they cannot be asked."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from signalr_bridge.errors import SettingsError
from signalr_bridge.settings.sources.stores.app_configuration import AppConfiguration
from signalr_bridge.settings.sources.stores.credential import StoreCredential
from signalr_bridge.settings.sources.stores.key_vault import Vault
from signalr_bridge.settings.sources.stores.places import Places, read_places
from signalr_bridge.settings.sources.value import Values

READ_SECONDS = 10.0
_LOG = logging.getLogger("signalr_bridge.settings")
_AZURES = ("bridge_", "azure:signalr", "azuresignalr")


class Stores:
    """``clock`` gives seconds; ``options`` go to the client libraries as they are, and are for tests alone."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, options: Mapping[str, Any] | None = None) -> None:
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
            _LOG.warning("a store could not be read, what it said last stays", extra={"why": refusal.detail})
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
