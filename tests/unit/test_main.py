"""The assembly: what the settings make of the application."""

import pytest
from signalr_bridge.errors import SettingsError
from signalr_bridge.main import create_app
from signalr_bridge.settings import gather, load

CONNECTION = "Endpoint=https://a.example;AccessKey=canary-canary-canary;Version=1.0;"


def settings(**environment: str) -> dict[str, str]:
    return {"AzureSignalRConnectionString": CONNECTION, "BRIDGE_CALLERS__KEYS": "0123456789abcdef"} | environment


def test_it_is_built_without_opening_anything() -> None:
    app = create_app(load(gather(settings(), {})))

    assert [one.url for one in app.state.parts.directory.endpoints] == ["https://a.example"]
    assert "canary" not in repr(app.state.parts.directory.endpoints)


@pytest.mark.parametrize(("docs", "found"), [("true", True), ("false", False)])
def test_the_docs_are_off_unless_the_settings_turn_them_on(docs: str, found: bool) -> None:
    app = create_app(load(gather(settings(BRIDGE_DOCS=docs), {})))
    assert (app.openapi_url is not None, app.docs_url is not None) == (found, found)


@pytest.mark.parametrize(
    ("environment", "hub"),
    [
        ({}, None),
        ({"BRIDGE_DEFAULT_HUB": "News"}, "news"),
        ({"BRIDGE_NEGOTIATE__HUBS": "Only,*"}, "only"),
        ({"BRIDGE_NEGOTIATE__HUBS": "a,b"}, None),
    ],
)
def test_the_default_hub(environment: dict[str, str], hub: str | None) -> None:
    assert create_app(load(gather(settings(**environment), {}))).state.parts.access.hub_names.default == hub


@pytest.mark.parametrize(
    ("environment", "word"),
    [
        (
            {"BRIDGE_NEGOTIATE__USER_ID": "{nonsense}", "BRIDGE_NEGOTIATE__TRUST_CLIENT_INPUT": "true"},
            "BRIDGE_NEGOTIATE__USER_ID",
        ),
        ({"BRIDGE_UPSTREAM__KEYS": '[""]'}, "BRIDGE_UPSTREAM__KEYS"),
    ],
)
def test_settings_that_cannot_be_used(environment: dict[str, str], word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        create_app(load(gather(settings(**environment), {})))


@pytest.mark.parametrize(("environment", "warns"), [({}, True), ({"BRIDGE_UPSTREAM__CODE": "canary"}, False)])
def test_a_missing_code_is_worth_a_warning(
    caplog: pytest.LogCaptureFixture, environment: dict[str, str], warns: bool
) -> None:
    create_app(load(gather(settings(**environment), {})))
    assert ("BRIDGE_UPSTREAM__CODE" in caplog.text) is warns
    assert "canary" not in caplog.text
