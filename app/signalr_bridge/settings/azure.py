"""The endpoints of a connection: the unnamed one of its setting, and the named ones that every connection has.

Source: ``docs/protocol/functions-bindings.md`` 4.2 to 4.4.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from signalr_bridge.errors import MalformedConnectionString
from signalr_bridge.protocol.connection_string import (
    ConnectionString,
    parse_connection_string,
    read_address,
    read_origin,
)
from signalr_bridge.settings.azure_identity import read_variables
from signalr_bridge.settings.traffic import CredentialSettings, EndpointSettings, EndpointType
from signalr_bridge.settings.value import Diagnostic, Level, Value, Values, spell

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

_PATH = re.compile(r"(?:^|;)\s*Endpoint\s*=\s*[a-z]+://[^;/]+/[^;\s]", re.IGNORECASE)
_UNUSED_PATH = "Endpoint has a path, which is not used: write the address alone, as https://name.service.signalr.net."

DEFAULT = "AzureSignalRConnectionString"
"""The name of the connection where nothing names another one."""
WRITTEN_BY_TOOLS = ("AZURE_SIGNALR_CONNECTIONSTRING", "Azure__SignalR__ConnectionString")
"""The names under which Azure's own tools write a connection string: Service Connector, and those for the SDK.

Source: https://learn.microsoft.com/azure/service-connector/how-to-integrate-signalr.
"""
UNNAMED = "default"
NAMED = "azure:signalr:endpoints:"
_FORMS: tuple[tuple[str, EndpointType], ...] = (("", "Primary"), (":primary", "Primary"), (":secondary", "Secondary"))


@dataclass(frozen=True, slots=True)
class Candidate:
    """An endpoint as it was found. Without ``settings`` it has an error, but its name and type are known.

    ``used`` are the names of the settings that it was read from, in lower case.
    """

    name: str
    endpoint_type: EndpointType
    settings: EndpointSettings | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
    used: frozenset[str] = frozenset()


def read_string(values: Values, spelled: str, name: str, endpoint_type: EndpointType) -> Candidate:
    """The endpoint of a connection string, which stands under the name ``spelled``.

    Its errors are named by key and position, never with a value.
    """
    found, used = values[spelled], frozenset({spelled})
    try:
        connection = parse_connection_string(found.text)
    except MalformedConnectionString as error:
        return Candidate(name, endpoint_type, None, (Diagnostic.error(found.written, error.detail),), used)
    settings = EndpointSettings(
        name=name,
        endpoint_type=endpoint_type,
        connection=connection,
        credential=_read_credential(connection, values),
        source=found.source,
    )
    said = (Diagnostic.warning(found.written, _UNUSED_PATH),) if _PATH.search(found.text) else ()
    return Candidate(name, endpoint_type, settings, said, used)


def _read_credential(connection: ConnectionString, values: Values) -> CredentialSettings:
    """The credential that ``AuthType`` stands for. Source: ``docs/protocol/rest-and-management.md`` 9.1."""
    kind = connection.auth_type
    if kind == "aad":
        kind = "azure.app" if connection.client_id and connection.tenant_id else "azure.msi"
    if kind == "azure":
        return CredentialSettings(kind="default", variables=read_variables(values))
    if kind == "azure.msi":
        return CredentialSettings(kind="managed-identity", client_id=connection.client_id)
    return CredentialSettings() if kind is None else _read_application(connection)


def _read_application(connection: ConnectionString) -> CredentialSettings:
    ids = {"client_id": connection.client_id, "tenant_id": connection.tenant_id}
    if connection.client_secret:
        return CredentialSettings.model_validate(
            {"kind": "client-secret", "client_secret": connection.client_secret, **ids}
        )
    return CredentialSettings.model_validate(
        {"kind": "client-certificate", "certificate_file": connection.client_certificate, **ids}
    )


def read_identity(values: Values, prefix: str, name: str) -> Candidate | None:
    """The endpoint with an identity below ``prefix``. None when there is no ``serviceUri``.

    ``prefix`` is in lower case and ends with ``:``.
    """
    found = {key: one for key in KEYS if (one := values.get(prefix + key.lower())) is not None}
    uri = found.get("serviceUri")
    if uri is None:
        return None
    given = {key: one.text for key, one in found.items() if one.text}
    fallbacks = {key: values[below].text for key, below in _FALLBACKS.items() if below in values}
    where = uri.written[: -len("serviceUri")]
    diagnostics = tuple(_judge(given, fallbacks, where))
    broken = any(one.level is Level.ERROR for one in diagnostics)
    endpoint_type: EndpointType = "Secondary" if given.get("type", "").lower() == "secondary" else "Primary"
    credential = CredentialSettings() if broken else _read_identity_credential(given, fallbacks, values)
    settings = None if broken else _build(given, credential, name, endpoint_type, uri)
    return Candidate(name, endpoint_type, settings, diagnostics, frozenset(prefix + key.lower() for key in found))


def _build(
    given: Texts, credential: CredentialSettings, name: str, endpoint_type: EndpointType, uri: Value
) -> EndpointSettings:
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
        credential=credential,
        source=uri.source,
    )


def _read_identity_credential(given: Texts, fallbacks: Texts, values: Values) -> CredentialSettings:
    kind, keys = _choose(given)
    known = {**fallbacks, **given} if kind == "workload-identity" else given
    fields: dict[str, Any] = {_FIELDS[key]: known[key] for key in keys if key in known}
    if kind == "default":
        fields["variables"] = read_variables(values)
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


def _judge(given: Texts, fallbacks: Texts, where: str) -> Iterator[Diagnostic]:
    yield from _judge_addresses(given, where)
    named = given.get("credential", "").lower()
    if named == "managedidentity":
        yield from _judge_managed(given, where)
    elif named == "workloadidentity":
        missing = [key for key in _FALLBACKS if key not in given and not fallbacks.get(key)]
        if missing:
            yield Diagnostic.error(
                _of(where), f"workload identity needs {' and '.join(missing)}: add them as {where}<key>."
            )
    elif named:
        yield Diagnostic.error(
            f"{where}credential",
            "is not supported; write managedidentity or workloadidentity, or leave it out for the default credential.",
        )
    else:
        yield from _judge_unnamed(given, where)
    yield from _judge_leftovers(given, where)


def _judge_addresses(given: Texts, where: str) -> Iterator[Diagnostic]:
    if read_origin(given.get("serviceUri", "")) is None:
        yield Diagnostic.error(
            f"{where}serviceUri", "write the instance's address, such as https://name.service.signalr.net."
        )
    for key in ("serverEndpoint", "clientEndpoint"):
        if key in given and read_address(given[key]) is None:
            yield Diagnostic.error(f"{where}{key}", "write an absolute http or https URL.")
    if given.get("type", "primary").lower() not in {"primary", "secondary"}:
        yield Diagnostic.error(f"{where}type", "write Primary or Secondary.")


def _judge_managed(given: Texts, where: str) -> Iterator[Diagnostic]:
    named = [key for key in _IDS if key in given]
    if len(named) > 1:
        yield Diagnostic.error(_of(where), f"names its managed identity by {' and '.join(named)}: keep one of them.")


def _judge_unnamed(given: Texts, where: str) -> Iterator[Diagnostic]:
    if "managedIdentityObjectId" in given:
        yield Diagnostic.error(
            _of(where), f"managedIdentityObjectId needs {where}credential=managedidentity beside it."
        )
    for last in ("clientSecret", "clientCertificate"):
        missing = [key for key in ("tenantId", "clientId") if key not in given]
        if last in given and missing:
            yield Diagnostic.error(f"{where}{last}", f"needs {' and '.join(missing)}: add {where}{missing[0]}.")


def _judge_leftovers(given: Texts, where: str) -> Iterator[Diagnostic]:
    kind, keys = _choose(given)
    if kind == "client-certificate" and _THUMBPRINT.fullmatch(given["clientCertificate"]):
        yield Diagnostic.error(
            f"{where}clientCertificate",
            "is a thumbprint, which names a certificate in a Windows store: write the path of a PEM or PFX file.",
        )
    credentials = ("clientSecret", "clientCertificate", "tokenFilePath")
    for key in credentials if kind not in {"default"} else ("tokenFilePath",):
        if key in given and key not in keys:
            yield Diagnostic.warning(f"{where}{key}", f"is not used: the credential is {kind.replace('-', ' ')}.")


def _of(where: str) -> str:
    return where.rstrip("_:")


def read_unnamed(values: Values, connection: str) -> list[Candidate]:
    """The unnamed endpoint, at most one: by a connection string or, without one, by identity."""
    name = spell(connection)
    identity = read_identity(values, f"{name}:", UNNAMED)
    for spelling in spellings(name):
        found = values.get(spelling)
        if found is not None and found.text:
            string = read_string(values, spelling, UNNAMED, "Primary")
            return [string if identity is None else _prefer(string, identity, f"{connection}: the connection string")]
    return [] if identity is None else [identity]


def find_written_by_tools(values: Values, connection: str) -> Candidate | None:
    """The unnamed endpoint that one of Azure's own tools has written, for the connection that nobody has set.

    None for a connection of another name: who names one means that one alone.
    """
    if spell(connection) != spell(DEFAULT):
        return None
    for name in WRITTEN_BY_TOOLS:
        for candidate in read_unnamed(values, name):
            note = Diagnostic.note(name, f"is taken, because {DEFAULT} is not set.")
            settings = candidate.settings and candidate.settings.model_copy(update={"setting": name})
            return replace(candidate, settings=settings, diagnostics=(note, *candidate.diagnostics))
    return None


def spellings(connection: str) -> tuple[str, ...]:
    """The names in ``Values`` under which a connection string may stand. The first match wins."""
    name = spell(connection)
    return f"connectionstrings:{name}", f"customconnstr_{name}", name


def read_named(values: Values) -> list[Candidate]:
    """The named endpoints, in the order of their names."""
    return [one for name, written in _find_names(values) for one in _read_name(values, name, written)]


def _read_name(values: Values, name: str, written: str) -> Iterator[Candidate]:
    prefix = NAMED + name
    strings = [
        read_string(values, prefix + suffix, written, endpoint_type)
        for suffix, endpoint_type in _FORMS
        if prefix + suffix in values
    ]
    identity = read_identity(values, f"{prefix}:", written)
    if identity is None:
        yield from strings
    else:
        beside = [one for one in strings if one.settings is not None]
        yield _prefer(identity, beside[0], f"{name_endpoint(written)}: its serviceUri") if beside else identity


def name_endpoint(name: str) -> str:
    """The beginning of the names of a named endpoint's settings."""
    return f"Azure__SignalR__Endpoints__{name}"


