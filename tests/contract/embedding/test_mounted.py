"""The bridge mounted in another application: its prefix, its paths, its life, and what stays the host's."""

import asyncio
import gc
import logging
import re
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from fastapi import FastAPI
from signalr_bridge import Admission, Context, Hub, NegotiateRequest, NotRunning, Unauthenticated, outbox
from signalr_bridge.asgi import ConnectedHubs, MountedBridge, bridge, connect
from signalr_bridge.emulator import Emulator
from signalr_bridge.errors import SettingsError
from starlette.applications import Starlette
from starlette.routing import Mount

from tests.contract.endpoints.programmable import Request, Server, programmable_server

KEY = "a-key-of-a-backend"
ACCESS_KEY = "0123456789abcdefghijklmnopqrstuv"
ROTATED_KEY = "vutsrqponmlkjihgfedcba9876543210"


def settings_of(url: str, **more: Any) -> dict[str, Any]:
    text = f"Endpoint={url};AccessKey={ACCESS_KEY};Version=1.0;"
    given = {"AzureSignalRConnectionString": text, "BRIDGE_CALLERS__KEYS": [KEY], "BRIDGE_DOCS": True}
    return given | {"BRIDGE_CONSOLE": True} | more


def mount(realtime: MountedBridge, path: str = "/realtime") -> FastAPI:
    app = FastAPI(lifespan=realtime.lifespan)
    app.mount(path, realtime)
    return app


@asynccontextmanager
async def called(app: Any, *, runs: bool = True, key: str = KEY) -> AsyncIterator[httpx.AsyncClient]:
    """Calls the host. Its own lifespan runs, if ``runs``."""
    wire = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=wire, base_url="http://host", headers={"X-API-Key": key}) as http:
        if not runs:
            yield http
            return
        async with app.router.lifespan_context(app):
            yield http


def sent_to(service: Server) -> list[Request]:
    return [one for one in service.requests if "/connections/probe" not in one.target]


async def token_of(hubs: ConnectedHubs) -> str:
    return (await hubs["chat"].negotiate()).access_token


def is_signed(token: str, key: str) -> bool:
    try:
        jwt.decode(token, key, algorithms=["HS256"], options={"verify_aud": False})
    except jwt.InvalidSignatureError:
        return False
    return True


@pytest.fixture
async def service() -> AsyncIterator[Server]:
    async with programmable_server() as running:
        yield running


async def test_without_its_lifespan_every_request_says_so(service: Server, caplog: pytest.LogCaptureFixture) -> None:
    realtime = bridge(settings=settings_of(service.url))
    host = FastAPI()
    host.mount("/realtime", realtime)
    async with called(host, runs=False) as http:
        answers = [await http.post("/realtime/hubs/chat/negotiate"), await http.get("/realtime/health/live")]
        answers += [await http.get("/realtime/", headers={"X-Request-Id": one}) for one in ("mine", "not mine")]
    assert [answer.headers["x-request-id"] in {"mine", "not mine"} for answer in answers] == [False, False, True, False]
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (503, "not-started")
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-problem-code"] == "not-started"
        assert answer.json()["instance"].endswith(answer.headers["x-request-id"])
        assert "FastAPI(lifespan=realtime.lifespan)" in answer.json()["detail"]
    assert [one.levelname for one in caplog.records if "lifespan" in one.message] == ["ERROR"]


async def test_it_runs_again_after_its_end_but_not_twice_at_once(service: Server) -> None:
    host = mount(realtime := bridge(settings=settings_of(service.url)))
    for _ in range(2):
        async with called(host) as http:
            assert (await http.get("/realtime/health/live")).status_code == 200
            with pytest.raises(SettingsError, match="runs already"):
                async with realtime.lifespan(host):
                    pass
        async with called(host, runs=False) as http:
            assert (await http.get("/realtime/health/live")).status_code == 503


