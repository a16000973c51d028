"""`import`: what becomes of function apps, what is said of that which cannot become anything, and what never shows."""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from signalr_bridge.__main__ import cli
from signalr_bridge.check import examine, write_verdict
from signalr_bridge.errors import SettingsError
from signalr_bridge.functions.imported_app import read_app
from signalr_bridge.migration import Migration, migrate
from signalr_bridge.settings import Sources

from tests.contract.functions.imports import APPS, GOLDEN, import_app, inside, write_table
from tests.e2e.processes import ROOT, app_command, clean_environment

CANARY = "canary-83c2-canary"
STRING = f"Endpoint=https://contoso.service.signalr.net;AccessKey={CANARY}{CANARY};Version=1.0;"
SETTINGS = {
    "AzureSignalRConnectionString": STRING,
    "BRIDGE_UPSTREAM__CODE": "a-code-of-the-tests",
    "CHAT_HUB": "chat",
}
BESIDE = {"FUNCTIONS_WORKER_RUNTIME": "node"}
"""Settings of an app whose code this process does not load for `check`."""
HTTP = {"name": "req", "type": "httpTrigger", "direction": "in", "authLevel": "anonymous", "methods": ["post"]}
REPLY = {"name": "res", "type": "http", "direction": "out"}
INFO = {"name": "info", "type": "signalRConnectionInfo", "direction": "in", "hubName": "chat"}
SIGNALR = {"name": "out", "type": "signalR", "direction": "out", "hubName": "chat"}
EVENT = {"name": "given", "type": "signalRTrigger", "hubName": "chat", "category": "messages", "event": "say"}
TIMER = {"name": "timer", "type": "timerTrigger", "direction": "in", "schedule": "0 * * * * *"}

pytestmark = pytest.mark.usefixtures("own_logging")


def write_app(
    folder: Path,
    functions: Mapping[str, list[dict[str, Any]]] | None = None,
    values: Mapping[str, str] | None = None,
    files: Mapping[str, str | bytes] | None = None,
    **more: object,
) -> Path:
    """An app for Python, v1, with these functions, and more members of its local.settings.json."""
    local = {"Values": {"FUNCTIONS_WORKER_RUNTIME": "python", **(values or {})}, **more}
    all_files: dict[str, str | bytes] = {"host.json": '{"version": "2.0"}', "local.settings.json": json.dumps(local)}
    for name, bindings in (functions or {}).items():
        all_files[f"{name}/function.json"] = json.dumps({"scriptFile": "__init__.py", "bindings": bindings})
        all_files[f"{name}/__init__.py"] = ""
    for name, text in (all_files | dict(files or {})).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def check(text: str, folder: Path, more: Mapping[str, str] | None = None) -> tuple[str, list[str]]:
    """The last line of `check` for a bridge.toml, and what it has to say."""
    file = folder / "bridge.toml"
    file.write_text(text, "utf-8")
    flags = {"bridge_settings_file": [str(file)]}
    report = examine(Sources(dict(SETTINGS) | dict(more or {}), flags).read())
    return write_verdict(report), [str(one) for one in report.diagnostics]


def say(migration: Migration) -> str:
    return "\n".join(migration.table)


@pytest.mark.parametrize("name", APPS)
def test_an_app_gives_its_golden_files_and_check_finds_them_good(name: str, tmp_path: Path) -> None:
    migration = import_app(name, tmp_path)
    assert migration.text == (GOLDEN / f"{name}.toml").read_text("utf-8")
    assert write_table(migration) == (GOLDEN / f"{name}.txt").read_text("utf-8")
    if name.startswith("python"):  # its code is loaded, which this process would keep
        (tmp_path / "bridge.toml").write_text(migration.text, "utf-8")
        assert run_check(tmp_path) == (0, "good")
    else:
        with inside(tmp_path):
            assert check(migration.text, tmp_path)[0] == "good"


def run_check(folder: Path) -> tuple[int, str]:
    """The exit code and the last line of `check` for the bridge.toml in a folder, in a process of its own."""
    command = app_command("check", "--settings", "bridge.toml")
    env = clean_environment() | SETTINGS | {"ChatConnection": STRING}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()[-1]


