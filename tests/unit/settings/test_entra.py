"""Settings about the tokens of the service's identity: all of them or none, and no plain http."""

from pathlib import Path

import pytest
from signalr_bridge.errors import SettingsError
from signalr_bridge.settings import check_servable, gather

from tests.unit.settings.given import connection, loaded, toml, unknown_names

TENANT = "72f988bf-86f1-41af-91ab-2d7cd011db47"
APPLICATION = "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb"
ENTRA = {
    "BRIDGE_UPSTREAM__ENTRA__TENANT": TENANT,
    "BRIDGE_UPSTREAM__ENTRA__AUDIENCE": "api://bridge",
    "BRIDGE_UPSTREAM__ENTRA__APP_IDS": APPLICATION,
}


def test_all_three_are_read() -> None:
    entra = loaded(ENTRA | {"BRIDGE_UPSTREAM__ENTRA__APP_IDS": f'["{APPLICATION}", "*"]'}).upstream.entra
    assert (entra.tenant, entra.audience, entra.app_ids) == (TENANT, ("api://bridge",), (APPLICATION, "*"))
    assert loaded().upstream.entra.tenant is None


@pytest.mark.parametrize("missing", ENTRA)
def test_all_three_together(missing: str) -> None:
    for value in ({}, {missing: ""}):
        given = {name: text for name, text in ENTRA.items() if name != missing}
        with pytest.raises(SettingsError, match="BRIDGE_UPSTREAM__ENTRA"):
            loaded(given | value)


@pytest.mark.parametrize(
    "tenant", ["common", "organizations", "contoso.onmicrosoft.com", f"{TENANT}/../x", f"{TENANT} "]
)
def test_the_tenant_is_an_id(tenant: str) -> None:
    with pytest.raises(SettingsError, match="a tenant is given by its id"):
        loaded(ENTRA | {"BRIDGE_UPSTREAM__ENTRA__TENANT": tenant})


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("https://login.microsoftonline.us/", "https://login.microsoftonline.us"),
        ("login.microsoftonline.us", "https://login.microsoftonline.us"),
        ("https://localhost:8443", "https://localhost:8443"),
    ],
)
def test_the_authority_has_azures_own_name(written: str, read: str) -> None:
    given = {"AZURE_AUTHORITY_HOST": written}
    assert loaded(given).authority_host == read
    assert unknown_names(gather(given, {})) == []
    assert loaded().authority_host == "https://login.microsoftonline.com"


@pytest.mark.parametrize("written", ["http://localhost:8443", "HTTP://localhost", "ftp://x"])
def test_tokens_are_never_issued_over_plain_http(written: str) -> None:
    with pytest.raises(SettingsError, match="https://"):
        loaded({"AZURE_AUTHORITY_HOST": written})


def test_the_application_of_an_endpoint() -> None:
    named = {"BRIDGE_ENDPOINTS__EAST__UPSTREAM_APP_ID": APPLICATION}
    endpoints = {"Azure__SignalR__Endpoints__East": connection("east"), "AzureSignalRConnectionString": connection()}
    applications = {one.name: one.upstream_app_id for one in loaded(endpoints | named).endpoints}
    assert applications == {"default": None, "East": APPLICATION}
    assert unknown_names(gather(endpoints | named, {})) == []


def test_the_application_of_an_endpoint_in_a_file(tmp_path: Path) -> None:
    text = f'[endpoints.default]\nupstream_app_id = "{APPLICATION}"'
    settings = toml(tmp_path, text, {"AzureSignalRConnectionString": connection()})
    assert settings.endpoints[0].upstream_app_id == APPLICATION


def test_an_application_of_an_endpoint_that_is_not_there() -> None:
    with pytest.raises(SettingsError, match="BRIDGE_ENDPOINTS__WEST"):
        loaded({"BRIDGE_ENDPOINTS__WEST__UPSTREAM_APP_ID": APPLICATION, "AzureSignalRConnectionString": connection()})


@pytest.mark.parametrize(
    "name", ["BRIDGE_ENDPOINTS__UPSTREAM_APP_ID", "BRIDGE_ENDPOINTS__EAST__NAME", "BRIDGE_ENDPOINTS"]
)
def test_nothing_else_is_said_of_an_endpoint(name: str) -> None:
    assert unknown_names(gather({name: "x"}, {})) == [name]


@pytest.mark.parametrize("entra", [{}, ENTRA])
def test_an_application_that_would_never_be_believed(entra: dict[str, str]) -> None:
    given = {
        "AzureSignalRConnectionString": connection(),
        "BRIDGE_CALLERS__KEYS": "a-key-of-16-characters",
        "BRIDGE_ENDPOINTS__DEFAULT__UPSTREAM_APP_ID": "another",
    }
    with pytest.raises(SettingsError, match="BRIDGE_ENDPOINTS__DEFAULT__UPSTREAM_APP_ID"):
        check_servable(loaded(given | entra))
    check_servable(loaded(given | ENTRA | {"BRIDGE_UPSTREAM__ENTRA__APP_IDS": "Another"}))
    check_servable(loaded(given | ENTRA | {"BRIDGE_UPSTREAM__ENTRA__APP_IDS": "*"}))
