"""``local.settings.json`` and env files as people write them: what is read of each, and what is said of it."""

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from signalr_bridge.errors import SettingsError
from signalr_bridge.main import create_app
from signalr_bridge.parts import Parts
from signalr_bridge.settings import Review, gather, review

from tests.unit.settings.given import connection, loaded

PLAIN = f"""\
{{
  "IsEncrypted": false,
  "Values": {{
    "FUNCTIONS_WORKER_RUNTIME": "node",
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    "AzureSignalRConnectionString": "{connection()}"
  }}
}}
"""
COMMENTED = f"""\
// written by func init
{{
\t"IsEncrypted": false,
\t/* what the app is
\t   given */
\t"Values": {{
\t\t"FUNCTIONS_WORKER_RUNTIME": "python", // v2
\t\t"AzureWebJobsStorage": "",
\t\t// "AzureSignalRConnectionString": "{connection("old")}",
\t\t"AzureSignalRConnectionString": "{connection()}",
\t}},
\t"Host": {{
\t\t"LocalHttpPort": 7071,
\t\t"CORS": "http://localhost:3000,https://chat.contoso.com",
\t\t"CORSCredentials": true,
\t}},
}}
"""
STRINGS = json.dumps(
    {
        "IsEncrypted": False,
        "Values": {},
        "ConnectionStrings": {
            "AzureSignalRConnectionString": {"ConnectionString": connection(), "ProviderName": "Custom"},
            "Database": "Server=.;Database=x",
        },
    },
    indent=4,
)
LOWER = PLAIN.replace('"IsEncrypted"', '"isEncrypted"').replace('"Values"', '"values"')


@dataclass(frozen=True)
class File:
    """A file, the names of the endpoints' hosts that are read of it, and the origins."""

    what: str
    content: bytes
    hosts: Sequence[str] = ("contoso",)
    origins: Sequence[str] = ()
    said: Sequence[str] = field(default=())


def host(*members: str, values: str = f'"AzureSignalRConnectionString": "{connection()}"') -> bytes:
    return f'{{"IsEncrypted": false, "Values": {{{values}}}, "Host": {{{", ".join(members)}}}}}'.encode()


EVERY = (
    'Host:CORS (local.settings.json): "*" is not used, because pages get in with cookies: '
    "write the origins of your pages."
)
NONE = (
    "Values (local.settings.json): the file 'local.settings.json' has none, and they are a function app's settings: "
    "write them there."
)
ORIGINS = ("http://localhost:3000", "https://chat.contoso.com")
FILES = [
    File("as func init writes it", PLAIN.encode()),
    File("comments, tabs and commas behind the last", COMMENTED.encode(), origins=ORIGINS),
    File("with a byte order mark", b"\xef\xbb\xbf" + PLAIN.encode()),
    File("with line ends of Windows", COMMENTED.replace("\n", "\r\n").encode(), origins=ORIGINS),
    File("with both, from Notepad", b"\xef\xbb\xbf" + COMMENTED.replace("\n", "\r\n").encode(), origins=ORIGINS),
    File("a connection string beside its provider", STRINGS.encode()),
    File("members in small letters, which the tools read", LOWER.encode()),
    File("every origin", host('"LocalHttpPort": 7071', '"CORS": "*"', '"CORSCredentials": false'), said=[EVERY]),
    File("every origin beside one", host('"CORS": "http://localhost:3000, *"'), origins=ORIGINS[:1], said=[EVERY]),
    File("no values", b'{"IsEncrypted": false}', hosts=(), said=[NONE]),
    File("a host alone", b'{"Host": {"CORS": "http://localhost:3000"}}', (), ORIGINS[:1], [NONE]),
    File("values that are null", b'{"IsEncrypted": false, "Values": null}', hosts=(), said=[NONE]),
    File("the value of a line of Windows", host(values=f'"AzureSignalRConnectionString": "{connection()}\\r"')),
]


def read(folder: Path, content: bytes, environment: Mapping[str, str] | None = None) -> Review:
    file = folder / "local.settings.json"
    file.write_bytes(content)
    return review(gather(environment or {}, {"bridge_settings_file": str(file)}))


@pytest.mark.parametrize("one", FILES, ids=lambda one: one.what)
def test_what_is_read(one: File, tmp_path: Path) -> None:
    found = read(tmp_path, one.content)
    settings = found.accept()
    assert [str(each) for each in found.diagnostics] == list(one.said)
    assert [each.connection.endpoint for each in settings.endpoints] == [
        f"https://{name}.service.signalr.net" for name in one.hosts
    ]
    assert settings.cors.origins == tuple(one.origins)


