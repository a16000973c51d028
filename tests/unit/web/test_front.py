"""The front, around a few routes: by ASGI, and as a server without ASGI asks it."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from signalr_bridge.errors import BridgeError, RateLimited
from signalr_bridge.runtime import RUNTIME, Runtime
from signalr_bridge.settings.access import digest_of
from signalr_bridge.web.callers import Caller, Grant, KeyRing, Right
from signalr_bridge.web.front import LONGEST_PATH, Front
from signalr_bridge.web.guards import ListenerApp, ListenerKind
from signalr_bridge.web.log_observer import LogObserver
from signalr_bridge.web.observer import SILENT, Observer
from signalr_bridge.web.request import Request
from signalr_bridge.web.shares import Shares
from signalr_bridge.web.table import Audience, Description, Route, Table
from signalr_bridge.web.trace import TRACE
from signalr_bridge.wire.exchange import Answer, IncomingRequest, make_answer
from signalr_bridge.wire.server import Listener
from signalr_bridge.wire.sockets import bind
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.unit.observed import Recorder
from tests.unit.web.requests import OnlyAccess, access, no_cors

SENDING, READING = "a-key-that-may-send", "a-key-that-may-read"
KEYS = KeyRing(
    [
        (digest_of(SENDING), Caller("ann", (Grant(frozenset({Right.SEND}), frozenset({"chat"})),))),
        (digest_of(READING), Caller("bob", (Grant(frozenset({Right.READ})),))),
    ]
)


async def echo(request: Request) -> Answer:
    """What the front has found."""
    trace = TRACE.get().traceparent or "none"
    return make_answer(200, f"{request.path} {request.id} {trace}".encode(), "text/plain")


async def echo_by_asgi(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(f"{scope['path']} {scope['request_id']}")(scope, receive, send)


async def nothing(scope: Scope) -> None:
    """FastAPI's part, which a test stands in for."""


def front(
    answer: Callable[[Request], Awaitable[Answer]] = echo,
    fastapi: ASGIApp = echo_by_asgi,
    *,
    observer: Observer = SILENT,
    runtime: Runtime = RUNTIME,
    most: int = 10,
    separate: bool = False,
    only_this_machine: bool = False,
) -> Front:
    """A front with a route of each kind, whose own routes all answer by ``answer``."""

    def route(method: str, template: str, **more: Any) -> Route:
        return Route(method, template, f"{method} {template}", answer, **{"description": Description()} | more)

    table = Table(
        [
            route("GET", "/x", audience=Audience.ANYBODY),
            route("POST", "/x", audience=Audience.ANYBODY),
            route("PUT", "/x", audience=Audience.ANYBODY),
            route("GET", "/groups/{groupName}", audience=Audience.ANYBODY),
            route("GET", "/health/live", audience=Audience.ANYBODY),
            route("POST", "/hubs/{hub}/negotiate", audience=Audience.CLIENTS, rights=frozenset({Right.NEGOTIATE})),
            route("POST", "/hubs/{hub}/send", rights=frozenset({Right.SEND}), query=("a",), has_deadline=True),
            route("POST", "/upstream", audience=Audience.SERVICE, covers_below=True),
            Route("GET", "/asgi", "asgi", endpoint=nothing, audience=Audience.ANYBODY),
        ]
    )
    return Front(
        table,
        fastapi,
        OnlyAccess(access(KEYS)),
        no_cors,
        runtime=runtime,
        observer=observer,
        shares=Shares(most, 1_000_000, observer),
        separate=separate,
        only_this_machine=only_this_machine,
    )


def client(app: ASGIApp, host: str = "localhost") -> httpx.AsyncClient:
    wire = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=wire, base_url=f"http://{host}", trust_env=False)


class Come(IncomingRequest):
    """A request without a body, as a server without ASGI makes it."""

    def __init__(self, method: str, path: str, *headers: tuple[bytes, bytes], query: bytes = b"") -> None:
        super().__init__(method, path, query, headers, ("127.0.0.1", 5))

    def whole_body(self) -> bytes | None:
        return b""


async def ask(app: Front, *given: Any, kind: ListenerKind | None = None, **named: Any) -> Answer:
    """The answer without ASGI."""
    answering = app.begin(Come(*given, **named), kind)
    assert answering is not None
    return await answering


async def test_the_path_is_raw_and_the_id_is_everywhere() -> None:
    async with client(front()) as http:
        answer = await http.get("/groups/a%2Fb%20c", headers={"X-Request-Id": "mine"})
    assert answer.text == "/groups/a%2Fb%20c mine none"
    assert answer.headers["x-request-id"] == "mine"
    async with client(front()) as http:
        assert (await http.get("/asgi", headers={"X-Request-Id": "mine"})).text == "/asgi mine"


