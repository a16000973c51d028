"""An identity: calls carry its Entra token, clients' tokens are signed with a key that the service issues to it."""

import asyncio
from collections.abc import Callable
from typing import Any

from signalr_bridge.endpoints.credentials.failure import CredentialFailure
from signalr_bridge.endpoints.credentials.renewal import Held
from signalr_bridge.endpoints.credentials.renewed import Renewed
from signalr_bridge.endpoints.credentials.service_keys import ServiceKeys
from signalr_bridge.errors import CredentialInsufficient, NoEndpointAvailable
from signalr_bridge.protocol.access_token import sign_token
from signalr_bridge.protocol.issued_key import IssuedKey, ask_instead

KEY_RENEW_SECONDS = 55 * 60.0
KEY_SECONDS = 90 * 60.0
"""The service says that a key it issues is good for about so long."""
_KEY_FETCH_SECONDS = 10.0
_KEY_REST_SECONDS = 300.0


class Identity:
    """``token`` is that of Entra, which several endpoints may share; ``server_url`` is the service's, for us.

    A client waits at most ``wait_seconds`` for the first key. ``verifying_keys``: an instance with an identity may
    have access keys all the same, and sign its calls with them.
    """

    def __init__(
        self,
        token: Renewed[str],
        keys: ServiceKeys,
        server_url: str,
        *,
        clock: Callable[[], float],
        random: Callable[[], float],
        wait_seconds: float = 10.0,
        verifying_keys: tuple[str, ...] = (),
    ) -> None:
        self.verifying_keys = verifying_keys
        self._token, self._keys, self._server_url = token, keys, server_url
        self._clock, self._wait_seconds = clock, wait_seconds
        self._key = Renewed(
            f"signing key of {server_url}",
            self._fetch_key,
            clock=clock,
            random=random,
            seconds=_KEY_FETCH_SECONDS,
            longest_rest=_KEY_REST_SECONDS,
        )
        self._is_signing = False

    @property
    def trouble(self) -> str | None:
        return self._token.trouble or self._key.trouble

    async def rest_token(self, url: str) -> str:
        """The same for every ``url``. Raises ``CredentialFailure``."""
        token = await self._token.get()
        if self._is_signing:  # calls come often: so the key is fresh when the next client does
            self._key.nudge()
        return token

    async def client_token(self, claims: dict[str, Any]) -> str:
        """Raises ``NoEndpointAvailable``, and ``CredentialInsufficient`` when the identity's role is too small."""
        self._is_signing = True
        try:
            async with asyncio.timeout(self._wait_seconds):
                return await self._sign(claims)
        except (CredentialFailure, TimeoutError):
            raise NoEndpointAvailable(
                "The endpoint's credential has no signing key at the moment; try again.", headers={"Retry-After": "5"}
            ) from None

    async def _sign(self, claims: dict[str, Any]) -> str:
        try:
            issued = await self._key.get()
        except CredentialFailure as failure:
            if not failure.forbidden:
                raise
            return await self._have_generated(claims)
        return sign_token(claims, issued.key, issued.key_id)

    async def _have_generated(self, claims: dict[str, Any]) -> str:
        request = ask_instead(claims)
        if request is None:
            raise CredentialInsufficient(
                "The bridge's identity may not sign tokens of its own, as claims and close-on-expiry need: "
                "give it the role SignalR App Server or SignalR Service Owner."
            )
        try:
            return await self._keys.generate_token(self._server_url, request, await self._token.get())
        except CredentialFailure as failure:
            if not failure.forbidden:
                raise
            raise CredentialInsufficient(
                "The bridge's identity may neither sign tokens nor have them made: "
                "give it the role SignalR App Server or SignalR Service Owner."
            ) from None

    async def _fetch_key(self) -> Held[IssuedKey]:
        issued = await self._keys.fetch_key(self._server_url, await self._token.get())
        now = self._clock()
        return Held(issued, now + KEY_RENEW_SECONDS, now + KEY_SECONDS)

    async def close(self) -> None:
        await self._key.close()
