"""JavaScript functions by Microsoft's own library, called as the Functions host calls a custom handler.

The payloads are those of Microsoft's page "Azure Functions custom handlers": what is not an object is JSON text.
"""

import base64
import json
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from tests.e2e.functions_node import (
    APPS,
    EVENT,
    INFO,
    SERVER,
    TIMER,
    Functions,
    copy_app,
    request,
    run_functions_node,
    text,
    write_app,
)
from tests.e2e.processes import NODE


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Functions]]:
    folder = tmp_path_factory.mktemp("apps")
    with ExitStack() as stack:
        apps = {
            name: stack.enter_context(run_functions_node(copy_app(name, folder / name)))
            for name in ("node_v4", "node_v3")
        }
        yield {name: stack.enter_context(Functions(*app)) for name, app in apps.items()}


@pytest.fixture(scope="module")
def v4(apps: Mapping[str, Functions]) -> Functions:
    return apps["node_v4"]


@pytest.fixture(scope="module")
def v3(apps: Mapping[str, Functions]) -> Functions:
    return apps["node_v3"]


def test_v4_functions_are_described_as_function_json_has_them(v4: Functions) -> None:
    broadcast = v4.descriptions["broadcast"]
    hub = {"hubName": "%CHAT_HUB%", "connectionStringSetting": "AzureSignalRConnectionString"}
    assert broadcast["scriptFile"] == "src/functions/chat.js"
    assert broadcast["bindings"] == [
        {"type": "signalRTrigger", "name": "invocation", "direction": "in", **hub}
        | {"category": "messages", "event": "broadcast", "parameterNames": ["message"]},
        {"type": "signalR", "name": "signalR", "direction": "out", **hub},
    ]
    trigger, user, answer = v4.descriptions["negotiate"]["bindings"]
    assert trigger | {"name": ""} == {
        "type": "httpTrigger",
        "name": "",
        "direction": "in",
        "authLevel": "anonymous",
        "methods": ["POST"],
        "route": "negotiate",
    }
    assert (user["userId"], answer["name"], answer["type"]) == ("{headers.x-ms-client-principal-id}", "$return", "http")
    assert v4.trigger("tick")["schedule"] == "*/1 * * * * *"


def test_v4_an_event_gives_outputs_a_result_and_lines(v4: Functions) -> None:
    said = {"sender": "ann", "connectionId": "c1"}
    metadata = {"message": '"hi"', "sys": {"MethodName": "broadcast"}}
    assert v4.call("broadcast", EVENT, metadata) == {
        "Outputs": {"signalR": [{"target": "newMessage", "arguments": [said | {"text": "hi"}]}]},
        "ReturnValue": {"sent": 2, "by": "ann"},
        "Logs": [],
    }
    message = {"target": "newMessage", "groupName": "friends", "arguments": [said | {"text": "hi"}]}
    assert v4.call("sendToGroup", json.dumps(EVENT))["Outputs"] == {"signalR": message}
    connected = v4.call("connected", EVENT)
    assert connected["Logs"] == ["c1 is connected"]
    greeting = [{"connectionId": "c1", "text": "ann has joined"}]  # from local.settings.json
    assert connected["Outputs"]["signalR"]["arguments"] == greeting
    assert connected["ReturnValue"] is None


