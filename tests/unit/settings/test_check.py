"""What `check` says: the table, the nearest known names, and five errors named at once."""

import json
import re
from pathlib import Path

import pytest
from signalr_bridge.check import (
    WIDTH,
    examine,
    lay_out,
    list_endpoints,
    write_hubs,
    write_json,
    write_tables,
)
from signalr_bridge.errors import SettingsError
from signalr_bridge.masked_settings import list_settings
from signalr_bridge.settings import Level, gather, load, review

from tests.unit.settings.given import connection

CANARY = "canary-11fe"
ID = "11111111-2222-3333-4444-555555555555"


@pytest.mark.parametrize(
    ("written", "near"),
    [
        ("BRIDGE_PROT", "BRIDGE_PORT"),
        ("bridge_prot", "BRIDGE_PORT"),
        ("BRIDGE_CALERS__KEYS", "BRIDGE_CALLERS__KEYS"),
        ("BRIDGE_CALLERS__KEY", "BRIDGE_CALLERS__KEYS"),
        ("BRIDGE_UPSTREAM_CODE", "BRIDGE_UPSTREAM__CODE"),
        ("BRIDGE_HUBS__CHAT__CONECTION", "BRIDGE_HUBS__CHAT__CONNECTION"),
        ("BRIDGE_HUBS__MY__ROOM__STRATEGIE", "BRIDGE_HUBS__MY__ROOM__STRATEGY"),
        ("BRIDGE_FORWARD__ORDERS__SECRET", "BRIDGE_FORWARD__ORDERS__SECRETS"),
        ("BRIDGE_ENDPOINTS__EAST__WAIT", "BRIDGE_ENDPOINTS__EAST__WEIGHT"),
        ("BRIDGE_SETTING_FILE", "BRIDGE_SETTINGS_FILE"),
        ("BRIDGE_SECRET_DIR", "BRIDGE_SECRETS_DIR"),
    ],
)
def test_an_unknown_name_with_the_nearest_known_one(written: str, near: str) -> None:
    found = review(gather({written: CANARY}, {})).diagnostics
    assert [(one.level, one.setting, one.text) for one in found] == [
        (Level.UNKNOWN, written, f"means nothing; did you mean {near}?")
    ]


def test_a_name_that_is_near_to_nothing() -> None:
    (found,) = review(gather({"BRIDGE_XYZZY_PLUGH": "x"}, {})).diagnostics
    assert str(found) == "BRIDGE_XYZZY_PLUGH (environment): means nothing."


def test_the_table(tmp_path: Path) -> None:
    (tmp_path / "bridge.toml").write_text(
        '[limits]\ngrace_seconds = 5\n[upstream]\nkeys = "canary-11fe"\n[forward.a]\nurl = "http://b/x?code=canary-11fe"'
    )
    environment = {
        "AzureSignalRConnectionString": connection("contoso", CANARY),
        "Azure__SignalR__Endpoints__uk__serviceUri": "https://uk.example",
        "AzureSignalRHttpClientTimeout": "00:00:05",
        "AZURE_AUTHORITY_HOST": f"https://user:{CANARY}/{CANARY}@login.example",
        "BRIDGE_FORWARD__B__URL": f"https://user:{CANARY}@backend:9000/x",
        "BRIDGE_FORWARD__C__URL": f"https://{CANARY}@backend/@x?code={CANARY}",
        "BRIDGE_CALLERS__KEYS": CANARY * 2,
        "BRIDGE_UPSTREAM__CODE": CANARY,
        "BRIDGE_SETTINGS_FILE": str(tmp_path / "bridge.toml"),
        "HOME": "/",
    }
    values = gather(environment, {"bridge_port": 9090})
    found = review(values)
    rows = {row.setting: (row.value, row.source) for row in list_settings(values, found.diagnostics)}
    assert rows == {
        "AzureSignalRHttpClientTimeout": ("00:00:05", "environment"),
        "AZURE_AUTHORITY_HOST": ("https://***@login.example", "environment"),
        "BRIDGE_FORWARD__B__URL": ("https://***@backend:9000/x", "environment"),
        "BRIDGE_FORWARD__C__URL": ("https://***@x?***", "environment"),
        "BRIDGE_CALLERS__KEYS": ("***", "environment"),
        "BRIDGE_UPSTREAM__CODE": ("***", "environment"),
        "BRIDGE_SETTINGS_FILE": (str(tmp_path / "bridge.toml"), "environment"),
        "bridge_port": ("9090", "command line"),
        "BRIDGE_upstream:keys": ("***", "bridge.toml"),
        "BRIDGE_limits:grace_seconds": ("5", "bridge.toml"),
        "BRIDGE_forward:a:url": ("http://b/x?***", "bridge.toml"),
    }
    assert [row.setting for row in list_settings(values) if row.live] == ["BRIDGE_upstream:keys"]
    text = "\n".join(write_tables(values, found.settings, found.diagnostics))
    assert re.search(r"BRIDGE_UPSTREAM__KEYS +\*\*\* +at once +bridge\.toml\n", text)
    assert "default  Primary  https://contoso.service.signalr.net  access key  1       environment" in text
    assert "uk       Primary  https://uk.example                   default     1       environment" in text
    assert CANARY not in text + repr(found.settings) + repr(values)


