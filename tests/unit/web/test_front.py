"""The outermost layer and the guard of development, around the smallest application there is."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from signalr_bridge.runtime import RUNTIME, Runtime
from signalr_bridge.web.front import LONGEST_PATH, RequestContext
from signalr_bridge.web.guards import LoopbackGuard
from signalr_bridge.web.logs import LogObserver
from signalr_bridge.web.observer import SILENT
from signalr_bridge.web.problems import install_problems
from signalr_bridge.web.trace import trace_headers
from signalr_bridge.wire.server import Listener, bind
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.unit.observed import Recorder


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    trace = trace_headers().get("traceparent", "none")
    await PlainTextResponse(f"{scope['path']} {scope['request_id']} {trace}")(scope, receive, send)


def client(app: ASGIApp, host: str = "localhost") -> httpx.AsyncClient:
    wire = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=wire, base_url=f"http://{host}", trust_env=False)


async def test_the_path_is_raw_and_the_id_is_everywhere() -> None:
    async with client(RequestContext(echo, observer=SILENT, runtime=RUNTIME)) as http:
        answer = await http.get("/groups/a%2Fb%20c", headers={"X-Request-Id": "mine"})
        assert answer.text == "/groups/a%2Fb%20c mine none"
        assert answer.headers["x-request-id"] == "mine"


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("path", "kept"),
    [("/hubs/chat/send", True), ("/upstream", True), ("/hubs/chat/negotiate", False), ("/api/negotiate", False)],
)
async def test_a_trace_of_callers_is_kept_one_of_clients_is_not(path: str, kept: bool) -> None:
    async with client(RequestContext(echo, observer=SILENT, runtime=RUNTIME)) as http:
        answer = await http.get(path, headers={"traceparent": TRACE})
        assert answer.text.endswith(TRACE if kept else "none")


async def test_a_bug_is_a_problem_that_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("canary")

    async with client(RequestContext(broken, observer=SILENT, runtime=RUNTIME)) as http:
        answer = await http.get("/x?code=canary")
    assert (answer.status_code, answer.headers["x-problem-code"]) == (500, "internal-error")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "canary" not in answer.text
    assert "RuntimeError" in caplog.text, "the log has the rest"


class Nothing(BaseException):
    """An exception that is no ``Exception``."""


ENDINGS = [KeyboardInterrupt(), SystemExit(1), GeneratorExit(), asyncio.CancelledError(), Nothing()]
ENDINGS += [BaseExceptionGroup("several", [KeyboardInterrupt()])]


@pytest.mark.parametrize("error", ENDINGS, ids=lambda error: type(error).__name__)
async def test_nothing_that_is_raised_ends_more_than_the_request(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    async with client(RequestContext(broken, observer=SILENT, runtime=RUNTIME)) as http:
        answer = await http.get("/x", headers={"X-Request-Id": "mine"})
        assert (await http.get("/x")).status_code == 500, "nobody was cancelled"
    assert (answer.status_code, answer.headers["x-problem-code"]) == (500, "internal-error")
    assert answer.headers["x-request-id"] == "mine"
    assert [record.getMessage() for record in caplog.records] == ["unhandled error"] * 2


async def wait(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.Event().wait()


async def begin_and_wait(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"begun", "more_body": True})
    await wait(scope, receive, send)


async def test_who_cancels_a_request_gets_its_end() -> None:
    async with client(RequestContext(wait, observer=SILENT, runtime=RUNTIME)) as http:
        asking = asyncio.create_task(http.get("/x"))
        await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert (asking.cancelled(), asking.cancelling()) == (True, 1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(http.get("/x"), 0.01)


def test_what_is_left_after_the_loops_end_is_no_bug(caplog: pytest.LogCaptureFixture) -> None:
    class Suspended:
        def __await__(self) -> Generator[None]:
            yield

    async def suspend(scope: Scope, receive: Receive, send: Send) -> None:
        await Suspended()

    async def never(*messages: Any) -> Any:
        raise AssertionError

    request = RequestContext(suspend, observer=SILENT, runtime=RUNTIME)(
        {"type": "http", "path": "/x", "method": "GET", "headers": []}, never, never
    )
    request.send(None)
    request.close()
    assert caplog.records == []


@asynccontextmanager
async def stopping(app: ASGIApp) -> AsyncIterator[bytes]:
    """What a server that stops, and cancels at the end of its grace time, has sent for a request in flight."""
    with bind("127.0.0.1", 0, "none") as sock:
        server = Listener(app, sock, grace_seconds=1, owns_lifespan=False)
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        await server.ready.wait()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /x HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: mine\r\n\r\n")
        await asyncio.sleep(0.1)
        server.should_exit = True
        yield await asyncio.wait_for(reader.read(), 10)
        await serving
        writer.close()


async def test_at_the_end_of_the_grace_time_a_request_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "signalr_bridge.access")
    async with stopping(RequestContext(wait, observer=LogObserver(), runtime=RUNTIME)) as answer:
        head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    for header in (b"x-problem-code: shutting-down", b"x-request-id: mine", b"connection: close"):
        assert header in head
    assert json.loads(body)["code"] == "shutting-down"
    assert [record for record in caplog.records if record.exc_info] == []
    (logged,) = (vars(record) for record in caplog.records if record.getMessage() == "request")
    assert (logged["status"], logged["request_id"]) == (503, "mine")


async def test_at_the_end_of_the_grace_time_an_answer_that_has_begun_breaks_off() -> None:
    async with stopping(RequestContext(begin_and_wait, observer=SILENT, runtime=RUNTIME)) as answer:
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("path", ["/", "/upstream/", "/hubs/chat/negotiate/"])
async def test_a_path_has_a_longest_length(path: str) -> None:
    longest = path.ljust(LONGEST_PATH, "a")
    async with client(RequestContext(echo, observer=SILENT, runtime=RUNTIME)) as http:
        assert (await http.get(longest)).text.startswith(longest)
        answer = await http.post(longest + "a", content=b"x")
        assert (await http.head(longest + "a")).content == b""
    assert (answer.status_code, answer.headers["x-problem-code"]) == (400, "invalid-name")
    assert answer.json()["instance"] == f"urn:request:{answer.headers['x-request-id']}"


async def test_queries_are_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "signalr_bridge.access")
    async with client(RequestContext(echo, observer=LogObserver(), runtime=RUNTIME)) as http:
        await http.get("/upstream?code=canary", headers={"X-Request-Id": "mine"})
    (record,) = caplog.records
    shown = vars(record)
    assert (shown["path"], shown["status"], shown["method"], shown["request_id"]) == ("/upstream", 200, "GET", "mine")
    assert "canary" not in repr(shown)


async def test_the_end_of_every_request_is_told() -> None:
    async def known(scope: Scope, receive: Receive, send: Send) -> None:
        scope["caller"] = "ann"
        await echo(scope, receive, send)

    recorder, seconds = Recorder(), iter((1.0, 1.25, 2.0, 2.5))
    runtime = Runtime(clock=lambda: next(seconds), new_id=lambda: "new")
    async with client(RequestContext(known, observer=recorder, runtime=runtime)) as http:
        await http.get("/a%2Fb?code=canary")
    async with client(RequestContext(wait, observer=recorder, runtime=runtime)) as http:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(http.post("/x", headers={"X-Request-Id": "mine"}), 0.01)
    assert recorder.of("request_ended") == [
        {"method": "GET", "path": "/a%2Fb", "status": 200, "seconds": 0.25, "caller": "ann", "request_id": "new"},
        {"method": "POST", "path": "/x", "status": 503, "seconds": 0.5, "caller": None, "request_id": "mine"},
    ]


async def test_a_head_never_has_a_body() -> None:
    async with client(RequestContext(echo, observer=SILENT, runtime=RUNTIME)) as http:
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
    app.add_middleware(RequestContext, observer=SILENT, runtime=RUNTIME)
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


class Counted(BaseRoute):
    """A route for nothing: how often was it tried?"""

    tries = 0

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        self.tries += 1
        return Match.NONE, {}


async def test_the_methods_of_a_path_are_those_of_all_its_routes_and_each_is_tried_once() -> None:
    included = APIRouter(redirect_slashes=False)
    for method in ("DELETE", "HEAD"):
        included.add_api_route("/both/{name}", lambda name: None, methods=[method])
    app, counted = application(), Counted()
    app.router.routes.insert(0, counted)
    app.include_router(included)
    async with client(app) as http:
        answer = await http.options("/both/" + "x" * 1000)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, PUT, DELETE")
    assert counted.tries == 2, "once by the framework, once for the methods"


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
    async with client(RequestContext(LoopbackGuard(echo), observer=SILENT, runtime=RUNTIME)) as http:
        answer = await http.get(path, headers=headers)
    assert answer.status_code == status
    assert answer.headers.get("x-problem-code") == ("forbidden" if status == 403 else None)
    assert answer.headers["x-request-id"]