def test_the_command_writes_the_file_once_and_check_itself_finds_it_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in set(os.environ) - set(clean_environment()):
        monkeypatch.delenv(name)
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    write_app(tmp_path / "app", {"negotiate": [HTTP, REPLY, INFO]}, BESIDE | {"AzureSignalRConnectionString": STRING})
    for words in ("bridge.toml is written.", "bridge.toml is as it was."):
        cli(["import", "app"], standalone_mode=False)
        assert capsys.readouterr().out.splitlines()[-1] == words
    with pytest.raises(SystemExit) as end:
        cli(["check", "--settings", "bridge.toml"], standalone_mode=False)
    assert (end.value.code, capsys.readouterr().out.splitlines()[-1]) == (0, "good")
    Path("bridge.toml").write_text("# mine", "utf-8")
    with pytest.raises(SettingsError, match="is there, and import overwrites nothing: name another by --out"):
        cli(["import", "app"], standalone_mode=False)
    assert Path("bridge.toml").read_text("utf-8") == "# mine"


def test_the_commands_of_the_guide_run_as_they_stand_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in set(os.environ) - set(clean_environment()):
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    write_app(tmp_path / "my-app", {"tick": [TIMER, SIGNALR]}, BESIDE | {"AzureSignalRConnectionString": STRING})
    guide = (ROOT / "docs/function-apps.md").read_text("utf-8")
    commands = re.findall(r"^ *signalr-bridge ((?:import|check --settings) .+)$", guide, re.MULTILINE)
    assert [one.split()[0] for one in commands] == ["import", "check"]
    cli(shlex.split(commands[0]), standalone_mode=False)
    with pytest.raises(SystemExit) as end:
        cli(shlex.split(commands[1]), standalone_mode=False)
    assert (end.value.code, capsys.readouterr().out.splitlines()[-1]) == (0, "good")


USER = "{headers.x-ms-client-principal-id}"
ROWS: dict[str, tuple[dict[str, Any], str, str]] = {
    "Durable": (
        {"bindings": [TIMER | {"type": "orchestrationTrigger"}]},
        "left out: it belongs to Durable",
        "Functions host",
    ),
    "a client of Durable": (
        {"bindings": [HTTP, REPLY, {"name": "c", "type": "durableClient", "direction": "in"}]},
        "left out: it belongs to Durable Functions",
        "stays in a Functions host",
    ),
    "a queue": (
        {"bindings": [{"name": "m", "type": "queueTrigger", "direction": "in", "queueName": "q"}, SIGNALR]},
        "left out: it starts by queueTrigger",
        "sends through the bridge by POST /hubs/<hub>/send",
    ),
    "a blob": (
        {"bindings": [HTTP, REPLY, {"name": "b", "type": "blob", "direction": "out", "path": "a/b"}]},
        "left out: it has a binding of the type blob",
        "stays in a Functions host",
    ),
    "an unknown expression": (
        {"bindings": [HTTP, REPLY, INFO | {"userId": "{sys.nonsense}"}]},
        "an error: the app does not start",
        "{sys.nonsense} is no expression of the host",
    ),
    "an argument that is not there": (
        {"bindings": [EVENT, SIGNALR | {"hubName": "{room}"}]},
        "an error: the app does not start",
        "or switch the function off by the setting AzureWebJobs.work.Disabled=true",
    ),
    "a setting that is not there": (
        {"bindings": [HTTP, REPLY, INFO | {"hubName": "%NoHub%"}]},
        "an error: the app does not start",
        "%NoHub% stands for a setting that is not there: set NoHub.",
    ),
    "a schedule that is none": (
        {"bindings": [TIMER | {"schedule": "every minute"}]},
        "an error: the app does not start",
        "work.timer.schedule (work/function.json): write six fields",
    ),
    "disabled": ({"bindings": [TIMER], "disabled": True}, "left out: it is disabled in work/function.json", ""),
    "a key": (
        {"bindings": [HTTP | {"authLevel": "function"}, REPLY]},
        "POST /api/work (function)",
        "the right 'functions'",
    ),
    "the master key": (
        {"bindings": [HTTP | {"authLevel": "admin", "route": "a/{b}", "methods": ["get", "put"]}, REPLY]},
        "GET, PUT /api/a/{b} (admin)",
        "the right 'functions-admin'",
    ),
    "everybody": ({"bindings": [HTTP, REPLY, INFO]}, "POST /api/work (anonymous)", "Whoever reaches it gets a token"),
    "the platform": ({"bindings": [HTTP, REPLY, INFO | {"userId": USER}]}, "(anonymous)", "this machine alone"),
    "the client": (
        {"bindings": [HTTP, REPLY, INFO | {"userId": "{query.me}"}]},
        "(anonymous)",
        "anybody can be anybody",
    ),
    "a timer": ({"bindings": [TIMER, SIGNALR]}, "timer, 0 * * * * *", "say so for one replica"),
    "a handler": ({"bindings": [EVENT, SIGNALR]}, "handler of 'say' (messages) of the hub 'chat'", ""),
}


