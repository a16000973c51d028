"""An endpoint by identity: ``<prefix>:serviceUri`` and the keys beside it.

Source: ``spec/functions-bindings.md`` 4.6.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from signalr_bridge.protocol.connection_string import ConnectionString, read_address, read_origin
from signalr_bridge.settings.azure.candidate import Candidate
from signalr_bridge.settings.finding import Finding, mistake, warning
from signalr_bridge.settings.sections.endpoints import CredentialSettings, EndpointSettings, EndpointType
from signalr_bridge.settings.sources import Value, Values

KEYS = (
    "serviceUri",
    "type",
    "credential",
    "clientId",
    "managedIdentityResourceId",
    "managedIdentityObjectId",
    "tenantId",
    "clientSecret",
    "clientCertificate",
    "tokenFilePath",
    "additionallyAllowedTenants",
    "serverEndpoint",
    "clientEndpoint",
)
_IDS = ("clientId", "managedIdentityResourceId", "managedIdentityObjectId")
_THUMBPRINT = re.compile(r"[0-9A-Fa-f]{40}")
_FIELDS = {
    "tenantId": "tenant_id",
    "clientId": "client_id",
    "managedIdentityResourceId": "resource_id",
    "managedIdentityObjectId": "object_id",
    "clientSecret": "client_secret",
    "clientCertificate": "certificate_file",
    "tokenFilePath": "token_file",
}
_FALLBACKS = {
    "tenantId": "azure_tenant_id",
    "clientId": "azure_client_id",
    "tokenFilePath": "azure_federated_token_file",
}
Texts = Mapping[str, str]


def read_identity(values: Values, prefix: str, name: str) -> Candidate | None:
    """None without a ``serviceUri`` below ``prefix``, which is in lower case and ends with ``:``."""
    found = {key: one for key in KEYS if (one := values.get(prefix + key.lower())) is not None}
    uri = found.get("serviceUri")
    if uri is None:
        return None
    given = {key: one.text for key, one in found.items() if one.text}
    fallbacks = {key: values[below].text for key, below in _FALLBACKS.items() if below in values}
    where = uri.written[: -len("serviceUri")]
    findings = tuple(_judge(given, fallbacks, where))
    broken = any(one.level == "mistake" for one in findings)
    endpoint_type: EndpointType = "Secondary" if given.get("type", "").lower() == "secondary" else "Primary"
    settings = None if broken else _build(given, fallbacks, name, endpoint_type, uri)
    return Candidate(name, endpoint_type, settings, findings, frozenset(prefix + key.lower() for key in found))


def _build(given: Texts, fallbacks: Texts, name: str, endpoint_type: EndpointType, uri: Value) -> EndpointSettings:
    addresses = {key: read_address(given[key]) for key in ("serverEndpoint", "clientEndpoint") if key in given}
    connection = ConnectionString(
        endpoint=read_origin(given["serviceUri"]) or "",
        server_endpoint=addresses.get("serverEndpoint"),
        client_endpoint=addresses.get("clientEndpoint"),
    )
    return EndpointSettings(
        name=name,
        endpoint_type=endpoint_type,
        connection=connection,
        credential=_read_credential(given, fallbacks),
        source=uri.source,
    )


def _read_credential(given: Texts, fallbacks: Texts) -> CredentialSettings:
    kind, keys = _choose(given)
    known = {**fallbacks, **given} if kind == "workload-identity" else given
    fields: dict[str, Any] = {_FIELDS[key]: known[key] for key in keys if key in known}
    tenants = [one.strip() for one in given.get("additionallyAllowedTenants", "").split(";") if one.strip()]
    return CredentialSettings.model_validate({"kind": kind, "allowed_tenants": tuple(tenants), **fields})


def _choose(given: Texts) -> tuple[str, tuple[str, ...]]:
    """The kind of credential, and the keys that count for it."""
    named = given.get("credential", "").lower()
    if named == "managedidentity":
        return "managed-identity", _IDS
    if named == "workloadidentity":
        return "workload-identity", ("tenantId", "clientId", "tokenFilePath")
    for kind, last in (("client-secret", "clientSecret"), ("client-certificate", "clientCertificate")):
        if {"tenantId", "clientId", last} <= given.keys():
            return kind, ("tenantId", "clientId", last)
    return "default", ("tenantId", "clientId", "managedIdentityResourceId")


# --- what is wrong with it; ``where`` is the prefix as it was written, with its separator


def _judge(given: Texts, fallbacks: Texts, where: str) -> Iterator[Finding]:
    yield from _judge_addresses(given, where)
    named = given.get("credential", "").lower()
    if named == "managedidentity":
        yield from _judge_managed(given, where)
    elif named == "workloadidentity":
        missing = [key for key in _FALLBACKS if key not in given and not fallbacks.get(key)]
        if missing:
            yield mistake(_of(where), f"workload identity needs {' and '.join(missing)}: add them as {where}<key>.")
    elif named:
        yield mistake(
            f"{where}credential",
            "is not supported; write managedidentity or workloadidentity, or leave it out for the default credential.",
        )
    else:
        yield from _judge_unnamed(given, where)
    yield from _judge_leftovers(given, where)


def _judge_addresses(given: Texts, where: str) -> Iterator[Finding]:
    if read_origin(given.get("serviceUri", "")) is None:
        yield mistake(f"{where}serviceUri", "write the instance's address, such as https://name.service.signalr.net.")
    for key in ("serverEndpoint", "clientEndpoint"):
        if key in given and read_address(given[key]) is None:
            yield mistake(f"{where}{key}", "write an absolute http or https URL.")
    if given.get("type", "primary").lower() not in {"primary", "secondary"}:
        yield mistake(f"{where}type", "write Primary or Secondary.")


def _judge_managed(given: Texts, where: str) -> Iterator[Finding]:
    named = [key for key in _IDS if key in given]
    if len(named) > 1:
        yield mistake(_of(where), f"names its managed identity by {' and '.join(named)}: keep one of them.")


def _judge_unnamed(given: Texts, where: str) -> Iterator[Finding]:
    if "managedIdentityObjectId" in given:
        yield mistake(_of(where), f"managedIdentityObjectId needs {where}credential=managedidentity beside it.")
    for last in ("clientSecret", "clientCertificate"):
        missing = [key for key in ("tenantId", "clientId") if key not in given]
        if last in given and missing:
            yield mistake(f"{where}{last}", f"needs {' and '.join(missing)}: add {where}{missing[0]}.")


def _judge_leftovers(given: Texts, where: str) -> Iterator[Finding]:
    kind, keys = _choose(given)
    if kind == "client-certificate" and _THUMBPRINT.fullmatch(given["clientCertificate"]):
        yield mistake(
            f"{where}clientCertificate",
            "is a thumbprint, which names a certificate in a Windows store: write the path of a PEM or PFX file.",
        )
    credentials = ("clientSecret", "clientCertificate", "tokenFilePath")
    for key in credentials if kind not in {"default"} else ("tokenFilePath",):
        if key in given and key not in keys:
            yield warning(f"{where}{key}", f"is not used: the credential is {kind.replace('-', ' ')}.")


def _of(where: str) -> str:
    return where.rstrip("_:")
