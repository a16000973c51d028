"""The credential of an access key: it signs the tokens of calls and of clients, and verifies the service's calls."""

from typing import Any

from signalr_bridge.protocol.access_token import rest_claims, sign_token
from signalr_bridge.protocol.signing_key import SigningKey
from signalr_bridge.runtime import WallClock

REST_TOKEN_SECONDS = 300
"""How many seconds the token of a REST call is valid."""
KEPT_SECONDS = 60
"""How many seconds a token is used again for calls of the same URL. It is then still valid for four minutes."""
MOST_TOKENS = 256
"""How many tokens are kept."""


class AccessKey:
    """A static access key. ``clock`` gives seconds since 1970. An empty key raises ``ValueError`` when it signs."""

    def __init__(self, key: str, clock: WallClock) -> None:
        self._key = key
        self._clock = clock
        self._signing = SigningKey(key) if key else None
        self._tokens: dict[str, str] = {}
        self._kept_from = 0.0

    def ready_token(self, url: str) -> str:
        """A token for REST calls of ``url``, which is the URL without its query."""
        now = self._clock()
        # A clock that was set back also ends the tokens: they would not be valid yet.
        if not self._kept_from <= now < self._kept_from + KEPT_SECONDS:
            self._tokens.clear()
            self._kept_from = now
        token = self._tokens.get(url)
        if token is None:
            if len(self._tokens) >= MOST_TOKENS:
                self._tokens.clear()
            token = self._tokens[url] = self._sign(rest_claims(url, now=int(now), lifetime=REST_TOKEN_SECONDS))
        return token

    async def rest_token(self, url: str) -> str:
        """The same."""
        return self.ready_token(url)

    async def client_token(self, claims: dict[str, Any]) -> str:
        """A client's token with these claims."""
        return self._sign(claims)

    def _sign(self, claims: dict[str, Any]) -> str:
        return sign_token(claims, self._signing or self._key)

    @property
    def verifying_keys(self) -> tuple[str, ...]:
        """The keys that verify the signatures of upstream calls."""
        return (self._key,)

    @property
    def client_keys(self) -> tuple[str, ...]:
        """The keys that have signed the tokens of clients."""
        return (self._key,)

    def has_obtained(self, token: str, hub: str) -> bool:
        """Always False, because the key signs every token."""
        return False

    @property
    def refreshed(self) -> tuple[()]:
        """Empty, because a key never expires."""
        return ()

    @property
    def refresh_failure(self) -> None:
        """Always None, because a key never expires."""
