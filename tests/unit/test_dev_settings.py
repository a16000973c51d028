"""What ``dev`` takes, overrules and leaves out, as a function of the settings."""

import re
import socket
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from signalr_bridge.dev import DevOptions, run_dev
from signalr_bridge.dev_settings import DevSettings, is_remote, make_dev_settings
from signalr_bridge.errors import SettingsError
from signalr_bridge.settings import Level, Review, Settings, gather, review

from tests.unit.settings.given import connection, unknown_names

FORWARD = {
    "bridge_forward:dev:url": "http://localhost:9000/signalr",
    "bridge_forward:dev:secrets": ["whsec_" + "A" * 32],
}
SECRET = {"SECRETS": "whsec_" + "A" * 32}


def made(
    environment: Mapping[str, str], flags: Mapping[str, Any] | None = None, *, remote: bool = False
) -> DevSettings:
    return make_dev_settings(gather(environment, flags or {}), remote=remote)


def reviewed(environment: Mapping[str, str], flags: Mapping[str, Any] | None = None) -> Review:
    return review(made(environment, flags).values)


def accepted(
    environment: Mapping[str, str], flags: Mapping[str, Any] | None = None, *, remote: bool = False
) -> Settings:
    return review(made(environment, flags, remote=remote).values).accept()


def rule(name: str, url: str) -> dict[str, str]:
    return {f"BRIDGE_FORWARD__{name}__URL": url, f"BRIDGE_FORWARD__{name}__SECRETS": SECRET["SECRETS"]}


def test_where_the_settings_are_silent() -> None:
    settings = accepted({})
    assert settings.default_hub == "chat"
    assert settings.handlers == ("signalr_bridge.demo:chat",)
    assert settings.negotiate.anonymous
    assert (settings.negotiate.user_id, settings.negotiate.trust_client_input) == ("{query.userId}", True)
    assert settings.negotiate.hubs == ("*",)
    assert settings.function_app.timers
    assert (settings.console, settings.docs, settings.log_level) == (True, True, "warning")
    assert list(made({}).describe()) == []


OVERRULED = {
    "AzureSignalRConnectionString": connection(key="cAnArY"),
    "ConnectionStrings__AzureSignalRConnectionString": connection(),
    "AZURE_SIGNALR_CONNECTIONSTRING": connection(),
    "Azure__SignalR__Endpoints__west": connection("west"),
    "Azure__SignalR__Endpoints__west__serviceUri": "https://west.service.signalr.net",
    "BRIDGE_CONNECTION": "Own",
    "Own": connection("own"),
    "Own__serviceUri": "https://own.service.signalr.net",
    "CUSTOMCONNSTR_Own": connection("own"),
    "BRIDGE_HUBS__news__CONNECTION": "News",
    "News__serviceUri": "https://news.service.signalr.net",
    "BRIDGE_ENDPOINTS__WEST__WEIGHT": "2",
    "BRIDGE_UPSTREAM__CODE": "cAnArY",
    "BRIDGE_UPSTREAM__KEYS": "cAnArY",
    "BRIDGE_UPSTREAM__ENTRA__TENANT": "no tenant",
    "BRIDGE_HUBS__news__UPSTREAM__CODE": "cAnArY",
    "BRIDGE_HUBS__news__UPSTREAM__ENTRA__AUDIENCE": "x",
    "BRIDGE_HOST": "0.0.0.0",
    "BRIDGE_PORT": "no number",
    "BRIDGE_UDS": "/tmp/x",
    "BRIDGE_PUBLIC_URL": "https://prod.example",
    "BRIDGE_CALLERS__LISTEN": "nowhere",
    "BRIDGE_CALLERS__ANONYMOUS": "true",
    "BRIDGE_METRICS_LISTEN": "0.0.0.0:9090",
    "BRIDGE_HUBS_ONLY": "true",
    "BRIDGE_NEGOTIATE__HUBS": "news,sport",
    "BRIDGE_STATE__URL": "redis://prod.example",
    "BRIDGE_STATE__KEYS": "cAnArY",
    "BRIDGE_VIRTUAL__A__KEYS": "cAnArY",
    "BRIDGE_FUNCTION_APP__TIMERS": "false",
}