def test_what_was_not_understood_is_not_shown() -> None:
    values = gather({"BRIDGE_PORT": CANARY, "BRIDGE_HOST": "::1"}, {})
    found = review(values)
    assert [row.value for row in list_settings(values, found.diagnostics)] == ["::1", "not understood"]
    assert next(iter(write_tables(values, found.settings, found.diagnostics))).startswith("setting")


def test_the_names_in_the_json_report_are_what_programs_read() -> None:
    report = json.loads(write_json(examine(gather({"BRIDGE_PROT": "1"}, {}))))
    assert list(report) == ["ok", "settings", "endpoints", "findings", "probes", "hubs"]
    assert report["findings"][0] == {
        "level": "unknown",
        "setting": "BRIDGE_PROT",
        "text": "means nothing; did you mean BRIDGE_PORT?",
        "place": "environment",
        "line": None,
    }


def test_fifty_endpoints_fit_a_hundred_columns() -> None:
    given = {
        f"Azure__SignalR__Endpoints__a-region-with-a-long-name-{number}": connection(f"a-long-resource-name-{number}")
        for number in range(50)
    } | {"Azure__SignalR__Endpoints__x__serviceUri": "https://x.example", "BRIDGE_HANDLERS": "module:attribute," * 30}
    values = gather(given, {})
    found = review(values)
    lines = list(write_tables(values, found.settings, found.diagnostics))
    assert max(len(line) for line in lines[:-52]) <= WIDTH == 100
    for number in range(50):
        name, address = (f"a-{kind}-{number}" for kind in ("region-with-a-long-name", "long-resource-name"))
        assert sum(f"{name} " in line and f"/{address}.service.signalr.net " in line for line in lines) == 1
    assert all(line.endswith("environment") for line in lines[-51:])


@pytest.mark.parametrize(
    ("rows", "width", "lines"),
    [
        ([], 10, []),
        ([("a", "b")], 10, ["a  b"]),
        ([("a", "bb"), ("aaa", "")], 10, ["a    bb", "aaa"]),
        ([("bbb", "aaaaaa")], 8, ["bbb  aa…"]),
        ([("a", "aaaaaa", "b"), ("b", "http://bb", "c")], 9, ["a  aa…  b", "b  http://bb  c"]),
        ([("a", "aaaaaa"), ("b", f"x {ID}")], 9, ["a  aaaaaa", f"b  x {ID}"]),
    ],
)
def test_columns(rows: list[tuple[str, ...]], width: int, lines: list[str]) -> None:
    assert lay_out(rows, width) == lines


def test_with_several_connections_each_endpoint_says_to_which_it_belongs() -> None:
    given = {
        "AzureSignalRConnectionString": connection("one"),
        "Second": connection("two"),
        "Azure__SignalR__Endpoints__shared": connection("shared"),
        "BRIDGE_HUBS__CHAT__CONNECTION": "Second",
    }
    found = [(one["connection"], one["name"]) for one in list_endpoints(load(gather(given, {})))]
    assert found == [("AzureSignalRConnectionString", "default"), ("every", "shared"), ("second", "default")]