def _find_names(values: Values) -> list[tuple[str, str]]:
    """The endpoints' names in lower case, each as it was written."""
    names: dict[str, str] = {}
    for spelled, found in values.items():
        if spelled.startswith(NAMED):
            names.setdefault(spelled.split(":")[3], _written_name(found))
    return sorted(names.items())


def _written_name(found: Value) -> str:
    return found.written.replace("__", ":").split(":")[3]


def _prefer(winner: Candidate, loser: Candidate, words: str) -> Candidate:
    setting, _, which = words.partition(": ")
    said = Diagnostic.warning(setting, f"{which} is used, and what stands beside it is not: remove one of the two.")
    return replace(winner, diagnostics=(*winner.diagnostics, said), used=winner.used | loser.used)


def judge_connection(connection: str, unnamed: Sequence[Candidate], named: Sequence[Candidate]) -> Iterator[Diagnostic]:
    """What is wrong with the endpoints of one connection when they are seen together."""
    candidates = [*unnamed, *named]
    if unnamed and any(one.name.lower() == UNNAMED for one in named):
        yield Diagnostic.error(
            "Azure__SignalR__Endpoints__default",
            f"a named endpoint 'default' stands beside {connection}, which has that name: rename the named one.",
        )
    if candidates and all(one.endpoint_type == "Secondary" for one in candidates):
        yield Diagnostic.error(
            "Azure__SignalR__Endpoints",
            f"every endpoint is Secondary: make one Primary (<name>__primary, or <name>__type=Primary), "
            f"or set {connection}.",
        )
    yield from _judge_doubles(candidates)


def _judge_doubles(candidates: Sequence[Candidate]) -> Iterator[Diagnostic]:
    groups: dict[str, list[Candidate]] = {}
    for one in candidates:
        if one.settings is not None:
            groups.setdefault(one.settings.connection.endpoint, []).append(one)
    for url, group in groups.items():
        if len(group) > 1:
            winner = next((one for one in group if one.endpoint_type == "Primary"), group[0])
            names = ", ".join(f"{one.name} ({one.endpoint_type})" for one in group)
            yield Diagnostic.warning(
                names,
                f"are one instance, {url}: it is called as {winner.name} ({winner.endpoint_type}), "
                "and the keys of all verify its calls.",
            )