def test_v4_a_request_is_answered(v4: Functions) -> None:
    negotiated = v4.call("negotiate", request(), connectionInfo=text(INFO))["ReturnValue"]
    assert negotiated["statusCode"] == 200
    assert json.loads(negotiated["body"]) == INFO
    principal = base64.b64encode(b'{"identityProvider": "aad", "userDetails": "Ann"}').decode()
    page = v4.call("index", request("GET", Headers={"X-MS-CLIENT-PRINCIPAL": [principal]}))
    assert page["Logs"] == ["Page asked for by Ann"]
    assert page["ReturnValue"]["headers"]["content-type"] == "text/html"
    assert page["ReturnValue"]["headers"]["Set-Cookie"] == ["visited=yes; Path=/; SameSite=Lax"]
    assert page["ReturnValue"]["body"] == (APPS / "node_v4/content/index.html").read_text()
    endpoints = [{"name": "one", "online": True}, {"name": "two", "online": False}]
    sent = v4.call("messages", request(body='{"text": "\u00e9"}'), endpoints=text(endpoints))
    message = {"target": "newMessage", "arguments": [{"sender": "bob", "text": "\u00e9"}], "endpoints": endpoints[:1]}
    assert sent["Outputs"] == {"messages": message}
    assert (sent["ReturnValue"]["statusCode"], sent["ReturnValue"]["body"]) == (202, '{"endpoints":1}')
    joined = v4.call("groups", request("PUT", Params={"group": "friends", "user": "bob"}))
    assert joined["Outputs"] == {"groups": {"userId": "bob", "groupName": "friends", "action": "add"}}
    assert (joined["ReturnValue"]["statusCode"], joined["ReturnValue"]["body"]) == (204, "")


def test_v4_a_timer_runs_and_a_failure_says_nothing(v4: Functions) -> None:
    ticked = v4.call("tick", TIMER)
    assert ticked["Outputs"] == {"signalR": {"target": "tick", "arguments": [1]}}
    assert ticked["Logs"] == ["tick 1, past due: true"]
    failed = v4.post("fail", EVENT)
    assert (failed.status_code, failed.json()) == (500, {"error": "the function 'fail' failed"})
    v4.process.wait_for_line("fail: error: Error: a secret of the app")


def test_v3_functions_by_every_way_to_end(v3: Functions) -> None:
    page = v3.call("index", request("GET"))["Outputs"]["res"]
    assert page["headers"] == {"Content-Type": "text/html"}
    assert page["body"] == (APPS / "node_v3/content/index.html").read_text()
    negotiated = v3.call("negotiate", request(), connectionInfo=text(INFO))["Outputs"]["res"]
    assert json.loads(negotiated["body"]) == INFO
    body = {"recipient": "bob", "groupname": "friends", "text": "hi"}
    sent = v3.call("messages", request(body=json.dumps(body)))["Outputs"]
    message = {"userId": "bob", "groupName": "friends", "target": "newMessage", "arguments": [body]}
    assert sent == {"res": {"statusCode": 200, "headers": {}, "body": ""}, "signalRMessages": [message]}
    for name, action in (("addToGroup", "add"), ("removeFromGroup", "remove")):
        changed = v3.call(name, request(body=json.dumps(body)))["Outputs"]
        assert changed["signalRGroupActions"] == [{"userId": "bob", "groupName": "friends", "action": action}]
        assert json.loads(changed["res"]["body"]) == {"group": "friends", "action": action}
    beat = v3.call("broadcast", json.dumps(TIMER))
    assert json.loads(beat["Outputs"]["signalRMessages"]) == [{"target": "beat", "arguments": [1]}]
    assert beat["Logs"] == ["late: true"]
    said = v3.call("sendMessage", EVENT, {"message": '"hi"'})
    assert said["ReturnValue"] == [{"target": "newMessage", "arguments": [{"sender": "ann", "text": "hi"}]}]
    assert said["Logs"] == ["ann sends hi"]
    connected = v3.call("connected", EVENT)
    assert connected["Outputs"]["signalRMessages"]["arguments"] == [{"ConnectionId": "c1"}]
    assert connected["ReturnValue"] is None


def test_v3_a_disabled_function_is_listed_and_does_not_run(v3: Functions) -> None:
    assert v3.descriptions["old"]["disabled"] is True
    assert v3.post("old", request("GET")).status_code == 404
    assert v3.http.get("/functions").headers["X-Functions-Route-Prefix"] == "api"


