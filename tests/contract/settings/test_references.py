"""Values that refer to secrets in Key Vault, and identities whose variables stand in files, by Microsoft's libraries.

A proxy leads Key Vault's own hosts to a stand-in, whose certificate has their names.
"""

import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from signalr_bridge.errors import SettingsError
from signalr_bridge.runtime import Runtime
from signalr_bridge.settings import load
from signalr_bridge.settings.azure_identity import make_default
from signalr_bridge.settings.references import read_reference
from signalr_bridge.settings.sources import Sources
from signalr_bridge.settings.stores import Stores
from signalr_bridge.settings.value import Values

from tests.azure.app_configuration import AppConfiguration
from tests.azure.connect_proxy import ConnectProxy, led_by_a_proxy
from tests.azure.identity_endpoint import Identities, IdentityEndpoint
from tests.azure.issuer import Issuer
from tests.azure.key_vault import KeyVault
from tests.azure.standin import json_answer, running
from tests.unit.endpoints.fakes import Clock
from tests.unit.settings.given import connection
from tests.unit.upstream.issued import TENANT

VAULT = "https://contoso.vault.azure.net"
BY_URI = f"@Microsoft.KeyVault(SecretUri={VAULT}/secrets/signalr)"
BY_NAME = "@Microsoft.KeyVault(VaultName=contoso;SecretName=signalr)"
CONNECTION = "AzureSignalRConnectionString"
CLIENT, SECRET = "22222222-3333-4444-5555-666666666666", "canary-secret-of-the-application"


@dataclass
class World:
    vault: KeyVault
    proxy: ConnectProxy
    identity: IdentityEndpoint
    issuer: Issuer
    folder: Path

    @property
    def options(self) -> dict[str, Any]:
        """Options of Microsoft's libraries, which have loaded this machine's certificates long ago."""
        return {"connection_verify": str(self.folder / "ca.pem"), "retry_total": 0}

    async def ask(self, values: Values) -> str:
        """The token of the first endpoint's credential."""
        settings = load(values)
        variables = settings.endpoints[0].credential.variables
        made: Any = make_default(variables, os.environ, {"authority": settings.authority_host, **self.options})
        async with made as credential:
            return str((await credential.get_token("https://signalr.azure.com/.default")).token)

    def sources(self, settings: Mapping[str, str], clock: Clock | None = None, file: str = "") -> Sources:
        runtime = Runtime(clock=clock or Clock(0.0))
        return Sources(settings, {"bridge_settings_file": file or None}, Stores(runtime, self.options))

    def write(self, values: Mapping[str, str]) -> str:
        file = self.folder / "local.settings.json"
        file.write_text(json.dumps({"IsEncrypted": False, "Values": values}))
        return str(file)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with (
        running(Issuer(trustme.CA())) as issuer,
        running(IdentityEndpoint(issuer, Identities())) as identity,
        running(KeyVault(issuer, "contoso.vault.azure.net")) as vault,
        led_by_a_proxy(vault.port) as proxy,
    ):
        assert issuer.authority is not None
        issuer.authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        for name, text in (proxy.environment | identity.environment).items():
            monkeypatch.setenv(name, text)
        yield World(vault, proxy, identity, issuer, tmp_path)


def text(values: Values) -> str:
    return values[CONNECTION.lower()].text


# --- references


@pytest.mark.parametrize("reference", [BY_URI, BY_NAME, BY_URI.replace("signalr)", "signalr/)"), f" {BY_NAME}\r"])
def test_the_secret_takes_the_place_of_its_reference(world: World, reference: str) -> None:
    world.vault.put("signalr", connection() + "\r\n")
    world.vault.put("caller", "0123456789abcdef")
    caller = "@Microsoft.KeyVault(VaultName=contoso;SecretName=caller)"
    others = {"Other": BY_NAME, "AZURE_STORAGE_KEY": BY_NAME}
    values = world.sources({CONNECTION: reference, "BRIDGE_CALLERS__KEYS": caller, **others}).read()
    settings = load(values)
    assert [one.connection.endpoint for one in settings.endpoints] == ["https://contoso.service.signalr.net"]
    assert settings.endpoints[0].source == "environment, by Key Vault"
    assert settings.callers.keys[0].key is not None
    assert {values[name.lower()].text for name in others} == {BY_NAME}, "what is not ours is left alone"
    assert set(world.proxy.asked) == {"CONNECT contoso.vault.azure.net:443"}
    assert [one["resource"] for one in world.identity.asked] == ["https://vault.azure.net"]


