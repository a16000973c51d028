"""Python function apps: how their code is loaded, what is said where it cannot be, and how functions are called."""

import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from signalr_bridge.errors import SettingsError
from signalr_bridge.functions.app_values import SOURCE, find_python_app, list_connections, list_variables, read_with_app
from signalr_bridge.functions.invocation import FunctionResult, HttpCall, Invocation, TimerCall, TriggerData
from signalr_bridge.functions.python_app import PythonApp, load_python_app
from signalr_bridge.functions.python_function import PythonRunner
from signalr_bridge.protocol.upstream_event import EventHeaders
from signalr_bridge.settings import Sources
from signalr_bridge.settings.loading import list_app_settings
from signalr_bridge.upstream.context import Context
from signalr_bridge.upstream.outbox import Outbox

HEAD = "import azure.functions as func\napp = func.FunctionApp(http_auth_level='ANONYMOUS')\n"
REQUEST = HttpCall(
    "POST",
    "http://localhost/api/send?room=7",
    "/api/send",
    {"room": ["7", "8"]},
    {"content-type": ["application/json"], "x-one": ["a", "b"]},
    {"group": "team"},
    b'{"text": "hi"}',
)
TIMER = TimerCall(False, None, datetime(2026, 11, 28, 5, tzinfo=UTC), None)
OUTBOX = cast(Outbox, None)


@pytest.fixture(autouse=True)
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What loading an app changes in the process is taken back."""
    path, modules, environment = sys.path[:], dict(sys.modules), dict(os.environ)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - set(modules):
        if not name.startswith(("signalr_bridge", "azure", "werkzeug")):
            del sys.modules[name]
    for name in set(os.environ) - set(environment):
        del os.environ[name]


def write(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def v1(*bindings: Mapping[str, Any], **more: Any) -> str:
    return json.dumps({"bindings": [*bindings], **more})


def load(folder: Path, files: Mapping[str, str], settings: Mapping[str, str] | None = None) -> PythonApp:
    return load_python_app(write(folder, files), settings or {}, settings or {})


async def call(
    app: PythonApp, name: str, trigger: TriggerData, inputs: Mapping[str, object] | None = None, **named: Any
) -> FunctionResult:
    function = next(one for one in app.descriptions if one.name == name)
    return await PythonRunner(app.functions, OUTBOX).run(Invocation(function, "id-1", trigger, inputs or {}, named))


def event(name: str, *arguments: object) -> Context:
    return Context(EventHeaders("chat", "messages", name, "c1", user_id="ann"), OUTBOX, arguments=arguments)


HTTP = {"type": "httpTrigger", "name": "req", "direction": "in"}
TRIGGER = {"type": "signalRTrigger", "name": "invocation", "hubName": "chat", "category": "messages", "event": "say"}
TIMER_TRIGGER = {"type": "timerTrigger", "name": "timer", "schedule": "0 * * * * *"}
RETURN = {"type": "http", "name": "$return", "direction": "out"}
OUT = {"type": "signalR", "name": "messages", "hubName": "chat", "direction": "out"}
MAIN = "import azure.functions as func\n"


async def test_a_request(tmp_path: Path) -> None:
    """As https://learn.microsoft.com/azure/azure-functions/functions-reference-python has request and response."""
    app = load(
        tmp_path,
        {
            "function_app.py": HEAD
            + """
import os, threading
@app.route(route="send/{group}", methods=["POST"])
@app.generic_input_binding(arg_name="connectionInfo", type="signalRConnectionInfo", hubName="chat")
@app.generic_output_binding(arg_name="messages", type="signalR", hubName="chat")
def send(req: func.HttpRequest, connectionInfo: str, messages: func.Out[str], context: func.Context):
    messages.set('{"target": "x"}')
    assert messages.get() == '{"target": "x"}'
    seen = [req.method, req.url, req.params["room"], req.headers["X-One"], req.route_params["group"],
            req.get_json()["text"], connectionInfo, context.function_name, context.invocation_id,
            context.function_directory == os.path.dirname(__file__), context.retry_context.retry_count,
            threading.current_thread().name.startswith("handler")]
    reply = func.HttpResponse(repr(seen), status_code=201, headers={"X-Two": "2"}, mimetype="text/html")
    reply.headers.add("Set-Cookie", "a=1; Path=/")
    reply.headers.add("Set-Cookie", "b=2")
    return reply

@app.route(route="nothing")
def nothing(req: func.HttpRequest):
    return None

@app.route(route="text")
async def text(req):
    return "grüße"
"""
        },
    )
    found = await call(app, "send", REQUEST, {"connectionInfo": {"url": "u", "accessToken": "t"}})
    assert found.outputs == {"messages": b'{"target": "x"}'}
    assert found.reply is not None
    assert found.reply.status == 201
    assert [*found.reply.headers] == [
        ("X-Two", "2"),
        ("Set-Cookie", "a=1; Path=/"),
        ("Set-Cookie", "b=2"),
        ("content-type", "text/html; charset=utf-8"),
    ]
    said = ["POST", "http://localhost/api/send?room=7", "7,8", "a,b", "team", "hi", '{"url":"u","accessToken":"t"}']
    assert found.reply.body.decode() == repr([*said, "send", "id-1", True, 0, True])
    nothing, text = await call(app, "nothing", REQUEST), await call(app, "text", REQUEST)
    assert nothing.reply is not None
    assert nothing.reply.status == 204
    assert text.reply is not None
    assert (text.reply.status, text.reply.body.decode()) == (200, "grüße")
    assert text.reply.headers == (("content-type", "text/plain; charset=utf-8"),)


