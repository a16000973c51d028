"""What is wrong gets the status and the problem of the contract, from the running processes."""

import hashlib
import hmac
import json
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.e2e.node_client import NodeClient, NodeClients
from tests.e2e.processes import API_KEY, EMULATOR_KEY, Machine, Process, app_command, connection_string, free_port

SEND = "/hubs/chat/send"
JSON = {"Content-Type": "application/json"}
LARGEST_ITEM = 1024 * 1024
CANARY = "cAnArY-vAlUe-0123456789"
"""Stands where a value of the caller's stands: no answer may hold it."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, however it was got."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def check_problem(answer: Answer | httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The answer is a problem (RFC 9457) with this status and code, and tells nothing that it should not."""
    if isinstance(answer, httpx.Response):
        answer = Answer(answer.status_code, answer.headers, answer.content)
    problem: dict[str, Any] = json.loads(answer.body)
    assert (answer.status, problem["code"]) == (status, code), problem
    assert problem["status"] == status
    assert problem["type"] == f"urn:signalr-bridge:problem:{code}"
    assert problem["title"]
    assert problem["detail"]
    assert problem["instance"] == f"urn:request:{answer.headers['x-request-id']}"
    assert answer.headers["x-problem-code"] == code
    assert answer.headers["content-type"] == "application/problem+json"
    text = answer.body.decode()
    assert CANARY not in text
    assert EMULATOR_KEY not in text
    assert "Traceback" not in text
    return problem


def ask_raw(port: int, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Answer:
    """A request whose target goes out exactly as it stands here: HTTP libraries tidy paths up."""
    sent = {"Host": f"localhost:{port}", "Connection": "close", "Content-Length": str(len(body))} | dict(headers or {})
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items()), "", ""]
    with socket.create_connection(("localhost", port), timeout=10) as connection:
        connection.sendall("\r\n".join(lines).encode() + body)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, content = received.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
    return Answer(int(first.split(" ")[1]), fields, content)


@pytest.fixture
def http(dev: Machine) -> Iterator[httpx.Client]:
    with dev.http() as client:
        yield client


@pytest.fixture
def client(node: NodeClients, dev: Machine) -> Iterator[NodeClient]:
    """Somebody who is connected, whom a mistake must not touch."""
    started = node.client().start(f"{dev.url}/hubs/chat?userId=ann")
    yield started
    started.stop()


# --- bodies


@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"{", b'{"target":"x",}', b'{"target":"\xff"}', b"{'target':'x'}", b'{"target":"x"} {}', b"NaN"],
)
def test_malformed_json(http: httpx.Client, body: bytes) -> None:
    check_problem(http.post(SEND, content=body, headers=JSON), 400, "malformed-json")


@pytest.mark.parametrize("body", [b"1", b'"text"', b"null", b"true", b'{"target":1}', b"{}", b'{"target":""}', b"[1]"])
def test_json_that_is_no_item(http: httpx.Client, body: bytes) -> None:
    check_problem(http.post(SEND, content=body, headers=JSON), 422, "invalid-item")