REFUSED = {
    "encrypted": (
        b'{"IsEncrypted": true, "Values": {"a": "CfDJ8"}}',
        "is encrypted: run 'func settings decrypt' first.",
    ),
    "encrypted, as a text": (b'{"IsEncrypted": "True"}', "is encrypted: run 'func settings decrypt' first."),
    "a quote that is missing": (
        b'{\n  "Values": {\n    "a: "b"\n  }\n}',
        '(local.settings.json, line 3, column 10): is not well-formed JSON: write "name": "value".',
    ),
    "a comma that is missing": (
        b'{\r\n  "Values": {\r\n    "a": "b"\r\n\t"c": "d"\r\n  }\r\n}',
        "(local.settings.json, line 4, column 2): is not well-formed JSON: write a comma in front of this.",
    ),
    "a Windows path": (
        b'{"Values": {"a": "C:\\Data"}}',
        "line 1, column 21): is not well-formed JSON: a backslash begins an escape: write each backslash twice.",
    ),
    "UTF-16": (PLAIN.encode("utf-16"), "the file cannot be read as UTF-16: save it as UTF-8."),
    "an env file": (b"AzureSignalRConnectionString=x\n", "line 1, column 1): is not well-formed JSON: "),
    "a list": (b"[]", 'is no local.settings.json: write the settings as {"Values": {...}}.'),
    "settings outside of Values": (
        b'{"AzureSignalRConnectionString": "x"}',
        'is no local.settings.json: write the settings as {"Values": {...}}.',
    ),
    "values in a list": (b'{"Values": [{"name": "a", "value": "b"}]}', "'Values' is an object"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused(what: str, tmp_path: Path) -> None:
    content, words = REFUSED[what]
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, content)
    assert words in caught.value.detail
    assert "\n" not in caught.value.detail


def test_credentials_of_pages_are_as_the_host_is_told(tmp_path: Path) -> None:
    """``CORSCredentials`` lets pages send cookies. Where it is not written, they may, as ever."""
    for members, allowed in (
        ('"CORSCredentials": true', True),
        ('"CORSCredentials": false', False),
        ('"corscredentials": "false"', False),
        ('"LocalHttpPort": 7071', True),
    ):
        assert read(tmp_path, host('"CORS": "https://a.example"', members)).accept().cors.credentials is allowed


def test_several_files_the_last_one_counts_first(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("bridge.toml", "more.toml", "local.settings.json")]
    files[0].write_text("port = 1\nlog_level = 'error'\nroot_path = '/first'\n")
    files[1].write_text("port = 2\nlog_level = 'debug'\n")
    files[2].write_text('{"Values": {"BRIDGE_PORT": "3", "BRIDGE_LOG_LEVEL": ""}}')
    settings = loaded({}, {"bridge_settings_file": [str(one) for one in files]})
    assert (settings.port, settings.log_level, settings.root_path) == (3, "debug", "/first")


# --- one rule for what is blank, and for the end of a line

BLANK = ["", " ", "\t", "\r", "\r\n"]


@pytest.mark.parametrize("blank", BLANK)
def test_a_blank_value_hides_nothing(blank: str, tmp_path: Path) -> None:
    """Compose gives ``${NAME:-}`` for what is not set, and a secret may be an empty file."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "BRIDGE_LOG_LEVEL").write_text(blank)
    (secrets / "BRIDGE_ROOT_PATH").write_text("/secret\n")
    (secrets / "BRIDGE_HOST").write_text(blank)
    (tmp_path / "bridge.toml").write_text("port = 7\nlog_level = 'error'\n[hubs.chat.negotiate]\nuser_id = ''\n")
    environment = dict.fromkeys(
        (
            "BRIDGE_PORT",
            "BRIDGE_ROOT_PATH",
            "BRIDGE_DOCS",
            "BRIDGE_LIMITS__IN_FLIGHT",
            "BRIDGE_CALLERS__LISTEN",
            "BRIDGE_NEGOTIATE__JWT",
            "BRIDGE_NOBODY_KNOWS",
            "BRIDGE_FORWARD__ORDERS__URL",
            "AzureSignalRConnectionString",
            "AzureSignalRConnectionString__serviceUri",
            "Azure__SignalR__Endpoints__uk",
            "Azure__SignalR__Endpoints__fr__serviceUri",
            "AzureSignalRServiceTransportType",
            "ConnectionStrings__AzureSignalRConnectionString",
        ),
        blank,
    )
    files = {"BRIDGE_SETTINGS_FILE": str(tmp_path / "bridge.toml"), "BRIDGE_SECRETS_DIR": str(secrets)}
    found = review(gather(environment | files | {"BRIDGE_HOST": "127.0.0.1"}, {}))
    settings = found.accept()
    assert found.diagnostics == (), "nor is a blank value hidden by another"
    assert (settings.port, settings.log_level, settings.root_path) == (7, "error", "/secret")
    assert (settings.endpoints, settings.forward, settings.callers.listen) == ((), {}, None)


def test_the_end_of_a_line_is_no_part_of_a_value(tmp_path: Path) -> None:
    """`docker --env-file` keeps the carriage return of a file from Windows."""
    (tmp_path / "BRIDGE_UPSTREAM__CODE").write_bytes(b"a code\r\n")
    settings = loaded(
        {
            "BRIDGE_SECRETS_DIR": f"{tmp_path}\r",
            "AzureSignalRConnectionString": f"{connection(key='the-key')}\r".replace(";Version=1.0;", ""),
            "BRIDGE_CALLERS__KEYS": '[{"name": "a", "key": "0123456789abcdef"}]\r',
            "BRIDGE_NEGOTIATE__USER_ID": "{claims.sub}\r",
            "BRIDGE_DOCS": "true\r",
            "BRIDGE_HOST": "127.0.0.1\r",
        }
    )
    assert settings.endpoints[0].connection.access_key == "the-key"
    assert [one.get_secret_value() for one in settings.upstream.code] == ["a code"]
    assert (settings.negotiate.user_id, settings.docs, settings.host) == ("{claims.sub}", True, "127.0.0.1")


def test_quotes_are_named_where_a_value_is_ours() -> None:
    """`docker --env-file` keeps them. What is not ours may have some."""
    given = dict.fromkeys(("AZURE_CLIENT_ID", "BRIDGE_ROOT_PATH", "AZURE_STORAGE_KEY", "HOME"), '"quoted"')
    found = review(gather(given, {})).diagnostics
    assert [(one.setting, one.level.value) for one in found if "stands in quotes" in one.text] == [
        ("AZURE_CLIENT_ID", "mistake"),
        ("BRIDGE_ROOT_PATH", "mistake"),
    ]


def test_what_kubernetes_writes_for_a_service_is_not_ours() -> None:
    found = review(
        gather(
            {
                "BRIDGE_PORT": "tcp://10.0.0.9:80",
                "BRIDGE_SERVICE_HOST": "10.0.0.9",
                "BRIDGE_SERVICE_PORT_HTTP": "80",
                "BRIDGE_PORT_80_TCP_PROTO": "tcp",
                "BRIDGE_CALLERS_PORT": "udp://10.0.0.9:80",
                "BRIDGE_CALLERS_SERVICE_PORT": "80",
                "BRIDGE_CALLERS_PORT_80_UDP_ADDR": "10.0.0.9",
            },
            {},
        )
    )
    assert (found.diagnostics, found.accept().port) == ((), 8080)


# --- connections

TOOLS = "AZURE_SIGNALR_CONNECTIONSTRING"
ID = "11111111-2222-3333-4444-555555555555"
ADDRESS = "Endpoint=https://contoso.service.signalr.net"
OF_SERVICE_CONNECTOR: Mapping[str, tuple[str, str, str | None]] = {
    "a secret": (f"{ADDRESS};AccessKey=k;Version=1.0;", "access-key", None),
    "a system-assigned identity": (f"{ADDRESS};AuthType=aad;Version=1.0;", "managed-identity", None),
    "a system-assigned identity with an empty id": (
        f"{ADDRESS};AuthType=aad;client-id=;Version=1.0;",
        "managed-identity",
        None,
    ),
    "a user-assigned identity": (f"{ADDRESS};AuthType=aad;client-id={ID};Version=1.0;", "managed-identity", ID),
    "a user-assigned identity, as once": (f"{ADDRESS};AuthType=aad;ClientId={ID};Version=1.0;", "managed-identity", ID),
    "a service principal": (
        f"{ADDRESS};AuthType=aad;ClientId={ID};ClientSecret=s;TenantId={ID};Version=1.0;",
        "client-secret",
        ID,
    ),
    "a service principal with dashes": (
        f"{ADDRESS};AuthType=aad;client-id={ID};client-secret=s;tenant-id={ID};Version=1.0;",
        "client-secret",
        ID,
    ),
}


@pytest.mark.parametrize("what", OF_SERVICE_CONNECTOR)
def test_what_service_connector_writes_is_taken(what: str) -> None:
    """Source: https://learn.microsoft.com/azure/service-connector/how-to-integrate-signalr."""
    text, kind, client = OF_SERVICE_CONNECTOR[what]
    found = review(gather({TOOLS: text}, {}))
    assert [str(one) for one in found.diagnostics] == [
        f"{TOOLS} (environment): is taken, because AzureSignalRConnectionString is not set."
    ]
    (endpoint,) = found.accept().endpoints
    assert (endpoint.name, endpoint.credential.kind, endpoint.credential.client_id) == ("default", kind, client)


@pytest.mark.parametrize(
    "given",
    [
        {"AzureSignalRConnectionString": connection("own")},
        {"AzureSignalRConnectionString__serviceUri": "https://own.service.signalr.net"},
        {"Azure__SignalR__Endpoints__x": connection("own")},
        {"BRIDGE_CONNECTION": "Mine", "Mine": connection("own")},
        {"BRIDGE_HUBS__CHAT__CONNECTION": "Mine", "Mine": connection("own")},
    ],
)
def test_it_is_not_taken_where_anything_else_is_there(given: Mapping[str, str]) -> None:
    found = review(gather({TOOLS: connection("tools"), **given}, {}))
    assert [one.connection.endpoint for one in found.accept().all_endpoints()] == ["https://own.service.signalr.net"]
    assert [(one.level.value, one.setting) for one in found.diagnostics] == [("warning", TOOLS)]


def test_who_names_a_connection_means_that_one() -> None:
    assert review(gather({TOOLS: connection("tools"), "BRIDGE_CONNECTION": "Mine"}, {})).accept().endpoints == ()


def test_the_name_of_the_sdk_is_taken_too() -> None:
    for name in ("Azure__SignalR__ConnectionString", "Azure:SignalR:ConnectionString"):
        found = review(gather({name: connection("sdk")}, {}))
        assert len(found.accept().endpoints) == 1
        assert [one.level.value for one in found.diagnostics] == ["note"]


NAMES = ["Azure__SignalR__ConnectionString", "Azure:SignalR:ConnectionString", "My__Own:Connection"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("written", ["__", ":"])
def test_a_connection_s_name_may_hold_levels(name: str, written: str, tmp_path: Path) -> None:
    stored = name.replace(":", written).replace("__", written)
    for given in (
        {"BRIDGE_CONNECTION": name, stored: connection("a")},
        {"BRIDGE_CONNECTION": name, f"{stored}{written}serviceUri": "https://a.service.signalr.net"},
        {"BRIDGE_HUBS__CHAT__CONNECTION": name, stored: connection("a")},
        {"BRIDGE_HUBS__CHAT__CONNECTION": name, f"ConnectionStrings{written}{stored}": connection("a")},
    ):
        found = review(gather(given, {}))
        assert found.diagnostics == ()
        endpoints = found.accept().endpoints_of("chat")
        assert [one.connection.endpoint for one in endpoints] == ["https://a.service.signalr.net"]
        parts: Parts = create_app(found.accept(), hubs=()).state.parts
        assert [one.url for one in parts.directory.find("chat").endpoints] == ["https://a.service.signalr.net"]
    text = textwrap.dedent(f"""
        [hubs.chat]
        connection = "{name}"
        [{".".join(stored.replace("__", ":").split(":"))}]
        serviceUri = "https://a.service.signalr.net"
    """)
    file = tmp_path / "bridge.toml"
    file.write_text(text)
    assert len(loaded({"BRIDGE_SETTINGS_FILE": str(file)}).endpoints_of("chat")) == 1


@pytest.mark.parametrize("part", ["ApplicationName=x", "Client_Id=x", "client-ids=x", "x", "=x", "Key=", "Acces-Key=x"])
def test_a_part_that_means_nothing_is_an_error(part: str) -> None:
    with pytest.raises(SettingsError, match=r"AzureSignalRConnectionString \(environment\): Part 3 means nothing: "):
        loaded({"AzureSignalRConnectionString": f"{ADDRESS};AccessKey=k;{part}"})