async def test_an_event_and_a_timer(tmp_path: Path) -> None:
    """The context as `docs/protocol/functions-bindings.md` 1.5 has it, arguments by name, results and outputs."""
    app = load(
        tmp_path,
        {
            "say/function.json": v1({**TRIGGER, "parameterNames": ["text", "count"]}, OUT),
            "say/__init__.py": MAIN
            + """
from . import words
async def main(invocation: str, text: str, messages: func.Out[str]) -> dict:
    messages.set([words.message(text)])
    return {"told": invocation}
""",
            "say/words.py": "from ..shared_code import make\ndef message(text):\n    return make.it(text)\n",
            "shared_code/make.py": "def it(text):\n    return {'target': 'x', 'arguments': [text]}\n",
            "tick/function.json": v1(TIMER_TRIGGER, OUT, {**OUT, "name": "$return"}),
            "tick/__init__.py": MAIN
            + """
def main(timer: func.TimerRequest, messages: func.Out[bytes]) -> bytes:
    return b'{"target": "%s"}' % timer.schedule_status["Next"].encode()
""",
        },
    )  # fmt: skip
    found = await call(app, "say", event("say", "hi", 1), text="hi", count=1)
    assert found.outputs == {"messages": b'[{"target":"x","arguments":["hi"]}]'}
    assert json.loads(cast(dict[str, str], found.result)["told"]) == {
        "Arguments": ["hi", 1],
        "Error": None,
        "Category": "messages",
        "Event": "say",
        "Hub": "chat",
        "ConnectionId": "c1",
        "UserId": "ann",
        "Headers": {},
        "Query": None,
        "Claims": None,
    }
    ticked = await call(app, "tick", TIMER)
    assert ticked == FunctionResult({"$return": b'{"target": "2026-11-28T05:00:00+00:00"}'})


async def test_what_an_app_brings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its packages and modules count before installed ones, and never before the standard library's."""
    monkeypatch.setenv("KEPT", "ours")
    where = tmp_path / "app"
    files = {
        ".python_packages/lib/site-packages/brought.py": "value = 'brought'",
        "queue/__init__.py": "raise RuntimeError",
        "data.txt": "read",
        "local.settings.json": json.dumps(
            {"Values": {"GREETING": "hi", "KEPT": "the app's", "BRIDGE_DOCS": "true"}, "Host": {"CORS": "*"}}
        ),
        "function_app.py": HEAD
        + """
import brought, os, queue
from pathlib import Path
value = [brought.value, queue.Queue.__name__, Path("data.txt").read_text(), os.environ["GREETING"], os.environ["KEPT"],
         os.environ["FUNCTIONS_WORKER_RUNTIME"], "BRIDGE_DOCS" in os.environ, "Host:CORS" in os.environ]
same = app
@app.route()
def values(req) -> str:
    return repr(value)
""",
    }
    write(where, files)
    before, cwd = threading.active_count(), os.getcwd()
    sources = Sources({"BRIDGE_FUNCTION_APP__FOLDER": "app"}, {}, folder=tmp_path)
    app = find_python_app(sources.read(), tmp_path)
    assert app is not None
    assert (os.getcwd(), threading.active_count()) == (cwd, before)
    found = await call(app, "values", REQUEST)
    assert found.reply is not None
    wanted = ["brought", "Queue", "read", "hi", "ours", "python", False, False]
    assert found.reply.body.decode() == repr(wanted)
    installed = next(at for at, one in enumerate(sys.path) if one.endswith("site-packages") and str(where) not in one)
    stdlib = sys.path.index(os.path.dirname(threading.__file__))
    assert stdlib < sys.path.index(str(where)) < installed