async def test_with_and_without_asgi_the_answer_is_the_same() -> None:
    runtime = Runtime(new_id=lambda: "new")
    for method, path in [("GET", "/x"), ("HEAD", "/x"), ("PATCH", "/x"), ("GET", "/y"), ("POST", "/hubs/chat/send")]:
        async with client(front(runtime=runtime)) as http:
            by_asgi = await http.request(method, path)
        direct = await ask(front(runtime=runtime), method, path)
        assert (direct.status, direct.body) == (by_asgi.status_code, by_asgi.content)
        assert list(direct.headers) == [(name.lower(), value) for name, value in by_asgi.headers.raw]


async def test_what_fastapi_serves_is_left_to_asgi() -> None:
    assert front().begin(Come("GET", "/asgi")) is None
    answering = front().begin(Come("POST", "/asgi"))
    assert answering is not None
    assert (await answering).status == 405


TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("path", "kept"), [("/x", True), ("/upstream", True), ("/upstream/a", True), ("/hubs/chat/negotiate", False)]
)
async def test_a_trace_of_callers_is_kept_one_of_clients_is_not(path: str, kept: bool) -> None:
    async with client(front()) as http:
        answer = await http.post(path, headers={"traceparent": TRACEPARENT})
        assert answer.text.endswith(TRACEPARENT if kept else "none")


async def test_a_bug_is_a_problem_that_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(request: Request) -> Answer:
        raise RuntimeError("canary")

    async with client(front(broken)) as http:
        answer = await http.get("/x?code=canary")
    assert (answer.status_code, answer.headers["x-problem-code"]) == (500, "internal-error")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "canary" not in answer.text
    assert "RuntimeError" in caplog.text, "the log has the rest"


class Nothing(BaseException):
    """An exception that is no ``Exception``."""


ENDINGS = [KeyboardInterrupt(), SystemExit(1), GeneratorExit(), asyncio.CancelledError(), Nothing()]
ENDINGS += [BaseExceptionGroup("several", [KeyboardInterrupt()])]


@pytest.mark.parametrize("path", ["/x", "/asgi"])
@pytest.mark.parametrize("error", ENDINGS, ids=lambda error: type(error).__name__)
async def test_nothing_that_is_raised_ends_more_than_the_request(
    error: BaseException, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(request: Request) -> Answer:
        raise error

    async def broken_by_asgi(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    async with client(front(broken, broken_by_asgi)) as http:
        answer = await http.get(path, headers={"X-Request-Id": "mine"})
        assert (await http.get(path)).status_code == 500, "nobody was cancelled"
    assert (answer.status_code, answer.headers["x-problem-code"]) == (500, "internal-error")
    assert answer.headers["x-request-id"] == "mine"
    assert [record.getMessage() for record in caplog.records] == ["unhandled error"] * 2


async def wait(request: Request) -> Answer:
    await asyncio.Event().wait()
    raise AssertionError


async def begin_and_wait(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"begun", "more_body": True})
    await asyncio.Event().wait()


async def test_who_cancels_a_request_gets_its_end() -> None:
    async with client(front(wait)) as http:
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

    async def suspend(request: Request) -> Answer:
        await Suspended()
        raise AssertionError

    answering = front(suspend).begin(Come("GET", "/x"))
    assert answering is not None
    answering.send(None)
    answering.close()
    assert caplog.records == []


@asynccontextmanager
async def stopping(app: ASGIApp, path: str) -> AsyncIterator[bytes]:
    """What a server that stops, and cancels at the end of its grace time, has sent for a request in flight."""
    with bind("127.0.0.1", 0, "none") as sock:
        server = Listener(app, sock, grace_seconds=1, owns_lifespan=False)
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        await server.ready.wait()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET %s HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: mine\r\n\r\n" % path.encode())
        await asyncio.sleep(0.1)
        server.should_exit = True
        yield await asyncio.wait_for(reader.read(), 10)
        await serving
        writer.close()


async def test_at_the_end_of_the_grace_time_a_request_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "signalr_bridge.access")
    async with stopping(front(wait, observer=LogObserver()), "/x") as answer:
        head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    for header in (b"x-problem-code: shutting-down", b"x-request-id: mine", b"connection: close"):
        assert header in head
    assert json.loads(body)["code"] == "shutting-down"
    assert [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR] == []
    assert [vars(record)["count"] for record in caplog.records if record.name == "signalr_bridge.server"] == [1]
    (logged,) = (vars(record) for record in caplog.records if record.getMessage() == "request")
    assert (logged["status"], logged["request_id"]) == (503, "mine")


