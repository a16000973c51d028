"""The credential of an identity: an Entra token for calls, and a key issued by the service for clients' tokens."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from signalr_bridge.endpoints.refreshing import CachedToken, CredentialFailure, RefreshingToken, Renewals, cache_token
from signalr_bridge.errors import CredentialInsufficient, MalformedMessage, NoEndpointAvailable, SettingsError
from signalr_bridge.protocol.access_token import LONGEST_LIFETIME, sign_token
from signalr_bridge.protocol.issued_key import (
    KEY_PATH,
    SCOPE,
    IssuedKey,
    TokenRequest,
    ask_instead,
    read_generated_token,
    read_issued_key,
    write_token_request,
)
from signalr_bridge.protocol.signing_key import SigningKey
from signalr_bridge.runtime import Random, WallClock
from signalr_bridge.settings.azure_identity import make_default
from signalr_bridge.settings.model import CredentialSettings
from signalr_bridge.tracing import Called, tracing_call
from signalr_bridge.web.observer import Observer
from signalr_bridge.wire.client import CallFailed, Client, ClientOptions, Response, ResponseTooLarge, read_retry_after
from signalr_bridge.wire.proxies import Proxies

# The library is imported when an identity is used, because that takes a third of a second.
if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

KEY_RENEW_SECONDS = 55 * 60.0
"""How many seconds after it was issued a key is refreshed."""
KEY_SECONDS = 90 * 60.0
"""How many seconds an issued key is valid. The service says that it is about so long."""
_KEY_FETCH_SECONDS = 10.0
_KEY_REST_SECONDS = 300.0
_LARGEST_ANSWER = 64 * 1024
_MOST_ISSUED, _MOST_OBTAINED = 100, 20_000
_SILENT = "azure.identity"
_NOT_OFFERED = ", as of a service that does not issue keys"

Maker: TypeAlias = "Callable[[], AsyncTokenCredential]"
"""Makes a credential of Azure's library. Raises ``ValueError``, ``OSError`` or ``TypeError`` for unusable settings."""


def make_maker(settings: CredentialSettings, authority: str, environment: Mapping[str, str] = os.environ) -> Maker:
    """A function that makes the credential of the settings.

    Args:
        settings: Which credential, and its values.
        authority: The address at which Entra issues tokens.
        environment: The environment variables, in which the platform names its identity endpoint.
    """
    match settings.kind:
        case "managed-identity":
            return lambda: _make_managed(settings, environment)
        case "client-secret" | "client-certificate" | "workload-identity":
            return lambda: _make_application(settings, authority)
    return lambda: _make_default(settings, authority, environment)


def check_maker(make: Maker, whose: str) -> None:
    """Raises ``SettingsError`` when the credential cannot be made. ``whose`` names its endpoint in the error."""
    try:
        make()
    except (ValueError, OSError, TypeError):
        raise SettingsError(
            f"{whose}: its credential cannot be used; a certificate file must hold a certificate and its RSA private "
            "key, a tenant is a GUID or a domain, and AZURE_AUTHORITY_HOST an https address."
        ) from None


async def fetch_token(make: Maker, clock: WallClock, scope: str = SCOPE) -> CachedToken[str]:
    """A new token for ``scope``. Raises the errors of Azure's library. ``clock`` gives seconds since 1970."""
    with tracing_call("POST", "", Called(of="identity")):
        async with make() as credential:
            found = await _ask(credential, scope)
    return cache_token(found.token, found.expires_on, clock(), getattr(found, "refresh_on", None))


async def _ask(credential: AsyncTokenCredential, scope: str) -> Any:
    """A token, with ``refresh_on`` where the credential knows it."""
    ask = getattr(credential, "get_token_info", None)
    return await (credential.get_token(scope) if ask is None else ask(scope))


def _options() -> dict[str, Any]:
    """Options that switch off the library's retries and logs. We retry, and its logs may quote an answer."""
    logging.getLogger(_SILENT).setLevel(logging.CRITICAL)
    return {"retry_total": 0, "logging_enable": False}


def _make_managed(settings: CredentialSettings, environment: Mapping[str, str]) -> AsyncTokenCredential:
    from azure.identity.aio import ManagedIdentityCredential

    config = name_identity(settings, environment)
    return ManagedIdentityCredential(client_id=settings.client_id, identity_config=config, **_options())


def name_identity(settings: CredentialSettings, environment: Mapping[str, str]) -> dict[str, str] | None:
    """The id of a user-assigned identity, by the name of its parameter on the platform. None when no id is given.

    App Service and Container Apps answer 400 to the library's own ``resource_id`` and ``object_id``.
    """
    if settings.resource_id is not None:
        return {"mi_res_id": settings.resource_id}
    if settings.object_id is not None:
        return {"principal_id" if environment.get("IDENTITY_ENDPOINT") else "object_id": settings.object_id}
    return None