@pytest.mark.parametrize(
    ("status", "name", "content", "headers"),
    [
        (404, "nothing", "{}", {}),
        (404, "%2e%2e", "{}", {}),
        (400, "broadcast", "[", {}),
        (400, "broadcast", "null", {}),
        (400, "broadcast", '{"Data": {"other": 1}}', {}),
        (415, "broadcast", "{}", {"Content-Type": "text/plain"}),
        (403, "broadcast", "{}", {"Origin": "http://evil.example"}),
    ],
)
def test_what_is_no_call_of_the_bridge_is_refused(
    v4: Functions, status: int, name: str, content: str, headers: Mapping[str, str]
) -> None:
    sent = {"Content-Type": "application/json", **headers}
    assert v4.http.post(f"/{name}", content=content, headers=sent).status_code == status


TRIGGER = '{"type": "httpTrigger", "name": "req", "direction": "in"}'
RESPONSE = '{"type": "http", "direction": "out", "name": "res"}'
RETURNED = '{"type": "signalR", "direction": "out", "name": "$return", "hubName": "h"}'
ODD = {
    "redirect/function.json": f'{{"bindings": [{TRIGGER}, {{"type": "http", "direction": "out", "name": "$return"}}]}}',
    "redirect/index.mjs": """
        export default async (context, req) => ({
          status: 302, headers: { Location: `/${req.params.to}` }, body: null,
          cookies: [{ name: 'seen', value: 'a b', maxAge: 60, httpOnly: true, sameSite: 'Strict' }],
        });
    """,
    "post/function.json": f'{{"bindings": [{TRIGGER}, {RESPONSE}, {RETURNED}]}}',
    "post/index.js": "module.exports = async (context, req) => ({ userId: '', target: 'new', arguments: [req.body] });",
    "form/function.json": f'{{"bindings": [{TRIGGER}, {RESPONSE}]}}',
    "form/run.js": """
        exports.run = (context, req) => {
          const form = req.parseFormBody();
          const { value, fileName } = form.get('file');
          context.res.set('X-Field', form.get('field').value.toString()).send(`${fileName}: ${value.toString('hex')}`);
        };
        exports.other = () => {};
    """,
    "fail/function.json": f'{{"bindings": [{TRIGGER}], "scriptFile": "../form/fail.js"}}',
    "form/fail.js": "module.exports = (context) => { context.done(new Error('by done')); };",
}


def test_v3_functions_of_other_forms(tmp_path: Path) -> None:
    with run_functions_node(write_app(tmp_path, ODD)) as app, Functions(*app) as functions:
        moved = functions.call("redirect", request(Params={"to": "there"}))["ReturnValue"]
        cookie = "seen=a%20b; Max-Age=60; HttpOnly; SameSite=Strict"
        headers = {"Location": "/there", "Set-Cookie": [cookie]}
        assert moved == {"statusCode": 302, "headers": headers, "body": ""}
        item = {"userId": "", "target": "new", "arguments": ["hi"]}
        assert functions.call("post", request(body="hi"))["ReturnValue"] == item, "the tutorial of a chat sends so"
        form = httpx.Request("POST", "http://x", data={"field": "\u00e9"}, files={"file": ("a.bin", b"\r\n\xff")})
        sent = {"Content-Type": [form.headers["Content-Type"]]}
        parsed = functions.call("form", request(body=base64.b64encode(form.read()).decode(), Headers=sent))
        answer = parsed["Outputs"]["res"]
        assert answer["headers"] == {"x-field": "\u00e9", "Content-Type": "text/plain; charset=utf-8"}
        assert answer["body"] == "a.bin: 0d0aff"
        assert functions.post("fail", request()).status_code == 500
        functions.process.wait_for_line("fail: error: Error: by done")