async def test_at_the_end_of_the_grace_time_an_answer_that_has_begun_breaks_off() -> None:
    async with stopping(front(fastapi=begin_and_wait), "/asgi") as answer:
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("path", ["/groups/", "/upstream/", "/hubs/chat/negotiate/"])
async def test_a_path_has_a_longest_length(path: str) -> None:
    longest = path.ljust(LONGEST_PATH, "a")
    async with client(front()) as http:
        assert (await http.get(longest)).status_code in {200, 404, 405}
        answer = await http.post(longest + "a", content=b"x")
        assert (await http.head(longest + "a")).content == b""
    assert (answer.status_code, answer.headers["x-problem-code"]) == (400, "invalid-name")
    assert answer.json()["instance"] == f"urn:request:{answer.headers['x-request-id']}"


async def test_queries_are_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "signalr_bridge.access")
    async with client(front(observer=LogObserver())) as http:
        await http.post("/upstream?code=canary", headers={"X-Request-Id": "mine"})
    (record,) = caplog.records
    shown = vars(record)
    assert (shown["path"], shown["status"], shown["method"], shown["request_id"]) == ("/upstream", 200, "POST", "mine")
    assert "canary" not in repr(shown)


async def test_the_end_of_every_request_is_told() -> None:
    recorder, seconds = Recorder(), iter((1.0, 1.25, 2.0, 2.5))
    runtime = Runtime(clock=lambda: next(seconds), new_id=lambda: "new")
    async with client(front(observer=recorder, runtime=runtime)) as http:
        await http.post("/hubs/Ch%61t/send?b=canary", headers={"X-API-Key": SENDING})
    async with client(front(wait, observer=recorder, runtime=runtime)) as http:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(http.post("/x", headers={"X-Request-Id": "mine"}), 0.01)
    assert recorder.of("request_ended") == [
        {
            "method": "POST",
            "path": "/hubs/Ch%61t/send",
            "route": "/hubs/{hub}/send",
            "status": 400,
            "seconds": 0.25,
            "caller": "ann",
            "request_id": "new",
        },
        {
            "method": "POST",
            "path": "/x",
            "route": "/x",
            "status": 503,
            "seconds": 0.5,
            "caller": None,
            "request_id": "mine",
        },
    ]


@pytest.mark.parametrize("path", ["/x", "/asgi", "/nowhere"])
async def test_a_head_never_has_a_body(path: str) -> None:
    async with client(front()) as http:
        assert (await http.head(path)).content == b""


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "route-not-found"),
        ("GET", "/x//x", 400, "invalid-name"),
        ("GET", "/x/", 404, "route-not-found"),
        ("DELETE", "/x", 405, "method-not-allowed"),
        ("OPTIONS", "/x", 405, "method-not-allowed"),
    ],
)
async def test_what_no_route_takes_is_a_problem(method: str, path: str, status: int, code: str) -> None:
    async with client(front()) as http:
        answer = await http.request(method, path)
    problem = answer.json()
    assert (answer.status_code, answer.headers["x-problem-code"], problem["code"]) == (status, code, code)
    assert problem["instance"] == f"urn:request:{answer.headers['x-request-id']}"
    assert answer.headers.get("allow") == ("GET, POST, PUT" if status == 405 else None)


async def test_an_error_of_a_route_is_a_problem_with_its_headers() -> None:
    async def refuse(request: Request) -> Answer:
        raise RateLimited("Slowly.", headers={"Retry-After": "7"})

    answer = await ask(front(refuse), "GET", "/x", (b"x-request-id", b"mine"))
    assert answer.status == 429
    assert [name for name, _ in answer.headers] == [
        b"retry-after",
        b"x-problem-code",
        b"cache-control",
        b"content-length",
        b"content-type",
        b"x-request-id",
    ]
    assert json.loads(answer.body)["detail"] == "Slowly."


@pytest.mark.parametrize(
    ("path", "query", "headers", "status"),
    [
        ("/hubs/chat/send", b"a=1", {b"x-api-key": SENDING.encode()}, 200),
        ("/hubs/CHAT/send", b"", {b"x-api-key": SENDING.encode(), b"x-request-timeout": b"5"}, 200),
        ("/hubs/news/send", b"", {b"x-api-key": SENDING.encode()}, 403),
        ("/hubs/chat/send", b"", {b"x-api-key": READING.encode()}, 403),
        ("/hubs/chat/send", b"", {b"x-api-key": b"wrong"}, 401),
        ("/hubs/chat/send", b"b=1", {}, 401),
        ("/hubs/chat/send", b"b=1", {b"x-api-key": SENDING.encode()}, 400),
        ("/hubs/chat/send", b"", {b"x-api-key": SENDING.encode(), b"x-request-timeout": b"never"}, 400),
    ],
)
async def test_the_front_checks_what_the_table_says(
    path: str, query: bytes, headers: dict[bytes, bytes], status: int
) -> None:
    answer = await ask(front(), "POST", path, *headers.items(), query=query)
    assert answer.status == status


