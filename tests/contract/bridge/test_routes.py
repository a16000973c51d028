"""The routes to the letter: what each asks of the service, what it answers, and in which order it checks."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import jwt
import pytest

from tests.contract.bridge.running import AUTH, CALLER, SERVICE, Bridge, bridge, build, client
from tests.contract.endpoints.programmable import programmable_server

VERSION = "api-version=2022-06-01"
HUB = "/api/hubs/chat"


@pytest.fixture
async def running() -> AsyncIterator[Bridge]:
    async with bridge() as started:
        yield started


async def ask(running: Bridge, request: str, body: Any = None, **headers: str) -> httpx.Response:
    method, path = request.split(" ", 1)
    content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    given = AUTH | ({"Content-Type": "application/json"} if content is not None else {})
    return await running.http.request(method, path, content=content, headers=given | headers)


def code_of(answer: httpx.Response) -> str:
    """The problem's word, after checking that it is a whole problem."""
    code = answer.headers["x-problem-code"]
    assert answer.headers["x-request-id"]
    if answer.request.method != "HEAD":
        problem = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem["type"] == f"urn:signalr-bridge:problem:{code}"
        assert problem["code"] == code
        assert problem["status"] == answer.status_code
        assert problem["instance"] == f"urn:request:{answer.headers['x-request-id']}"
        assert problem["title"]
        assert problem["detail"]
    return str(code)


# --- one by one

CHANGES = [
    ("PUT /hubs/Chat/groups/g/connections/c", f"PUT {HUB}/groups/g/connections/c?{VERSION}"),
    ("DELETE /hubs/chat/groups/g/connections/c", f"DELETE {HUB}/groups/g/connections/c?{VERSION}"),
    ("PUT /hubs/chat/groups/g/users/u", f"PUT {HUB}/users/u/groups/g?{VERSION}"),
    ("PUT /hubs/chat/groups/g/users/u?ttlSeconds=0", f"PUT {HUB}/users/u/groups/g?{VERSION}&ttl=0"),
    ("DELETE /hubs/chat/groups/g/users/u", f"DELETE {HUB}/users/u/groups/g?{VERSION}"),
    ("DELETE /hubs/chat/users/u/groups", f"DELETE {HUB}/users/u/groups?{VERSION}"),
    ("DELETE /hubs/chat/connections/c/groups", f"DELETE {HUB}/connections/c/groups?{VERSION}"),
    ("DELETE /hubs/chat/connections/c?reason=a%20b", f"DELETE {HUB}/connections/c?{VERSION}&reason=a%20b"),
    (
        "DELETE /hubs/chat/users/u/connections?reason=x&excluded=a&excluded=b",
        f"POST {HUB}/users/u/:closeConnections?{VERSION}&excluded=a&excluded=b&reason=x",
    ),
    ("DELETE /hubs/chat/groups/g/connections", f"POST {HUB}/groups/g/:closeConnections?{VERSION}"),
    (
        "DELETE /hubs/chat/connections?confirm=all&excluded=a",
        f"POST {HUB}/:closeConnections?{VERSION}&excluded=a",
    ),
]
QUESTIONS = [
    ("/hubs/chat/groups/g", f"HEAD {HUB}/groups/g?{VERSION}"),
    ("/hubs/chat/users/u", f"HEAD {HUB}/users/u?{VERSION}"),
    ("/hubs/chat/connections/c", f"HEAD {HUB}/connections/c?{VERSION}"),
    ("/hubs/chat/groups/g/users/u", f"HEAD {HUB}/users/u/groups/g?{VERSION}"),
]


@pytest.mark.parametrize(("request_line", "expected"), CHANGES)
async def test_a_change(running: Bridge, request_line: str, expected: str) -> None:
    answer = await ask(running, request_line)
    assert (answer.status_code, answer.content) == (204, b"")
    assert [f"{one.method} {one.target}" for one in running.seen] == [expected]


@pytest.mark.parametrize(("path", "expected"), QUESTIONS)
async def test_a_question(running: Bridge, path: str, expected: str) -> None:
    running.service.say(200)
    answer = await ask(running, f"GET {path}")
    assert (answer.status_code, answer.json()) == (200, {"exists": True})
    head = await ask(running, f"HEAD {path}")
    assert (head.status_code, head.content) == (200, b"")
    assert [f"{one.method} {one.target}" for one in running.seen] == [expected, expected]
    running.service.say(404, x_ms_error_code="Warning.Connection.NotExisted")
    answer = await ask(running, f"GET {path}")
    assert (answer.status_code, code_of(answer), answer.json()["exists"]) == (404, "not-present", False)
    head = await ask(running, f"HEAD {path}")
    assert (head.status_code, code_of(head), head.content) == (404, "not-present", b"")
    running.service.say(404)
    answer = await ask(running, f"GET {path}")
    assert (answer.status_code, code_of(answer)) == (503, "no-endpoint-available")


