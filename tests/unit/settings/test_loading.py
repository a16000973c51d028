"""BRIDGE_* names: types, lists, sections, places; and what is said about a bad value."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError
from signalr_bridge.check import write_tables
from signalr_bridge.errors import SettingsError
from signalr_bridge.protocol.connection_string import EMULATOR_KEY
from signalr_bridge.settings import Settings, check_servable, gather, load, review

from tests.unit.settings.given import connection, from_file, loaded, toml, unknown_names

KEY = "0123456789abcdef"
CANARY = "canary-7f3a9c51-canary"


def shown(value: Any) -> Any:
    """A setting with its secrets laid open."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return [shown(one) for one in value] if isinstance(value, tuple) else value


def at(settings: Settings, path: str) -> Any:
    found: Any = settings
    for name in path.split("."):
        found = getattr(found, name)
    return shown(found)


@pytest.mark.parametrize(
    ("name", "text", "path", "value"),
    [
        ("BRIDGE_HOST", "::1", "host", "::1"),
        ("BRIDGE_PORT", "9090", "port", 9090),
        ("bridge_port", "9090", "port", 9090),
        ("BRIDGE_ALLOW_EMULATOR_KEY", "true", "allow_emulator_key", True),
        ("BRIDGE_DEFAULT_HUB", "Chat", "default_hub", "chat"),
        ("BRIDGE_HANDLERS", "a:b, c:d", "handlers", ["a:b", "c:d"]),
        ("BRIDGE_HANDLERS", '["a:b"]', "handlers", ["a:b"]),
        ("BRIDGE_NEGOTIATE__HUBS", "*", "negotiate.hubs", ["*"]),
        ("BRIDGE_NEGOTIATE__HUBS", ' ["a,b", "c"] ', "negotiate.hubs", ["a,b", "c"]),
        ("BRIDGE_NEGOTIATE:HUBS", "a,,b,", "negotiate.hubs", ["a", "b"]),
        ("BRIDGE_NEGOTIATE__HUBS", "", "negotiate.hubs", []),
        ("BRIDGE_NEGOTIATE__ANONYMOUS", "True", "negotiate.anonymous", True),
        ("BRIDGE_NEGOTIATE__USER_ID", "fixed", "negotiate.user_id", "fixed"),
        ("BRIDGE_NEGOTIATE__LIFETIME_SECONDS", "60", "negotiate.lifetime_seconds", 60),
        ("BRIDGE_NEGOTIATE__CLOSE_ON_EXPIRY", "1", "negotiate.close_on_expiry", True),
        ("BRIDGE_NEGOTIATE__LOSSLESS_CLAIMS", "false", "negotiate.lossless_claims", False),
        ("BRIDGE_UPSTREAM__CODE", "one,two", "upstream.code", ["one", "two"]),
        ("BRIDGE_UPSTREAM__KEYS", '["a,b"]', "upstream.keys", ["a,b"]),
        ("BRIDGE_UPSTREAM__ALLOW_UNSIGNED", "yes", "upstream.allow_unsigned", True),
        ("BRIDGE_UPSTREAM__UNHANDLED", "200", "upstream.unhandled", "200"),
        ("BRIDGE_LIMITS__DEADLINE_SECONDS", "2.5", "limits.deadline_seconds", 2.5),
        ("BRIDGE_LIMITS__UPSTREAM_BYTES", "1024", "limits.upstream_bytes", 1024),
        ("BRIDGE_LIMITS__GRACE_SECONDS", "0", "limits.grace_seconds", 0),
        ("BRIDGE_DOCS", "on", "docs", True),
        ("BRIDGE_LOG_LEVEL", "debug", "log_level", "debug"),
        ("BRIDGE_LOG_FORMAT", "text", "log_format", "text"),
    ],
)
def test_a_setting(name: str, text: str, path: str, value: Any) -> None:
    assert at(loaded({name: text}), path) == value
    assert unknown_names(gather({name: text}, {})) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("host", "0.0.0.0"),
        ("port", 8080),
        ("allow_emulator_key", False),
        ("default_hub", None),
        ("handlers", []),
        ("callers.keys", []),
        ("negotiate.hubs", []),
        ("negotiate.anonymous", False),
        ("negotiate.user_id", None),
        ("negotiate.trust_client_input", False),
        ("negotiate.lifetime_seconds", 3600),
        ("negotiate.close_on_expiry", False),
        ("negotiate.lossless_claims", True),
        ("upstream.allow_unsigned", False),
        ("upstream.unhandled", "404"),
        ("limits.deadline_seconds", 10),
        ("limits.upstream_bytes", 4194304),
        ("limits.grace_seconds", 20),
        ("docs", False),
        ("log_level", "info"),
        ("log_format", None),
        ("development", False),
    ],
)
def test_a_default(path: str, value: Any) -> None:
    assert at(loaded(), path) == value


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (KEY, [("key", KEY)]),
        (f" {KEY} , {KEY}2 ", [("key-1", KEY), ("key-2", KEY + "2")]),
        (f'["{KEY},x"]', [("key", KEY + ",x")]),
        (f'[{{"name": "ann", "key": "{KEY}"}}, "{KEY}2"]', [("ann", KEY), ("key-2", KEY + "2")]),
        ("", []),
    ],
)
def test_callers_keys(text: str, keys: list[tuple[str, str]]) -> None:
    found = loaded({"BRIDGE_CALLERS__KEYS": text}).callers.keys
    assert [(one.name, one.key and one.key.get_secret_value()) for one in found] == keys


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("BRIDGE_PORT", CANARY),
        ("BRIDGE_PORT", "65536"),
        ("BRIDGE_PORT", "-1"),
        ("BRIDGE_DEFAULT_HUB", f"1{CANARY}"),
        ("BRIDGE_ALLOW_EMULATOR_KEY", CANARY),
        ("BRIDGE_HANDLERS", f'["{CANARY}'),
        ("BRIDGE_HANDLERS", "[1]"),
        ("BRIDGE_CALLERS__KEYS", "canary-short"),
        ("BRIDGE_CALLERS__KEYS", f'["{CANARY}", 1]'),
        ("BRIDGE_CALLERS__KEYS", f'["{CANARY}"'),
        ("BRIDGE_CALLERS__KEYS", f'[{{"{CANARY}": "send"}}]'),
        ("BRIDGE_CALLERS__KEYS", f'[{{"key": "{CANARY}", "rights": ["{CANARY}"]}}]'),
        ("BRIDGE_NEGOTIATE__LIFETIME_SECONDS", "0"),
        ("BRIDGE_NEGOTIATE__LIFETIME_SECONDS", "86401"),
        ("BRIDGE_NEGOTIATE__ANONYMOUS", CANARY),
        ("BRIDGE_UPSTREAM__CODE", f'[["{CANARY}"]]'),
        ("BRIDGE_UPSTREAM__KEYS", f'["{CANARY}", {{"{CANARY}": 1}}]'),
        ("BRIDGE_UPSTREAM__CODE", f"{CANARY}\udcff"),
        ("BRIDGE_UPSTREAM__KEYS", f"{CANARY}\udcff"),
        ("BRIDGE_UPSTREAM__UNHANDLED", CANARY),
        ("BRIDGE_LIMITS__DEADLINE_SECONDS", "0.01"),
        ("BRIDGE_LIMITS__DEADLINE_SECONDS", "nan"),
        ("BRIDGE_LIMITS__DEADLINE_SECONDS", "inf"),
        ("BRIDGE_LIMITS__UPSTREAM_BYTES", "0"),
        ("BRIDGE_LIMITS__GRACE_SECONDS", "301"),
        ("BRIDGE_LOG_LEVEL", CANARY),
        ("BRIDGE_LOG_FORMAT", CANARY),
        ("BRIDGE_FORWARD__A__TIMEOUT_SECONDS", CANARY),
        ("BRIDGE_FORWARD__A__SECRETS", f'[{{"{CANARY}": 1}}]'),
    ],
)
def test_a_bad_value_is_named_and_never_shown(name: str, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded({name: text, "BRIDGE_FORWARD__A__URL": "http://a"})
    assert caught.value.detail.startswith(f"{name} (environment): ")
    assert len(caught.value.detail) > len(name) + 10
    assert "canary" not in repr(caught.value) + caught.value.detail.lower()
    assert caught.value.__context__ is None, "or a traceback would show it"


def test_every_error_has_a_line() -> None:
    with pytest.raises(SettingsError) as caught:
        loaded({"BRIDGE_PORT": "x", "BRIDGE_LIMITS__GRACE_SECONDS": "x", "BRIDGE_FORWARD__A__HUB": "chat"})
    lines = caught.value.detail.splitlines()
    assert sorted(line.split(" ")[0] for line in lines) == [
        "BRIDGE_FORWARD__A__URL",
        "BRIDGE_LIMITS__GRACE_SECONDS",
        "BRIDGE_PORT",
    ]


def test_a_template_over_what_clients_write_must_be_allowed() -> None:
    template = {"BRIDGE_NEGOTIATE__USER_ID": "{query.userId}"}
    with pytest.raises(SettingsError, match="TRUST_CLIENT_INPUT"):
        loaded(template)
    allowed = loaded(template | {"BRIDGE_NEGOTIATE__TRUST_CLIENT_INPUT": "true"})
    assert allowed.negotiate.user_id == "{query.userId}"


# --- forward


def test_forward_in_a_file(tmp_path: Path) -> None:
    text = """
        [forward.Chat]
        hub = "chat"
        category = "messages"
        event = "send"
        url = "http://backend/{hub}/{event}"
        secrets = ["whsec_a", "whsec_b"]
        timeout_seconds = 3
        [forward.other]
        url = "http://other"
        unsigned = true
    """
    forward = toml(tmp_path, text).forward
    assert list(forward) == ["chat", "other"]
    chat, other = forward.values()
    assert (chat.hub, chat.category, chat.event, chat.timeout_seconds) == ("chat", "messages", "send", 3)
    assert shown(chat.secrets) == ["whsec_a", "whsec_b"]
    assert (other.hub, other.category, other.event, other.format, other.unsigned) == ("*", "*", "*", "json", True)


def test_of_a_forward_name_only_the_known_suffix_is_split_off() -> None:
    given = {
        "BRIDGE_FORWARD__A__B__URL": "http://a",
        "BRIDGE_FORWARD__A__B__SECRETS": "x,y",
        "BRIDGE_FORWARD__C__URL": "u",
    }
    forward = loaded(given).forward
    assert sorted(forward) == ["a:b", "c"]
    assert shown(forward["a:b"].secrets) == ["x", "y"]
    assert unknown_names(gather(given, {})) == []


@pytest.mark.parametrize(
    "name", ["BRIDGE_FORWARD", "BRIDGE_FORWARD__URL", "BRIDGE_FORWARD__A", "BRIDGE_FORWARD__A__URI"]
)
def test_a_forward_name_that_means_nothing(name: str) -> None:
    assert unknown_names(gather({name: "x"}, {})) == [name]
    assert loaded({name: "x"}).forward == {}


# --- names


@pytest.mark.parametrize(
    "name",
    [
        "BRIDGE_PROT",
        "BRIDGE_",
        "BRIDGE_CALLERS",
        "BRIDGE_CALLERS__KEY",
        "BRIDGE_CALLERS__KEYS__0",
        "BRIDGE_PORT__X",
        "BRIDGE_ENDPOINTS",
        "BRIDGE_DEVELOPMENT",
        "Bridge_Negotiate__Jwtt",
    ],
)
def test_an_unknown_name_is_named_as_it_was_written_and_does_nothing(name: str) -> None:
    assert unknown_names(gather({name: "true", "PATH": "x"}, {})) == [name]
    assert loaded({name: "true"}) == loaded()


def test_an_unknown_name_in_a_file_is_named_too(tmp_path: Path) -> None:
    (tmp_path / "bridge.toml").write_text("prot = 1\n[limits]\nx = 1\n")
    values = gather({"BRIDGE_SETTINGS_FILE": str(tmp_path / "bridge.toml")}, {})
    assert unknown_names(values) == ["BRIDGE_limits:x", "BRIDGE_prot"]


# --- places


def test_flags_win_over_environment_and_environment_over_file(tmp_path: Path) -> None:
    text = 'port = 1\nhost = "file"\nlog_level = "error"\n'
    file = tmp_path / "bridge.toml"
    file.write_text(text)
    environment = {"BRIDGE_PORT": "2", "BRIDGE_HOST": "environment", "BRIDGE_SETTINGS_FILE": str(file)}
    found = loaded(environment, {"bridge_port": 3, "bridge_host": None})
    assert (found.port, found.host, found.log_level) == (3, "environment", "error")
    assert loaded({"BRIDGE_SETTINGS_FILE": "nowhere"}, {"bridge_settings_file": str(file)}).port == 1


def test_one_name_has_one_value_however_it_is_spelled(tmp_path: Path) -> None:
    found = toml(tmp_path, "[limits]\ngrace_seconds = 1\ndeadline_seconds = 2\n", {"bridge_LIMITS:Grace_Seconds": "3"})
    assert (found.limits.grace_seconds, found.limits.deadline_seconds) == (3, 2)


def test_a_toml_file(tmp_path: Path) -> None:
    text = f"""
        port = 9
        AzureSignalRConnectionString = "{connection("plain")}"
        handlers = ["a:b"]
        [callers]
        keys = ["{KEY}", {{ name = "ann", key = "{KEY}2" }}]
        [upstream]
        unhandled = 200
        [Azure.SignalR.Endpoints]
        East = "{connection("east")}"
        [Azure.SignalR.Endpoints.West]
        secondary = "{connection("west")}"
        [ConnectionStrings]
        AzureSignalRConnectionString = "{connection("special")}"
    """
    found = toml(tmp_path, text)
    assert (found.port, found.handlers, found.upstream.unhandled) == (9, ("a:b",), "200")
    assert [one.name for one in found.callers.keys] == ["key-1", "ann"]
    assert [(one.name, one.connection.endpoint.split(".")[0]) for one in found.endpoints] == [
        ("default", "https://special"),
        ("East", "https://east"),
        ("West", "https://west"),
    ]


def test_a_function_apps_local_settings(tmp_path: Path) -> None:
    document = {
        "IsEncrypted": False,
        "Values": {
            "FUNCTIONS_WORKER_RUNTIME": "node",
            "BRIDGE_PORT": "7",
            "BRIDGE_LIMITS:GRACE_SECONDS": 1,
            "BRIDGE_HOST": None,
            "AzureSignalRConnectionString": connection("plain"),
            "Azure:SignalR:Endpoints:East": connection("east"),
        },
        "ConnectionStrings": {"AzureSignalRConnectionString": connection("special")},
    }
    text = "\ufeff" + json.dumps(document)
    found = from_file(tmp_path, "local.settings.json", text)
    assert (found.port, found.host, found.limits.grace_seconds) == (7, "0.0.0.0", 1)
    assert [one.connection.endpoint.split(".")[0] for one in found.endpoints] == ["https://special", "https://east"]


@pytest.mark.parametrize("text", ["{}", '{"Values": null}', '{"Values": {}, "ConnectionStrings": null}'])
def test_local_settings_may_be_empty(tmp_path: Path, text: str) -> None:
    assert from_file(tmp_path, "local.settings.json", text).port == 8080


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("local.settings.json", "[]"),
        ("local.settings.json", '{"Values": ["canary"]}'),
        ("local.settings.json", '{"Values": "canary'),
        ("local.settings.json", "[" * 100_000),
        ("bridge.toml", "canary"),
        ("bridge.toml", "port = canary"),
        ("bridge.toml", "a = 1\na = 2"),
    ],
)
def test_a_file_that_is_no_such_file(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        from_file(tmp_path, name, text)
    assert name in caught.value.detail
    assert "canary" not in repr(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.toml", tmp_path):
        with pytest.raises(SettingsError, match=r"BRIDGE_SETTINGS_FILE.*cannot be read"):
            loaded({"BRIDGE_SETTINGS_FILE": str(path)})
    (tmp_path / "latin.toml").write_bytes(b"host = '\xe9'")
    with pytest.raises(SettingsError, match="cannot be read"):
        loaded({"BRIDGE_SETTINGS_FILE": str(tmp_path / "latin.toml")})


# --- what serve refuses


def servable(**more: str) -> dict[str, str]:
    return {"AzureSignalRConnectionString": connection(), "BRIDGE_CALLERS__KEYS": KEY} | more


def test_what_serve_needs() -> None:
    check_servable(loaded(servable()))


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"BRIDGE_CALLERS__KEYS": KEY}, "AzureSignalRConnectionString: there is no endpoint: set it"),
        ({"AzureSignalRConnectionString": connection()}, "BRIDGE_CALLERS__KEYS: nobody could call: set it"),
        (servable(AzureSignalRConnectionString=connection(key=EMULATOR_KEY)), "BRIDGE_ALLOW_EMULATOR_KEY=true"),
        (servable(Azure__SignalR__Endpoints__b=connection(key=EMULATOR_KEY)), "BRIDGE_ALLOW_EMULATOR_KEY=true"),
        (servable(BRIDGE_UPSTREAM__KEYS=EMULATOR_KEY), "BRIDGE_ALLOW_EMULATOR_KEY=true"),
        (servable(BRIDGE_HUBS__CHAT__UPSTREAM__KEYS=EMULATOR_KEY), "BRIDGE_ALLOW_EMULATOR_KEY=true"),
    ],
)
def test_serve_says_which_setting_to_set(environment: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence) as caught:
        check_servable(loaded(environment))
    assert EMULATOR_KEY not in caught.value.detail


