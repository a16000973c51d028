"""Key Vault and App Configuration, read by their client libraries from stand-ins over TLS."""

import logging
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from signalr_bridge.errors import SettingsError
from signalr_bridge.runtime import Runtime
from signalr_bridge.settings.sources import Sources
from signalr_bridge.settings.stores import Stores

from tests.azure.app_configuration import SECRET, AppConfiguration
from tests.azure.identity_endpoint import Identities, IdentityEndpoint
from tests.azure.issuer import Issuer
from tests.azure.key_vault import KeyVault
from tests.azure.standin import json_answer, running
from tests.unit.endpoints.fakes import Clock


@dataclass
class Azure:
    """The stores, and ``certificates``: the file of who vouches for them."""

    vault: KeyVault
    configuration: AppConfiguration
    identity: IdentityEndpoint
    certificates: str

    def sources(self, *clocks: Clock, **settings: str) -> Sources:
        stores = Stores(
            Runtime(clock=[*clocks, Clock()][0]), {"connection_verify": self.certificates, "retry_total": 0}
        )
        return Sources(settings, {}, stores)

    @property
    def both(self) -> dict[str, str]:
        return {"BRIDGE_KEY_VAULT_URL": self.vault.url, "BRIDGE_APP_CONFIGURATION_ENDPOINT": self.configuration.url}


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with running(Issuer(trustme.CA())) as one:
        yield one


@pytest.fixture
def azure(issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Azure]:
    assert issuer.authority is not None
    file = tmp_path / "ca.pem"
    issuer.authority.cert_pem.write_to_path(str(file))
    with (
        running(IdentityEndpoint(issuer, Identities())) as identity,
        running(KeyVault(issuer)) as vault,
        running(AppConfiguration(issuer)) as configuration,
    ):
        for name, text in identity.environment.items():
            monkeypatch.setenv(name, text)
        yield Azure(vault, configuration, identity, str(file))


def texts(sources: Sources) -> Mapping[str, tuple[str, str]]:
    """Every setting but those that say where the stores are, with its source."""
    where = ("bridge_key_vault", "bridge_app_configuration")
    return {name: (one.text, one.source) for name, one in sources.read().items() if not name.startswith(where)}


# --- Key Vault


def test_secrets_are_settings(azure: Azure) -> None:
    azure.vault.put("AzureSignalRConnectionString", "a")
    azure.vault.put("Azure--SignalR--Endpoints--east-us", "b")
    azure.vault.put("BRIDGE-CALLERS--KEYS", "c")
    azure.vault.put("BRIDGE-ALLOW-EMULATOR-KEY", "d")
    azure.vault.put("somebody-elses", "e")
    azure.vault.put("BRIDGE-OFF", "f", enabled=False)
    assert texts(azure.sources(BRIDGE_KEY_VAULT_URL=azure.vault.url)) == {
        "azuresignalrconnectionstring": ("a", "Key Vault"),
        "azure:signalr:endpoints:east-us": ("b", "Key Vault"),
        "bridge_callers:keys": ("c", "Key Vault"),
        "bridge_allow_emulator_key": ("d", "Key Vault"),
    }
    assert azure.vault.fetched("somebody-elses") == 0


def test_a_connection_of_another_name_is_found(azure: Azure) -> None:
    azure.vault.put("MyService--serviceUri", "a")
    found = texts(azure.sources(BRIDGE_KEY_VAULT_URL=azure.vault.url, BRIDGE_CONNECTION="MyService"))
    assert found["myservice:serviceuri"] == ("a", "Key Vault")


def test_a_rotated_secret_arrives_with_the_next_reading(azure: Azure) -> None:
    sources = azure.sources(BRIDGE_KEY_VAULT_URL=azure.vault.url)
    azure.vault.put("BRIDGE-CALLERS--KEYS", "one")
    assert texts(sources)["bridge_callers:keys"][0] == "one"
    azure.vault.put("BRIDGE-CALLERS--KEYS", "two")  # within the same second
    assert texts(sources)["bridge_callers:keys"][0] == "two"
    azure.vault.time += 1
    azure.vault.put("BRIDGE-CALLERS--KEYS", "three")
    assert texts(sources)["bridge_callers:keys"][0] == "three"
    azure.vault.remove("BRIDGE-CALLERS--KEYS")
    assert texts(sources) == {}