def test_five_planted_errors_in_one_run(tmp_path: Path) -> None:
    values = {
        "FUNCTIONS_WORKER_RUNTIME": "node",
        "AzureWebJobsStorage": "UseDevelopmentStorage=true",
        "AzureSignalRServiceTransportType": "Persistent",
        "Azure:SignalR:Endpoints:eastus:secondary": connection("a", CANARY),
        "Azure:SignalR:Endpoints:uk:serviceUri": "https://c.service.signalr.net",
        "Azure:SignalR:Endpoints:uk:type": "secondary",
        "Azure:SignalR:Endpoints:uk:credential": "managedidentity",
        "Azure:SignalR:Endpoints:uk:clientId": "11111111-2222-3333-4444-555555555555",
        "Azure:SignalR:Endpoints:uk:managedIdentityResourceId": "/subscriptions/x",
        "Azure:SignalR:Endpoint:westus": connection("b", CANARY),
        "BRIDGE_CALLERS__KEYS": f"{CANARY}-{CANARY}",
        "BRIDGE_UPSTREAM__CODDE": CANARY,
        "BRIDGE_PORT": "80800",
    }
    file = tmp_path / "local.settings.json"
    file.write_text(json.dumps({"IsEncrypted": False, "Values": values}))
    found = review(gather({}, {"bridge_settings_file": str(file)}))
    said = [str(one) for one in found.diagnostics]
    for words in (
        "BRIDGE_UPSTREAM__CODDE (local.settings.json, line 1): means nothing; did you mean BRIDGE_UPSTREAM__CODE?",
        "Azure:SignalR:Endpoints:uk (local.settings.json, line 1): names its managed identity by clientId and ",
        "BRIDGE_PORT (local.settings.json, line 1): write 65535 or less.",
        "every endpoint is Secondary: make one Primary (<name>__primary, or <name>__type=Primary), or set AzureSignalR",
        "Azure:SignalR:Endpoint:westus (local.settings.json, line 1): is not used: did you mean ",
    ):
        assert any(words in one for one in said), said
    assert CANARY not in repr(found)


@pytest.mark.parametrize(
    "written", ["user:{}@login.example", "https://{}@login.example/t", "https://a b:{}@login.example"]
)
def test_an_authority_without_a_scheme_shows_no_password_either(written: str) -> None:
    (row,) = list_settings(gather({"AZURE_AUTHORITY_HOST": written.format(CANARY)}, {}))
    assert CANARY not in row.value
    assert "***@login.example" in row.value


def test_addresses_and_ids_are_whole_at_any_width() -> None:
    """Also those of clients and of servers, which differ from the instance's own behind a gateway."""
    far = "https://a-gateway-with-a-name-that-is-longer-than-any-line-should-be.clients.contoso.example/signalr/west"
    given = {
        "AzureSignalRConnectionString": f"{connection()}ClientEndpoint={far};",
        "Azure__SignalR__Endpoints__uk__serviceUri": "https://uk.service.signalr.net",
        "Azure__SignalR__Endpoints__uk__credential": "managedidentity",
        "Azure__SignalR__Endpoints__uk__managedIdentityResourceId": f"/subscriptions/{ID}/resourceGroups/a/providers/b",
        "Azure__SignalR__Endpoints__uk__serverEndpoint": "https://inside.example",
        "BRIDGE_FORWARD__B__URL": f"{far}/events",
        "BRIDGE_UPSTREAM__ENTRA__TENANT": ID,
        "BRIDGE_UPSTREAM__ENTRA__AUDIENCE": "https://a.example",
        "BRIDGE_UPSTREAM__ENTRA__APP_IDS": ",".join([ID] * 3),
        "BRIDGE_HANDLERS": "module:attribute," * 30,
    }
    values = gather(given, {})
    lines = list(write_tables(values, review(values).settings, ()))
    text = "\n".join(lines)
    for whole in (
        f"{far} ",
        f"{far}/events ",
        ",".join([ID] * 3),
        f"resource /subscriptions/{ID}/resourceGroups/a/pro",
    ):
        assert whole in text
    head = next(line for line in lines if line.startswith("name"))
    assert re.search(r"client endpoint +server endpoint$", head)
    assert next(line for line in lines if line.startswith("uk")).endswith("https://inside.example")
    endpoints = list_endpoints(load(gather({"AzureSignalRConnectionString": connection()}, {})))
    assert endpoints[0]["client_endpoint"] == endpoints[0]["server_endpoint"] == endpoints[0]["address"]