MODULE = {
    "package.json": '{"type": "module", "main": "{lib,src}/**/*.js"}',
    "src/deep/one.js": """
        import { app } from '@azure/functions';
        app.hook.appStart((start) => { start.hookData.at = 'noon'; });
        app.hook.appTerminate((end) => console.log('began at', end.hookData.at));
        app.hook.preInvocation(() => { throw new Error('taken back'); }).dispose();
        app.hook.preInvocation((before) => {
          before.hookData.handler = before.functionHandler;
          before.functionHandler = async (...inputs) => `wrapped ${await before.hookData.handler(...inputs)}`;
        });
        app.hook.postInvocation((after) => { if (after.error?.message === 'pardoned') after.error = null; });
        app.hook.log((said) => { said.message = said.message.replace('password', '***'); });
        const hub = { hubName: 'h', category: 'messages', event: 'e', parameterNames: ['text'] };
        const trigger = { type: 'signalRTrigger', name: 'event', ...hub };
        const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
        app.generic('slow', { trigger, handler: async (event, context) => {
          console.warn('begins', event.Arguments[0]);
          await sleep(event.Arguments[0]);
          context.log('the password');
          return context.options.trigger.parameterNames.push('mine'); // which no later run may see
        } });
        app.generic('seen', { trigger, handler: (event, context) => Object.keys(context.triggerMetadata) });
        app.generic('pardoned', { trigger, handler: () => { throw new Error('pardoned'); } });
        app.generic('refused', { trigger, handler: () => Promise.reject('a text') });
    """,
    "src/broken.js": "import './nowhere.js';",
}


def test_a_package_of_modules_with_hooks_ends_what_it_has_begun(tmp_path: Path) -> None:
    with ExitStack() as stack:
        process, url = stack.enter_context(run_functions_node(write_app(tmp_path, MODULE)))
        process.wait_for_line(r"cannot load src/broken\.js: ")
        functions = stack.enter_context(Functions(process, url))
        answers: dict[int, Any] = {}

        def run(milliseconds: int) -> None:
            answers[milliseconds] = functions.call("slow", EVENT | {"Arguments": [milliseconds]})

        assert functions.post("refused", EVENT).status_code == 500
        assert functions.call("pardoned", EVENT)["ReturnValue"] is None
        metadata = {"Text": '"hi"', "sys": {"MethodName": "seen"}}
        assert functions.call("seen", EVENT, metadata)["ReturnValue"] == "wrapped text"
        threads = [threading.Thread(target=run, args=(milliseconds,)) for milliseconds in (400, 200)]
        for thread in threads:
            thread.start()
        for milliseconds in (400, 200):
            process.wait_for_line(f"begins {milliseconds}")
        process.terminate()
        assert process.wait() == 0
        for thread in threads:
            thread.join()
    assert answers == {
        one: {"Outputs": {}, "ReturnValue": "wrapped 2", "Logs": [f"begins {one}", "the ***"]} for one in (400, 200)
    }
    assert process.lines[-1] == "app: information: began at noon"


STREAM = {
    "package.json": '{"main": "functions"}',
    "functions/all.js": """
        const { app } = require('@azure/functions');
        app.setup({ enableHttpStream: true });
        app.post('upper', { route: 'upper/{name}', handler: async (request) => ({
          status: 201, headers: { 'X-Name': request.params.name, 'X-Url': request.url },
          cookies: [{ name: 'a', value: '1' }, { name: 'b', value: '2' }],
          body: (await request.text()).toUpperCase() + request.headers.get('x-several'),
        }) });
        app.post('binary', { handler: async (request) => ({ body: new Uint8Array(await request.arrayBuffer()) }) });
        app.post('nothing', { handler: () => {} });
        app.post('fails', { handler: () => { throw new Error('no'); } });
    """,
}


def test_an_app_that_streams_is_answered_whole(tmp_path: Path) -> None:
    with run_functions_node(write_app(tmp_path, STREAM)) as (process, url), Functions(process, url) as functions:
        answer = functions.call("upper", request(body="abc", Params={"name": "ann"}))["ReturnValue"]
        assert (answer["statusCode"], answer["body"]) == (201, "ABCa,b")
        assert answer["headers"]["x-name"] == "ann"
        assert answer["headers"]["x-url"] == "https://chat.example/api/x?sender=bob"
        assert answer["headers"]["Set-Cookie"] == ["a=1", "b=2"]
        bytes_sent = base64.b64encode(b"\xff\x00\x01").decode()
        headers = {"Content-Type": ["application/octet-stream"]}
        echoed = functions.call("binary", request(body=bytes_sent, Headers=headers))["ReturnValue"]
        assert (echoed["body"], echoed["isBase64Encoded"]) == (bytes_sent, True)
        assert functions.post("fails", request(body="")).status_code == 500
        assert functions.call("nothing", request())["ReturnValue"] is None
        assert functions.call("upper", request(body="d"))["ReturnValue"]["body"] == "Da,b"
        assert listening(process.pid) == ["0100007F", "0100007F"]  # the server, and the library's own