@pytest.mark.parametrize(
    ("method", "path", "kind", "status"),
    [
        ("POST", "/upstream", ListenerKind.PUBLIC, 200),
        ("POST", "/Upstream/x", ListenerKind.PUBLIC, 200),
        ("POST", "/upstream", None, 200),
        ("POST", "/upstream", ListenerKind.CALLERS, 404),
        ("GET", "/x", ListenerKind.PUBLIC, 404),
        ("GET", "/x", None, 404),
        ("GET", "/x", ListenerKind.CALLERS, 200),
        ("POST", "/hubs/chat/negotiate", ListenerKind.PUBLIC, 200),
        ("POST", "/hubs/chat/negotiate", ListenerKind.CALLERS, 200),
        ("GET", "/health/live", ListenerKind.PUBLIC, 200),
        ("GET", "/health/live", ListenerKind.CALLERS, 200),
    ],
)
async def test_a_listener_has_its_routes(method: str, path: str, kind: ListenerKind | None, status: int) -> None:
    app = front(separate=True)
    assert (await ask(app, method, path, kind=kind)).status == status
    async with client(app if kind is None else ListenerApp(app, kind)) as http:
        assert (await http.request(method, path)).status_code == status
    if kind is not None:
        answering = ListenerApp(app, kind).begin(Come(method, path))
        assert answering is not None
        assert (await answering).status == status


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/x", {}, 200),
        ("/groups/a", {"Host": "localhost:8080"}, 200),
        ("/x", {"Host": "127.0.0.1:8080", "Origin": "http://127.0.0.1:8080"}, 200),
        ("/x", {"Host": "LOCALHOST:8080", "Origin": "http://localhost:8080"}, 200),
        ("/x", {"Host": "example.com"}, 403),
        ("/hubs/chat/negotiate", {"Host": "example.com:8080"}, 403),
        ("/x", {"Host": "10.0.0.7"}, 403),
        ("/x", {"Origin": "http://example.com"}, 403),
        ("/x", {"Origin": "null"}, 403),
        ("/x", {"Origin": "https://localhost"}, 403),
        ("/x", {"Origin": "http://localhost:3000"}, 403),
        ("/asgi", {"Host": "example.com"}, 403),
        ("/upstream", {"Host": "127.0.0.1:8080"}, 405),
        ("/upstream", {"Host": "example.com"}, 403),
        ("/upstream", {"Origin": "http://example.com"}, 403),
        ("/UPSTREAM/x", {"Host": "example.com"}, 403),
        ("/health/live", {"Host": "example.com", "Origin": "http://example.com"}, 200),
        ("/healthy", {"Host": "example.com"}, 403),
    ],
)
async def test_only_this_machines_programs_and_pages(path: str, headers: dict[str, str], status: int) -> None:
    async with client(front(only_this_machine=True)) as http:
        answer = await http.get(path, headers=headers)
    assert answer.status_code == status
    assert answer.headers.get("x-problem-code") == {403: "forbidden", 405: "method-not-allowed"}.get(status)
    assert answer.headers["x-request-id"]


async def test_as_many_at_once_as_are_allowed_and_health_always() -> None:
    gate = asyncio.Event()

    async def pass_the_gate(request: Request) -> Answer:
        if request.path == "/x":
            await gate.wait()
        return make_answer(200)

    limited = front(pass_the_gate, most=2)
    waiting = [asyncio.create_task(ask(limited, "GET", "/x")) for _ in range(2)]
    await asyncio.sleep(0)
    refused = await ask(limited, "GET", "/groups/a")
    headers = dict(refused.headers)
    assert (refused.status, headers[b"retry-after"], headers[b"x-problem-code"]) == (503, b"1", b"overloaded")
    assert (await ask(limited, "GET", "/health/live")).status == 200
    gate.set()
    assert [answer.status for answer in await asyncio.gather(*waiting)] == [200, 200]
    assert (await ask(limited, "GET", "/x")).status == 200


@pytest.mark.parametrize("error", [RuntimeError(), BridgeError(), asyncio.CancelledError()])
async def test_one_that_fails_makes_room(error: BaseException) -> None:
    async def fail(request: Request) -> Answer:
        raise error

    limited = front(fail, most=1)
    for _ in range(3):
        assert (await ask(limited, "GET", "/x")).status == 500