def function(parameters: str, *decorators: str) -> str:
    return HEAD + "\n".join(decorators) + f"\ndef send({parameters}):\n    pass\n"


ROUTE = '@app.route(route="send")'
SIGNALR = '@app.generic_output_binding(arg_name="messages", type="signalR", hubName="chat")'
TWICE = "\n@app.route()\ndef {}(req): pass\n@app.function_name('{}')\n@app.route()\ndef other(req): pass\n"


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "there is no folder 'app': name the one with the app's host.json."),
        ({"host.json": "{}"}, "the folder 'app' has no function: it needs a function_app.py with functions, or a fold"),
        ({"function_app.py": "import azure.functions"}, "function_app.py has no FunctionApp: write one, such as app ="),
        ({"function_app.py": HEAD + "b = func.FunctionApp()"}, "function_app.py has more than one FunctionApp: write"),
        ({"function_app.py": HEAD}, "the folder 'app' has no function"),
        ({"function_app.py": "import no_such"}, "function_app.py cannot be loaded (ModuleNotFoundError: No module nam"),
        ({"function_app.py": "\n1 / 0 # sesame"}, "function_app.py cannot be loaded (ZeroDivisionError, "),
        ({"function_app.py": "raise SystemExit('sesame')"}, "function_app.py cannot be loaded (SystemExit, "),
        ({"function_app.py": HEAD + TWICE.format("one", "one")}, "function_app.py: the function 'one' has no trigger,"),
        ({"function_app.py": HEAD + TWICE.format("one", "ONE")}, "function_app.py: two functions are called 'one'"),
        ({"function_app.py": function("req, more", ROUTE)}, "function_app.py, function 'send': 'more' is a parameter "),
        ({"function_app.py": function("", ROUTE)}, "function_app.py, function 'send': 'req' is a binding, and no para"),
        ({"function_app.py": function("req, messages: str", ROUTE, SIGNALR)}, "'messages' is an output, and not annot"),
        ({"function_app.py": function("req: func.Out[str]", ROUTE)}, "'req' is an input, and annotated as func.Out"),
        ({"function_app.py": function("req: int", ROUTE)}, "'req' is annotated as something else than func.HttpReques"),
        ({"function_app.py": function("req, context: int", ROUTE)}, "'context' is annotated as something else than fu"),
        ({"function_app.py": function("req: 'sesame'", ROUTE)}, "function 'send': its annotations cannot be read (Nam"),
        ({"a/function.json": v1(HTTP, RETURN)}, "a/function.json: its scriptFile is not there: write the name of a fi"),
        ({"a/function.json": v1(HTTP, scriptFile="a.js")}, "a/function.json: its scriptFile is not a Python file (.py"),
        ({"a/function.json": v1(HTTP, scriptFile="../../x.py")}, "a/function.json: its scriptFile is not a Python fil"),
        ({"a/function.json": v1(HTTP), "a/__init__.py": "x = 1"}, "a/function.json: 'a/__init__.py' has no function '"),
        ({"a/function.json": v1(HTTP), "a/__init__.py": "sesame("}, "a/function.json: 'a/__init__.py' cannot be loade"),
        ({"a/function.json": v1(HTTP), "a/__init__.py": "def main(request): 0"}, "a/function.json, function 'a': 'req"),
    ],
)  # fmt: skip
def test_what_cannot_be_loaded_is_said(files: Mapping[str, str], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path / "app", files)
    assert sentence in caught.value.sentence
    assert "sesame" not in caught.value.detail
    assert "\n" not in caught.value.detail


