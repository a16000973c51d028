"""What opens each endpoint, made from its settings: identities that are alike share one token."""

import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Self

from signalr_bridge.endpoints.access_key import AccessKey
from signalr_bridge.endpoints.entra_credential import Identity, ServiceKeys, check_maker, fetch_token, make_maker
from signalr_bridge.endpoints.refreshing import RefreshingToken
from signalr_bridge.runtime import Random, WallClock
from signalr_bridge.settings.model import CredentialSettings, EndpointSettings

_TOKEN_FETCH_SECONDS = 10.0
"""How long an identity endpoint may take. The chain of default credentials asks several."""


class Credentials:
    """Entered and left with the application; nothing is fetched before it is needed.

    When settings change, an endpoint whose own have not keeps its tokens and keys. ``authority`` is where Entra issues
    tokens, ``clock`` gives seconds since 1970, ``random`` a number from 0 to 1.
    """

    def __init__(
        self,
        authority: str,
        *,
        clock: WallClock,
        random: Random,
        environment: Mapping[str, str] = os.environ,
        wait_seconds: float = 10.0,
    ) -> None:
        self._authority, self._environment = authority, environment
        self._clock, self._random, self._wait_seconds = clock, random, wait_seconds
        self._keys = ServiceKeys()
        self._tokens: dict[CredentialSettings, RefreshingToken[str]] = {}
        self._identities: dict[tuple[str, str | None, CredentialSettings], Identity] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._keys)
            for token in self._tokens.values():
                stack.push_async_callback(token.close)
            for identity in self._identities.values():
                stack.push_async_callback(identity.close)

    def find(self, endpoint: EndpointSettings) -> AccessKey | Identity:
        """``SettingsError`` for an identity that cannot be used."""
        connection = endpoint.connection
        if endpoint.credential.kind == "access-key":
            return AccessKey(connection.access_key or "", self._clock)
        server_url = connection.server_endpoint or connection.endpoint
        known = server_url, connection.access_key, endpoint.credential
        identity = self._identities.get(known)
        if identity is None:
            identity = self._identities[known] = self._make_identity(endpoint, server_url)
        return identity

    def _make_identity(self, endpoint: EndpointSettings, server_url: str) -> Identity:
        key = endpoint.connection.access_key
        return Identity(
            self._find_token(endpoint),
            self._keys,
            server_url,
            clock=self._clock,
            random=self._random,
            wait_seconds=self._wait_seconds,
            verifying_keys=() if key is None else (key,),
        )

    def _find_token(self, endpoint: EndpointSettings) -> RefreshingToken[str]:
        settings = endpoint.credential
        token = self._tokens.get(settings)
        if token is None:
            make = make_maker(settings, self._authority, self._environment)
            check_maker(make, f"The endpoint '{endpoint.name}' ({settings.describe()})")
            token = self._tokens[settings] = RefreshingToken(
                settings.describe(),
                partial(fetch_token, make, self._clock),
                clock=self._clock,
                random=self._random,
                seconds=_TOKEN_FETCH_SECONDS,
            )
        return token