@pytest.mark.parametrize("media_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
def test_a_wrong_media_type_comes_before_parsing(http: httpx.Client, media_type: str | None) -> None:
    headers = {} if media_type is None else {"Content-Type": media_type}
    problem = check_problem(http.post(SEND, content=b"{", headers=headers), 415, "unsupported-media-type")
    assert "application/json" in problem["detail"]


def test_an_encoded_body(http: httpx.Client) -> None:
    response = http.post(SEND, content=b"{", headers=JSON | {"Content-Encoding": "gzip"})
    check_problem(response, 415, "unsupported-media-type")


def test_parameters_of_the_media_type_do_not_matter(http: httpx.Client) -> None:
    response = http.post(SEND, content=b'{"target":"x"}', headers={"Content-Type": "Application/JSON; charset=utf-8"})
    assert response.status_code == 202, response.text


def test_an_unknown_property_is_named(http: httpx.Client) -> None:
    problem = check_problem(http.post(SEND, json={"target": "x", "colour": CANARY}), 422, "unknown-property")
    assert problem["errors"][0]["pointer"] == "#/colour"
    assert "colour" in problem["detail"]


@pytest.mark.parametrize("second", ["groupName", "connectionId"])
def test_two_destinations(http: httpx.Client, second: str) -> None:
    problem = check_problem(http.post(SEND, json={"target": "x", "userId": "ann", second: CANARY}), 422, "invalid-item")
    assert second in json.dumps(problem)


@pytest.mark.parametrize("destination", ["userId", "groupName", "connectionId"])
def test_an_empty_destination_is_no_broadcast(http: httpx.Client, client: NodeClient, destination: str) -> None:
    problem = check_problem(http.post(SEND, json={"target": "newMessage", destination: ""}), 422, "invalid-name")
    assert problem["errors"][0]["pointer"] == f"#/{destination}"
    assert http.post(SEND, json={"target": "barrier"}).status_code == 202
    assert client.message() == ("barrier", [])


def test_one_bad_item_spoils_the_array(http: httpx.Client, client: NodeClient) -> None:
    items = [{"target": "newMessage"}, {"target": "newMessage", "userId": ""}, {"target": "x", "colour": 1}]
    problem = check_problem(http.post(SEND, json=items), 422, "invalid-name")
    assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [
        ("#/1/userId", "invalid-name"),
        ("#/2/colour", "unknown-property"),
    ]
    assert http.post(SEND, json={"target": "barrier"}).status_code == 202
    assert client.message() == ("barrier", [])


@pytest.mark.parametrize("chunked", [False, True], ids=["declared", "chunked"])
def test_a_body_over_one_mebibyte(dev: Machine, chunked: bool) -> None:
    body = json.dumps({"target": "x", "arguments": ["a" * LARGEST_ITEM]}).encode()
    content = (body[start : start + 65536] for start in range(0, len(body), 65536)) if chunked else body
    with dev.http() as http:
        response = http.post(SEND, content=content, headers=JSON)
    check_problem(response, 413, "body-too-large")


def test_a_body_of_nearly_one_mebibyte_is_sent(http: httpx.Client) -> None:
    response = http.post(SEND, json={"target": "x", "arguments": ["a" * 900_000]})
    assert response.status_code == 202, response.text


# --- paths


@pytest.mark.parametrize("hub", ["1chat", "chat-room", "ch%61t%20", "%2e%2e", "a" * 129, "caf%C3%A9", "chat%2Fx"])
def test_a_bad_hub_name(dev: Machine, hub: str) -> None:
    answer = ask_raw(dev.bridge_port, "POST", f"/hubs/{hub}/send", JSON, b'{"target":"x"}')
    check_problem(answer, 400, "invalid-name")


@pytest.mark.parametrize("group", ["a/b%c +é", "%2E%2E", "a//b", "?x=1", "#", "\U0001f600"])
def test_a_group_may_have_any_name_but(dev: Machine, client: NodeClient, group: str) -> None:
    segment = "".join(f"%{byte:02x}" for byte in group.encode())
    path = f"/hubs/chat/groups/{segment}/connections/{client.connection_id}"
    assert ask_raw(dev.bridge_port, "PUT", path).status == 204
    with dev.http() as http:
        assert http.post(SEND, json={"target": "newMessage", "groupName": group}).status_code == 202
    assert client.message() == ("newMessage", [])


@pytest.mark.parametrize("group", [".", "..", "%2E", "%2e%2E", ".%2E", "%20", "%00", "a%0D%0Ab", "%FF", "a" * 1025])
def test_a_bad_group_name(dev: Machine, client: NodeClient, group: str) -> None:
    path = f"/hubs/chat/groups/{group}/connections/{client.connection_id}"
    check_problem(ask_raw(dev.bridge_port, "PUT", path), 400, "invalid-name")


@pytest.mark.parametrize("group", [".", "..", " ", "a\r\nb", "\x7f", "a" * 1025])
def test_a_bad_group_name_in_a_body_is_no_broadcast(http: httpx.Client, client: NodeClient, group: str) -> None:
    response = http.post(SEND, json={"target": "newMessage", "groupName": group})
    check_problem(response, 422, "invalid-name")
    assert http.post(SEND, json={"target": "barrier"}).status_code == 202
    assert client.message() == ("barrier", [])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/hubs//send"),
        ("PUT", "/hubs/chat/groups//connections/c"),
        ("DELETE", "/hubs/chat/groups//connections"),
        ("DELETE", "/hubs/chat/users//connections"),
        ("GET", "/hubs/chat/users//"),
    ],
)
def test_an_empty_path_segment(dev: Machine, client: NodeClient, method: str, path: str) -> None:
    body = b'{"target":"x"}' if method == "POST" else b""
    check_problem(ask_raw(dev.bridge_port, method, path, JSON if body else {}, body), 400, "invalid-name")


@pytest.mark.parametrize(
    "path",
    ["/hubs/chat/connections/", "/hubs/chat/connections//", "/hubs/chat//connections", "/hubs/chat/connections/."],
)
def test_closing_nobody_is_not_closing_everybody(dev: Machine, client: NodeClient, path: str) -> None:
    assert ask_raw(dev.bridge_port, "DELETE", path).status in {400, 404}
    assert client.invoke("add", 1, 2) == 3


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/hubs/chat/send/"),
        ("POST", "/hubs/chat/negotiate/"),
        ("GET", "/health/live/"),
        ("GET", "/hubs/chat/users/"),
        ("GET", "/nowhere"),
    ],
)
def test_a_trailing_slash_is_another_route(http: httpx.Client, method: str, path: str) -> None:
    check_problem(http.request(method, path), 404, "route-not-found")


