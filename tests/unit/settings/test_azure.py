"""Azure's own names: which endpoints they mean, in which order, and what is refused."""

import pytest
from signalr_bridge.errors import SettingsError

from tests.unit.settings.given import connection, loaded

NAMED = "Azure__SignalR__Endpoints__"


def endpoints(environment: dict[str, str]) -> list[tuple[str, str, str]]:
    found = loaded(environment).endpoints
    return [(one.name, one.endpoint_type, one.connection.endpoint.split("/")[2].split(".")[0]) for one in found]


@pytest.mark.parametrize(
    "name",
    [
        "AzureSignalRConnectionString",
        "AZURESIGNALRCONNECTIONSTRING",
        "azuresignalrconnectionstring",
        "ConnectionStrings__AzureSignalRConnectionString",
        "ConnectionStrings:AzureSignalRConnectionString",
        "connectionstrings:azuresignalrconnectionstring",
        "CUSTOMCONNSTR_AzureSignalRConnectionString",
        "customconnstr_AZURESIGNALRCONNECTIONSTRING",
    ],
)
def test_the_unnamed_endpoint(name: str) -> None:
    assert endpoints({name: connection()}) == [("default", "Primary", "contoso")]


@pytest.mark.parametrize(
    "winner", ["ConnectionStrings__AzureSignalRConnectionString", "CUSTOMCONNSTR_AzureSignalRConnectionString"]
)
def test_a_connection_string_by_that_name_takes_priority(winner: str) -> None:
    given = {"AzureSignalRConnectionString": connection("plain"), winner: connection("special")}
    assert endpoints(given) == [("default", "Primary", "special")]
    assert endpoints(given | {winner: "  "}) == [("default", "Primary", "plain")], "a blank one is none"


@pytest.mark.parametrize("blank", ["", " ", "\n"])
def test_a_blank_connection_string_is_none(blank: str) -> None:
    assert endpoints({"AzureSignalRConnectionString": blank}) == []


@pytest.mark.parametrize(
    "name",
    [
        "Azure__SignalR__Endpoints__EastUS",
        "Azure:SignalR:Endpoints:EastUS",
        "AZURE__SIGNALR__ENDPOINTS__EastUS",
        "azure:SignalR__endpoints:EastUS",
    ],
)
def test_a_named_endpoint_keeps_its_spelling(name: str) -> None:
    assert endpoints({name: connection("a")}) == [("EastUS", "Primary", "a")]


def test_the_unnamed_one_comes_first_then_names_in_order_then_their_types() -> None:
    given = {
        NAMED + "b": connection("b0"),
        NAMED + "B__SECONDARY": connection("b2"),
        NAMED + "b__primary": connection("b1"),
        NAMED + "a": connection("a"),
        "AzureSignalRConnectionString": connection("unnamed"),
    }
    assert [(one[1], one[2]) for one in endpoints(given)] == [
        ("Primary", "unnamed"),
        ("Primary", "a"),
        ("Primary", "b0"),
        ("Primary", "b1"),
        ("Secondary", "b2"),
    ]
    assert [one[0].lower() for one in endpoints(given)] == ["default", "a", "b", "b", "b"]


def test_another_sub_key_means_nothing() -> None:
    assert endpoints({NAMED + "a__weight": "3", NAMED + "b": connection("b")}) == [("b", "Primary", "b")]


def test_without_a_primary_there_is_nowhere_to_send_clients() -> None:
    with pytest.raises(SettingsError, match="Primary"):
        loaded({NAMED + "a__secondary": connection()})


def test_two_endpoints_called_default() -> None:
    with pytest.raises(SettingsError, match=r"'default'.*AzureSignalRConnectionString"):
        loaded({"AzureSignalRConnectionString": connection(), NAMED + "Default": connection()})
    assert endpoints({NAMED + "Default": connection("a")}) == [("Default", "Primary", "a")]
    both = {NAMED + "default__primary": connection("a"), NAMED + "default__secondary": connection("b")}
    assert [one[2] for one in endpoints(both)] == ["a", "b"], "one name may be several endpoints"


@pytest.mark.parametrize("name", ["AzureSignalRConnectionString", NAMED + "East", NAMED + "East__primary"])
@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Endpoint=https://a.b;AccessKey=;Version=1.0;", "AccessKey"),
        ("Endpoint=https://a.b;Version=1.0;", "AccessKey"),
        ("AccessKey=canary-canary;Version=1.0;", "Endpoint"),
        ("Endpoint=canary;AccessKey=canary-canary", "Endpoint"),
        ("Endpoint=https://a.b;AccessKey=canary;AccessKey=canary", "AccessKey"),
        ("Endpoint=https://a.b;AccessKey=canary;Port=canary", "Port"),
        ("canary", "Endpoint"),
    ],
)
def test_a_malformed_one_is_named_by_setting_and_key_never_by_value(name: str, text: str, word: str) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded({name: text})
    assert caught.value.detail.startswith(f"{name} (environment): ")
    assert word in caught.value.detail
    assert "canary" not in repr(caught.value)


def test_a_blank_named_endpoint_is_none() -> None:
    assert endpoints({NAMED + "East": " ", NAMED + "West": connection("west")}) == [("West", "Primary", "west")]


def test_beside_an_unnamed_connection_string_a_service_uri_does_not_count() -> None:
    given = {"AzureSignalRConnectionString": connection(), "AzureSignalRConnectionString__serviceUri": "https://a.b"}
    assert endpoints(given) == [("default", "Primary", "contoso")]
