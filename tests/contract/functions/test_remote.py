"""Functions in a program beside the bridge: what it is sent, what its answers mean, and the list that it gives.

The payloads are those of Microsoft's page "Azure Functions custom handlers", and of the host's code where it is silent.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import httpx
import pytest
from signalr_bridge.errors import SettingsError
from signalr_bridge.functions.invocation import HttpCall, Invocation, TimerCall
from signalr_bridge.functions.remote_app import LARGEST_LIST, read_list
from signalr_bridge.functions.remote_payload import write_payload
from signalr_bridge.parts import Parts
from standardwebhooks import Webhook

from tests.contract.bridge.running import AUTH, Bridge, bridge, build
from tests.contract.functions.invoking import HTTP, TIMER, describe, info, out, trigger
from tests.contract.upstream.backend import Backend, Call, answer
from tests.contract.upstream.forwarding import SECRETS
from tests.unit.upstream.fakes import context
from tests.unit.upstream.forward.test_functions import MOMENT

ID = "0" * 32
GUID = "00000000-0000-4000-8000-000000000000"
RES = {"type": "http", "direction": "out", "name": "res"}
GET = {"type": "httpTrigger", "direction": "in", "name": "req", "authLevel": "anonymous", "route": "hello/{name?}"}


def written(started: Any, given: Any, **inputs: Any) -> Any:
    invocation = Invocation(describe(started, info(), name="Send"), ID, given, inputs)
    return json.loads(write_payload(invocation, MOMENT, lambda: ID))


SYS = {"MethodName": "Send", "UtcNow": "2026-11-22T10:00:00.123456Z", "RandGuid": GUID}


def test_a_request_is_sent_as_the_host_sends_it() -> None:
    call = HttpCall(
        "POST",
        "https://b/api/rooms/blue?Tag=a&tag=b",
        "/api/rooms/blue",
        {"Tag": ["a"], "tag": ["b"]},
        {"content-type": ["application/json"], "x-forwarded-for": ["1", "2"], "x-ms-client-principal-id": ["ann"]},
        {"room": "blue"},
        b'{"id": 1005, "color": null, "name": "Ann", "more": {"a": [1]}}',
    )
    assert written(HTTP, call, info={"url": "u", "accessToken": "t"}) == {
        "Data": {
            "req": {
                "Url": "https://b/api/rooms/blue?Tag=a&tag=b",
                "Method": "POST",
                "Query": {"Tag": "a,b"},
                "Headers": {
                    "Content-Type": ["application/json"],
                    "X-Forwarded-For": ["1", "2"],
                    "X-MS-CLIENT-PRINCIPAL-ID": ["ann"],
                },
                "Params": {"room": "blue"},
                "Body": '{"id": 1005, "color": null, "name": "Ann", "more": {"a": [1]}}',
            },
            "info": '{"url":"u","accessToken":"t"}',
        },
        "Metadata": {
            "id": "1005",
            "name": '"Ann"',
            "more": {"a": [1]},
            "Tag": '"a,b"',
            "room": '"blue"',
            "Query": {"Tag": "a,b"},
            "Headers": {
                "Content-Type": "application/json",
                "X-Forwarded-For": "1,2",
                "X-MS-CLIENT-PRINCIPAL-ID": "ann",
            },
            "sys": SYS,
        },
    }


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("text/plain", "grüß".encode(), "grüß"),
        ("application/octet-stream", b"\x00\xff", "AP8="),
        ("multipart/form-data; boundary=x", b"--x", "LS14"),
    ],
)
def test_a_body_is_text_or_base64(kind: str, body: bytes, text: str) -> None:
    call = HttpCall("POST", "http://b/", "/", headers={"content-type": [kind]}, body=body)
    assert written(HTTP, call)["Data"]["req"]["Body"] == text
    assert "Body" not in written(HTTP, HttpCall("GET", "http://b/", "/"))["Data"]["req"]


def test_a_timer_is_sent_as_the_host_sends_it() -> None:
    assert written(TIMER, TimerCall(False, None, MOMENT, None)) == {
        "Data": {
            "timer": {
                "Schedule": {"AdjustForDST": True},
                "ScheduleStatus": {
                    "Last": "0001-01-01T00:00:00+00:00",
                    "LastUpdated": "0001-01-01T00:00:00+00:00",
                    "Next": "2026-11-22T10:00:00.123456+00:00",
                },
                "IsPastDue": False,
            }
        },
        "Metadata": {"sys": SYS},
    }


def put(folder: Path, *bindings: dict[str, Any], name: str = "hello", **host: Any) -> Path:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "function.json").write_text(json.dumps({"bindings": bindings}), "utf-8")
    (folder / "host.json").write_text(json.dumps({"version": "2.0", **host}), "utf-8")
    return folder


@asynccontextmanager
async def running(url: str, folder: Path | None = None, **settings: str) -> AsyncIterator[Bridge]:
    more = {} if folder is None else {"BRIDGE_FUNCTIONS__FOLDER": str(folder)}
    async with bridge(**{"BRIDGE_FUNCTIONS__URL": url}, **more, **settings) as found:
        yield found


def says(value: Any) -> Callable[[Call, BufferedIOBase], None]:
    return answer(200, json.dumps(value).encode(), "Content-Type: application/json")


@pytest.mark.parametrize(
    ("given", "status", "kind", "body"),
    [
        ({"Outputs": {"res": {"statusCode": 201, "headers": {"X-A": "b"}, "body": "hi"}}}, 201, "text/plain", b"hi"),
        ({"outputs": {"RES": {"status": "418", "body": {"a": 1}}}}, 418, "application/json", b'{"a":1}'),
        ({"Outputs": {"res": '{"statusCode": 202, "body": "x"}'}}, 202, "text/plain", b"x"),
        ({"Outputs": {"res": {"headers": {"Content-Type": "text/html"}, "body": "<p>"}}}, 200, "text/html", b"<p>"),
        (
            {"Outputs": {"res": {"body": base64.b64encode(b"\xff").decode(), "isBase64Encoded": True}}},
            *(200, "", b"\xff"),
        ),
        ({"Outputs": {"res": "plain"}}, 200, "text/plain", b"plain"),
        ({"Outputs": {}}, 204, "", b""),
        ({"Outputs": {"res": {"statusCode": 99, "body": ""}}}, 500, "application/problem+json", None),
        ({"Outputs": {"res": {"statusCode": "many"}}}, 500, "application/problem+json", None),
        ({"Outputs": [1]}, 500, "application/problem+json", None),
    ],
)
async def test_http_answers(tmp_path: Path, given: Any, status: int, kind: str, body: bytes | None) -> None:
    with Backend(says(given)) as program:
        async with running(program.url, put(tmp_path, GET, RES)) as found:
            said = await found.http.get("/api/hello/ann?code=canary")
    assert (said.status_code, said.headers.get("content-type", "").partition(";")[0]) == (status, kind)
    assert body is None or said.content == body
    [call] = program.calls
    assert (call.method, call.target) == ("POST", "/hello")
    assert "canary" not in call.body.decode()
    assert call.headers["x-azure-functions-invocationid"]
    assert "webhook-signature" not in call.headers


async def test_return_values_and_outputs_of_a_request(tmp_path: Path) -> None:
    binding = RES | {"name": "$return"}
    given = {"ReturnValue": {"statusCode": 202, "body": "b"}, "Outputs": {"messages": [{"target": "t"}], "q": 1}}
    with Backend(says(given)) as program:
        async with running(program.url, put(tmp_path, GET, binding, out(hubName="blue"))) as found:
            assert (await found.http.get("/api/hello")).status_code == 202
            assert [one.target.partition("?")[0] for one in found.seen] == ["/api/hubs/blue/:send"]


@pytest.mark.parametrize("script", [answer(500), answer(200, b"no JSON"), answer(404), answer(409, b"{}")])
async def test_a_program_that_fails(tmp_path: Path, script: Any) -> None:
    with Backend(script) as program:
        async with running(program.url, put(tmp_path, GET, RES)) as found:
            said = await found.http.get("/api/hello")
            assert said.status_code == 500
            assert program.url not in said.text
    async with running(program.url, tmp_path) as found:
        assert (await found.http.get("/api/hello")).status_code == 500


async def test_the_request_itself_is_passed_on(tmp_path: Path) -> None:
    custom = {"enableForwardingHttpRequest": True}
    script = answer(207, b"\xff", "X-A: 1", "X-A: 2", "Content-Type: image/png")
    with Backend(script) as program:
        async with running(program.url, put(tmp_path, GET, RES, customHandler=custom)) as found:
            headers = AUTH | {"X-B": "c", "X-Ms-Client-Principal-Id": "forged", "x-functions-key": "canary"}
            said = await found.http.put("/api/hello/a%2Fb?a=%20b&code=canary", content=b"\xfe", headers=headers)
    assert (said.status_code, said.content) == (207, b"\xff")
    assert (said.headers.get_list("x-a"), said.headers["content-type"]) == (["1", "2"], "image/png")
    [call] = program.calls
    assert (call.method, call.target, call.body) == ("PUT", "/api/hello/a%2Fb?a=%20b", b"\xfe")
    assert call.headers["x-b"] == "c"
    assert call.headers["x-azure-functions-invocationid"]
    assert not {"x-ms-client-principal-id", "x-functions-key", "x-api-key"} & call.headers.keys()


async def test_calls_are_signed_where_there_are_secrets(tmp_path: Path) -> None:
    with Backend(says({})) as program:
        async with running(
            program.url, put(tmp_path, GET, RES), BRIDGE_FUNCTIONS__SECRETS=json.dumps(SECRETS)
        ) as found:
            await found.http.get("/api/hello")
    [call] = program.calls
    for secret in SECRETS:
        Webhook(secret).verify(call.body, call.headers)


async def test_an_event_has_inputs_and_outputs_of_its_bindings(tmp_path: Path) -> None:
    given = {"Outputs": {"messages": {"target": "t"}}, "ReturnValue": 5}
    folder = put(tmp_path, trigger("text"), info("signalREndpoints"), out(hubName="{text}"))
    with Backend(says(given)) as program:
        async with running(program.url, folder) as found:
            [handler] = found.app.state.parts.function_apps.handlers
            assert bytes(await handler.answer(context(arguments=["Red"]))) == b"5"
            assert [one.target.partition("?")[0] for one in found.seen] == ["/api/hubs/red/:send"]
    data = json.loads(program.calls[0].body)["Data"]
    assert isinstance(json.loads(data["info"]), list)


# --- the list


def listed(*functions: dict[str, Any]) -> bytes:
    return json.dumps(list(functions)).encode()


class Listing:
    """A program that gives a list, and answers functions with their names."""

    def __init__(self, body: bytes, *headers: str) -> None:
        self.body, self.headers = body, headers

    def __call__(self, call: Call, output: BufferedIOBase) -> None:
        if call.method == "GET":
            answer(200, self.body, *self.headers)(call, output)
        elif f'"name": "{call.target[1:]}"'.encode() not in self.body:
            answer(404)(call, output)
        else:
            says({"Outputs": {"res": call.target}})(call, output)


async def wait_for(found: Bridge, path: str, status: int) -> httpx.Response:
    said = await found.http.get(path)
    for _ in range(400):
        if said.status_code == status:
            return said
        await pause()
        said = await found.http.get(path)
    raise AssertionError(f"{path} is {said.status_code}: {said.text}")


async def pause() -> None:
    await asyncio.sleep(0.02)


async def test_the_list_is_asked_for_and_asked_for_anew(caplog: pytest.LogCaptureFixture) -> None:
    one = {"name": "one", "bindings": [GET | {"route": "one"}, RES]}
    two = {"name": "two", "bindings": [GET | {"route": "two"}, RES]}
    event = {"name": "send", "bindings": [trigger() | {"hubName": "late"}]}
    program = Listing(b"no list")
    with Backend(program) as backend:
        async with running(backend.url) as found:
            said = (await wait_for(found, "/health/ready", 503)).json()
            assert said["reason"] == "the functions' program has not given its list"
            program.body = listed(one, event)
            await wait_for(found, "/health/ready", 200)
            assert (await found.http.get("/api/one")).text == "/one"
            parts: Parts = found.app.state.parts
            assert parts.access.hub_names.is_for_clients("late")
            assert [one.hub for one in parts.receiver.dispatch.handlers] == ["late"]

            program.body = listed(two)  # started anew
            assert (await found.http.get("/api/one")).status_code == 500
            assert (await wait_for(found, "/api/two", 200)).text == "/two"
            assert (await found.http.get("/api/one")).status_code == 404
            assert not parts.receiver.dispatch.handlers
            assert not parts.access.hub_names.is_for_clients("late")

            # Two that answer the same requests: the old ones stay.
            program.body = listed(two | {"name": "three"}, two | {"name": "four"})
            assert (await found.http.get("/api/two")).status_code == 500
            for _ in range(400):
                said = [one for one in caplog.records if one.message == "list of functions not used"]
                if said and said[-1].levelname == "ERROR":
                    break
                await pause()
            assert [one.levelname for one in said] == ["WARNING", "ERROR"]
            assert [one.function.name for one in parts.function_apps.routes.functions] == ["two"]
            assert (await found.http.get("/health/ready")).status_code == 200


async def test_the_list_may_say_the_prefix_of_routes() -> None:
    program = Listing(
        listed({"name": "one", "bindings": [GET | {"route": "one"}, RES]}), "X-Functions-Route-Prefix: v1"
    )
    with Backend(program) as backend:
        async with running(backend.url) as found:
            assert (await wait_for(found, "/v1/one", 200)).text == "/one"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[1]",
        b'[{"bindings": []}]',
        b'[{"name": 5, "bindings": []}]',
        b'[{"name": "../x", "bindings": []}]',
        b'[{"name": "a"}]',
        b'[{"name": "a", "bindings": []}, {"name": "A", "bindings": []}]',
    ],
)
def test_what_is_no_list(body: bytes) -> None:
    with pytest.raises(SettingsError):
        read_list(body)


@pytest.mark.parametrize(
    "body",
    [
        b" " * (LARGEST_LIST + 1) + b"[]",
        listed({"name": "a", "bindings": [GET | {"route": "hubs/{hub}"}, RES]}),
        listed({"name": "a", "bindings": [trigger()]}, {"name": "b", "bindings": [trigger()]}),
        listed({"name": "a", "bindings": [GET, RES, info(userId="{headers.x-ms-client-principal-name}")]}),
    ],
)
async def test_a_list_that_cannot_work_is_not_used(body: bytes) -> None:
    with Backend(Listing(body, "X-Functions-Route-Prefix:")) as backend:
        async with running(backend.url) as found:
            for _ in range(400):
                if backend.calls:
                    break
                await pause()
            for _ in range(10):
                await pause()
            assert (await found.http.get("/health/ready")).status_code == 503
            assert not found.app.state.parts.function_apps.routes.functions


@pytest.mark.parametrize(
    "settings",
    [
        {"BRIDGE_FUNCTIONS__URL": "ftp://x"},
        {"BRIDGE_FUNCTIONS__URL": "http://x/{hub}"},
        {"BRIDGE_FUNCTIONS__URL": "http://x", "BRIDGE_FUNCTIONS__SECRETS": '["short"]'},
        {"BRIDGE_FUNCTIONS__FOLDER": "."},
        {"BRIDGE_FUNCTIONS__URL": "http://x", "BRIDGE_FUNCTIONS__FOLDER": "nowhere"},
    ],
)
def test_settings_that_could_never_work(settings: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        build("http://127.0.0.1:1", **settings)
