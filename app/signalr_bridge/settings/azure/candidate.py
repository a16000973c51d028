"""One endpoint as somebody meant it: understood, or with what is wrong about it."""

from dataclasses import dataclass

from signalr_bridge.errors import MalformedConnectionString
from signalr_bridge.protocol.connection_string import ConnectionString, parse_connection_string
from signalr_bridge.settings.finding import Finding, mistake
from signalr_bridge.settings.sections.endpoints import CredentialSettings, EndpointSettings, EndpointType
from signalr_bridge.settings.sources import Value


@dataclass(frozen=True, slots=True)
class Candidate:
    """Without ``settings`` it has a mistake; name and type are known all the same. ``used``: the names it was read
    from, in lower case."""

    name: str
    endpoint_type: EndpointType
    settings: EndpointSettings | None = None
    findings: tuple[Finding, ...] = ()
    used: frozenset[str] = frozenset()


def read_string(spelled: str, found: Value, name: str, endpoint_type: EndpointType) -> Candidate:
    """The endpoint of a connection string; its mistakes are named by key and position, never with a value."""
    used = frozenset({spelled})
    try:
        connection = parse_connection_string(found.text)
    except MalformedConnectionString as error:
        return Candidate(name, endpoint_type, None, (mistake(found.written, error.detail),), used)
    settings = EndpointSettings(
        name=name,
        endpoint_type=endpoint_type,
        connection=connection,
        credential=_read_credential(connection),
        source=found.source,
    )
    return Candidate(name, endpoint_type, settings, (), used)


def _read_credential(connection: ConnectionString) -> CredentialSettings:
    """Source: ``spec/rest-and-management.md`` 9.1, the semantics of ``AuthType``."""
    kind = connection.auth_type
    if kind == "aad":
        kind = "azure.app" if connection.client_id and connection.tenant_id else "azure.msi"
    if kind == "azure":
        return CredentialSettings(kind="default")
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
