"""The assembly: what the settings make of the application."""

import sys
from pathlib import Path

import pytest
from signalr_bridge.errors import SettingsError
from signalr_bridge.main import create_app, mint
from signalr_bridge.settings import gather, load
from signalr_bridge.settings.model import FunctionAppSettings

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
    handler = {"BRIDGE_FORWARD__A__URL": "http://localhost:1", "BRIDGE_FORWARD__A__UNSIGNED": "true"}
    create_app(load(gather(settings(**environment, **handler), {})))
    assert ("BRIDGE_UPSTREAM__CODE" in caplog.text) is warns
    assert "canary" not in caplog.text


INSTALLED = """
from signalr_bridge import Hub

chat = Hub("chat")
started = []
chat.startup(lambda: started.append("startup"))
"""


async def test_a_token_is_made_without_the_handlers_of_installed_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = tmp_path / "a_package-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: a-package\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[signalr_bridge.handlers]\nchat = installed_hub:chat\n")
    (tmp_path / "installed_hub.py").write_text(INSTALLED)
    monkeypatch.syspath_prepend(tmp_path)
    given = load(gather(settings(), {}))
    app_too = given.model_copy(update={"function_app": FunctionAppSettings(folder=str(tmp_path / "nowhere"))})
    info = await mint(app_too, "chat", b"{}")
    assert info.access_token
    assert "installed_hub" not in sys.modules

    app = create_app(given)
    async with app.router.lifespan_context(app):
        assert sys.modules["installed_hub"].started == ["startup"]
    del sys.modules["installed_hub"]
