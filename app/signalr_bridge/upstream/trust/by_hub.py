"""Who may call upstream, hub by hub: where a hub has rules of its own, these hold and no others."""

from collections.abc import Mapping
from typing import Protocol

from signalr_bridge.protocol.upstream_event import EventHeaders
from signalr_bridge.settings.model import Settings
from signalr_bridge.upstream.trust.entra_tokens import EntraTokens
from signalr_bridge.upstream.trust.trust import HeaderLines, Trust, VouchersOf, build_trust


class Trusting(Protocol):
    """Judges calls: by one set of rules for all hubs, or by the hub."""

    async def check(self, query: bytes, lines: HeaderLines, headers: EventHeaders) -> str | None:
        """The name of the endpoint that vouched, if that is known. Raises ``Unauthenticated``."""
        ...

    def check_verifiable(self, hub: str, handler: str) -> None:
        """``SettingsError`` when a hub has a handler and no call of it could ever be verified."""
        ...


class TrustByHub:
    """``own`` has the rules of hubs in lower case, ``common`` those of all others."""

    def __init__(self, common: Trust, own: Mapping[str, Trust]) -> None:
        self._common = common
        self._own = dict(own)

    async def check(self, query: bytes, lines: HeaderLines, headers: EventHeaders) -> str | None:
        return await self._find(headers.hub).check(query, lines, headers)

    def check_verifiable(self, hub: str, handler: str) -> None:
        self._find(hub).check_verifiable(hub, handler)

    def _find(self, hub: str) -> Trust:
        return self._own.get(hub.lower(), self._common)


def build_trusts(
    settings: Settings,
    vouchers_of: VouchersOf,
    tokens: EntraTokens | None,
    hub_tokens: Mapping[str, EntraTokens | None] | None = None,
) -> Trusting:
    """``hub_tokens`` are for hubs whose tokens are checked by rules of their own."""
    common, own_tokens = build_trust(settings.upstream, vouchers_of, tokens), hub_tokens or {}
    own = {
        hub: build_trust(one.upstream, vouchers_of, own_tokens.get(hub, tokens))
        for hub, one in settings.hubs.items()
        if one.upstream is not None
    }
    return TrustByHub(common, own) if own else common