async def test_who_is_not_there(running: Bridge) -> None:
    running.service.say(404, x_ms_error_code="Error.Connection.NotExisted")
    joined = await ask(running, "PUT /hubs/chat/groups/g/connections/c")
    assert (joined.status_code, code_of(joined)) == (404, "connection-not-found")
    for path in ("groups/g/connections/c", "connections/c", "connections/c/groups", "groups/g/users/u"):
        assert (await ask(running, f"DELETE /hubs/chat/{path}")).status_code == 204


@pytest.mark.parametrize("query", ["", "?confirm=", "?confirm=yes", "?confirm=ALL"])
async def test_closing_a_whole_hub_is_confirmed(running: Bridge, query: str) -> None:
    answer = await ask(running, f"DELETE /hubs/chat/connections{query}")
    assert (answer.status_code, code_of(answer)) == (400, "confirmation-required")
    assert running.seen == []


@pytest.mark.parametrize("ttl", ["-1", "1.5", "x", "", "9999999999", "5&ttlSeconds=5"])
async def test_a_bad_ttl(running: Bridge, ttl: str) -> None:
    answer = await ask(running, f"PUT /hubs/chat/groups/g/users/u?ttlSeconds={ttl}")
    assert (answer.status_code, code_of(answer), running.seen) == (400, "invalid-query", [])


async def test_an_excluded_connection_has_a_name(running: Bridge) -> None:
    answer = await ask(running, "DELETE /hubs/chat/users/u/connections?excluded=")
    assert (answer.status_code, code_of(answer), running.seen) == (400, "invalid-name", [])


async def test_a_url_that_is_too_long(running: Bridge) -> None:
    query = "&".join(f"excluded={'x' * 100}" for _ in range(80))
    answer = await ask(running, f"DELETE /hubs/chat/users/u/connections?{query}")
    assert (answer.status_code, code_of(answer), running.seen) == (422, "url-too-long", [])


# --- items


async def test_a_message(running: Bridge) -> None:
    answer = await ask(running, "POST /hubs/Chat/send", b'{"target":"t","arguments":[1,{"a":12345678901234567890123}]}')
    assert answer.status_code == 202
    assert answer.json() == {
        "status": "accepted",
        "endpoints": [{"name": "default", "endpointType": "Primary", "outcome": "accepted"}],
    }
    (sent,) = running.seen
    assert (sent.method, sent.target) == ("POST", f"{HUB}/:send?{VERSION}")
    assert sent.body == b'{"target":"t","arguments":[1,{"a":12345678901234567890123}]}'
    token = sent.headers["authorization"].removeprefix("Bearer ")
    jwt.decode(token, SERVICE, algorithms=["HS256"], audience=f"{running.service.url}{HUB}/:send")


JOIN = {"action": "add", "connectionId": "c", "groupName": "g"}


async def test_arrays(running: Bridge) -> None:
    for path, items in (
        ("send", [{"target": "a"}, {"target": "b", "userId": "u"}]),
        ("groups", [JOIN, JOIN | {"action": "remove"}]),
        ("outputs", [JOIN, {"target": "a"}, {"action": "close", "userId": "u"}]),
    ):
        running.service.requests.clear()
        answer = await ask(running, f"POST /hubs/chat/{path}", items)
        assert answer.status_code == 202
        assert [one["status"] for one in answer.json()["results"]] == ["accepted"] * len(items)
        assert len(running.seen) == len(items)


@pytest.mark.parametrize("path", ["send", "groups", "outputs"])
async def test_an_empty_array(running: Bridge, path: str) -> None:
    answer = await ask(running, f"POST /hubs/chat/{path}", [])
    assert (answer.status_code, answer.json()) == (202, {"results": []})


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (400, {}, (502, "delivery-failed", None)),
        (401, {}, (502, "delivery-failed", None)),
        (404, {}, (502, "delivery-failed", None)),
        (429, {"Retry_After": "30"}, (503, "throttled", "30")),
        (500, {}, (504, "delivery-unknown", None)),
        (503, {"Retry_After": "30"}, (503, "throttled", "30")),
    ],
)
async def test_what_the_service_says(
    running: Bridge, status: int, headers: dict[str, str], expected: tuple[int, str, str | None]
) -> None:
    running.service.say(status, **headers)
    for body in ({"target": "t"}, [{"target": "t"}, {"target": "t"}]):
        running.service.requests.clear()
        answer = await ask(running, "POST /hubs/chat/send", body)
        assert (answer.status_code, code_of(answer), answer.headers.get("retry-after")) == expected
        assert len(running.seen) == 1
        if isinstance(body, list):
            assert [one["status"] for one in answer.json()["results"]][1] == "skipped"
        else:
            assert answer.json()["endpoints"][0]["statusCode"] == status