def test_another_method(http: httpx.Client) -> None:
    response = http.get(SEND)
    check_problem(response, 405, "method-not-allowed")
    assert response.headers["allow"] == "POST"


def test_an_unknown_query_parameter(http: httpx.Client) -> None:
    check_problem(http.post(SEND, json={"target": "x"}, params={"onErorr": CANARY}), 400, "invalid-query")


# --- who calls


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": ""}, {"X-API-Key": CANARY}, {"X-API-Key": API_KEY + "x"}])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", SEND),
        ("POST", "/hubs/1chat/send"),
        ("PUT", "/hubs/chat/groups/../users/x"),
        ("GET", "/hubs/chat/users/a"),
    ],
)
def test_no_or_a_wrong_key_comes_before_everything_else(
    apart: Machine, headers: dict[str, str], method: str, path: str
) -> None:
    answer = ask_raw(apart.bridge_port, method, path, JSON | headers, b"{")
    check_problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"]


def test_the_right_key(apart: Machine) -> None:
    with apart.http() as http:
        assert http.post(SEND, json={"target": "x"}).status_code == 202


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", ""]
)
def test_a_foreign_host_in_dev(dev: Machine, host: str) -> None:
    answer = ask_raw(dev.bridge_port, "POST", SEND, JSON | {"Host": host}, b'{"target":"x"}')
    check_problem(answer, 403, "forbidden")


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "https://localhost", "null", "http://localhost.evil.example"]
)
def test_a_foreign_origin_in_dev(http: httpx.Client, origin: str) -> None:
    response = http.post(SEND, json={"target": "x"}, headers={"Origin": origin})
    check_problem(response, 403, "forbidden")
    assert "access-control-allow-origin" not in response.headers


def test_the_own_origin_in_dev(http: httpx.Client, dev: Machine) -> None:
    assert http.post(SEND, json={"target": "x"}, headers={"Origin": dev.url}).status_code == 202


# --- the service calls


def sign(key: str, connection_id: str = "c1") -> str:
    return "sha256=" + hmac.new(key.encode(), connection_id.encode(), hashlib.sha256).hexdigest()


def call_upstream(
    machine: Machine, target: str, *, invocation_id: str | None = "1", **headers: str | None
) -> httpx.Response:
    """What the service sends when a client calls ``target``; a header given as None is left out."""
    message = {"type": 1, "target": target, "arguments": []} | (
        {"invocationId": invocation_id} if invocation_id else {}
    )
    sent: dict[str, str | None] = {
        "X-ASRS-Connection-Id": "c1",
        "X-ASRS-Hub": "chat",
        "X-ASRS-Category": "messages",
        "X-ASRS-Event": target,
        "X-ASRS-Signature": sign(EMULATOR_KEY),
        "Content-Type": "application/json",
    }
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    with httpx.Client(trust_env=False, timeout=10) as http:
        return http.post(
            f"{machine.url}/upstream",
            content=json.dumps(message).encode(),
            headers={name: value for name, value in sent.items() if value is not None},
        )


@pytest.mark.parametrize(
    "signature",
    [None, "", "sha256=", "sha256=00", sign(CANARY), sign(""), sign(EMULATOR_KEY, "c2"), sign(EMULATOR_KEY)[:-2]],
    ids=["none", "empty", "no digest", "short", "wrong key", "empty key", "wrong connection", "cut off"],
)
def test_a_call_that_the_service_did_not_sign(machine: Machine, signature: str | None) -> None:
    check_problem(call_upstream(machine, "add", X_ASRS_Signature=signature), 401, "unauthenticated")


@pytest.mark.parametrize("header", ["X_ASRS_Connection_Id", "X_ASRS_Hub"])
def test_a_call_that_nothing_can_be_judged_by(machine: Machine, header: str) -> None:
    check_problem(call_upstream(machine, "add", **{header: None}), 401, "unauthenticated")


@pytest.mark.parametrize("header", ["X_ASRS_Category", "X_ASRS_Event"])
def test_a_signed_call_without_a_routing_header(machine: Machine, header: str) -> None:
    check_problem(call_upstream(machine, "add", **{header: None}), 400, "invalid-header")


def test_a_signed_call_of_another_media_type(machine: Machine) -> None:
    check_problem(call_upstream(machine, "add", Content_Type="text/plain"), 415, "unsupported-media-type")


def test_a_method_that_nobody_handles(machine: Machine) -> None:
    check_problem(call_upstream(machine, "nobody"), 404, "no-handler")


