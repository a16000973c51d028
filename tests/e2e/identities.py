"""Bridges that open their endpoints by identities: the settings of each kind, and the processes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.azure.identity_endpoint import IdentityEndpoint
from tests.azure.issuer import Issuer
from tests.e2e.processes import (
    API_KEY,
    NAMED_CLIENTS,
    Machine,
    Process,
    app_command,
    connection_string,
    free_port,
    wait_until_answered,
)
from tests.unit.upstream.issued import TENANT

CLIENT = "22222222-0000-1111-2222-bbbbbbbbbbbb"
RESOURCE = "/subscriptions/s/resourcegroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/bridge"
OBJECT = "33333333-0000-1111-2222-bbbbbbbbbbbb"
SECRET, WORKLOAD = "canary-client-secret-of-the-tests", "canary-workload-token-of-the-tests"
CONNECTION = "AzureSignalRConnectionString"


@dataclass(frozen=True)
class Azure:
    """The stand-ins, and the files that settings name."""

    issuer: Issuer
    endpoint: IdentityEndpoint
    folder: Path

    def write_files(self) -> None:
        assert self.issuer.authority is not None
        self.issuer.authority.cert_pem.write_to_path(str(self.folder / "ca.pem"))
        (self.folder / "workload").write_text(WORKLOAD)
        own = trustme.CA(key_type=trustme.KeyType.RSA).issue_cert("bridge.example", key_type=trustme.KeyType.RSA)
        own.private_key_and_cert_chain_pem.write_to_path(str(self.folder / "client.pem"))
        private = load_pem_private_key(own.private_key_pem.bytes(), None)
        self.issuer.certificates_of["certificate-client"] = private.public_key()
        self.issuer.secrets["secret-client"] = SECRET
        self.issuer.assertions["workload-client"] = WORKLOAD

    @property
    def environment(self) -> dict[str, str]:
        """What the platform tells a process, and where this machine's issuer is."""
        trusted = {"SSL_CERT_FILE": str(self.folder / "ca.pem"), "AZURE_AUTHORITY_HOST": self.issuer.url}
        return self.endpoint.environment | trusted

    def credential(self, kind: str) -> dict[str, str]:
        """The settings below an endpoint's prefix."""
        managed = {"credential": "managedidentity"}
        application = {"tenantId": TENANT}
        return {
            "default": {},
            "system-assigned": managed,
            "client id": managed | {"clientId": CLIENT},
            "resource id": managed | {"managedIdentityResourceId": RESOURCE},
            "object id": managed | {"managedIdentityObjectId": OBJECT},
            "client secret": application | {"clientId": "secret-client", "clientSecret": SECRET},
            "certificate": application
            | {"clientId": "certificate-client", "clientCertificate": str(self.folder / "client.pem")},
            "workload identity": application
            | {"credential": "workloadidentity", "clientId": "workload-client"}
            | {"tokenFilePath": str(self.folder / "workload")},
        }[kind]

    def settings(self, kind: str, port: int, prefix: str = CONNECTION) -> dict[str, str]:
        if kind == "access key":
            return {prefix: connection_string(port)}
        if kind.startswith("AuthType"):
            return {prefix: f"Endpoint=http://localhost;Port={port};{kind};Version=1.0"}
        below = {"serviceUri": f"http://localhost:{port}", **self.credential(kind)}
        return {f"{prefix}__{key}": text for key, text in below.items()}


@contextmanager
def run_entra_emulator(azure: Azure, port: int, *, role: str = "owner") -> Iterator[Process]:
    command = app_command("emulator", "--port", str(port), "--entra-issuer", azure.issuer.discovery)
    with Process("emulator", [*command, "--entra-role", role], azure.environment) as process:
        wait_until_answered(process, f"http://localhost:{port}/api/health")
        yield process


@contextmanager
def run_identity_bridge(azure: Azure, emulator_port: int, settings: Mapping[str, str]) -> Iterator[Machine]:
    port = free_port()
    given = {
        "BRIDGE_ALLOW_EMULATOR_KEY": "true",
        "BRIDGE_CALLERS__KEYS": API_KEY,
        "BRIDGE_HOST": "127.0.0.1",
        "BRIDGE_NEGOTIATE__HUBS": "chat",
        "BRIDGE_LOG_LEVEL": "debug",
        **NAMED_CLIENTS,
        **azure.environment,
        **settings,
    }
    with Process("bridge", app_command("serve", "--port", str(port)), given) as process:
        wait_until_answered(process, f"http://localhost:{port}/health/live")
        yield Machine(port, emulator_port, process, {"X-API-Key": API_KEY})