@pytest.mark.parametrize(
    ("query", "sent"),
    [("", 1), ("?onError=stop", 1), ("?onError=continue", 3), ("?order=none", 3), ("?order=sequence", 1)],
)
async def test_what_happens_after_a_failure(running: Bridge, query: str, sent: int) -> None:
    running.service.say(400)
    answer = await ask(running, f"POST /hubs/chat/send{query}", [{"target": "t"}] * 3)
    assert (answer.status_code, len(running.seen)) == (502, sent)


@pytest.mark.parametrize("query", ["?onError=ignore", "?order=", "?order=none&order=none", "?onerror=stop", "?x"])
async def test_a_query_that_is_not_understood(running: Bridge, query: str) -> None:
    answer = await ask(running, f"POST /hubs/chat/send{query}", {"target": "t"})
    assert (answer.status_code, code_of(answer), running.seen) == (400, "invalid-query", [])


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("send", {"target": ""}, (422, "invalid-item")),
        ("send", {"target": "t", "user": "u"}, (422, "unknown-property")),
        ("send", {"target": "t", "userId": ""}, (422, "invalid-name")),
        ("send", {"target": "t", "endpoints": ["x"]}, (422, "unknown-endpoint")),
        ("send", JOIN, (422, "invalid-item")),
        ("send", 5, (422, "invalid-item")),
        ("groups", {"target": "t"}, (422, "invalid-item")),
        ("groups", {"action": "close", "userId": "u"}, (422, "invalid-item")),
        ("outputs", {"target": "t"}, (422, "invalid-item")),
        ("outputs", b"{", (400, "malformed-json")),
        ("outputs", b"", (400, "malformed-json")),
        ("send", b"", (400, "malformed-json")),
        ("send", b"[", (400, "malformed-json")),
        ("send", b'{"target":"\xff"}', (400, "malformed-json")),
        ("send", [{"target": "t"}] * 1001, (422, "invalid-item")),
        ("send", {"target": "t", "arguments": ["x" * 1_000_000]}, (422, "invalid-item")),
        ("send", {"target": "t", "arguments": ["x" * 1_048_576]}, (413, "body-too-large")),
        ("send", b"[" + b" " * (8 * 1024 * 1024) + b"]", (413, "body-too-large")),
    ],
)
async def test_a_bad_body(running: Bridge, path: str, body: Any, expected: tuple[int, str]) -> None:
    answer = await ask(running, f"POST /hubs/chat/{path}", body)
    assert (answer.status_code, code_of(answer)) == expected
    assert running.seen == []


async def test_a_body_that_does_not_say_its_length(running: Bridge) -> None:
    async def stream() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield b" " * 1024 * 1024

    headers = AUTH | {"Content-Type": "application/json"}
    answer = await running.http.post("/hubs/chat/send", content=stream(), headers=headers)
    assert (answer.status_code, code_of(answer)) == (413, "body-too-large")


# --- several endpoints


async def test_every_endpoint_is_told_unless_the_item_names_some() -> None:
    async with programmable_server() as one, programmable_server() as two, programmable_server() as three:
        app = build(one.url, two.url, three.url)
        async with app.router.lifespan_context(app), client(app, **AUTH) as http:
            servers = [one, two, three]
            answer = await http.post("/hubs/chat/send", json={"target": "t"})
            assert [row["name"] for row in answer.json()["endpoints"]] == ["default", "b", "c"]
            listed = (await http.get("/hubs/chat/endpoints")).json()
            assert [(row["name"], row["endpointType"], row["endpoint"]) for row in listed] == [
                ("default", "Primary", one.url),
                ("b", "Primary", two.url),
                ("c", "Secondary", three.url),
            ]
            assert {row["state"] for row in listed} == {"online"}
            await http.post("/hubs/chat/send", json={"target": "t", "endpoints": [listed[2], "B"]})
            posts = [sum(seen.method == "POST" for seen in server.requests) for server in servers]
            assert posts == [1, 2, 2]
            two.say(400)
            answer = await http.post("/hubs/chat/send", json={"target": "t"})
            assert (answer.status_code, answer.json()["status"]) == (207, "partial")
            answer = await http.put("/hubs/chat/groups/g/connections/c")
            assert (answer.status_code, answer.json()["endpoints"][1]["statusCode"]) == (207, 400)


