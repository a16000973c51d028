"""The credential of an access key: it signs the tokens of calls and of clients, and verifies the service's calls."""

from typing import Any

from signalr_bridge.protocol.access_token import rest_claims, sign_token
from signalr_bridge.runtime import WallClock

REST_TOKEN_SECONDS = 300
"""How many seconds the token of one REST call is valid. It is made for that call alone."""


class AccessKey:
    """A static access key. ``clock`` gives seconds since 1970. An empty key raises ``ValueError`` when it signs."""

    def __init__(self, key: str, clock: WallClock) -> None:
        self._key = key
        self._clock = clock

    async def rest_token(self, url: str) -> str:
        """A new token for one REST call. ``url`` is the URL without its query."""
        return sign_token(rest_claims(url, now=int(self._clock()), lifetime=REST_TOKEN_SECONDS), self._key)

    async def client_token(self, claims: dict[str, Any]) -> str:
        """A client's token with these claims."""
        return sign_token(claims, self._key)

    @property
    def verifying_keys(self) -> tuple[str, ...]:
        """The keys that verify the signatures of upstream calls."""
        return (self._key,)

    @property
    def refresh_failure(self) -> None:
        """Always None, because a key never expires."""