def test_what_has_not_changed_is_not_fetched_for_ever(azure: Azure) -> None:
    sources = azure.sources(BRIDGE_KEY_VAULT_URL=azure.vault.url)
    azure.vault.put("BRIDGE-CALLERS--KEYS", "one")
    for _ in range(5):
        assert texts(sources)["bridge_callers:keys"][0] == "one"
    assert azure.vault.fetched("BRIDGE-CALLERS--KEYS") == 2
    assert len(azure.identity.asked) == 1


# --- App Configuration


def test_keys_with_the_prefix_and_the_label_are_settings(azure: Azure) -> None:
    azure.configuration.put("bridge/AzureSignalRConnectionString", "a", "production")
    azure.configuration.put("bridge/AzureSignalRConnectionString", "no", "test")
    azure.configuration.put("bridge/BRIDGE_CALLERS:KEYS", "b", "production")
    azure.configuration.put("bridge/Azure:SignalR:Endpoints:x", "c", "production")
    azure.configuration.put("other/BRIDGE_CALLERS:KEYS", "no", "production")
    azure.configuration.put("bridge/unlabelled", "no")
    more = {"BRIDGE_APP_CONFIGURATION_LABEL": "production", "BRIDGE_APP_CONFIGURATION_PREFIX": "bridge/"}
    found = texts(azure.sources(BRIDGE_APP_CONFIGURATION_ENDPOINT=azure.configuration.url, **more))
    assert found == {
        "azuresignalrconnectionstring": ("a", "App Configuration"),
        "bridge_callers:keys": ("b", "App Configuration"),
        "azure:signalr:endpoints:x": ("c", "App Configuration"),
    }


def test_without_a_label_those_without_one_count(azure: Azure) -> None:
    azure.configuration.put("BRIDGE_HUBS_ONLY", "true")
    azure.configuration.put("BRIDGE_DOCS", "true", "test")
    azure.configuration.put(".appconfig.featureflag/Beta", "{}")
    found = texts(azure.sources(BRIDGE_APP_CONFIGURATION_CONNECTION_STRING=azure.configuration.connection_string))
    assert found == {"bridge_hubs_only": ("true", "App Configuration")}
    assert azure.identity.asked == [], "a connection string needs no identity"


def test_pages_that_are_known_are_not_sent_again(azure: Azure) -> None:
    for number in range(5):
        azure.configuration.put(f"BRIDGE_{number}", "x")
    sources = azure.sources(BRIDGE_APP_CONFIGURATION_ENDPOINT=azure.configuration.url)
    first = texts(sources)
    assert (len(first), azure.configuration.sent, azure.configuration.known) == (5, 3, 0)
    assert texts(sources) == first
    assert (azure.configuration.sent, azure.configuration.known) == (3, 3)
    azure.configuration.put("BRIDGE_4", "y")
    assert texts(sources)["bridge_4"][0] == "y"
    azure.configuration.put("BRIDGE_9", "z")
    assert texts(sources)["bridge_9"][0] == "z"


def test_a_reference_brings_the_secret_and_its_next_version(azure: Azure) -> None:
    azure.vault.put("the-key", "one")
    azure.configuration.refer("BRIDGE_CALLERS:KEYS", f"{azure.vault.url}/secrets/the-key")
    azure.configuration.refer("BRIDGE_UPSTREAM:CODE", azure.vault.put("fixed", "first"))
    azure.vault.put("fixed", "second")
    sources = azure.sources(BRIDGE_APP_CONFIGURATION_ENDPOINT=azure.configuration.url)
    assert texts(sources)["bridge_callers:keys"] == ("one", "App Configuration")
    assert texts(sources)["bridge_upstream:code"][0] == "first"
    azure.vault.put("the-key", "two")
    assert texts(sources)["bridge_callers:keys"][0] == "two"
    assert azure.configuration.sent == 1


@pytest.mark.parametrize(
    "value", ["no", "{}", '{"uri":3}', '{"uri":"http://x/secrets/y"}', '{"uri":"https://x/keys/y"}']
)
def test_a_reference_to_nothing_is_named(azure: Azure, value: str) -> None:
    azure.configuration.put("BRIDGE_CALLERS:KEYS", value, kind="application/vnd.microsoft.appconfig.keyvaultref+json")
    with pytest.raises(SettingsError, match="BRIDGE_CALLERS:KEYS"):
        azure.sources(BRIDGE_APP_CONFIGURATION_ENDPOINT=azure.configuration.url).read()


# --- both