def test_a_version_is_that_one_and_is_asked_for_once(world: World) -> None:
    for name in ("first", "second"):
        world.vault.put("signalr", name)
    given = {CONNECTION: "@Microsoft.KeyVault(vaultname=Contoso; secretname=signalr; secretversion=1;)"}
    sources = world.sources(given)
    assert [text(sources.read()) for _ in range(3)] == ["first"] * 3
    assert world.vault.asked == ["/secrets/signalr/1"]
    uri = f"@Microsoft.KeyVault(SecretUri={VAULT}/secrets/signalr/2)"
    assert text(world.sources({CONNECTION: uri}).read()) == "second"


def test_a_reference_in_a_file_is_read_again_with_the_stores(world: World, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock(0.0)
    sources = world.sources({"BRIDGE_RELOAD__STORES_SECONDS": "30"}, clock, world.write({CONNECTION: BY_URI}))
    world.vault.put("signalr", "canary-one")
    assert text(sources.read()) == "canary-one"
    assert sources.are_watched
    first = sources.look()
    world.vault.put("signalr", "canary-two")
    clock.now = 29.0
    assert sources.look() == first
    clock.now = 30.0
    assert sources.look() != first
    assert text(sources.read()) == "canary-two"
    world.vault.said = json_answer({"error": {"message": "canary-answer"}}, 500)
    with caplog.at_level(logging.INFO):
        assert text(sources.read()) == "canary-two", "what it was last stays"
    assert "canary" not in caplog.text


def test_all_settings_of_a_function_app_that_runs_here_count(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """As on App Service, one that cannot be resolved reaches the app as it is written."""
    world.vault.put("signalr", "one")
    other, malformed = BY_NAME.replace("signalr", "nowhere"), "@Microsoft.KeyVault(VaultName=contoso)"
    given = {"DatabasePassword": BY_NAME, "Other": other, "Malformed": malformed}
    values = world.sources({"BRIDGE_FUNCTION_APP__FOLDER": "x", **given}).read()
    assert [values[name].text for name in ("databasepassword", "other", "malformed")] == ["one", other, malformed]
    reasons = [one.__dict__["reason"] for one in caplog.records if "stays as it is" in one.message]
    assert sorted(one.partition(":")[0] for one in reasons) == ["Malformed (environment)", "Other (environment)"]


def test_what_stands_there_is_read_without_asking_anybody() -> None:
    """So ``dev``, which has an emulator of its own, and ``import`` need no vault."""
    assert text(Sources({CONNECTION: BY_URI}, {}).read_as_written()) == BY_URI


REFUSED = {
    "@Microsoft.KeyVault(SecretUri=https://contoso.vault.azure.net.evil.example/secrets/x)": "not Key Vault's own",
    "@Microsoft.KeyVault(SecretUri=https://evil.example/secrets/x)": "not Key Vault's own",
    "@Microsoft.KeyVault(SecretUri=https://contoso.vault.azure.net:8443/secrets/x)": "not Key Vault's own",
    "@Microsoft.KeyVault(SecretUri=https://a.b.vault.azure.net/secrets/x)": "not Key Vault's own",
    "@Microsoft.KeyVault(SecretUri=https://vault.azure.net/secrets/x)": "not Key Vault's own",
    "@Microsoft.KeyVault(SecretUri=http://contoso.vault.azure.net/secrets/x)": "refers to no secret",
    "@Microsoft.KeyVault(SecretUri=https://u@contoso.vault.azure.net/secrets/x)": "refers to no secret",
    "@Microsoft.KeyVault(SecretUri=https://contoso.vault.azure.net/keys/x)": "refers to no secret",
    "@Microsoft.KeyVault(SecretUri=https://contoso.vault.azure.net/secrets/)": "refers to no secret",
    "@Microsoft.KeyVault(VaultName=contoso)": "refers to no secret",
    "@Microsoft.KeyVault(VaultName=evil.example/;SecretName=x)": "refers to no secret",
    "@Microsoft.KeyVault(VaultName=contoso;SecretName=x;SecretUri=https://x)": "refers to no secret",
    "@Microsoft.KeyVault(VaultName=contoso;SecretName=x;Colour=red)": "means nothing",
    "@Microsoft.KeyVault(VaultName=contoso;VaultName=x;SecretName=x)": "twice",
    "@Microsoft.KeyVault()": "refers to no secret",
    "@Microsoft.KeyVault(VaultName=contoso;SecretName=x": "no whole reference",
    "@Microsoft.KeyVault": "no whole reference",
}


@pytest.mark.parametrize("reference", REFUSED)
def test_a_reference_that_means_nothing_is_an_error(reference: str, tmp_path: Path) -> None:
    """Nobody is asked, and nothing of the value is said."""
    with pytest.raises(SettingsError) as caught:
        Sources({CONNECTION: reference}, {}).read()
    assert caught.value.detail.startswith(f"{CONNECTION} (environment): ")
    assert REFUSED[reference] in caught.value.detail
    assert ": write " in caught.value.detail
    assert "evil" not in caught.value.detail


@pytest.mark.parametrize(("status", "words"), [(403, "Key Vault Secrets User"), (404, "is not there"), (500, "500")])
def test_a_secret_that_cannot_be_read_is_named(world: World, status: int, words: str) -> None:
    world.vault.said = json_answer({"error": {"message": "canary-answer"}}, status)
    file = world.write({CONNECTION: BY_URI})
    with pytest.raises(SettingsError, match=rf"{CONNECTION} \(local.settings.json, line 1\): .*{words}") as caught:
        world.sources({}, file=file).read()
    assert "canary" not in caught.value.detail


def test_the_address_of_a_store_is_not_itself_a_reference() -> None:
    for name in ("BRIDGE_KEY_VAULT_URL", "BRIDGE_APP_CONFIGURATION_CONNECTION_STRING"):
        with pytest.raises(SettingsError, match=rf"{name} \(environment\): is read before"):
            Sources({name: BY_URI}, {}).read()


def test_a_vault_that_is_named_is_one_of_its_own_cloud() -> None:
    for domain in ("vault.azure.cn", "vault.usgovcloudapi.net", "vault.microsoftazure.de"):
        assert read_reference(BY_NAME, domain).vault == f"https://contoso.{domain}"
        uri = f"@Microsoft.KeyVault(SecretUri=https://contoso.{domain}/secrets/x/abc)"
        assert read_reference(uri).vault == f"https://contoso.{domain}"


# --- variables of identities


OF_AN_APPLICATION = {
    f"{CONNECTION}__serviceUri": "https://contoso.service.signalr.net",
    "AZURE_TENANT_ID": TENANT,
    "AZURE_CLIENT_ID": CLIENT,
    "AZURE_CLIENT_SECRET": SECRET,
}


@pytest.mark.parametrize("place", ["file", "secrets"])
async def test_variables_in_files_reach_the_credential(
    world: World, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are handed over: the environment of the process, in which some of them are blank, stays as it is."""
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"):
        monkeypatch.setenv(name, "")
    world.issuer.secrets[CLIENT] = SECRET
    given = OF_AN_APPLICATION | {"AZURE_AUTHORITY_HOST": world.issuer.url}
    if place == "file":
        sources = world.sources({}, file=world.write(given))
    else:
        folder = world.folder / "secrets"
        folder.mkdir()
        for name, value in given.items():
            (folder / name).write_text(f"{value}\r\n")
        sources = world.sources({"BRIDGE_SECRETS_DIR": str(folder)})
    assert await world.ask(sources.read()) == world.issuer.issued[-1]
    assert world.identity.asked == [], "the application's own credential comes first"
    assert SECRET not in repr(load(sources.read()))
    assert os.environ["AZURE_CLIENT_SECRET"] == ""


async def test_a_workload_s_variables_in_a_file(world: World) -> None:
    (world.folder / "token").write_text("the token of the workload")
    world.issuer.assertions[CLIENT] = "the token of the workload"
    given = {name: value for name, value in OF_AN_APPLICATION.items() if name != "AZURE_CLIENT_SECRET"}
    given |= {"AZURE_AUTHORITY_HOST": world.issuer.url, "AZURE_FEDERATED_TOKEN_FILE": str(world.folder / "token")}
    assert await world.ask(world.sources({}, file=world.write(given)).read()) == world.issuer.issued[-1]
    world.issuer.issued.clear()
    string = {CONNECTION: "Endpoint=https://contoso.service.signalr.net;AuthType=azure;"}
    del given[f"{CONNECTION}__serviceUri"]
    assert await world.ask(world.sources({}, file=world.write(given | string)).read()) == world.issuer.issued[-1]
    assert world.identity.asked == []


async def test_a_client_id_alone_names_the_managed_identity(world: World) -> None:
    world.identity.identities = Identities(assigned=frozenset({("client_id", CLIENT)}))
    given = {f"{CONNECTION}__serviceUri": "https://contoso.service.signalr.net", "AZURE_CLIENT_ID": CLIENT}
    assert await world.ask(world.sources({}, file=world.write(given)).read()) == world.issuer.issued[-1]
    assert world.identity.asked[-1]["client_id"] == CLIENT


async def test_azure_token_credentials_chooses(world: World) -> None:
    """With ``ManagedIdentityCredential`` the application's secret does not count, and the other way round."""
    given = OF_AN_APPLICATION | {"AZURE_AUTHORITY_HOST": world.issuer.url}
    world.identity.identities = Identities(assigned=frozenset({("client_id", CLIENT)}))
    kinds = {"AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential"}
    assert await world.ask(world.sources({}, file=world.write(given | kinds)).read()) == world.issuer.issued[-1]
    world.issuer.secrets[CLIENT] = SECRET
    kinds = {"AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential"}
    before = len(world.identity.asked)
    assert await world.ask(world.sources({}, file=world.write(given | kinds)).read()) == world.issuer.issued[-1]
    assert len(world.identity.asked) == before


def test_out_of_a_store_come_client_and_tenant_alone(world: World) -> None:
    """And never for the store's own credential: it is asked for with the system's identity."""
    with running(AppConfiguration(world.issuer)) as configuration:
        for name, value in OF_AN_APPLICATION.items():
            configuration.put(name.replace("__", ":"), value)
        for name in ("AZURE_AUTHORITY_HOST", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE"):
            configuration.put(name, "https://evil.example")
        configuration.put("AZURE_STORAGE_KEY", "an app's own")
        sources = world.sources({"BRIDGE_APP_CONFIGURATION_ENDPOINT": configuration.url})
        settings = [load(values := sources.read()) for _ in range(2)][-1]
    assert values["azure_storage_key"].text == "an app's own"
    variables = settings.endpoints[0].credential.variables
    assert (variables.client_id, variables.tenant_id) == (CLIENT, TENANT)
    assert (variables.client_secret, variables.certificate_file, variables.token_file) == (None, None, None)
    assert settings.authority_host == "https://login.microsoftonline.com"
    assert [one for one in world.identity.asked if "client_id" in one] == []


def test_key_vault_s_names_of_them_have_dashes(world: World) -> None:
    world.vault.put("AZURE-CLIENT-ID", CLIENT)
    world.vault.put("AZURE-CLIENT-SECRET", SECRET)
    world.vault.put("AZURE-SIGNALR-CONNECTIONSTRING", connection())
    values = world.sources({"BRIDGE_KEY_VAULT_URL": VAULT}).read()
    assert values["azure_client_id"].text == CLIENT
    assert len(load(values).endpoints) == 1
    assert world.vault.fetched("AZURE-CLIENT-SECRET") == 0