def test_what_is_overruled_is_named_and_judged_by_nobody() -> None:
    found = made(OVERRULED)
    names = [one.written for values in found.overruled.values() for one in values]
    assert sorted(names) == sorted(OVERRULED)
    assert found.taken == ()
    settings = review(found.values).accept()
    assert review(found.values).diagnostics == ()
    assert (settings.endpoints, settings.connections) == ((), {})
    assert settings.callers.listen is None
    assert not settings.hubs_only
    assert settings.function_app.timers, "dev is the one replica that runs them"
    assert settings.negotiate.hubs == ("news", "sport", "*")
    lines = list(found.describe())
    assert "cAnArY" not in "".join([*lines, repr(found)])
    for name in OVERRULED:
        assert any(f"{name} (environment)".lower() in line.lower() for line in lines), name


def test_all_else_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "bridge.toml"
    file.write_text(
        """
        default_hub = "news"
        handlers = ["my_news:news"]
        callers.keys = ["a-key-of-the-team-1"]
        [cors]
        origins = ["https://app.example"]
        [hubs.news]
        join = [{claim = "role", group = "r"}]
        [forward.here]
        url = "http://127.0.0.1:9000/x"
        unsigned = true
        """
    )
    environment = {"BRIDGE_SETTINGS_FILE": str(file), "BRIDGE_LIMITS__HANDLER_SECONDS": "7", "BRIDGE_CONSOLE": "false"}
    environment |= {
        "AzureSignalRHttpClientTimeout": "00:00:05",
        "BRIDGE_LOG_LEVEL": "debug",
        "BRIDGE_NEGOTIATE__USER_ID": " ",
    }
    found = made(environment)
    settings = review(found.values).accept()
    assert (settings.default_hub, settings.handlers) == ("news", ("my_news:news",))
    assert [one.name for one in settings.callers.keys] == ["key"]
    assert settings.cors.origins == ("https://app.example",)
    assert settings.hubs["news"].join[0].claim == "role"
    assert settings.forward["here"].unsigned
    assert (settings.limits.handler_seconds, settings.console, settings.log_level) == (7, False, "debug")
    assert settings.calls.attempt_seconds == 5
    assert settings.negotiate.user_id == "{query.userId}"
    assert sorted(found.describe()) == [
        "Settings of bridge.toml: BRIDGE_CALLERS__KEYS, BRIDGE_CORS__ORIGINS, BRIDGE_DEFAULT_HUB, "
        "BRIDGE_FORWARD__HERE__UNSIGNED, BRIDGE_FORWARD__HERE__URL, BRIDGE_HANDLERS, BRIDGE_HUBS__NEWS__JOIN",
        "Settings of environment: AzureSignalRHttpClientTimeout, BRIDGE_CONSOLE, BRIDGE_LIMITS__HANDLER_SECONDS, "
        "BRIDGE_LOG_LEVEL, BRIDGE_SETTINGS_FILE",
    ]


def test_what_the_functions_host_is_told_counts(tmp_path: Path) -> None:
    """``*`` says no more than what ``dev`` does anyway: pages of this machine get in."""
    file = tmp_path / "local.settings.json"
    file.write_text('{"Host": {"LocalHttpPort": "7071", "CORS": "*", "CORSCredentials": true}}')
    found = made({"BRIDGE_SETTINGS_FILE": str(file)})
    assert found.port == 7071
    assert [one.setting for one in review(found.values).diagnostics] == ["Values"], "of which there are none"
    took = "Settings of local.settings.json: BRIDGE_CORS__CREDENTIALS, Host.CORS, Host.LocalHttpPort"
    assert took in found.describe()
    assert made({}).port is None
    for port in ("-1", "65536", "²", "http"):
        file.write_text(f'{{"Host": {{"LocalHttpPort": "{port}"}}}}')
        with pytest.raises(SettingsError, match=r"^LocalHttpPort \(local.settings.json\): write a number"):
            _ = made({"BRIDGE_SETTINGS_FILE": str(file)}).port


async def test_it_listens_where_the_functions_host_would_but_for_port(tmp_path: Path) -> None:
    file = tmp_path / "local.settings.json"
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        ports = [one.getsockname()[1] for one in (first, second)]
        file.write_text(f'{{"Host": {{"LocalHttpPort": {ports[0]}}}}}')
        for options, port in ((DevOptions(), ports[0]), (DevOptions(port=ports[1]), ports[1])):
            with pytest.raises(SettingsError, match=f"cannot listen on 127.0.0.1 port {port} "):
                await run_dev(options, {"BRIDGE_SETTINGS_FILE": str(file)})


def test_a_wrong_setting_stops_it_and_an_unknown_name_is_named() -> None:
    with pytest.raises(SettingsError, match="BRIDGE_LIMITS__IN_FLIGHT"):
        accepted({"BRIDGE_LIMITS__IN_FLIGHT": "many"})
    given = {"BRIDGE_TYPO": "x", "BRIDGE_FORWARD__A__NONSENSE": "x"}
    assert unknown_names(made(given).values) == ["BRIDGE_FORWARD__A__NONSENSE", "BRIDGE_TYPO"]
    assert all(one.level is Level.UNKNOWN for one in reviewed(given).diagnostics)