def test_the_emulators_key_may_be_allowed() -> None:
    given = servable(AzureSignalRConnectionString=connection(key=EMULATOR_KEY), BRIDGE_ALLOW_EMULATOR_KEY="true")
    check_servable(loaded(given))


# --- the object


def test_it_is_frozen() -> None:
    found = loaded({"BRIDGE_FORWARD__A__URL": "http://a"})
    for part, name in ((found, "port"), (found.limits, "grace_seconds"), (found.forward["a"], "url")):
        with pytest.raises(ValidationError):
            setattr(part, name, 1)


def test_whoever_builds_it_by_hand_sees_no_value_in_an_error_either() -> None:
    wrong: dict[str, Any] = {
        "port": CANARY,
        "upstream": {"keys": [[CANARY]]},
        "callers": {"keys": [{"key": CANARY[:9]}]},
    }
    with pytest.raises(ValidationError) as caught:
        Settings(**wrong)
    assert "canary" not in str(caught.value)


SECRETS = {
    "AzureSignalRConnectionString": connection("a", CANARY),
    "Azure__SignalR__Endpoints__b__secondary": connection("b", CANARY),
    "BRIDGE_CALLERS__KEYS": f'["{CANARY}", {{"name": "ann", "key": "{CANARY}2"}}]',
    "BRIDGE_UPSTREAM__CODE": CANARY,
    "BRIDGE_UPSTREAM__KEYS": CANARY,
    "BRIDGE_FORWARD__A__URL": f"http://backend/?code={CANARY}",
    "BRIDGE_FORWARD__A__SECRETS": CANARY,
}


