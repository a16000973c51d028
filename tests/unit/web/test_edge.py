"""The outermost layer and the guard of development, around the smallest application there is."""

import logging

import httpx
import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.web.edge import Edge
from app.web.loopback import LoopbackGuard
from app.web.problems import install_problems
from app.web.trace import trace_headers


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    trace = trace_headers().get("traceparent", "none")
    await PlainTextResponse(f"{scope['path']} {scope['request_id']} {trace}")(scope, receive, send)


def client(app: ASGIApp, host: str = "localhost") -> httpx.AsyncClient:
    wire = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=wire, base_url=f"http://{host}", trust_env=False)


async def test_the_path_is_raw_and_the_id_is_everywhere() -> None:
    async with client(Edge(echo)) as http:
        answer = await http.get("/groups/a%2Fb%20c", headers={"X-Request-Id": "mine"})
        assert answer.text == "/groups/a%2Fb%20c mine none"
        assert answer.headers["x-request-id"] == "mine"


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("path", "kept"),
    [("/hubs/chat/send", True), ("/upstream", True), ("/hubs/chat/negotiate", False), ("/api/negotiate", False)],
)
async def test_a_trace_of_callers_is_kept_one_of_clients_is_not(path: str, kept: bool) -> None:
    async with client(Edge(echo)) as http:
        answer = await http.get(path, headers={"traceparent": TRACE})
        assert answer.text.endswith(TRACE if kept else "none")


async def test_a_bug_is_a_problem_that_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("canary")

    async with client(Edge(broken)) as http:
        answer = await http.get("/x?code=canary")
    assert (answer.status_code, answer.headers["x-problem-code"]) == (500, "internal-error")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "canary" not in answer.text
    assert "RuntimeError" in caplog.text, "the log has the rest"


async def test_queries_are_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "signalr_bridge.access")
    async with client(Edge(echo)) as http:
        await http.get("/upstream?code=canary", headers={"X-Request-Id": "mine"})
    (record,) = caplog.records
    shown = vars(record)
    assert (shown["path"], shown["status"], shown["method"], shown["request_id"]) == ("/upstream", 200, "GET", "mine")
    assert "canary" not in repr(shown)


async def test_a_head_never_has_a_body() -> None:
    async with client(Edge(echo)) as http:
        assert (await http.head("/x")).content == b""


def application() -> FastAPI:
    app = FastAPI()

    @app.get("/both/{name}")
    async def read(name: str, number: int = 0) -> Response:
        return Response()

    @app.put("/both/{name}")
    async def write(name: str) -> Response:
        return Response()

    @app.get("/broken")
    async def broken(request: Request) -> Response:
        raise ValueError("canary")

    install_problems(app)
    app.add_middleware(Edge)
    return app


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "route-not-found"),
        ("GET", "/both//x", 400, "invalid-name"),
        ("POST", "/both/x", 405, "method-not-allowed"),
        ("GET", "/both/x?number=canary", 400, "invalid-query"),
        ("GET", "/broken", 500, "internal-error"),
    ],
)
async def test_everything_that_goes_wrong_is_a_problem(method: str, path: str, status: int, code: str) -> None:
    async with client(application()) as http:
        answer = await http.request(method, path)
    problem = answer.json()
    assert (answer.status_code, answer.headers["x-problem-code"], problem["code"]) == (status, code, code)
    assert problem["instance"] == f"urn:request:{answer.headers['x-request-id']}"
    assert "canary" not in answer.text
    assert answer.headers.get("allow") == ("GET, PUT" if status == 405 else None)


# --- development


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/", {}, 200),
        ("/hubs/chat/send", {"Host": "localhost:8080"}, 200),
        ("/", {"Host": "127.0.0.1:8080", "Origin": "http://127.0.0.1:8080"}, 200),
        ("/", {"Host": "LOCALHOST:8080", "Origin": "http://localhost:8080"}, 200),
        ("/", {"Host": "example.com"}, 403),
        ("/hubs/chat/negotiate", {"Host": "example.com:8080"}, 403),
        ("/", {"Host": "10.0.0.7"}, 403),
        ("/", {"Origin": "http://example.com"}, 403),
        ("/", {"Origin": "null"}, 403),
        ("/", {"Origin": "https://localhost"}, 403),
        ("/", {"Origin": "http://localhost:3000"}, 403),
        ("/upstream", {"Host": "127.0.0.1:8080"}, 200),
        ("/upstream", {"Host": "example.com"}, 403),
        ("/upstream", {"Origin": "http://example.com"}, 403),
        ("/runtime/webhooks/SIGNALR", {"Host": "example.com"}, 403),
        ("/health/live", {"Host": "example.com", "Origin": "http://example.com"}, 200),
        ("/healthy", {"Host": "example.com"}, 403),
    ],
)
async def test_only_this_machines_programs_and_pages(path: str, headers: dict[str, str], status: int) -> None:
    async with client(Edge(LoopbackGuard(echo))) as http:
        answer = await http.get(path, headers=headers)
    assert answer.status_code == status
    assert answer.headers.get("x-problem-code") == ("forbidden" if status == 403 else None)
    assert answer.headers["x-request-id"]