def _make_application(settings: CredentialSettings, authority: str) -> AsyncTokenCredential:
    from azure.identity.aio import CertificateCredential, ClientSecretCredential, WorkloadIdentityCredential

    tenant, client = settings.tenant_id or "", settings.client_id or ""
    options = {"authority": authority, "additionally_allowed_tenants": [*settings.allowed_tenants], **_options()}
    if settings.kind == "client-secret":
        secret = "" if settings.client_secret is None else settings.client_secret.get_secret_value()
        return ClientSecretCredential(tenant, client, secret, **options)
    if settings.kind == "client-certificate":
        return CertificateCredential(tenant, client, settings.certificate_file, **options)
    return WorkloadIdentityCredential(
        tenant_id=tenant, client_id=client, token_file_path=settings.token_file, **options
    )


def _make_default(settings: CredentialSettings, authority: str, environment: Mapping[str, str]) -> AsyncTokenCredential:
    from azure.identity.aio import ChainedTokenCredential

    hints: dict[str, Any] = {"additionally_allowed_tenants": [*settings.allowed_tenants]}
    if settings.client_id is not None:
        hints["managed_identity_client_id"] = settings.client_id
    if settings.tenant_id is not None:
        hints["workload_identity_tenant_id"] = settings.tenant_id
    options = {"authority": authority, **_options()}
    if settings.resource_id is None:
        return make_default(settings.variables, environment, options, **hints)
    hints.pop("managed_identity_client_id", None)
    hints["exclude_managed_identity_credential"] = True
    rest = make_default(settings.variables, environment, options, **hints)
    return ChainedTokenCredential(_make_managed(settings.model_copy(update={"client_id": None}), environment), rest)


_KEY_CALL = Called(KEY_PATH, "service")
_TOKEN_CALL = Called("/api/hubs/{hub}/:generateToken", "service")


class ServiceKeys:
    """Fetches the keys and tokens that the service issues. One HTTP client serves all endpoints.

    ``proxies`` says which of them are called through a proxy.
    """

    def __init__(self, proxies: Proxies | None = None) -> None:
        self._client = Client(ClientOptions(proxies=proxies))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def fetch_key(self, server_url: str, token: str) -> IssuedKey:
        """A signing key from the instance at ``server_url``. ``token`` is an Entra token.

        Raises ``CredentialFailure``.
        """
        try:
            return read_issued_key(await self._ask("GET", server_url + KEY_PATH, token, _KEY_CALL))
        except MalformedMessage:
            raise CredentialFailure("the answer holds no signing key") from None

    async def generate_token(self, server_url: str, request: TokenRequest, token: str) -> str:
        """A client's token from the instance at ``server_url``. ``token`` is an Entra token.

        Raises ``CredentialFailure``.
        """
        try:
            return read_generated_token(
                await self._ask("POST", server_url + write_token_request(request), token, _TOKEN_CALL)
            )
        except MalformedMessage:
            raise CredentialFailure("the answer holds no token") from None

    async def _ask(self, method: str, url: str, token: str, called: Called) -> bytes:
        self._client.open()
        headers = {"Authorization": f"Bearer {token}"}
        try:
            response = await self._client.request(
                method, url, headers=headers, seconds=_KEY_FETCH_SECONDS, largest=_LARGEST_ANSWER, called=called
            )
        except ResponseTooLarge:
            raise CredentialFailure("signing key: the answer is too large") from None
        except CallFailed as error:
            raise CredentialFailure(f"signing key: {error}") from None
        if response.status != 200:
            raise _refuse(response)
        return response.body


def _refuse(response: Response) -> CredentialFailure:
    return CredentialFailure(
        f"signing key: status {response.status}" + (_NOT_OFFERED if response.status == 404 else ""),
        retry_after=read_retry_after(response.headers),
        forbidden=response.status == 403,
    )


class _Signer:
    """Signs clients' tokens with a key that the service issued."""

    def __init__(self, issued: IssuedKey) -> None:
        self._key, self._key_id = SigningKey(issued.key), issued.key_id

    def sign(self, claims: dict[str, Any]) -> str:
        """A token with these claims."""
        return sign_token(claims, self._key, self._key_id)


def _digest(token: str, hub: str) -> bytes:
    return hashlib.sha256(f"{hub.lower()} {token}".encode("utf-8", "surrogatepass")).digest()[:16]