async def test_it_takes_the_lifespan_that_a_dispatcher_hands_on(service: Server) -> None:
    realtime = bridge(settings=settings_of(service.url))
    told: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    said: asyncio.Queue[Any] = asyncio.Queue()
    living = asyncio.create_task(realtime({"type": "lifespan", "asgi": {}}, told.get, said.put))
    await told.put({"type": "lifespan.startup"})
    assert await said.get() == {"type": "lifespan.startup.complete"}
    async with called(Starlette(routes=[Mount("/x", realtime)]), runs=False) as http:
        assert (await http.get("/x/health/live")).status_code == 200
    await told.put({"type": "lifespan.shutdown"})
    assert await said.get() == {"type": "lifespan.shutdown.complete"}
    await living


@pytest.mark.parametrize(("path", "sent"), [("/realtime", "/realtime"), ("/real time/é", "/real%20time/%C3%A9")])
async def test_routes_and_document_follow_the_prefix(service: Server, path: str, sent: str) -> None:
    async with called(mount(bridge(settings=settings_of(service.url)), path)) as http:
        answer = await http.post(f"{sent}/hubs/chat/send", json={"target": "news"})
        assert (answer.status_code, answer.json()["status"]) == (202, "accepted")
        assert (await http.put(f"{sent}/hubs/chat/groups/a%2Fb%25/users/ann")).status_code == 204
        document = (await http.get(f"{sent}/openapi.json")).json()
        assert document["servers"] == [{"url": path}]
        assert f"'{path}/openapi.json'" in (await http.get(f"{sent}/docs")).text.replace('"', "'")
        page = await http.get(f"{sent}/")
        files = re.findall(r'(?:src|href)="([^"#]+)"', page.text)
        assert len(files) >= 2
        for file in files:
            assert (await http.get(str(page.url.join(file)))).status_code == 200, file
        for other in (f"{sent}/realtime/health/live", "/health/live", "/hubs/chat/send"):
            assert (await http.get(other)).status_code == 404
    assert [one.target.partition("?")[0] for one in sent_to(service)] == [
        "/api/hubs/chat/:send",
        "/api/hubs/chat/users/ann/groups/a%2Fb%25",
    ]


async def test_a_proxy_s_prefix_stands_before_its_own(service: Server) -> None:
    """As uvicorn writes it with ``--root-path /app``."""
    host = mount(bridge(settings=settings_of(service.url)))

    async def behind(scope: Any, receive: Any, send: Any) -> None:
        raw = b"/app" + scope["raw_path"]
        await host(scope | {"root_path": "/app", "path": "/app" + scope["path"], "raw_path": raw}, receive, send)

    wire = httpx.ASGITransport(behind)
    async with called(host), httpx.AsyncClient(transport=wire, base_url="http://host") as http:
        assert (await http.get("/realtime/openapi.json")).json()["servers"] == [{"url": "/app/realtime"}]


@pytest.mark.parametrize("raw", ["left out", None])
async def test_a_host_without_raw_path_names_nothing_with_a_percent_sign(service: Server, raw: str | None) -> None:
    host = mount(bridge(settings=settings_of(service.url)))

    async def decoding(scope: Any, receive: Any, send: Any) -> None:
        rest = {name: value for name, value in scope.items() if name != "raw_path"}
        await host(rest if raw else rest | {"raw_path": None}, receive, send)

    wire = httpx.ASGITransport(decoding)
    headers = {"X-API-Key": KEY}
    async with called(host), httpx.AsyncClient(transport=wire, base_url="http://host", headers=headers) as http:
        answer = await http.put("/realtime/hubs/chat/groups/100%25/users/ann")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid-name")
        assert (await http.put("/realtime/hubs/chat/groups/%2541/users/ann")).status_code == 400
        assert (await http.put("/realtime/hubs/chat/groups/gr%C3%B6%C3%9Fe%20x%3F/users/ann")).status_code == 204
    assert [one.target.partition("?")[0] for one in sent_to(service)] == [
        "/api/hubs/chat/users/ann/groups/gr%C3%B6%C3%9Fe%20x%3F"
    ]