def test_a_handler_that_raises_fails_the_call_and_nothing_else(machine: Machine) -> None:
    response = call_upstream(machine, "fail")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["content-length"] == str(len(response.content))
    assert response.content.endswith(b"\x1e")
    completion = json.loads(response.content[:-1])
    assert completion == {"type": 3, "invocationId": "1", "error": "Method 'fail' failed."}


def test_a_handler_that_raises_where_nobody_waits(machine: Machine) -> None:
    check_problem(call_upstream(machine, "fail", invocation_id=None), 500, "internal-error")
    assert call_upstream(machine, "refuse", invocation_id=None).status_code == 200


# --- starting


def run_to_end(*arguments: str, **settings: str) -> tuple[int, list[str]]:
    """The exit code and the lines printed by an ``app`` that is not supposed to start."""
    with Process("app", app_command(*arguments), settings) as process:
        return process.wait(), process.lines


GOOD = {"BRIDGE_ALLOW_EMULATOR_KEY": "true", "BRIDGE_CALLERS__KEYS": API_KEY, "BRIDGE_HOST": "127.0.0.1"}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (f"Endpoint=http://localhost;AccesKey={CANARY};Version=1.0;", "AccessKey"),
        ("Endpoint=http://localhost;AccessKey=;Version=1.0;", "AccessKey"),
        (f"Endpoint={CANARY};AccessKey={CANARY};Version=1.0;", "Endpoint"),
        (f"AccessKey={CANARY};Version=1.0;", "Endpoint"),
        (f"Endpoint=http://localhost;Port={CANARY};AccessKey={CANARY};Version=1.0;", "Port"),
        (f"Endpoint=http://localhost;AccessKey={CANARY};Version={CANARY};", "Version"),
        (f"Endpoint=http://localhost;AccessKey={CANARY};ClientEndpoint={CANARY};Version=1.0;", "ClientEndpoint"),
    ],
)
def test_a_malformed_connection_string(text: str, named: str) -> None:
    code, lines = run_to_end("serve", "--port", str(free_port()), AzureSignalRConnectionString=text, **GOOD)
    assert code == 1
    assert len(lines) == 1, lines
    assert "AzureSignalRConnectionString" in lines[0]
    assert re.search(rf"\b{named}\b", lines[0])
    assert CANARY not in lines[0]


def test_serve_wants_an_endpoint() -> None:
    code, lines = run_to_end("serve", "--port", str(free_port()), **GOOD)
    assert (code, len(lines)) == (1, 1), lines
    assert "AzureSignalRConnectionString" in lines[0]


def test_serve_wants_callers() -> None:
    settings = GOOD | {"AzureSignalRConnectionString": connection_string(1)}
    del settings["BRIDGE_CALLERS__KEYS"]
    code, lines = run_to_end("serve", "--port", str(free_port()), **settings)
    assert (code, len(lines)) == (1, 1), lines
    assert "BRIDGE_CALLERS__KEYS" in lines[0]


def test_serve_refuses_the_key_that_everybody_knows() -> None:
    settings = GOOD | {"AzureSignalRConnectionString": connection_string(1)}
    del settings["BRIDGE_ALLOW_EMULATOR_KEY"]
    code, lines = run_to_end("serve", "--port", str(free_port()), **settings)
    assert (code, len(lines)) == (1, 1), lines
    assert "BRIDGE_ALLOW_EMULATOR_KEY" in lines[0]
    assert EMULATOR_KEY not in lines[0]


@pytest.mark.parametrize("handlers", ["tests.e2e.nowhere:chat", "tests.e2e.handlers:nobody", "tests.e2e.handlers:Any"])
def test_handlers_that_cannot_be_loaded(handlers: str) -> None:
    settings = GOOD | {"AzureSignalRConnectionString": connection_string(1), "BRIDGE_HANDLERS": handlers}
    code, lines = run_to_end("serve", "--port", str(free_port()), **settings)
    assert (code, len(lines)) == (1, 1), lines
    assert handlers.partition(":")[0] in lines[0]


@pytest.mark.parametrize(
    "arguments",
    [
        ("dev", "--port", "{taken}", "--emulator-port", "{free}"),
        ("dev", "--port", "{free}", "--emulator-port", "{taken}"),
        ("serve", "--port", "{taken}"),
        ("emulator", "--port", "{taken}"),
    ],
    ids=["dev", "dev's emulator", "serve", "emulator"],
)
def test_a_port_that_is_taken(arguments: tuple[str, ...]) -> None:
    settings = GOOD | {"AzureSignalRConnectionString": connection_string(1)} if arguments[0] == "serve" else {}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        words = [word.format(taken=port, free=free_port()) for word in arguments]
        code, lines = run_to_end(*words, **settings)
    assert (code, len(lines)) == (1, 1), lines
    assert port in lines[0]
