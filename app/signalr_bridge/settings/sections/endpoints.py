"""The SignalR instances, as the settings know them, and what opens each."""

from typing import Literal, TypeAlias

from pydantic import Field, SecretStr

from signalr_bridge.protocol.connection_string import ConnectionString
from signalr_bridge.settings.sections.fields import Section

EndpointType: TypeAlias = Literal["Primary", "Secondary"]


class CredentialSettings(Section):
    """What opens an endpoint. Of ``access-key`` the connection string has the key; the others are identities."""

    kind: Literal[
        "access-key",
        "default",
        "managed-identity",
        "client-secret",
        "client-certificate",
        "workload-identity",
    ] = "access-key"
    tenant_id: str | None = None
    client_id: str | None = None
    resource_id: str | None = None
    object_id: str | None = None
    client_secret: SecretStr | None = None
    certificate_file: str | None = None
    token_file: str | None = None
    allowed_tenants: tuple[str, ...] = ()

    def describe(self) -> str:
        """In few words, without any secret."""
        ids = (("client", self.client_id), ("resource", self.resource_id), ("object", self.object_id))
        named = [f"{kind} {value}" for kind, value in ids if value is not None]
        return " ".join([self.kind.replace("-", " "), *named])


class EndpointTuning(Section):
    """What ``BRIDGE_ENDPOINTS__<NAME>__*`` says of an endpoint."""

    weight: float = Field(
        default=1, ge=0, le=1_000_000, description="its share of new clients; 0 sends it no further ones"
    )
    upstream_app_id: str | None = Field(
        default=None, description="the application id in the tokens of this instance's upstream calls"
    )
    lenient_404: bool = Field(
        default=False, description='take a bare 404 for "absent", as the reference emulator 1.1.0 means it'
    )


class EndpointSettings(EndpointTuning):
    """One SignalR instance. The unnamed one is called ``default``. ``source`` tells where it was found."""

    name: str = "default"
    endpoint_type: EndpointType = "Primary"
    connection: ConnectionString
    credential: CredentialSettings = CredentialSettings()
    source: str = ""