async def test_the_host_s_scope_stays_as_it_was(service: Server) -> None:
    realtime, seen = bridge(settings=settings_of(service.url)), list[dict[str, Any]]()

    async def host(scope: Any, receive: Any, send: Any) -> None:
        given = {**scope, "root_path": "/realtime"}
        seen.extend([dict(given), given])
        await realtime(given, receive, send)

    wire = httpx.ASGITransport(host)
    async with realtime.lifespan(), httpx.AsyncClient(transport=wire, base_url="http://host") as http:
        assert (await http.get("/realtime/openapi.json")).status_code == 200
    assert seen[0] == seen[1]


async def test_a_negotiate_handler_asks_the_host_s_own_authentication(service: Server) -> None:
    chat = Hub("chat")

    @chat.negotiate
    async def admit(request: NegotiateRequest) -> Admission:
        assert request.scope is not None
        if (user := request.scope.get("user")) is None:
            raise Unauthenticated("Sign in first.")
        return Admission(user_id=user)

    realtime = bridge(handlers=[chat], settings=settings_of(service.url))

    async def host(scope: Any, receive: Any, send: Any) -> None:
        users = [value.decode() for name, value in scope["headers"] if name == b"x-signed-in"]
        await realtime({**scope, "user": users[0] if users else None}, receive, send)

    wire = httpx.ASGITransport(host)
    async with realtime.lifespan(), httpx.AsyncClient(transport=wire, base_url="http://host") as http:
        refused = await http.post("/hubs/chat/negotiate")
        admitted = await http.post("/hubs/chat/negotiate", headers={"X-Signed-In": "ann"})
    assert (refused.status_code, refused.json()["detail"]) == (401, "Sign in first.")
    claims = jwt.decode(admitted.json()["accessToken"], options={"verify_signature": False})
    assert claims["asrs.s.uid"] == "ann"


async def test_a_websocket_is_refused(service: Server) -> None:
    realtime = bridge(settings=settings_of(service.url))
    scope = {"type": "websocket", "path": "/client", "root_path": "", "headers": [], "query_string": b""}
    said: list[Any] = []

    async def send(message: Any) -> None:
        said.append(message)

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    await realtime(scope, receive, send)
    async with realtime.lifespan():
        await realtime(scope, receive, send)
    assert [one["type"] for one in said] == ["websocket.close"] * 2


@pytest.fixture
def untouched() -> Iterator[None]:
    """What a process has once, before and after."""

    def look() -> list[Any]:
        root, ours = logging.getLogger(), logging.getLogger("signalr_bridge")
        signals = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
        of_logs = [list(root.handlers), root.level, list(ours.handlers), ours.level, ours.propagate]
        return [signals, of_logs, gc.get_threshold(), gc.get_freeze_count(), asyncio.get_event_loop_policy()]

    before = look()
    yield
    assert look() == before


@pytest.mark.usefixtures("untouched")
async def test_nothing_of_the_process_is_touched(service: Server) -> None:
    async with called(
        mount(bridge(settings=settings_of(service.url, BRIDGE_LOG_LEVEL="error", BRIDGE_PORT=8000)))
    ) as http:
        await http.post("/realtime/hubs/chat/send", json={"target": "news"})
        async with connect(settings_of(service.url)) as hubs:
            await hubs["chat"].clients.all.send("news")