class Identity:
    """The credential of an endpoint with an identity.

    Args:
        token: The Entra token, which several endpoints may share.
        keys: Fetches keys from the service.
        server_url: The URL at which we call the service.
        clock: Gives seconds since 1970.
        random: Gives 0 to 1.
        wait_seconds: The most seconds that a client waits for the first key.
        verifying_keys: Access keys. An instance may have them beside an identity, and sign its calls with them.
        observer: Is told of each refresh of the key.
    """

    def __init__(
        self,
        token: RefreshingToken[str],
        keys: ServiceKeys,
        server_url: str,
        *,
        clock: WallClock,
        random: Random,
        wait_seconds: float = 10.0,
        verifying_keys: tuple[str, ...] = (),
        observer: Observer,
    ) -> None:
        self.verifying_keys = verifying_keys
        self._token, self._keys, self._server_url = token, keys, server_url
        self._clock, self._wait_seconds = clock, wait_seconds
        self._key = RefreshingToken(
            f"signing key of {server_url}",
            self._fetch_key,
            clock=clock,
            random=random,
            seconds=_KEY_FETCH_SECONDS,
            longest_rest=_KEY_REST_SECONDS,
            observer=observer,
        )
        self._is_signing = False
        self._issued: dict[str, float] = {}
        self._obtained: OrderedDict[bytes, None] = OrderedDict()

    @property
    def client_keys(self) -> tuple[str, ...]:
        """The keys that have signed the tokens of clients. One that was replaced counts while its tokens may live."""
        now = self._clock()
        return (*(key for key, ends in reversed(self._issued.items()) if now < ends), *self.verifying_keys)

    def has_obtained(self, token: str, hub: str) -> bool:
        """Whether the service has made this token for a client of the hub, because the identity may not sign."""
        return bool(self._obtained) and _digest(token, hub) in self._obtained

    @property
    def refresh_failure(self) -> str | None:
        """Why the last refresh of the token or of the key failed. None when neither did."""
        return self._token.refresh_failure or self._key.refresh_failure

    @property
    def refreshed(self) -> tuple[Renewals, ...]:
        """How often the token and the key were renewed."""
        return self._token, self._key

    def ready_token(self, url: str) -> str | None:
        """The Entra token, the same for every ``url``. None when it has to be waited for."""
        if self._is_signing:  # calls come often, so the key is fresh when the next client comes
            self._key.nudge()
        return self._token.ready()

    async def rest_token(self, url: str) -> str:
        """The Entra token, the same for every ``url``. Raises ``CredentialFailure``."""
        token = await self._token.get()
        if self._is_signing:
            self._key.nudge()
        return token

    async def client_token(self, claims: dict[str, Any]) -> str:
        """A client's token with these claims.

        Raises ``NoEndpointAvailable`` when there is no key in time, and ``CredentialInsufficient`` when the identity's
        role allows neither a key nor a token.
        """
        self._is_signing = True
        if (signer := self._key.ready()) is not None:
            return signer.sign(claims)
        try:
            async with asyncio.timeout(self._wait_seconds):
                return await self._sign(claims)
        except (CredentialFailure, TimeoutError):
            raise NoEndpointAvailable(
                "The endpoint's credential has no signing key at the moment; try again.", headers={"Retry-After": "5"}
            ) from None

    async def _sign(self, claims: dict[str, Any]) -> str:
        try:
            signer = await self._key.get()
        except CredentialFailure as failure:
            if not failure.forbidden:
                raise
            return await self._have_generated(claims)
        return signer.sign(claims)

    async def _have_generated(self, claims: dict[str, Any]) -> str:
        request = ask_instead(claims)
        if request is None:
            raise CredentialInsufficient(
                "The bridge's identity may not sign tokens of its own, as claims and close-on-expiry need: "
                "give it the role SignalR App Server or SignalR Service Owner."
            )
        try:
            token = await self._keys.generate_token(self._server_url, request, await self._token.get())
        except CredentialFailure as failure:
            if not failure.forbidden:
                raise
            raise CredentialInsufficient(
                "The bridge's identity may neither sign tokens nor have them made: "
                "give it the role SignalR App Server or SignalR Service Owner."
            ) from None
        self._obtained[_digest(token, request.hub)] = None
        if len(self._obtained) > _MOST_OBTAINED:
            self._obtained.popitem(last=False)
        return token

    async def _fetch_key(self) -> CachedToken[_Signer]:
        issued = await self._keys.fetch_key(self._server_url, await self._token.get())
        now = self._clock()
        self._remember(issued.key, now)
        return CachedToken(_Signer(issued), now + KEY_RENEW_SECONDS, now + KEY_SECONDS)

    def _remember(self, key: str, now: float) -> None:
        """Keep the key for as long as the last token that it may sign. The newest ones stand last."""
        kept = [(one, ends) for one, ends in self._issued.items() if one != key and now < ends]
        self._issued = dict([*kept, (key, now + KEY_SECONDS + LONGEST_LIFETIME)][-_MOST_ISSUED:])

    async def close(self) -> None:
        """Ends the refreshing of the key, and waits until a refresh that is running has ended."""
        await self._key.close()

    def stop(self) -> None:
        """Ends the refreshing of the key without waiting. The token goes on, because other endpoints may share it."""
        self._key.stop()
