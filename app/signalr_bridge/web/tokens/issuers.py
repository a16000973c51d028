"""Token issuers that the settings name: a token in, what it says out, when everything about it is right."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from signalr_bridge.errors import BadToken
from signalr_bridge.web.tokens.discovery import openid_discovery
from signalr_bridge.web.tokens.key_cache import KeyCache
from signalr_bridge.web.tokens.signed_token import Claims, check_times, read_claims, take_apart, verify
from signalr_bridge.web.tokens.token_rules import LEEWAY_SECONDS, TokenRules, choose_rules, find_issuer


@dataclass(frozen=True, slots=True)
class Verified:
    """What a token says that was found to be right, and the rules that it fulfils."""

    rules: TokenRules
    claims: Claims = field(repr=False)


class IssuerKeys:
    """A key cache for each issuer, shared by all who believe it. ``clock`` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float], make: Callable[[str], KeyCache] | None = None) -> None:
        self._caches: dict[str, KeyCache] = {}
        self._make = make or (lambda issuer: KeyCache(openid_discovery(issuer).fetch, clock))

    def of(self, issuer: str) -> KeyCache:
        if issuer not in self._caches:
            self._caches[issuer] = self._make(issuer)
        return self._caches[issuer]


class Issuers:
    """``clock`` gives seconds since 1970."""

    def __init__(self, rules: Sequence[TokenRules], keys: IssuerKeys, clock: Callable[[], float]) -> None:
        self.rules = tuple(rules)
        self._keys = keys
        self._clock = clock

    async def check(self, token: str) -> Verified:
        """Raises ``BadToken`` with the reason."""
        found = take_apart(token)
        issuer = find_issuer(read_claims(found), self.rules)
        key = await self._keys.of(issuer).find(found.key_id)
        if key is None:
            raise BadToken("the issuer publishes no such key, or cannot be asked")
        verify(found, key)
        claims = read_claims(found)
        check_times(claims, self._clock(), LEEWAY_SECONDS)
        return Verified(choose_rules(claims, self.rules), claims)