def listening(pid: int) -> list[str]:
    """The addresses where a process listens, in the system's hexadecimal form."""
    held = {os.readlink(one) for one in Path(f"/proc/{pid}/fd").iterdir() if one.is_symlink()}
    tables = [Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    rows = [line.split() for table in tables for line in table]
    return [row[1].split(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in held]


def test_where_secrets_are_set_only_signed_calls_run(tmp_path: Path) -> None:
    secret, other = ("whsec_" + base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
    body = json.dumps({"Data": {"invocation": EVENT}, "Metadata": {"message": '"hi"'}})
    settings = {"FUNCTIONS_NODE_SECRETS": f"{other}, {secret}"}
    with ExitStack() as stack:
        app = stack.enter_context(run_functions_node(copy_app("node_v3", tmp_path / "app"), settings))
        functions = stack.enter_context(Functions(*app))

        def post(signature: str, moment: datetime, **more: str) -> int:
            headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(moment.timestamp()))}
            headers |= {"webhook-signature": signature, "Content-Type": "application/json"} | more
            return functions.http.post("/sendMessage", content=body, headers=headers).status_code

        now = datetime.now(UTC)
        good = Webhook(secret).sign("msg_1", now, body)
        assert post(f"v1,AAAA {good}", now) == 200
        assert post(good, now - timedelta(seconds=1)) == 401
        assert post(good, now, **{"webhook-id": "msg_2"}) == 401
        assert post(Webhook("whsec_" + "A" * 32).sign("msg_1", now, body), now) == 401
        old = now - timedelta(minutes=6)
        assert post(Webhook(secret).sign("msg_1", old, body), old) == 401
        assert post("", now) == 401


def list_functions(folder: Path) -> "subprocess.CompletedProcess[str]":
    """The list alone, with an environment that is empty."""
    command = [NODE, SERVER, str(folder), "--list"]
    return subprocess.run(command, env={}, capture_output=True, text=True, timeout=30, check=False)


def test_the_list_alone_is_json_whatever_the_app_prints(tmp_path: Path) -> None:
    files = {
        "package.json": '{"main": "index.js"}',
        "index.js": """
            console.log('loud'); process.stdout.write('louder');
            const { app } = require('@azure/functions');
            app.timer(process.env.NAME, { schedule: '0 0 * * * *', handler: () => {} });
            setInterval(() => {}, 1000);
        """,
        "local.settings.json": '\ufeff{"Values": {"NAME": "hourly", /* off */ "AzureWebJobs.hourly.Disabled": true,}}',
    }
    listed = list_functions(write_app(tmp_path, files))
    (function,) = json.loads(listed.stdout)
    assert (listed.returncode, function["name"], function["disabled"]) == (0, "hourly", True)
    assert "loud" in listed.stderr


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, "has no function that can be loaded"),
        (
            {"package.json": '{"main": "dist/*.js"}'},
            "no file matches 'dist/*.js', which package.json names as its main",
        ),
        (
            {"package.json": '{"main": "a.js"}', "a.js": "throw new Error('not today')"},
            "cannot load a.js: Error: not today",
        ),
        (
            {"f/function.json": '{"bindings": [], "password": "pa'},
            "cannot load the function 'f': Error: function.json is",
        ),
        ({"local.settings.json": '{"IsEncrypted": true, "Values": {"A": "b"}}'}, "local.settings.json is encrypted"),
    ],
)
def test_an_app_without_any_function_that_loads_is_an_error(
    tmp_path: Path, files: Mapping[str, str], sentence: str
) -> None:
    listed = list_functions(write_app(tmp_path, files))
    assert (listed.returncode, listed.stdout) == (1, "")
    assert sentence in listed.stderr
    assert "pa\n" not in listed.stderr