@pytest.mark.parametrize("what", ROWS)
def test_each_function_has_its_row_and_what_needs_a_hand(what: str, tmp_path: Path) -> None:
    document, became, hand = ROWS[what]
    write_app(tmp_path, {"work": []}, files={"work/function.json": json.dumps(document)})
    table = migrate(tmp_path).table
    (row,) = (line for line in table if line.startswith("work "))
    assert became in row
    hands = [line for line in table if line.startswith("- work: ")]
    assert hand in "".join(hands) if hand else hands == []


HANDS: dict[str, tuple[dict[str, Any], str]] = {
    "no host.json": ({"files": {}}, "There is no host.json"),
    ".NET in-process": (
        {"values": {"FUNCTIONS_WORKER_RUNTIME": "dotnet"}, "functions": {"a": [HTTP, REPLY]}},
        "Functions of .NET in-process run inside the Functions host's own process, which is not here: write them anew",
    ),
    ".NET isolated": ({"values": {"FUNCTIONS_WORKER_RUNTIME": "dotnet-isolated"}}, "Functions of .NET isolated run in"),
    "Java": ({"values": {"FUNCTIONS_WORKER_RUNTIME": "java"}}, "Functions in Java run in a worker"),
    "PowerShell": ({"values": {"FUNCTIONS_WORKER_RUNTIME": "powershell"}}, "Functions in PowerShell run in a worker"),
    ".NET by its project": (
        {"values": {"FUNCTIONS_WORKER_RUNTIME": ""}, "files": {"host.json": "{}", "App.csproj": "<Project />"}},
        "Functions of .NET in-process",
    ),
    ".NET isolated by its project": (
        {
            "values": {"FUNCTIONS_WORKER_RUNTIME": ""},
            "files": {
                "host.json": "{}",
                "App.csproj": '<PackageReference Include="Microsoft.Azure.Functions.Worker" />',
            },
        },
        "Functions of .NET isolated",
    ),
    "the project of extensions alone": (
        {
            "values": {"FUNCTIONS_WORKER_RUNTIME": ""},
            "functions": {"a": [TIMER]},
            "files": {"host.json": "{}", "extensions.csproj": "<Project />"},
        },
        ": Python (function.json), 1 function",
    ),
    "a custom handler": (
        {"files": {"host.json": '{"customHandler": {"description": {"defaultExecutablePath": "handler"}}}'}},
        "The program of a custom handler is started by you, with FUNCTIONS_CUSTOMHANDLER_PORT in its environment.",
    ),
    "no function": ({}, "No function was found."),
    "proxies.json": ({"files": {"host.json": "{}", "proxies.json": "{}"}}, "proxies.json is not read"),
    "every origin": ({"Host": {"CORS": "*"}}, "CORS '*' is not taken over"),
    "what host.json says of others": (
        {"files": {"host.json": '{"logging": {}, "healthMonitor": {}}'}},
        "host.json: healthmonitor: this means nothing here.",
    ),
    "a prefix": (
        {"files": {"host.json": '{"extensions": {"http": {"routePrefix": "v1"}}}'}},
        "routes stand below '/v1'",
    ),
    "two for one event": ({"functions": {"a": [EVENT], "b": [EVENT]}}, "The functions do not start together."),
    "two connections of a hub": (
        {"functions": {"a": [EVENT], "b": [TIMER, SIGNALR | {"connectionStringSetting": "Other"}]}},
        "- b: b.out.connectionStringSetting (b/function.json): the settings know another connection",
    ),
    "code that is not there": (
        {
            "functions": {"a": [EVENT]},
            "files": {"host.json": "{}", "b/function.json": json.dumps({"bindings": [TIMER], "scriptFile": "gone.py"})},
        },
        "The code of 'b' is not there: build the app first.",
    ),
    "an empty destination": (
        {
            "functions": {"a": [HTTP, REPLY, SIGNALR]},
            "files": {"host.json": "{}", "a/__init__.py": "x = {'userId': '', 'target': 't'}"},
        },
        "(a/__init__.py:1), which means everybody to the bindings",
    ),
    "headers of the platform in code": (
        {
            "functions": {"a": [HTTP, REPLY]},
            "files": {"host.json": "{}", "a/__init__.py": "req.headers['X-MS-CLIENT-PRINCIPAL-NAME']"},
        },
        "The code reads headers of a platform's sign-in (a/__init__.py:1)",
    ),
}