def test_the_first_match_wins(azure: Azure, tmp_path: Path) -> None:
    file, secrets = tmp_path / "bridge.toml", tmp_path / "secrets"
    secrets.mkdir()
    names = ["log_level", "default_hub", "host", "hubs_only", "docs"]
    file.write_text("\n".join(f'{name} = "file"' for name in names))
    for name in names[:4]:
        azure.configuration.put(f"BRIDGE_{name.upper()}", "configuration")
    for name in names[:3]:
        azure.vault.put(f"BRIDGE-{name.replace('_', '-')}", "vault")
    (secrets / "BRIDGE_LOG_LEVEL").write_text("secrets")
    (secrets / "BRIDGE_DEFAULT_HUB").write_text("secrets")
    (secrets / "BRIDGE_SETTINGS_FILE").write_text(str(file))
    given = {"BRIDGE_SECRETS_DIR": str(secrets), "BRIDGE_LOG_LEVEL": "environment"}
    found = azure.sources(**given, **azure.both).read()
    assert [found[f"bridge_{name}"].text for name in names] == [
        "environment",
        "secrets",
        "vault",
        "configuration",
        "file",
    ]
    assert found["bridge_log_level"].shadows == ("secrets directory", "Key Vault", "App Configuration", "bridge.toml")


def test_it_is_time_to_look_once_the_seconds_are_over(azure: Azure) -> None:
    clock = Clock(0.0)
    sources = azure.sources(clock, BRIDGE_KEY_VAULT_URL=azure.vault.url, BRIDGE_RELOAD__STORES_SECONDS="30")
    sources.read()
    first = sources.look()
    clock.now = 29.0
    assert sources.look() == first
    clock.now = 30.0
    due = sources.look()
    assert due != first
    sources.read()
    assert sources.look() == due, "done"
    clock.now = 59.0
    sources.read()
    assert sources.look() == due, "nor does a reading for another reason make anybody read again"
    clock.now = 60.0
    assert sources.look() == due, "it was asked a second ago"
    clock.now = 89.0
    assert sources.look() != due


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
def test_a_store_that_fails_later_keeps_what_it_said(
    azure: Azure, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    azure.vault.put("BRIDGE-CALLERS--KEYS", "canary-key")
    azure.configuration.put("BRIDGE_DOCS", "true")
    sources = azure.sources(**azure.both)
    before = texts(sources)
    azure.vault.said = azure.configuration.said = json_answer({"error": {"message": "canary-answer"}}, status)
    with caplog.at_level(logging.INFO):
        assert texts(sources) == before
    assert "canary" not in caplog.text
    azure.vault.said = azure.configuration.said = None
    azure.vault.put("BRIDGE-CALLERS--KEYS", "new")
    assert texts(sources)["bridge_callers:keys"][0] == "new"


@pytest.mark.parametrize("store", ["BRIDGE_KEY_VAULT_URL", "BRIDGE_APP_CONFIGURATION_ENDPOINT"])
def test_a_store_that_cannot_be_read_at_start_is_named(azure: Azure, store: str) -> None:
    azure.vault.said = azure.configuration.said = json_answer({"error": {"message": "canary-answer"}}, 403)
    with pytest.raises(SettingsError, match=f"{store}.*403") as caught:
        azure.sources(**{store: azure.both[store]}).read()
    assert "canary" not in caught.value.detail


@pytest.mark.parametrize("address", ["http://vault.example", "vault", "https://", "https://u:p@x.example", "https://["])
def test_an_address_that_is_none(azure: Azure, address: str) -> None:
    with pytest.raises(SettingsError, match="BRIDGE_KEY_VAULT_URL"):
        azure.sources(BRIDGE_KEY_VAULT_URL=address).read()


@pytest.mark.parametrize("text", ["x", f"Endpoint=x;Secret={SECRET}"])
def test_a_connection_string_that_is_none(azure: Azure, text: str) -> None:
    with pytest.raises(SettingsError, match="BRIDGE_APP_CONFIGURATION_CONNECTION_STRING") as caught:
        azure.sources(BRIDGE_APP_CONFIGURATION_CONNECTION_STRING=text).read()
    assert SECRET not in caught.value.detail


@pytest.mark.parametrize(
    ("setting", "library", "extra"),
    [
        ("BRIDGE_KEY_VAULT_URL", "azure.keyvault.secrets.aio", r"signalr-bridge\[key-vault\]"),
        ("BRIDGE_APP_CONFIGURATION_ENDPOINT", "azure.appconfiguration.aio", r"signalr-bridge\[app-configuration\]"),
    ],
)
def test_a_missing_extra_is_named(
    azure: Azure, monkeypatch: pytest.MonkeyPatch, setting: str, library: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(SettingsError, match=f"{setting}.*{extra}"):
        azure.sources(**{setting: azure.both[setting]}).read()