@pytest.mark.parametrize(
    ("url", "remote"),
    [
        ("http://localhost:9000/x", False),
        ("http://LOCALHOST/{hub}/{event}", False),
        ("https://127.0.0.1:1/x", False),
        ("http://127.9.9.9/x", False),
        ("http://[::1]:9000/x", False),
        ("https://prod.example/x", True),
        ("http://backend:9000/x", True),
        ("http://localhost.prod.example/", True),
        ("http://localhost@prod.example/", True),
        ("http://localhost:1@prod.example/", True),
        ("http://prod.example/?localhost", True),
        ("http://10.0.0.1/", True),
        ("http://0.0.0.0:9000/", True),
        ("http://[::1/", True),
        ("http://prod.example#@localhost/", True),
        ("", True),
    ],
)
def test_whose_address_it_is(url: str, remote: bool) -> None:
    assert is_remote(url) is remote


def test_a_file_that_is_left_out_is_not_called_one_without_settings(tmp_path: Path) -> None:
    file, empty = tmp_path / "bridge.toml", tmp_path / "empty.toml"
    url, secret = "https://backend.example/signalr", SECRET["SECRETS"]
    file.write_text(f'[forward.chat]\nurl = "{url}"\nsecrets = ["{secret}"]\n', "utf-8")
    empty.write_text("", "utf-8")
    found = {one: reviewed({}, {"bridge_settings_file": [str(one)]}).diagnostics for one in (file, empty)}
    assert found[file] == ()
    assert [one.level for one in found[empty]] == [Level.WARNING]


def test_what_would_post_to_another_machine_is_left_out_whole() -> None:
    environment = rule("orders", "https://prod.example/{hub}") | rule("here", "http://localhost:9000/x")
    environment |= {"BRIDGE_FORWARD__orders__HUB": "orders", "BRIDGE_FORWARD__a__b__URL": "http://backend/x"}
    environment |= {"BRIDGE_FUNCTIONS__URL": "http://functions:7071", "BRIDGE_FUNCTIONS__SECRETS": "cAnArY"}
    found = made(environment)
    assert list(review(found.values).accept().forward) == ["here"]
    assert {name: one.written for name, one in found.left_out.items()} == {
        "forward.a:b": "BRIDGE_FORWARD__a__b__URL",
        "forward.orders": "BRIDGE_FORWARD__orders__URL",
        "functions": "BRIDGE_FUNCTIONS__URL",
    }
    told = "\n".join(found.describe())
    assert "forward.orders (BRIDGE_FORWARD__ORDERS__URL, environment)" in told
    assert "prod.example" not in told
    assert "BRIDGE_FORWARD__ORDERS__HUB" not in told

    assert not made(environment, remote=True).left_out
    assert set(accepted(rule("orders", "https://prod.example/x"), remote=True).forward) == {"orders"}


def test_the_demo_runs_where_nothing_else_is_meant_to() -> None:
    for environment, flags in (
        ({"BRIDGE_HANDLERS": "my:chat"}, {}),
        (rule("here", "http://localhost/x"), {}),
        (rule("there", "http://prod.example/x"), {}),
        ({}, FORWARD),
    ):
        assert "signalr_bridge.demo:chat" not in accepted(environment, flags).handlers


def test_forward_gets_all_events() -> None:
    """Whatever the settings say of who else gets them. Handlers that are named beside it are meant to be there."""
    environment = rule("dev", "http://localhost/other") | {
        "BRIDGE_FORWARD__dev__HUB": "x",
        "BRIDGE_HANDLERS": "my:chat",
    }
    found = made(environment | rule("prod", "https://prod.example/"), FORWARD)
    settings = review(found.values).accept()
    assert settings.handlers == ()
    forward = settings.forward["dev"]
    assert list(settings.forward) == ["dev"]
    assert (forward.hub, forward.category, forward.event) == ("*", "*", "*")
    assert forward.url == "http://localhost:9000/signalr"
    assert not found.left_out
    assert len(found.overruled["--forward gets all events"]) == 4
    assert accepted({}, FORWARD | {"bridge_handlers": ["my:chat"]}).handlers == ("my:chat",)


def test_a_backend_that_is_asked_at_negotiate_gets_no_events() -> None:
    asked = rule("login", "http://localhost/login") | {"BRIDGE_FORWARD__login__CATEGORY": "negotiate"}
    assert accepted(asked).handlers == ("signalr_bridge.demo:chat",)
    assert list(accepted(asked, FORWARD).forward) == ["dev", "login"]


