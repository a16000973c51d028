"""The running bridge follows Azure's stores: a rotated key and a changed setting arrive, and no send is lost."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import trustme

from tests.azure.app_configuration import AppConfiguration
from tests.azure.connect_proxy import led_by_a_proxy
from tests.azure.identity_endpoint import SECRET, Identities, IdentityEndpoint
from tests.azure.issuer import Issuer
from tests.azure.key_vault import KeyVault
from tests.azure.signalr import KeyedSignalR
from tests.azure.standin import json_answer, running
from tests.e2e.processes import Process, app_command, eventually, free_port, wait_until_answered
from tests.unit.upstream.issued import TENANT

OLD, NEW, NEWEST = (f"canary-{name}-access-key-of-the-service" for name in ("old", "new", "newest"))
FIRST, SECOND = "canary-first-key-of-a-caller", "canary-second-key-of-a-caller"


@dataclass
class World:
    vault: KeyVault
    configuration: AppConfiguration
    service: KeyedSignalR
    issuer: Issuer
    environment: dict[str, str]
    url: str = ""
    process: Process | None = None

    def check_silence(self) -> None:
        assert self.process is not None
        output = self.process.output
        secrets = [OLD, NEW, NEWEST, FIRST, SECOND, SECRET, *self.issuer.issued]
        assert [one for one in secrets if one in output] == []
        assert "Traceback" not in output


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    file = tmp_path / "ca.pem"
    with (
        running(Issuer(trustme.CA())) as issuer,
        running(IdentityEndpoint(issuer, Identities())) as identity,
        running(KeyVault(issuer)) as vault,
        running(AppConfiguration(issuer)) as configuration,
        running(KeyedSignalR(OLD)) as service,
    ):
        assert issuer.authority is not None
        issuer.authority.cert_pem.write_to_path(str(file))
        vault.put("AzureSignalRConnectionString", service.connection_string(OLD))
        vault.put("caller-key", FIRST)
        configuration.refer("bridge/BRIDGE_CALLERS:KEYS", f"{vault.url}/secrets/caller-key", "production")
        configuration.put("bridge/BRIDGE_CALLERS:KEYS", "no-key-of-this-label-counts", "test")
        yield World(vault, configuration, service, issuer, identity.environment | {"SSL_CERT_FILE": str(file)})


@contextmanager
def serve(world: World) -> Iterator[None]:
    port = free_port()
    settings = {
        "BRIDGE_HOST": "127.0.0.1",
        "BRIDGE_LOG_LEVEL": "debug",
        "BRIDGE_KEY_VAULT_URL": world.vault.url,
        "BRIDGE_APP_CONFIGURATION_ENDPOINT": world.configuration.url,
        "BRIDGE_APP_CONFIGURATION_LABEL": "production",
        "BRIDGE_APP_CONFIGURATION_PREFIX": "bridge/",
        "BRIDGE_RELOAD__STORES_SECONDS": "1",
    }
    with Process("bridge", app_command("serve", "--port", str(port)), world.environment | settings) as process:
        wait_until_answered(process, f"http://localhost:{port}/health/live")
        world.url, world.process = f"http://localhost:{port}", process
        yield


@dataclass
class Traffic:
    """Sends without a pause; ``statuses`` are what was answered."""

    url: str
    statuses: list[int] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        with httpx.Client(base_url=self.url, headers={"X-API-Key": FIRST}, trust_env=False, timeout=10) as http:
            while not self.ended.is_set():
                body = {"target": "x", "arguments": [len(self.statuses)]}
                self.statuses.append(http.post("/hubs/chat/send", json=body).status_code)


@contextmanager
def traffic(url: str) -> Iterator[Traffic]:
    running = Traffic(url)
    thread = threading.Thread(target=running.run, name="traffic")
    thread.start()
    try:
        yield running
    finally:
        running.ended.set()
        thread.join()


def test_a_key_rotated_in_key_vault_arrives_without_a_lost_send(world: World) -> None:
    service = world.service
    with serve(world):
        with traffic(world.url) as sent:
            eventually(lambda: service.used[OLD] > 20 or None, "traffic with the old key")
            service.keys = (OLD, NEW)
            world.vault.put("AzureSignalRConnectionString", service.connection_string(NEW))
            eventually(lambda: service.used[NEW] > 20 or None, "traffic with the new key")
            world.vault.time += 10
            # Without any overlap, the second time.
            world.vault.put("AzureSignalRConnectionString", service.connection_string(NEWEST))
            service.keys = (NEWEST,)
            eventually(lambda: service.used[NEWEST] > 20 or None, "traffic with the newest key")
        assert set(sent.statuses) == {202}
        assert len(service.sends) == len(sent.statuses)
        assert len(set(service.sends)) == len(sent.statuses), "nor is one sent twice"
        world.check_silence()


def test_a_setting_of_app_configuration_arrives(world: World) -> None:
    with serve(world), httpx.Client(base_url=world.url, trust_env=False, timeout=10) as http:

        def status(key: str) -> int:
            headers = {"X-API-Key": key}
            return http.post("/hubs/chat/send", json={"target": "x"}, headers=headers).status_code

        assert (status(FIRST), status(SECOND)) == (202, 401)
        world.vault.put("caller-key", f"{FIRST},{SECOND}")
        eventually(lambda: status(SECOND) == 202 or None, "the secret's new version")
        assert status(FIRST) == 202
        world.configuration.put("bridge/BRIDGE_CALLERS:KEYS", SECOND, "production")
        eventually(lambda: status(FIRST) == 401 or None, "the key-value's new value")
        assert status(SECOND) == 202
        world.check_silence()


def test_a_store_that_fails_is_survived(world: World) -> None:
    with serve(world):
        assert world.process is not None
        with traffic(world.url) as sent:
            world.vault.said = world.configuration.said = json_answer({}, 429, Retry_After="1")
            world.process.wait_for_line("a store could not be read")
            world.vault.said = world.configuration.said = None
            world.service.keys = (OLD, NEW)
            world.vault.put("AzureSignalRConnectionString", world.service.connection_string(NEW))
            eventually(lambda: world.service.used[NEW] > 5 or None, "the new key")
        assert set(sent.statuses) == {202}
        world.check_silence()


def test_a_store_that_refuses_stops_the_start(world: World) -> None:
    world.vault.said = json_answer({"error": {"message": "canary-answer"}}, 403)
    settings = world.environment | {"BRIDGE_KEY_VAULT_URL": world.vault.url}
    with Process("bridge", app_command("serve", "--port", str(free_port())), settings) as process:
        assert process.wait() == 1
        assert len(process.lines) == 1, process.lines
        assert "BRIDGE_KEY_VAULT_URL" in process.output
        assert "canary" not in process.output


def test_check_shows_where_settings_come_from_and_no_secret(world: World) -> None:
    settings = world.environment | {
        "BRIDGE_KEY_VAULT_URL": world.vault.url,
        "BRIDGE_APP_CONFIGURATION_CONNECTION_STRING": world.configuration.connection_string,
        "BRIDGE_APP_CONFIGURATION_LABEL": "production",
        "BRIDGE_APP_CONFIGURATION_PREFIX": "bridge/",
    }
    with Process("check", app_command("check", "--probe"), settings) as process:
        assert process.wait() == 0, process.output
        world.process = process
        assert "Key Vault" in process.output
        assert "App Configuration" in process.output
        world.check_silence()
        assert world.configuration.connection_string not in process.output


def test_a_function_app_s_own_file_opens_its_vault(tmp_path: Path) -> None:
    """References, and the identity's variables beside them: nothing of the environment says who the bridge is.

    A proxy leads Key Vault's own host to the stand-in.
    """
    with running(Issuer(trustme.CA())) as issuer, running(KeyVault(issuer, "contoso.vault.azure.net")) as vault:
        assert issuer.authority is not None
        issuer.authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        issuer.secrets["an-application"] = "canary-secret-of-an-application"
        vault.put("signalr", f"Endpoint=https://contoso.service.signalr.net;AccessKey={NEW};Version=1.0;\r\n")
        vault.put("caller", FIRST)
        values = {
            "FUNCTIONS_WORKER_RUNTIME": "node",
            "AzureSignalRConnectionString": "@Microsoft.KeyVault(VaultName=contoso;SecretName=signalr)",
            "BRIDGE_CALLERS__KEYS": "@Microsoft.KeyVault(SecretUri=https://contoso.vault.azure.net/secrets/caller/)",
            "AZURE_TENANT_ID": TENANT,
            "AZURE_CLIENT_ID": "an-application",
            "AZURE_CLIENT_SECRET": "canary-secret-of-an-application",
            "AZURE_AUTHORITY_HOST": issuer.url,
        }
        file = tmp_path / "local.settings.json"
        file.write_text(json.dumps({"IsEncrypted": False, "Values": values}))
        with led_by_a_proxy(vault.port) as proxy:
            environment = {"SSL_CERT_FILE": str(tmp_path / "ca.pem"), "AZURE_CLIENT_SECRET": "", **proxy.environment}
            with Process("check", app_command("check", "--settings", str(file)), environment) as process:
                assert process.wait() == 0, process.output
        assert process.lines[-1] == "good"
        assert "canary" not in process.output
        endpoint = next(line for line in process.lines if line.startswith("default "))
        assert endpoint.endswith("local.settings.json, by Key Vault")
        assert len(issuer.issued) == 1
        assert set(proxy.asked) == {"CONNECT contoso.vault.azure.net:443"}