# --- who may call, and the order of checks

CALLER_ROUTES = [
    "POST /hubs/1/send?x=1",
    "POST /hubs/1/groups",
    "POST /hubs/1/outputs",
    "GET /hubs/1/endpoints",
    *(line.replace("/hubs/chat", "/hubs/1").replace("/hubs/Chat", "/hubs/1") for line, _ in CHANGES),
    *(f"{method} {path.replace('/hubs/chat', '/hubs/1')}" for path, _ in QUESTIONS for method in ("GET", "HEAD")),
]


@pytest.mark.parametrize("request_line", [*CALLER_ROUTES, "POST /hubs/1/negotiate", "POST /api/negotiate"])
@pytest.mark.parametrize(
    "key", [{}, {"X-API-Key": ""}, {"X-API-Key": CALLER + "x"}, {"Authorization": f"Bearer {CALLER}"}]
)
async def test_without_a_key_nothing_is_said(running: Bridge, request_line: str, key: dict[str, str]) -> None:
    method, path = request_line.split(" ")
    headers = key | {"X-Request-Timeout": "never", "Content-Type": "text/plain"}
    answer = await running.http.request(method, path, content=b"x" * 100_000, headers=headers)
    assert (answer.status_code, code_of(answer)) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"]
    assert running.seen == []


@pytest.mark.parametrize("request_line", CALLER_ROUTES)
async def test_with_a_key_a_bad_hub_is_said(running: Bridge, request_line: str) -> None:
    answer = await ask(running, request_line, **{"X-Request-Timeout": "never"})
    assert (answer.status_code, code_of(answer)) == (400, "invalid-name")


async def test_the_order_of_checks_of_items(running: Bridge) -> None:
    """Each request mends the first error of the one before."""
    bad = {"Content-Type": "text/plain", "X-Request-Timeout": "0"}
    steps: list[tuple[str, dict[str, str], str]] = [
        ("/hubs/1/send?x=1", bad, "unauthenticated"),
        ("/hubs/1/send?x=1", bad | AUTH, "invalid-name"),
        ("/hubs/chat/send?x=1", bad | AUTH, "invalid-header"),
        ("/hubs/chat/send?x=1", AUTH | {"Content-Type": "text/plain"}, "invalid-query"),
        ("/hubs/chat/send", AUTH | {"Content-Type": "text/plain"}, "unsupported-media-type"),
        (
            "/hubs/chat/send",
            AUTH | {"Content-Type": "application/json", "Content-Encoding": "gzip"},
            "unsupported-media-type",
        ),
        ("/hubs/chat/send", AUTH | {"Content-Type": "application/json"}, "body-too-large"),
    ]
    for path, headers, code in steps:
        answer = await running.http.post(path, content=b" " * 9_000_000, headers=headers)
        assert code_of(answer) == code, (path, code)


async def test_the_key_alone_is_judged_beside_a_bearer(running: Bridge) -> None:
    answer = await ask(running, "GET /hubs/chat/endpoints", Authorization="Bearer nonsense")
    assert answer.status_code == 200
    wrong = await running.http.get("/hubs/chat/endpoints", headers={"X-API-Key": "wrong", "Authorization": "Bearer x"})
    assert wrong.status_code == 401


@pytest.mark.parametrize("seconds", ["1.5", "100"])
async def test_a_deadline_of_the_callers(running: Bridge, seconds: str) -> None:
    answer = await ask(running, "PUT /hubs/chat/groups/g/users/u", **{"X-Request-Timeout": seconds})
    assert answer.status_code == 204


async def test_the_deadline_ends_a_call(running: Bridge) -> None:
    running.service.answer = None
    answer = await ask(running, "POST /hubs/chat/send", {"target": "t"}, **{"X-Request-Timeout": "0.2"})
    assert (answer.status_code, code_of(answer), len(running.seen)) == (504, "delivery-unknown", 1)


# --- routes that are none


@pytest.mark.parametrize(
    ("request_line", "allow"),
    [
        ("GET /hubs/chat/send", "POST"),
        ("PATCH /hubs/chat/groups/g/connections/c", "PUT, DELETE"),
        ("POST /hubs/chat/connections/c", "GET, HEAD, DELETE"),
        ("POST /hubs/chat/groups/g/users/u", "GET, HEAD, PUT, DELETE"),
        ("PUT /hubs/chat/connections", "DELETE"),
        ("OPTIONS /hubs/chat/groups/g/users/u", "GET, HEAD, PUT, DELETE"),
        ("OPTIONS /hubs/chat/send", "POST"),
        ("GET /api/negotiate", "POST"),
        ("DELETE /upstream", "POST"),
        ("POST /health/live", "GET, HEAD"),
    ],
)
async def test_another_method(running: Bridge, request_line: str, allow: str) -> None:
    answer = await ask(running, request_line)
    assert (answer.status_code, code_of(answer), answer.headers["allow"]) == (405, "method-not-allowed", allow)