async def test_what_is_the_host_s_is_not_used_and_a_warning_says_so(
    service: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {
        "BRIDGE_HOST": "not an address",
        "BRIDGE_PORT": "70000",
        "BRIDGE_CALLERS__LISTEN": "127.0.0.1:9000",
        "BRIDGE_METRICS_LISTEN": "127.0.0.1:9001",
        "BRIDGE_UDS": "/run/bridge.sock",
        "BRIDGE_LOG_LEVEL": "loud",
        "BRIDGE_LOG_FORMAT": "neat",
    }
    for name, value in (settings_of(service.url, BRIDGE_CALLERS__KEYS=KEY, BRIDGE_NOTHING="x") | given).items():
        monkeypatch.setenv(name, str(value))
    async with called(mount(bridge())) as http:
        assert (await http.post("/realtime/hubs/chat/send", json={"target": "news"})).status_code == 202
    warned = [one.message for one in caplog.records if one.levelname == "WARNING"]
    assert {name for name in given if any(one.startswith(f"{name} is not used here") for one in warned)} == set(given)
    assert any(one.startswith("BRIDGE_NOTHING (environment): means nothing") for one in warned)


async def test_nobody_need_be_admitted_as_a_caller(service: Server) -> None:
    given = {name: value for name, value in settings_of(service.url).items() if name != "BRIDGE_CALLERS__KEYS"}
    async with called(mount(bridge(settings=given))) as http:
        assert (await http.post("/realtime/hubs/chat/send", json={"target": "news"})).status_code == 401
        await outbox("chat").clients.all.send("news")
    assert len(sent_to(service)) == 1


async def test_changes_are_taken_although_nobody_is_admitted_as_a_caller(service: Server, tmp_path: Path) -> None:
    given = settings_of(service.url, BRIDGE_SECRETS_DIR=str(tmp_path))
    text = given.pop("AzureSignalRConnectionString")
    del given["BRIDGE_CALLERS__KEYS"]
    (tmp_path / "AzureSignalRConnectionString").write_text(text)
    async with connect(given) as hubs:
        (tmp_path / "AzureSignalRConnectionString").write_text(text.replace(ACCESS_KEY, ROTATED_KEY))
        async with asyncio.timeout(20):
            while not is_signed(await token_of(hubs), ROTATED_KEY):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"AzureSignalRConnectionString": None}, "AzureSignalRConnectionString: there is no endpoint"),
        ({"BRIDGE_CALLERS__KEYS": "short"}, "BRIDGE_CALLERS__KEYS"),
        ({"BRIDGE_CALLERS__ANONYMOUS": True}, r"ANONYMOUS \(program\): needs a listener of its own"),
    ],
)
async def test_what_else_is_wrong_is_an_error_as_for_serve(service: Server, given: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        bridge(settings=settings_of(service.url) | given)


async def test_the_emulator_s_key_wants_its_allowance() -> None:
    text = Emulator(0).connection_string
    with pytest.raises(SettingsError, match="BRIDGE_ALLOW_EMULATOR_KEY=true"):
        bridge(settings={"AzureSignalRConnectionString": text})
    with pytest.raises(SettingsError, match="BRIDGE_ALLOW_EMULATOR_KEY=true"):
        async with connect({"AzureSignalRConnectionString": text}):
            pass


async def test_handlers_are_hubs_classes_or_import_strings(service: Server) -> None:
    class News(Hub):
        async def shout(self, context: Context) -> None: ...

    given = settings_of(service.url, BRIDGE_HANDLERS=["tests.e2e.handlers:chat"])
    async with called(mount(bridge(handlers=[News, Hub("other"), "tests.e2e.handlers:chat"], settings=given))) as http:
        assert (await http.get("/realtime/health/live")).status_code == 200
    for wrong, said in ((Hub, "the class Hub itself"), ("nowhere:chat", "nowhere"), (len, "no handler")):
        realtime = bridge(handlers=[wrong], settings=given)  # type: ignore[list-item]
        with pytest.raises(SettingsError, match=said):
            async with realtime.lifespan():
                pass


async def test_what_is_connected_belongs_to_its_loop_and_to_its_time(service: Server) -> None:
    async with connect(settings_of(service.url, BRIDGE_HUBS__NEWS__NEGOTIATE__ANONYMOUS=True)) as hubs:
        assert list(hubs) == ["news"]
        assert len(hubs) == 1
        chat = hubs["Chat"]
        await chat.groups.add("lobby", user="ann")
        assert chat.hub == "chat"
        with pytest.raises(NotRunning, match="another event loop"):
            await asyncio.to_thread(asyncio.run, asyncio.wait_for(chat.clients.all.send("news"), 5))
        client = await chat.negotiate(user_id="ann", claims={"role": ["admin"]}, lifetime_seconds=60)
        assert client.url == f"{service.url}/client/?hub=chat"
        assert client.access_token not in repr(client)
        assert ACCESS_KEY not in repr(chat) + repr(hubs)
    for doing in (chat.clients.all.send("news"), chat.negotiate(), chat.users.exists("ann")):
        with pytest.raises(NotRunning, match="has ended"):
            await doing
    assert len(sent_to(service)) == 1