def test_a_secret_is_nowhere_to_be_seen() -> None:
    values = gather(SECRETS, {})
    settings = load(values)
    lines = list(write_tables(values, settings, review(values).diagnostics))
    for text in [repr(settings), str(settings), repr(values), *lines, *map(repr, settings.endpoints)]:
        assert CANARY not in text
    for name in SECRETS:
        ours = name.startswith("BRIDGE_")
        assert not ours or any(line.startswith(name) and line.endswith("environment") for line in lines)


@pytest.mark.parametrize("name", SECRETS)
def test_an_error_elsewhere_shows_no_secret_either(name: str) -> None:
    wrong = {"BRIDGE_PORT": CANARY, "BRIDGE_FORWARD__A__FORMAT": CANARY, "BRIDGE_DEFAULT_HUB": CANARY}
    with pytest.raises(SettingsError) as caught:
        loaded(SECRETS | wrong | {name: SECRETS[name].replace(CANARY, f"{CANARY};{CANARY}")})
    assert "canary" not in caught.value.detail.lower()


def test_the_table_names_the_source_of_each_value(tmp_path: Path) -> None:
    file = tmp_path / "bridge.toml"
    file.write_text("host = 'x'\nport = 1\n")
    environment = {"BRIDGE_HOST": "y", "CUSTOMCONNSTR_AzureSignalRConnectionString": connection(), "HOME": "/"}
    values = gather(environment, {"bridge_port": 2, "bridge_settings_file": str(file)})
    lines = list(write_tables(values, load(values), ()))
    assert [(line.split()[0], line.split("  ")[-1].strip()) for line in lines if line] == [
        ("setting", "source"),
        ("BRIDGE_HOST", "environment"),
        ("BRIDGE_PORT", "command line"),
        ("BRIDGE_SETTINGS_FILE", "command line"),
        ("name", "source"),
        ("default", "environment"),
    ]


def test_there_may_be_nothing_to_show() -> None:
    assert list(write_tables({}, load({}), ())) == []