@pytest.mark.parametrize("path", ["/hubs/chat/groups/", "/upstream/", "/runtime/webhooks/signalr/", "/"])
async def test_a_path_that_is_too_long(running: Bridge, path: str) -> None:
    for method in ("GET", "POST", "PATCH", "OPTIONS"):
        answer = await ask(running, f"{method} {path}{'a' * 32_768}")
        assert (answer.status_code, code_of(answer)) == (400, "invalid-name")


async def test_the_longest_names_come_to_their_route(running: Bridge) -> None:
    group, user = "%E2%9C%93" * 1024, "%F0%9F%98%80" * 512
    answer = await ask(running, f"PUT /hubs/chat/groups/{group}/users/{user}")
    assert (answer.status_code, code_of(answer)) == (422, "url-too-long"), "for the service, not for us"


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        ("GET /", (404, "route-not-found")),
        ("POST /hubs/chat/send/", (404, "route-not-found")),
        ("POST /hubs/chat/negotiate/", (404, "route-not-found")),
        ("GET /hubs/chat/endpoints/", (404, "route-not-found")),
        ("PUT /hubs/chat/groups/g/connections/c/", (404, "route-not-found")),
        ("POST /HUBS/chat/send", (404, "route-not-found")),
        ("POST /hubs/chat/groups/a/b/connections/c", (404, "route-not-found")),
        ("GET /health/live/", (404, "route-not-found")),
        ("POST /hubs//send", (400, "invalid-name")),
        ("DELETE /hubs/chat/connections/", (404, "route-not-found")),
        ("DELETE /hubs/chat/connections/?confirm=all", (404, "route-not-found")),
        ("DELETE /hubs/chat/users//groups", (400, "invalid-name")),
        ("GET /hubs/chat/groups/", (404, "route-not-found")),
        ("PUT /hubs/chat/groups//connections/c", (400, "invalid-name")),
        ("POST /hubs/chat//send", (400, "invalid-name")),
    ],
)
async def test_no_such_route_and_an_empty_segment(
    running: Bridge, request_line: str, expected: tuple[int, str]
) -> None:
    answer = await ask(running, request_line)
    assert (answer.status_code, code_of(answer)) == expected
    assert "location" not in answer.headers
    assert running.seen == []


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("abc.DEF~1_2-3", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("a b", False),
        ("", False),
        ("a/b", False),
    ],
)
async def test_a_request_id(running: Bridge, given: str, kept: bool) -> None:
    for path in ("/health/live", "/nowhere"):
        answer = await running.http.get(path, headers={"X-Request-Id": given})
        assert (answer.headers["x-request-id"] == given) is kept
        assert answer.headers["x-request-id"]


async def test_health(running: Bridge) -> None:
    assert (await running.http.get("/health/live")).json() == {"status": "live"}
    await ask(running, "PUT /hubs/chat/groups/g/users/u")
    for query in ("", "?strict=true", "?strict=false"):
        answer = await running.http.get(f"/health/ready{query}")
        assert (answer.status_code, answer.json()) == (200, {"status": "ready"})
    for path in ("/health/ready?strict=1", "/health/ready?x", "/health/live?x"):
        answer = await running.http.get(path)
        assert (answer.status_code, code_of(answer)) == (400, "invalid-query")


async def test_it_is_not_ready_before_a_credential_has_worked() -> None:
    async with bridge() as running:
        running.service.say(401)
        for query in ("", "?strict=true"):
            answer = await running.http.get(f"/health/ready{query}")
            assert (answer.status_code, answer.json()) == (503, {"status": "waiting"})


async def test_a_bug_in_a_route_of_the_framework_is_a_problem_too(
    running: Bridge, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> bool:
        raise RuntimeError("canary")

    monkeypatch.setattr("signalr_bridge.endpoints.directory.EndpointDirectory.has_worked", fail)
    answer = await running.http.get("/health/ready")
    assert (answer.status_code, code_of(answer)) == (500, "internal-error")
    assert "canary" not in answer.text
    assert [one.getMessage() for one in caplog.records if one.exc_info] == ["unhandled error"]
