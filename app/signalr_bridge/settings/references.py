"""References to secrets in Key Vault, ``@Microsoft.KeyVault(...)``, as App Service and Functions know them.

Source: https://learn.microsoft.com/azure/app-service/app-service-key-vault-references
"""

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
class References:
    """The settings that refer to secrets, by name, and what is wrong with those that mean nothing."""

    found: Mapping[str, SecretAddress]
    secrets: Mapping[SecretAddress, Value]
    errors: tuple[Diagnostic, ...] = ()

    def fill(self, values: Values, secrets: Mapping[SecretAddress, str]) -> Values:
        """The settings with the secrets in the places of the references."""
        filled = {
            name: replace(values[name], value=secrets[secret].rstrip("\r\n"), source=_name_source(values[name]))
            for name, secret in self.found.items()
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
    errors: list[Diagnostic] = []
    for name, one in values.items():
        if (wanted(name) or runs) and is_reference(one):
            try:
                found[name] = read_reference(one.text, domain)
            except ValueError as error:
                errors.append(Diagnostic(Level.ERROR, one.written, str(error), one.place, one.line))
    return References(found, {secret: values[name] for name, secret in found.items()}, tuple(errors))


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