JWT = '[{"issuer": "https://issuer.example", "audience": "chat"}]'


@pytest.mark.parametrize(
    ("environment", "anonymous", "user_id"),
    [
        ({"BRIDGE_NEGOTIATE__JWT": JWT}, False, None),
        ({"BRIDGE_NEGOTIATE__JWT": JWT, "BRIDGE_NEGOTIATE__ANONYMOUS": "true"}, True, None),
        ({"BRIDGE_NEGOTIATE__PLATFORM_IDENTITY": "true"}, False, None),
        ({"BRIDGE_NEGOTIATE__ANONYMOUS": "false"}, False, "{query.userId}"),
        ({"BRIDGE_NEGOTIATE__USER_ID": "{claims.oid}"}, True, "{claims.oid}"),
        ({"BRIDGE_NEGOTIATE__TRUST_CLIENT_INPUT": "false"}, True, None),
        ({"BRIDGE_NEGOTIATE__TRUST_CLIENT_INPUT": "true"}, True, "{query.userId}"),
        ({"BRIDGE_NEGOTIATE__LIFETIME_SECONDS": "60"}, True, "{query.userId}"),
    ],
)
def test_rules_for_clients_count_as_they_are(environment: dict[str, str], anonymous: bool, user_id: str | None) -> None:
    rules = accepted(environment).negotiate
    assert (rules.anonymous, rules.user_id) == (anonymous, user_id)


def test_a_hub_that_knows_its_clients_admits_nobody_else() -> None:
    settings = accepted(
        {"BRIDGE_HUBS__inner__NEGOTIATE__JWT": JWT, "BRIDGE_HUBS__other__NEGOTIATE__LIFETIME_SECONDS": "60"}
    )
    assert not settings.negotiate_of("inner").anonymous
    assert settings.negotiate_of("inner").user_id is None
    assert settings.negotiate_of("other").anonymous
    assert settings.negotiate_of("chat").anonymous
    assert accepted({"BRIDGE_HUBS__chat__NEGOTIATE__TRUST_CLIENT_INPUT": "false"}).negotiate_of("chat").user_id is None


@pytest.mark.parametrize(
    ("options", "environment", "line"),
    [
        (DevOptions(), {"BRIDGE_LIMITS__IN_FLIGHT": "0"}, "BRIDGE_LIMITS__IN_FLIGHT"),
        (DevOptions(forward="https://prod.example/x"), {}, "--forward .* add --remote"),
        (DevOptions(forward="localhost:9000"), {}, "--forward: is no http or https URL"),
        (DevOptions(forward="http://localhost/{x}"), {}, "--forward: {hub} and {event} stand only"),
        (DevOptions(forward="http://localhost/x", secret="cAnArY!"), {}, "--secret: "),
        (DevOptions(secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), {}, "--secret .* --forward"),
        (DevOptions(origins=["*"]), {}, "--allow-origin: "),
        (DevOptions(settings=["nowhere.toml"]), {}, "'nowhere.toml' cannot be read"),
    ],
    ids=str,
)
async def test_a_wrong_option_is_told_in_words(options: DevOptions, environment: dict[str, str], line: str) -> None:
    """Before anything runs. ``__main__`` prints it without a stack, and exits with 1."""
    with pytest.raises(SettingsError, match=line) as wrong:
        await run_dev(replace(options, port=0, emulator_port=0), environment)
    assert "cAnArY" not in str(wrong.value)


def test_the_page_about_it_has_every_option_every_reason_and_every_setting() -> None:
    page = " ".join((Path(__file__).parents[2] / "docs/dev.md").read_text("utf-8").split())
    options = {"--reload", *(f"--{one.name.replace('_', '-')}" for one in fields(DevOptions) if one.name != "origins")}
    for option in options | {"--allow-origin"}:
        assert f"| `{option}" in page or f", `{option}" in page, option
    for reason in [*made(OVERRULED).overruled, *made({"BRIDGE_HANDLERS": "a:b"}, FORWARD).overruled]:
        assert f" | {reason} |" in page, reason
    for name in OVERRULED:
        if name.startswith("BRIDGE_") and "__news__UPSTREAM" not in name:
            known = re.sub("__news__", "__<HUB>__", name.removeprefix("BRIDGE_"))
            section = known.rpartition("__")[0].partition("__")[0]
            assert known in page or f"BRIDGE_{section}__*" in page or known.rpartition("__")[0] + "__*" in page, name
