"""The default credential of Azure's library, told what the settings say under the names of its environment variables.

The library reads ``AZURE_CLIENT_ID`` and the like from the environment alone, where it takes a blank value for one.
So what a file, a folder of secrets or a store says is handed over to its constructors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from signalr_bridge.settings.fields import Section
from signalr_bridge.settings.value import Values, spell

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

_NAMES = {
    "tenant_id": "AZURE_TENANT_ID",
    "client_id": "AZURE_CLIENT_ID",
    "client_secret": "AZURE_CLIENT_SECRET",
    "certificate_file": "AZURE_CLIENT_CERTIFICATE_PATH",
    "certificate_password": "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "certificate_chain": "AZURE_CLIENT_SEND_CERTIFICATE_CHAIN",
    "token_file": "AZURE_FEDERATED_TOKEN_FILE",
    "kinds": "AZURE_TOKEN_CREDENTIALS",
}
_SECRETS = frozenset({"client_secret", "certificate_password"})
VARIABLES: Mapping[str, bool] = {spell(name): field in _SECRETS for field, name in _NAMES.items()}
"""The variables by their names in ``Values``, and whether each is a secret."""
OF_IDENTITIES = frozenset({*VARIABLES, "azure_authority_host"})
"""The names in ``Values`` that say how identities prove themselves, and to whom."""
_OUT_OF_STORES = frozenset({"azure_client_id", "azure_tenant_id"})
_KINDS = {
    "managed_identity": "managedidentitycredential",
    "shared_token_cache": "",
    "visual_studio_code": "visualstudiocodecredential",
    "cli": "azureclicredential",
    "developer_cli": "azuredeveloperclicredential",
    "powershell": "azurepowershellcredential",
}
"""The library's further credentials, by their names in ``AZURE_TOKEN_CREDENTIALS``."""


class AzureVariables(Section):
    """What the settings say under the names of the library's variables. None is what they say nothing of."""

    tenant_id: str | None = None
    client_id: str | None = None
    client_secret: SecretStr | None = None
    certificate_file: str | None = None
    certificate_password: SecretStr | None = None
    certificate_chain: str | None = None
    token_file: str | None = None
    kinds: str | None = None

    def differ(self, environment: Mapping[str, str]) -> bool:
        """Whether the library, which reads the environment, would see something else."""
        told = self._texts()
        return any(
            environment.get(name) != told.get(name) if name in told else not environment.get(name, "-").strip()
            for name in _NAMES.values()
        )

    def complete(self, environment: Mapping[str, str]) -> AzureVariables:
        """These, and of the environment what they say nothing of. A blank value there is none."""
        told = self._texts()
        given = {field: told.get(name) or environment.get(name, "").strip() for field, name in _NAMES.items()}
        return AzureVariables.model_validate({field: text for field, text in given.items() if text})

    def _texts(self) -> Mapping[str, str]:
        found = {name: getattr(self, field) for field, name in _NAMES.items()}
        return {
            name: one.get_secret_value() if isinstance(one, SecretStr) else one
            for name, one in found.items()
            if one is not None
        }


def read_variables(values: Values) -> AzureVariables:
    """What the settings say under the names of the library's variables."""
    given = {field: values[spell(name)].text for field, name in _NAMES.items() if spell(name) in values}
    return AzureVariables.model_validate({field: text for field, text in given.items() if text})


def leave_out_of_store(values: Values) -> Values:
    """The settings of a store without those that would say how identities prove themselves, and to whom.

    A store that somebody else may write would then get our credentials, or give us other ones.
    """
    left_out = OF_IDENTITIES - _OUT_OF_STORES
    return {name: found for name, found in values.items() if name not in left_out}


def make_default(
    variables: AzureVariables, environment: Mapping[str, str], options: Mapping[str, Any], **hints: Any
) -> AsyncTokenCredential:
    """The default credential.

    Args:
        variables: What the settings say of it.
        environment: The environment variables of the process.
        options: Options of every credential, such as ``authority``.
        hints: Further arguments of ``DefaultAzureCredential``. They go before the variables.

    Raises:
        ValueError: No credential can be made of them.
        OSError: A file cannot be read.
    """
    from azure.identity.aio import ChainedTokenCredential, DefaultAzureCredential

    if not variables.differ(environment):
        return DefaultAzureCredential(**hints, **options)
    known = variables.complete(environment)
    kinds = (known.kinds or "").lower()
    chain = [make() for name, make in _list_own(known, options, hints) if kinds in {"", "prod", name}]
    excluded = {f"exclude_{name}_credential": one for name, one in _exclude(kinds).items()}
    if not all(excluded.values()):
        chain.append(
            DefaultAzureCredential(
                **{
                    "managed_identity_client_id": known.client_id,
                    "exclude_environment_credential": True,
                    "exclude_workload_identity_credential": True,
                    **excluded,
                    **hints,
                    **options,
                }
            )
        )
    return ChainedTokenCredential(*chain)


def _exclude(kinds: str) -> Mapping[str, bool]:
    """Which of the library's further credentials ``AZURE_TOKEN_CREDENTIALS`` leaves out."""
    if kinds in {"prod", "dev"}:
        return {name: (name == "managed_identity") is (kinds == "dev") for name in _KINDS}
    return {name: bool(kinds) and kind != kinds for name, kind in _KINDS.items()}


def _list_own(known: AzureVariables, options: Mapping[str, Any], hints: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What makes each credential that the variables are enough for, with its name in ``AZURE_TOKEN_CREDENTIALS``."""
    from azure.identity.aio import CertificateCredential, ClientSecretCredential, WorkloadIdentityCredential

    tenant, client, secret = known.tenant_id, known.client_id, known.client_secret
    allowed = {"additionally_allowed_tenants": hints.get("additionally_allowed_tenants", []), **options}
    if tenant and client and secret is not None:
        yield (
            "environmentcredential",
            lambda: ClientSecretCredential(tenant, client, secret.get_secret_value(), **allowed),
        )
    elif tenant and client and known.certificate_file:
        password = known.certificate_password
        yield (
            "environmentcredential",
            lambda: CertificateCredential(
                tenant,
                client,
                known.certificate_file,
                password=None if password is None else password.get_secret_value(),
                send_certificate_chain=bool(known.certificate_chain),
                **allowed,
            ),
        )
    tenant_of_workload = hints.get("workload_identity_tenant_id", tenant)
    client_of_workload = hints.get("managed_identity_client_id", client)
    if tenant_of_workload and client_of_workload and known.token_file:
        yield (
            "workloadidentitycredential",
            lambda: WorkloadIdentityCredential(
                tenant_id=tenant_of_workload,
                client_id=client_of_workload,
                token_file_path=known.token_file,
                **allowed,
            ),
        )
