"""The credential of each endpoint, made from its settings. Endpoints with the same identity share one token."""

import os
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Self, TypeAlias

from signalr_bridge.endpoints.access_key import AccessKey
from signalr_bridge.endpoints.endpoint import Credential
from signalr_bridge.endpoints.entra_credential import Identity, ServiceKeys, check_maker, fetch_token, make_maker
from signalr_bridge.endpoints.refreshing import RefreshingToken
from signalr_bridge.errors import SettingsError
from signalr_bridge.runtime import Runtime
from signalr_bridge.settings.model import CredentialSettings, EndpointSettings
from signalr_bridge.web.observer import Observer
from signalr_bridge.wire.proxies import Proxies, read_proxies

_TOKEN_FETCH_SECONDS = 10.0
"""How many seconds fetching a token may take. The chain of default credentials asks several identity endpoints."""

_Instance: TypeAlias = tuple[str, str | None, CredentialSettings]
"""What tells identities apart: the server's URL, an access key that verifies calls, and the credential's settings."""


def find_proxies(environment: Mapping[str, str]) -> Proxies | None:
    """The proxies for calls to the service, as the environment names them. Raises ``SettingsError``."""
    try:
        return read_proxies(environment)
    except ValueError as error:
        raise SettingsError(str(error)) from None


class Credentials:
    """The credentials in use. It is entered and left with the application. Tokens are fetched when they are needed.

    A change of settings leaves an endpoint its tokens and keys, unless its own settings changed.

    Args:
        authority: The address at which Entra issues tokens.
        runtime: The clocks and randomness.
        environment: The environment variables, in which the platform names its identity endpoint and its proxy.
        wait_seconds: The most seconds that a client waits for the first key.
        observer: Is told of each refresh.
    """

    def __init__(
        self,
        authority: str,
        *,
        runtime: Runtime,
        environment: Mapping[str, str] = os.environ,
        wait_seconds: float = 10.0,
        observer: Observer,
    ) -> None:
        self._authority, self._environment = authority, environment
        self._runtime, self._wait_seconds, self._observer = runtime, wait_seconds, observer
        self._keys = ServiceKeys(find_proxies(environment))
        self._tokens: dict[CredentialSettings, RefreshingToken[str]] = {}
        self._identities: dict[_Instance, Identity] = {}

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
        """The credential of an endpoint. Raises ``SettingsError`` for an identity that cannot be used."""
        connection = endpoint.connection
        if endpoint.credential.kind == "access-key":
            return AccessKey(connection.access_key or "", self._runtime.wall_clock)
        server_url = connection.server_endpoint or connection.endpoint
        known = server_url, connection.access_key, endpoint.credential
        identity = self._identities.get(known)
        if identity is None:
            identity = self._identities[known] = self._make_identity(endpoint, server_url)
        return identity

    def forget_all_but(self, used: Iterable[Credential]) -> None:
        """Stops and forgets all credentials but those ``used``, with their secrets."""
        kept = {id(one) for one in used}
        for known, identity in list(self._identities.items()):
            if id(identity) not in kept:
                self._identities.pop(known).stop()
        needed = {settings for _, _, settings in self._identities}
        for settings in self._tokens.keys() - needed:
            self._tokens.pop(settings).stop()

    def _make_identity(self, endpoint: EndpointSettings, server_url: str) -> Identity:
        key = endpoint.connection.access_key
        return Identity(
            self._find_token(endpoint),
            self._keys,
            server_url,
            clock=self._runtime.wall_clock,
            random=self._runtime.random,
            wait_seconds=self._wait_seconds,
            verifying_keys=() if key is None else (key,),
            observer=self._observer,
        )

    def _find_token(self, endpoint: EndpointSettings) -> RefreshingToken[str]:
        settings = endpoint.credential
        token = self._tokens.get(settings)
        if token is None:
            make = make_maker(settings, self._authority, self._environment)
            check_maker(make, f"The endpoint '{endpoint.name}' ({settings.describe()})")
            token = self._tokens[settings] = RefreshingToken(
                settings.describe(),
                partial(fetch_token, make, self._runtime.wall_clock),
                clock=self._runtime.wall_clock,
                random=self._runtime.random,
                seconds=_TOKEN_FETCH_SECONDS,
                observer=self._observer,
            )
        return token
