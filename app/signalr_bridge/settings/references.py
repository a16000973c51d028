"""References to secrets in Key Vault, ``@Microsoft.KeyVault(...)``, as App Service and Functions know them.

Source: https://learn.microsoft.com/azure/app-service/app-service-key-vault-references
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from signalr_bridge.settings.key_vault import VAULT_SOURCE, SecretAddress, read_secret_address
from signalr_bridge.settings.value import Diagnostic, Level, Value, Values

_REFERENCE = re.compile(r"@Microsoft\.KeyVault\((.*)\)", re.IGNORECASE | re.DOTALL)
_BEGINNING = "@microsoft.keyvault"
_PARTS = frozenset({"secreturi", "vaultname", "secretname", "secretversion"})
_VAULT = re.compile(r"[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]")
_SECRET = re.compile(r"[A-Za-z0-9-]{1,127}")
_VERSION = re.compile(r"[A-Za-z0-9]{1,64}")
_PUBLIC = "vault.azure.net"
_DOMAINS = {
    "login.chinacloudapi.cn": "vault.azure.cn",
    "login.partner.microsoftonline.cn": "vault.azure.cn",
    "login.microsoftonline.us": "vault.usgovcloudapi.net",
    "login.microsoftonline.de": "vault.microsoftazure.de",
}
"""The domain of Key Vault in each of Azure's other clouds, by the host at which Entra issues tokens there."""

_HOW = (
    "write @Microsoft.KeyVault(SecretUri=https://<vault>.vault.azure.net/secrets/<name>) "
    "or @Microsoft.KeyVault(VaultName=<vault>;SecretName=<name>)."
)


@dataclass(frozen=True, slots=True)
class Reference:
    """A setting that refers to a secret. Only for one of ours it is an error that there is no such secret.

    App Service leaves a reference that it cannot resolve as it is, and so the app gets it here.
    """

    setting: Value
    is_ours: bool

    def fault(self, text: str) -> Diagnostic:
        """What is wrong with it."""
        level = Level.ERROR if self.is_ours else Level.WARNING
        return Diagnostic(level, self.setting.written, text, self.setting.place, self.setting.line)


@dataclass(frozen=True, slots=True)
class References:
    """The settings that refer to secrets, by name, and what is wrong with those that mean nothing.

    ``secrets`` are the secrets with one setting each that refers to it, one of ours where there is one.
    """

    found: Mapping[str, SecretAddress]
    secrets: Mapping[SecretAddress, Reference]
    diagnostics: tuple[Diagnostic, ...] = ()

    def fill(self, values: Values, secrets: Mapping[SecretAddress, str]) -> Values:
        """The settings with the secrets in the places of the references. One that is not known leaves its reference."""
        filled = {
            name: replace(values[name], value=secrets[secret].rstrip("\r\n"), source=_name_source(values[name]))
            for name, secret in self.found.items()
            if secret in secrets
        }
        return {**values, **filled}


def _name_source(found: Value) -> str:
    """The secret may change while the bridge runs, also where the environment refers to it."""
    return f"{found.source}, by {VAULT_SOURCE}"


def find_references(values: Values, wanted: Callable[[str], bool]) -> References:
    """The references among the settings. With a function app that runs here, all of its settings count, too.

    Args:
        values: All settings.
        wanted: Whether a name may be one of ours.
    """
    authority = values.get("azure_authority_host")
    domain = _find_domain("" if authority is None else authority.text)
    runs = "bridge_function_app:folder" in values
    found: dict[str, SecretAddress] = {}
    secrets: dict[SecretAddress, Reference] = {}
    said: list[Diagnostic] = []
    for name, one in values.items():
        reference = Reference(one, wanted(name))
        if (reference.is_ours or runs) and is_reference(one):
            try:
                secret = found[name] = read_reference(one.text, domain)
            except ValueError as error:
                said.append(reference.fault(str(error)))
            else:
                secrets[secret] = reference if reference.is_ours else secrets.get(secret, reference)
    return References(found, secrets, tuple(said))


def advise(error: Exception) -> str:
    """Why a secret cannot be read, and what to do. Nothing of the library's own text is shown."""
    status = getattr(error, "status_code", None)
    if status in {401, 403}:
        return (
            f"its secret cannot be read (status {status}): give the bridge's identity the role Key Vault Secrets User."
        )
    if status == 404:
        return "its secret is not there (status 404): write the name of a secret of that vault, and its version."
    why = type(error).__name__ if not isinstance(status, int) else f"status {status}"
    return f"its secret cannot be read ({why}): make the vault reachable, and give the bridge an identity."


def drop_references(values: Values) -> Values:
    """The settings that are known without asking a vault."""
    return {name: found for name, found in values.items() if not is_reference(found)}


def is_reference(found: Value) -> bool:
    """Whether a value refers to a secret, or was meant to."""
    return isinstance(found.value, str) and found.text.lower().startswith(_BEGINNING)


def read_reference(text: str, domain: str = _PUBLIC) -> SecretAddress:
    """The secret that a text refers to. Raises ``ValueError`` with what is wrong, which never holds the text.

    Args:
        text: Such as ``@Microsoft.KeyVault(VaultName=contoso;SecretName=signalr)``.
        domain: The domain of a vault that is given by its name.
    """
    match = _REFERENCE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"is no whole reference to a secret: {_HOW}")
    parts = _split(match[1])
    if set(parts) == {"secreturi"}:
        return _read_address(parts["secreturi"])
    if {"vaultname", "secretname"} <= parts.keys() <= _PARTS - {"secreturi"}:
        return _read_names(parts, domain)
    raise ValueError(f"refers to no secret: {_HOW}")


def _split(text: str) -> Mapping[str, str]:
    pieces = [piece.partition("=") for piece in text.split(";") if piece.strip()]
    parts = {name.strip().lower(): value.strip() for name, _, value in pieces}
    if len(parts) != len(pieces) or not parts.keys() <= _PARTS:
        raise ValueError(f"has a part that means nothing, or one of them twice: {_HOW}")
    return {name: value for name, value in parts.items() if value}


def _read_address(uri: str) -> SecretAddress:
    address = read_secret_address(uri)
    if address is None or not _SECRET.fullmatch(address.name) or not _VERSION.fullmatch(address.version or "0"):
        raise ValueError(f"refers to no secret: {_HOW}")
    host = urlsplit(address.vault).netloc.lower()
    vault, _, domain = host.partition(".")
    # Whoever else gets our token could read the vaults that it opens.
    if domain not in {_PUBLIC, *_DOMAINS.values()} or not _VAULT.fullmatch(vault):
        raise ValueError("refers to a host that is not Key Vault's own: write one such as <vault>.vault.azure.net.")
    return replace(address, vault=f"https://{host}")


def _read_names(parts: Mapping[str, str], domain: str) -> SecretAddress:
    vault, name, version = parts["vaultname"], parts["secretname"], parts.get("secretversion")
    if not _VAULT.fullmatch(vault) or not _SECRET.fullmatch(name) or not _VERSION.fullmatch(version or "0"):
        raise ValueError(f"refers to no secret: {_HOW}")
    return SecretAddress(f"https://{vault.lower()}.{domain}", name, version)


def _find_domain(authority: str) -> str:
    host = authority.lower().removeprefix("https://").partition("/")[0]
    return _DOMAINS.get(host, _PUBLIC)
