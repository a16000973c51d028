"""Where settings come from: precedence, secrets in a folder, files; and every value remembers its source."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from signalr_bridge.errors import SettingsError
from signalr_bridge.settings import Level, Sources, check_embedded, gather, load, review
from signalr_bridge.settings.value import Value

from tests.unit.settings.given import connection, from_file, loaded, toml

KEY = "0123456789abcdef"


def secrets(folder: Path, **named: str) -> Path:
    for name, text in named.items():
        (folder / name).write_text(text)
    return folder


def test_first_match_wins_and_remembers_its_source(tmp_path: Path) -> None:
    file = tmp_path / "bridge.toml"
    file.write_text("port = 1\nhost = 'file'\nlog_level = 'error'\ndocs = true\n")
    folder = tmp_path / "secrets"
    folder.mkdir()
    secrets(folder, BRIDGE_PORT="2", BRIDGE_HOST="secret", BRIDGE_LOG_LEVEL="debug")
    environment = {"BRIDGE_PORT": "3", "BRIDGE_HOST": "environment", "BRIDGE_SECRETS_DIR": str(folder)}
    values = gather(environment, {"bridge_port": 4, "bridge_settings_file": str(file)})
    found = {name: (one.value, one.source, one.shadows) for name, one in values.items() if name[7:] in ("port", "host")}
    assert found["bridge_port"] == (4, "command line", ("environment", "secrets directory", "bridge.toml"))
    assert found["bridge_host"] == ("environment", "environment", ("secrets directory", "bridge.toml"))
    settings = load(values)
    assert (settings.port, settings.host, settings.log_level, settings.docs) == (4, "environment", "debug", True)


def test_a_value_that_hides_a_watched_one_is_worth_a_warning(tmp_path: Path) -> None:
    text = f'AzureSignalRConnectionString = "{connection()}"\nport = 1\n[limits]\ngrace_seconds = 1\n'
    (tmp_path / "bridge.toml").write_text(text)
    environment = {
        "BRIDGE_SETTINGS_FILE": str(tmp_path / "bridge.toml"),
        "AzureSignalRConnectionString": connection("other"),
        "BRIDGE_PORT": "2",
        "HOME": "/",
    }
    found = review(gather(environment, {})).diagnostics
    assert [(one.level, one.setting) for one in found] == [
        (Level.WARNING, "AzureSignalRConnectionString"),
        (Level.WARNING, "BRIDGE_PORT"),
    ]
    assert "hides what bridge.toml says" in found[0].text


def test_a_folder_of_secrets_as_platforms_mount_it(tmp_path: Path) -> None:
    """Kubernetes: links into a hidden folder; a line break at the end belongs to no value."""
    hidden = tmp_path / "..data"
    hidden.mkdir()
    secrets(hidden, AzureSignalRConnectionString=connection() + "\n", BRIDGE_CALLERS__KEYS=f"{KEY}\r\n")
    for file in hidden.iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "folder").mkdir()
    settings = loaded({"BRIDGE_SECRETS_DIR": str(tmp_path)})
    assert [one.source for one in settings.endpoints] == ["secrets directory"]
    assert [one.key.get_secret_value() for one in settings.callers.keys if one.key] == [KEY]


def test_the_file_may_be_named_by_a_secret(tmp_path: Path) -> None:
    (tmp_path / "bridge.toml").write_text("port = 5")
    secrets(tmp_path, BRIDGE_SETTINGS_FILE=str(tmp_path / "bridge.toml"))
    assert loaded({"BRIDGE_SECRETS_DIR": str(tmp_path)}).port == 5


def test_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"BRIDGE_SECRETS_DIR.*cannot be read"):
        loaded({"BRIDGE_SECRETS_DIR": str(tmp_path / "nowhere")})
    (tmp_path / "BRIDGE_HOST").write_bytes(b"\xff")
    with pytest.raises(SettingsError, match=r"BRIDGE_SECRETS_DIR.*BRIDGE_HOST"):
        loaded({"BRIDGE_SECRETS_DIR": str(tmp_path)})


def test_an_encrypted_local_settings_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="func settings decrypt"):
        from_file(tmp_path, "local.settings.json", json.dumps({"IsEncrypted": True, "Values": {"BRIDGE_PORT": "x"}}))


def test_comments_in_a_local_settings_file(tmp_path: Path) -> None:
    text = '{\n  // a port\n  "Values": {\n    "BRIDGE_PORT": "7",\n    "BRIDGE_NEGOTIATE__USER_ID": "a//b"\n  }\n}'
    settings = from_file(tmp_path, "local.settings.json", text)
    assert (settings.port, settings.negotiate.user_id) == (7, "a//b")


def test_a_connection_string_beside_its_provider(tmp_path: Path) -> None:
    document = {"ConnectionStrings": {"AzureSignalRConnectionString": {"ConnectionString": connection()}}}
    assert len(from_file(tmp_path, "local.settings.json", json.dumps(document)).endpoints) == 1


# --- names that only a file can hold


HOST = '{"Host": {"LocalHttpPort": 7071, "CORS": %s, "CORSCredentials": true}, "Values": {%s}}'


def test_origins_that_the_functions_host_is_told(tmp_path: Path) -> None:
    """``*`` is never allowed. What the values say goes before."""
    file, own = tmp_path / "local.settings.json", '"BRIDGE_CORS__ORIGINS": "https://own.example"'
    for cors, values, origins, warned in (
        ('"https://a.example,http://localhost:3000"', "", ("https://a.example", "http://localhost:3000"), False),
        ('"https://a.example"', own, ("https://own.example",), False),
        ('"*"', "", (), True),
        ('" * "', own, ("https://own.example",), True),
    ):
        file.write_text(HOST % (cors, values))
        found = review(gather({"BRIDGE_SETTINGS_FILE": str(file)}, {}))
        assert found.accept().cors.origins == origins
        assert [str(one) for one in found.diagnostics] == [
            'Host:CORS (local.settings.json): "*" is not used, because pages get in with cookies: '
            "write the origins of your pages."
        ] * warned
    file.write_text(HOST % ('"https://a.example/"', ""))
    with pytest.raises(SettingsError, match=r"BRIDGE_CORS__ORIGINS \(local.settings.json, line 1\)"):
        loaded({"BRIDGE_SETTINGS_FILE": str(file)})


def test_names_with_dots_and_commas_in_a_file(tmp_path: Path) -> None:
    text = f"""
        AzureSignalRConnectionString = "{connection()}"
        Second = "{connection("second")}"
        [hubs."My.Hub"]
        strategy = "sticky-user"
        [hubs."a,b`[c]"]
        connection = "Second"
        [hubs.chat__room]
        strategy = "sticky-user"
        [endpoints.Default]
        weight = 3
    """
    settings = toml(tmp_path, text)
    assert settings.hubs["my.hub"].strategy == "sticky-user"
    assert settings.hubs["chat__room"].strategy == "sticky-user"
    assert [one.connection.endpoint for one in settings.endpoints_of("A,B`[C]")] == [
        "https://second.service.signalr.net"
    ]
    assert [one.weight for one in settings.endpoints] == [3]


def test_of_a_hubs_name_only_the_known_suffix_is_split_off() -> None:
    given = {
        "BRIDGE_HUBS__CHAT__ROOM__CONNECTION": "Other",
        "Other": connection("other"),
        "AzureSignalRConnectionString": connection(),
    }
    settings = loaded(given)
    assert settings.connection_of("Chat__Room") == "other"
    assert settings.connection_of("chat") == "azuresignalrconnectionstring"
    assert [one.connection.endpoint for one in settings.connections["other"]] == ["https://other.service.signalr.net"]


def test_a_hub_that_no_hub_can_be_called() -> None:
    with pytest.raises(SettingsError, match=r"BRIDGE_HUBS__1X__STRATEGY \(environment\): A hub name"):
        loaded({"BRIDGE_HUBS__1X__STRATEGY": "weighted"})


def test_a_name_that_not_every_platform_can_hold_belongs_into_a_file() -> None:
    found = review(gather({"BRIDGE_HUBS__MY.HUB__STRATEGY": "weighted"}, {})).diagnostics
    assert [str(one) for one in found] == [
        "BRIDGE_HUBS__MY.HUB__STRATEGY (environment): many shells and platforms cannot hold such a name: "
        'write it in bridge.toml, as [hubs."my.hub"].'
    ]


# --- several connections


def test_named_endpoints_belong_to_every_connection() -> None:
    given = {
        "AzureSignalRConnectionString": connection("one"),
        "Second": connection("two"),
        "Azure__SignalR__Endpoints__shared": connection("shared"),
        "BRIDGE_HUBS__CHAT__CONNECTION": "Second",
        "BRIDGE_HUBS__NEWS__CONNECTION": "SECOND",
    }
    settings = loaded(given)
    by_hub = {hub: [one.connection.endpoint[8:11] for one in settings.endpoints_of(hub)] for hub in ("chat", "any")}
    assert by_hub == {"chat": ["two", "sha"], "any": ["one", "sha"]}
    assert list(settings.connections) == ["second"]
    assert len(settings.all_endpoints()) == 3


def test_the_default_connection_may_be_missing_when_hubs_have_their_own() -> None:
    settings = loaded({"Second": connection("two"), "BRIDGE_HUBS__CHAT__CONNECTION": "Second"})
    assert settings.endpoints == ()
    assert len(settings.endpoints_of("chat")) == 1


# --- tuning


def test_the_tuning_of_endpoints() -> None:
    given = {
        "AzureSignalRConnectionString": connection(),
        "Azure__SignalR__Endpoints__EastUS": connection("east"),
        "BRIDGE_ENDPOINTS__EASTUS__WEIGHT": "0",
        "BRIDGE_ENDPOINTS__EASTUS__LENIENT_404": "true",
    }
    assert [(one.weight, one.lenient_404) for one in loaded(given).endpoints] == [(1, False), (0, True)]


@pytest.mark.parametrize("weight", ["-1", "nan", "inf", "much"])
def test_a_weight_is_a_number_from_0(weight: str) -> None:
    with pytest.raises(SettingsError, match="BRIDGE_ENDPOINTS__DEFAULT__WEIGHT"):
        loaded({"AzureSignalRConnectionString": connection(), "BRIDGE_ENDPOINTS__DEFAULT__WEIGHT": weight})


def test_tuning_of_a_misspelt_endpoint_names_the_nearest() -> None:
    given = {"Azure__SignalR__Endpoints__EastUS": connection("east"), "BRIDGE_ENDPOINTS__EASTUZ__WEIGHT": "0"}
    with pytest.raises(
        SettingsError, match=r"BRIDGE_ENDPOINTS__EASTUZ \(environment\): there is no .* did you mean EASTUS"
    ):
        loaded(given)


# --- to be read again


def test_looking_tells_when_something_has_changed(tmp_path: Path) -> None:
    file = tmp_path / "bridge.toml"
    file.write_text("port = 1")
    sources = Sources({"BRIDGE_SETTINGS_FILE": str(file), "BRIDGE_SECRETS_DIR": str(tmp_path)}, {})
    looks = [sources.look(), sources.look()]
    assert looks[0] == looks[1]
    file.write_text("port = 22")
    looks.append(sources.look())
    secrets(tmp_path, BRIDGE_HOST="x")
    looks.append(sources.look())
    file.unlink()
    looks.append(sources.look())
    assert len(set(looks)) == 4, "never raises, and sees every change"


def test_no_value_is_in_a_repr() -> None:
    values = gather({"AzureSignalRConnectionString": connection(key="canary")}, {"bridge_port": "canary"})
    assert "canary" not in repr(values) + repr(Sources({"x": "canary"}, {"y": "canary"}))
    assert isinstance(values["bridge_port"], Value)


# --- what is not a file


def put_fifo(path: Path) -> None:
    os.mkfifo(path)


def put_link_to_nothing(path: Path) -> None:
    path.symlink_to("nothing")


def put_link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def put_too_much(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def put_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("put", [put_fifo, put_link_to_nothing, put_link_to_itself, put_too_much, put_device])
def test_what_cannot_be_read_whole_and_at_once_is_an_error(put: Callable[[Path], None], tmp_path: Path) -> None:
    """Neither is it waited for, nor is it as if the setting were not there."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    put(folder / "BRIDGE_UPSTREAM__CODE")
    put(tmp_path / "bridge.toml")
    for environment in (
        {"BRIDGE_SETTINGS_FILE": str(tmp_path / "bridge.toml")},
        {"BRIDGE_SECRETS_DIR": str(folder)},
    ):
        sources = Sources(environment, {})
        assert sources.look() == sources.look()
        with pytest.raises(SettingsError, match=r"^BRIDGE_S\w+ \(environment\): the file '.*' cannot be read"):
            sources.read()
    (folder / "BRIDGE_SETTINGS_FILE").symlink_to("BRIDGE_UPSTREAM__CODE")
    Sources({"BRIDGE_SECRETS_DIR": str(folder)}, {}).look()  # raises nothing


def test_a_certificate_that_cannot_be_read_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "certificate.pem")
    prefix = "Azure__SignalR__Endpoints__a__"
    ids = {f"{prefix}tenantId": "t", f"{prefix}clientId": "c", f"{prefix}serviceUri": "https://a.service.signalr.net"}
    settings = loaded({**ids, f"{prefix}clientCertificate": str(tmp_path / "certificate.pem")})
    with pytest.raises(SettingsError, match="names a file that cannot be read"):
        check_embedded(settings)
