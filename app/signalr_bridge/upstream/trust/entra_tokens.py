"""The tokens of Entra among a call's headers: found, their key fetched, and checked."""

from collections.abc import Callable, Sequence

from signalr_bridge.errors import BadToken
from signalr_bridge.settings.model import EntraSettings
from signalr_bridge.upstream.trust.entra import EntraRules, entra_documents, make_rules, read_application, read_key_id
from signalr_bridge.web.tokens.discovery import Discovery
from signalr_bridge.web.tokens.key_cache import KeyCache

_AUTHORIZATION = b"authorization"
_SCHEME = b"bearer "


class EntraTokens:
    """``clock`` gives seconds since 1970."""

    def __init__(self, rules: EntraRules, keys: KeyCache, clock: Callable[[], float]) -> None:
        self._rules = rules
        self._keys = keys
        self._clock = clock

    def are_among(self, lines: Sequence[tuple[bytes, bytes]]) -> bool:
        return any(name == _AUTHORIZATION and value[: len(_SCHEME)].lower() == _SCHEME for name, value in lines)

    async def read_application(self, lines: Sequence[tuple[bytes, bytes]]) -> str:
        """The id of the application whose token this is. Raises ``BadToken``."""
        given = [value for name, value in lines if name == _AUTHORIZATION]
        if len(given) != 1:
            raise BadToken("there is more than one header 'Authorization'")
        token = given[0][len(_SCHEME) :].decode("latin-1").strip()
        key = await self._keys.find(read_key_id(token))
        if key is None:
            raise BadToken("the issuer publishes no such key, or cannot be asked")
        return read_application(token, key, self._rules, self._clock())


def build_entra_tokens(
    settings: EntraSettings, authority: str, clock: Callable[[], float], monotonic: Callable[[], float]
) -> EntraTokens | None:
    """None when no settings of Entra are given."""
    if settings.tenant is None:
        return None
    discovery = Discovery(entra_documents(authority, settings.tenant))
    rules = make_rules(settings.tenant, settings.audience, settings.app_ids, authority)
    return EntraTokens(rules, KeyCache(discovery.fetch, monotonic), clock)