@pytest.mark.parametrize("what", HANDS)
def test_what_cannot_be_done_for_an_app_is_said(what: str, tmp_path: Path) -> None:
    given, words = HANDS[what]
    app = write_app(tmp_path, **given)
    if given.get("files") == {}:
        (app / "host.json").unlink()
    assert words in say(migrate(app))


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        (
            "host.json",
            '{\n  "version": "2.0"\n  "a": 1\n}',
            "host.json, line 3, column 3: this is not well-formed JSON",
        ),
        ("host.json", "[]", "host.json is not one: it is an object"),
        ("work/function.json", '{"bindings": [', "work/function.json, line 1, column 15: this is not well-formed JSON"),
        ("work/function.json", "{}", "work/function.json is not a function.json: write an object with 'bindings'"),
        ("local.settings.json", '{"IsEncrypted": true, "Values": {}}', "func settings decrypt"),
        ("local.settings.json", f'{{"Values": {{"a": "{CANARY}" "b": 1}}}}', "is not well-formed JSON"),
        ("host.json", '{"version": "2.0"}'.encode("utf-16"), "UTF-16"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error_with_its_place(
    file: str, text: str | bytes, words: str, tmp_path: Path
) -> None:
    write_app(tmp_path, {"work": [TIMER]}, files={file: text})
    with pytest.raises(SettingsError) as error:
        migrate(tmp_path)
    assert words in error.value.detail
    assert CANARY not in error.value.detail


def test_files_are_read_as_people_write_them(tmp_path: Path) -> None:
    host = '\ufeff{\r\n  // ours\r\n\t"version": "2.0", /* and */ "functions": ["say", "off",],\r\n}\r\n'
    values = '"Values": {"FUNCTIONS_WORKER_RUNTIME": "python",},'
    cors = '"Host": {"CORS": "http://localhost:3000,https://chat.contoso.com"},'
    local = f'\ufeff{{"IsEncrypted": false,\r\n // mine\r\n {values} {cors}}}'
    say_file = json.dumps({"bindings": [EVENT]}).replace("]}", "], // the end\n}")
    switch = {"AzureWebJobs.off.Disabled": "true"}
    app = write_app(
        tmp_path,
        {"say": [], "off": [TIMER], "other": [TIMER]},
        files={"host.json": host, "local.settings.json": local, "say/function.json": say_file},
    )
    migration = migrate(app)
    assert [line.split("  ")[0] for line in migration.table[3:6]] == ["off", "other", "say"]
    assert "host.json lists the functions that run" in say(migration)
    assert 'origins = ["http://localhost:3000", "https://chat.contoso.com"]' in migration.text
    write_app(app, {"off": [TIMER]}, switch)
    assert "left out: it is disabled by the setting AzureWebJobs.off.Disabled" in say(migrate(app))


def test_secrets_are_named_and_never_shown(tmp_path: Path) -> None:
    values = {
        "AzureSignalRConnectionString": STRING,
        "News": STRING,
        "Azure:SignalR:Endpoints:east": STRING,
        "AzureSignalRServiceTransportType": CANARY,
        "AzureSignalRRetry:Mode": "Exponential",
        "AzureWebJobsStorage": STRING,
        "MY_SECRET": CANARY,
        "News:serviceUri": "https://news.service.signalr.net",
        "BRIDGE_CALLERS__KEYS": CANARY,
    }
    functions: dict[str, list[dict[str, Any]]] = {
        "negotiate": [HTTP, REPLY, INFO | {"connectionStringSetting": STRING}],
        "tell": [TIMER, SIGNALR | {"hubName": "news", "connectionStringSetting": "News"}],
        "say": [EVENT],
    }
    app = write_app(
        tmp_path, functions, values, ConnectionStrings={"Sql": STRING}, Host={"CORS": f"https://{CANARY}/a"}
    )
    migration = migrate(app)
    shown = migration.text + say(migration)
    assert CANARY not in shown
    assert "#   News: the connection string" in shown
    assert "#   News:serviceUri: the connection by identity" in shown
    assert "#   Azure:SignalR:Endpoints:east: an endpoint" in shown
    assert "#   MY_SECRET: the app's code may read it" in shown
    assert "#   AzureWebJobsStorage" not in shown
    assert '[hubs.news]\nconnection = "News"' in migration.text
    assert '"AzureSignalRRetry:Mode" = "Exponential"' in migration.text
    assert "this is the name of a setting, and no connection string" in shown


def test_what_is_granted_stands_in_the_file_behind_this_machine_alone(tmp_path: Path) -> None:
    shut = migrate(write_app(tmp_path / "shut", {"negotiate": [HTTP, REPLY, INFO]})).text
    assert "host = " not in shut
    assert "[negotiate]" not in shut
    app = write_app(
        tmp_path / "open",
        {"a": [HTTP, REPLY, INFO | {"userId": USER}], "b": [HTTP, REPLY, INFO | {"userId": "{query.me}"}]},
        BESIDE,
    )
    text = migrate(app).text
    assert '\nhost = "127.0.0.1"\n' in text
    assert "platform_identity = true" in text
    assert "trust_client_input = true" in text
    assert check(text, tmp_path) == ("good", [])


V2 = """
import azure.functions as func

app = func.FunctionApp()


@app.route("say", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
def say(req: func.HttpRequest) -> str:
    return ""
"""


def test_a_python_app_is_loaded_with_its_own_settings_and_nothing_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BRIDGE_CALLERS__KEYS", "AzureSignalRConnectionString", "AZURE_CLIENT_SECRET"):
        monkeypatch.setenv(name, CANARY)
    look = "import json, os, sys\nprint('x' * 5_000_000)\nopen('seen.json', 'w').write(json.dumps(dict(os.environ)))"
    threads = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()"
    code = f"{look}\n{threads}\n{V2}"
    app = write_app(tmp_path, values={"GREETING": "hi"}, files={"function_app.py": code})
    assert "say       POST /api/say (anonymous)" in migrate(app).table
    seen = json.loads((app / "seen.json").read_text("utf-8"))
    assert seen["GREETING"] == "hi"
    assert CANARY not in seen.values()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import time; time.sleep(600)", "The app cannot be loaded within 1 s"),
        (f"raise ValueError('{CANARY}')", "function_app.py cannot be loaded (ValueError"),
    ],
)
def test_a_python_app_that_cannot_be_loaded_is_an_error(code: str, words: str, tmp_path: Path) -> None:
    app = write_app(tmp_path, files={"function_app.py": code})
    with pytest.raises(SettingsError) as error:
        read_app(app, seconds=1 if "sleep" in code else 60)
    assert words in error.value.detail
    assert CANARY not in error.value.detail


def test_a_javascript_app_that_cannot_be_loaded_is_an_error(tmp_path: Path) -> None:
    files = {"package.json": '{"main": "index.js"}', "index.js": f"// {CANARY}\nrequire('@azure/functions');"}
    app = write_app(tmp_path, values={"FUNCTIONS_WORKER_RUNTIME": "node"}, files=files)
    with inside(tmp_path), pytest.raises(SettingsError) as error:
        migrate(app)
    assert "Cannot load index.js. The package '@azure/functions' is not there: npm install." in error.value.detail
    assert CANARY not in error.value.detail


def test_without_running_it_says_what_it_cannot_see(tmp_path: Path) -> None:
    code = "import azure.functions as func\napp = func.FunctionApp()\n@app.route('say')\ndef say(req):\n    pass\n"
    app = write_app(tmp_path, files={"host.json": "{}", "function_app.py": code})
    table = say(migrate(app, run=False))
    assert "say       not seen" in table
    assert "- say: Its bindings are in the code, and --no-run reads files only." in table


def test_a_folder_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is no folder: name the one with the app's"):
        read_app(tmp_path / "gone")
