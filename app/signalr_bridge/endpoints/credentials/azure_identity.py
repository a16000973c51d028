"""Entra tokens by azure-identity: which of its credentials the settings mean, and a token from it.

A credential is made anew for each token: so nothing is cached but by us, a failure is never hidden by an older token,
and a certificate or secret that was replaced in its file counts at once.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from signalr_bridge.endpoints.credentials.renewal import Held, hold
from signalr_bridge.errors import SettingsError
from signalr_bridge.protocol.issued_key import SCOPE
from signalr_bridge.settings.model import CredentialSettings

# The library is imported when an identity is used: it takes a third of a second.
if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

_SILENT = "azure.identity"

Maker: TypeAlias = "Callable[[], AsyncTokenCredential]"


def make_maker(settings: CredentialSettings, authority: str, environment: Mapping[str, str] = os.environ) -> Maker:
    """What makes the credential that ``settings`` describe; ``authority`` is where tokens are issued."""
    match settings.kind:
        case "managed-identity":
            return lambda: _make_managed(settings, environment)
        case "client-secret" | "client-certificate" | "workload-identity":
            return lambda: _make_application(settings, authority)
    return lambda: _make_default(settings, authority, environment)


def check_maker(make: Maker, whose: str) -> None:
    """``SettingsError`` when the credential cannot even be made."""
    try:
        make()
    except (ValueError, OSError, TypeError):
        raise SettingsError(
            f"{whose}: its credential cannot be used; a certificate file must hold a certificate and its RSA private "
            "key, a tenant is a GUID or a domain, and AZURE_AUTHORITY_HOST an https address."
        ) from None


async def fetch_token(make: Maker, clock: Callable[[], float], scope: str = SCOPE) -> Held[str]:
    """A new token. Raises whatever the library does."""
    async with make() as credential:
        found = await _ask(credential, scope)
    return hold(found.token, found.expires_on, clock(), getattr(found, "refresh_on", None))


async def _ask(credential: AsyncTokenCredential, scope: str) -> Any:
    """With ``refresh_on`` where the credential knows it."""
    ask = getattr(credential, "get_token_info", None)
    return await (credential.get_token(scope) if ask is None else ask(scope))


# --- which one


def _options() -> dict[str, Any]:
    """We retry ourselves, and log ourselves: the library's words may quote an answer."""
    logging.getLogger(_SILENT).setLevel(logging.CRITICAL)
    return {"retry_total": 0, "logging_enable": False}


def _make_managed(settings: CredentialSettings, environment: Mapping[str, str]) -> AsyncTokenCredential:
    from azure.identity.aio import ManagedIdentityCredential

    config = name_identity(settings, environment)
    return ManagedIdentityCredential(client_id=settings.client_id, identity_config=config, **_options())


def name_identity(settings: CredentialSettings, environment: Mapping[str, str]) -> dict[str, str] | None:
    """A user-assigned identity by the parameter names that the platform knows.

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
    from azure.identity.aio import ChainedTokenCredential, DefaultAzureCredential

    hints: dict[str, Any] = {"additionally_allowed_tenants": [*settings.allowed_tenants]}
    if settings.client_id is not None:
        hints["managed_identity_client_id"] = settings.client_id
    if settings.tenant_id is not None:
        hints["workload_identity_tenant_id"] = settings.tenant_id
    if settings.resource_id is None:
        return DefaultAzureCredential(authority=authority, **hints, **_options())
    hints.pop("managed_identity_client_id", None)
    rest = DefaultAzureCredential(authority=authority, exclude_managed_identity_credential=True, **hints, **_options())
    return ChainedTokenCredential(_make_managed(settings.model_copy(update={"client_id": None}), environment), rest)