def test_names_are_those_of_environment_variables(tmp_path: Path) -> None:
    file = tmp_path / "bridge.toml"
    file.write_text(
        '"AzureSignalRRetry:MaxRetries" = 2\n"azuresignalrhttpclienttimeout" = "00:00:05"\n'
        '[hubs."My.Hub".negotiate]\nuser_id = "x"\n[forward.A]\nurl = "http://b"\n'
    )
    environment = {"bridge_docs": "true", "Azure_Authority_Host": "https://a.example", "Azure_Client_Id": ID}
    values = gather(environment, {"bridge_settings_file": [str(file)]})
    assert sorted(row.name for row in list_settings(values)) == [
        "AZURE_AUTHORITY_HOST",
        "AZURE_CLIENT_ID",
        "AzureSignalRHttpClientTimeout",
        "AzureSignalRRetry__MaxRetries",
        "BRIDGE_DOCS",
        "BRIDGE_FORWARD__A__URL",
        "BRIDGE_HUBS__MY.HUB__NEGOTIATE__USER_ID",
        "BRIDGE_SETTINGS_FILE",
    ]


def test_secrets_of_identities_are_masked() -> None:
    given = {"AZURE_CLIENT_SECRET": CANARY, "AZURE_CLIENT_CERTIFICATE_PASSWORD": CANARY, "AZURE_TENANT_ID": ID}
    rows = {row.name: row.value for row in list_settings(gather(given, {}))}
    assert rows == {
        "AZURE_CLIENT_SECRET": "***",
        "AZURE_CLIENT_CERTIFICATE_PASSWORD": "***",
        "AZURE_TENANT_ID": ID,
    }


def test_hubs_with_their_handlers_and_who_may_connect() -> None:
    given = {
        "AzureSignalRConnectionString": connection(),
        "BRIDGE_CALLERS__KEYS": "0123456789abcdef",
        "BRIDGE_HANDLERS": "signalr_bridge.demo:chat",
        "BRIDGE_HUBS__NEWS__NEGOTIATE__ANONYMOUS": "true",
    }
    report = examine(gather(given, {}))
    assert report.good
    hubs = {one["name"]: one for one in json.loads(write_json(report))["hubs"]}
    assert hubs["news"] == {"name": "news", "handlers": [], "clients": ["anonymous"], "endpoints": ["default"]}
    assert hubs["chat"]["handlers"]
    lines = list(write_hubs(report.hubs))
    assert [line for line in lines if re.fullmatch(r"news +anybody +none", line)]
    chat = next(line for line in lines if line.startswith("chat"))
    assert "connected (signalr_bridge.demo:arrive)" in chat
    assert re.match(r"chat +nobody, but callers may negotiate for them +connected", chat)


# --- strict


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("BRIDGE_PROT", "means nothing; did you mean BRIDGE_PORT?"),
        ("Azure__SignalR__Endpoint__x", "is not used: did you mean Azure__SignalR__Endpoints__x?"),
        ("Azure__SignalR__Colour__Of__Things", "is not used: remove it."),
    ],
)
def test_strict_makes_an_unknown_name_an_error(name: str, text: str) -> None:
    given = {"AzureSignalRConnectionString": connection(), name: "x"}
    assert review(gather(given, {})).settings is not None
    found = review(gather(given | {"BRIDGE_STRICT": "true"}, {}))
    assert [(one.level, str(one)) for one in found.diagnostics] == [(Level.ERROR, f"{name} (environment): {text}")]
    with pytest.raises(SettingsError, match=name):
        found.accept()


def test_strict_leaves_known_names_alone() -> None:
    given = {
        "AzureSignalRConnectionString": connection(),
        "ConnectionStrings__AzureSignalRConnectionString": connection(),
        "Azure__SignalR__HubProtocol": "NewtonsoftJson",
        "Azure__SignalR__Endpoints__x__clientId": ID,
        "AZURE_SIGNALR_CONNECTIONSTRING": connection(),
        "FUNCTIONS_WORKER_RUNTIME": "node",
        "BRIDGE_NOBODY_KNOWS": "",
        "BRIDGE_STRICT": "true",
    }
    found = review(gather(given, {}))
    assert {one.level for one in found.diagnostics} == {Level.WARNING}
    assert found.accept().strict