def test_an_app_of_another_language_and_a_missing_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"function_app.py": HEAD + "\n@app.route()\ndef one(req): pass\n"}
    with pytest.raises(SettingsError, match="is not written for Python, as its FUNCTIONS_WORKER_RUNTIME says"):
        load(tmp_path, files, {"FUNCTIONS_WORKER_RUNTIME": "node"})
    monkeypatch.setitem(sys.modules, "azure.functions", None)
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, files)
    assert 'pip install "signalr-bridge[functions]"' in caught.value.detail


async def test_what_is_left_out_is_not_loaded(tmp_path: Path) -> None:
    """A module of a function that does not run here may need what is not here."""
    app = load(
        tmp_path,
        {
            "order/function.json": v1({"type": "queueTrigger", "name": "order", "direction": "in"}),
            "order/__init__.py": "import no_such_module",
            "off/function.json": v1(HTTP),
            "off/__init__.py": "import no_such_module",
            "on/function.json": v1(
                HTTP, {**RETURN, "name": "reply"}, scriptFile="../shared_code/on.py", entryPoint="run"
            ),
            "shared_code/on.py": MAIN
            + """
from __app__.shared_code.other import say
def run(req, reply: func.Out[str]):
    reply.set(say())
""",
            "shared_code/other.py": "def say():\n    return 'run'",
        },
        {"AzureWebJobs.off.Disabled": "true"},
    )  # fmt: skip
    assert [one.name for one in app.descriptions] == ["off", "on", "order"]
    found = await call(app, "on", REQUEST)
    assert found.reply is not None
    assert found.reply.body == b"run"


ASGI = """func.FunctionApp()
@app.route(route="{*route}", auth_level=func.AuthLevel.ANONYMOUS)
async def http_app_func(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return await func.AsgiMiddleware(asgi).handle_async(req, context)
"""


@pytest.mark.parametrize("made", ["func.WsgiFunctionApp(app=wsgi, http_auth_level=func.AuthLevel.ANONYMOUS)", ASGI])
async def test_a_whole_application_answers(made: str, tmp_path: Path) -> None:
    """One of WSGI as the library wraps it, and one of ASGI as its documentation calls it."""
    code = """
import azure.functions as func
def wsgi(environ, start_response):
    start_response("202 Accepted", [("content-type", "text/x")])
    return [environ["PATH_INFO"].encode()]
async def asgi(scope, receive, send):
    await send({"type": "http.response.start", "status": 202, "headers": [(b"content-type", b"text/x")]})
    await send({"type": "http.response.body", "body": scope["path"].encode()})
"""
    app = load(tmp_path, {"function_app.py": f"{code}app = {made}\n"})
    found = await call(app, "http_app_func", REQUEST)
    assert found.reply is not None
    assert (found.reply.status, found.reply.body) == (202, b"/api/send")
    assert dict(found.reply.headers)["content-type"] == "text/x"


def test_connections_follow_from_the_bindings(tmp_path: Path) -> None:
    """A hub's connection is the one that the app names, unless a setting says otherwise."""

    def read(second: str, environment: Mapping[str, str]) -> dict[str, tuple[str, str]]:
        a = {**HTTP}, {**OUT, "connectionStringSetting": "First", "hubName": "%HUB%"}
        b = {**HTTP}, {**OUT, "connectionStringSetting": second, "hubName": "news"}
        code = "def main(req, messages): 0"
        files = {"a/function.json": v1(*a), "b/function.json": v1(*b), "a/__init__.py": code, "b/__init__.py": code}
        write(tmp_path, files)
        reading = read_with_app(Sources({"HUB": "chat", **environment}, {"bridge_function_app__folder": str(tmp_path)}))
        assert reading.values == reading.sources.read()
        found = reading.values.items()
        return {name: (one.text, one.source) for name, one in found if name.endswith("connection")}

    assert read("First", {}) == {"bridge_connection": ("First", SOURCE)}
    two = {"bridge_hubs:chat:connection": ("First", SOURCE), "bridge_hubs:news:connection": ("Second", SOURCE)}
    assert read("Second", {}) == two
    told = {"BRIDGE_HUBS__CHAT__CONNECTION": "Third"}
    assert read("Second", told) == two | {"bridge_hubs:chat:connection": ("Third", "environment")}


def test_what_the_code_finds_in_its_environment() -> None:
    values = Sources({"GREETING": "a", "BRIDGE_DOCS": "true"}, {}).read()
    assert list_variables(values) == {}
    assert list_app_settings(values) == {"GREETING": "a"}
    assert list_connections([], values) == {}
