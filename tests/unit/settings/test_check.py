"""What `check` says: the table, the nearest known names, and five errors named at once."""

import json
import re
from pathlib import Path

import pytest
from signalr_bridge.check import WIDTH, examine, lay_out, list_endpoints, list_settings, write_json, write_tables
from signalr_bridge.settings import Level, gather, load, review

from tests.unit.settings.given import connection

CANARY = "canary-11fe"


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
    assert re.search(r"BRIDGE_upstream:keys +\*\*\* +at once +bridge\.toml\n", text)
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
    assert list(report) == ["ok", "settings", "endpoints", "findings", "probes"]
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
    assert max(map(len, lines)) <= WIDTH == 100
    assert sum("a-long-resource" in line for line in lines) == 50
    assert all(line.endswith("environment") for line in lines[-51:])


@pytest.mark.parametrize(
    ("rows", "width", "lines"),
    [
        ([], 10, []),
        ([("a", "b")], 10, ["a  b"]),
        ([("a", "bb"), ("aaa", "")], 10, ["a    bb", "aaa"]),
        ([("aaaaaa", "bbb")], 8, ["aa…  bbb"]),
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
