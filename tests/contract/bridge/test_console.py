"""The console's page: who gets it, on which listener, behind which prefix, and what a browser is told of it."""

import re
from pathlib import Path

import httpx
import pytest
from signalr_bridge.errors import SettingsError
from signalr_bridge.main import create_app
from signalr_bridge.settings import gather, load
from signalr_bridge.web import console
from signalr_bridge.web.guards import ListenerApp, ListenerKind

from tests.contract.bridge.running import AUTH, CALLER, SERVICE, bridge, build, client

CONSOLE = {"BRIDGE_CONSOLE": "true"}
NOWHERE = "http://localhost:1"


def files_of(page: str) -> set[str]:
    """What the page loads, as paths."""
    return {f"/{one.lstrip('/')}" for one in re.findall(r'(?:src|href)="(/?(?:page|static)/[^"]+)"', page)}


async def test_anybody_gets_the_page_and_its_files_and_no_data() -> None:
    async with bridge(**CONSOLE) as running:
        page = await running.http.get("/")
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert page.text == (Path(console.__file__).parent.parent / "page" / "index.html").read_text("utf-8")
        assert {"/static/signalr.min.js", "/page/style.css"} <= files_of(page.text)
        for path in ("/", *files_of(page.text)):
            answer, head = await running.http.get(path), await running.http.head(path)
            assert (answer.status_code, head.status_code, head.content) == (200, 200, b"")
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["cache-control"] == "no-cache"
            assert "set-cookie" not in answer.headers
            assert (answer.headers["etag"], answer.headers["content-length"]) == (
                head.headers["etag"],
                head.headers["content-length"],
            )
        known = {"If-None-Match": page.headers["etag"]}
        assert (await running.http.get("/", headers=known)).status_code == 304


async def test_only_the_settings_bring_it() -> None:
    async with bridge() as running:
        for path in ("/", "/page/index.html", "/static/signalr.min.js", "/events"):
            assert (await running.http.get(path, headers=AUTH)).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/page/",
        "/page/nothing.js",
        "/page/%2e%2e",
        "/page/..%2fdev.py",
        "/static/%2e%2e%2fmain.py",
        "/page",
    ],
)
async def test_nothing_beside_it_is_served(path: str) -> None:
    async with client(build(NOWHERE, **CONSOLE)) as http:
        answer = await http.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "route-not-found")


async def test_it_loads_from_the_bridge_alone_and_connects_where_clients_do() -> None:
    environment = {
        "AzureSignalRConnectionString": f"Endpoint=https://east.example;AccessKey={SERVICE};Version=1.0;",
        "Azure__SignalR__Endpoints__west": f"Endpoint=https://west.example:8443;ClientEndpoint=https://front.example/x;"
        f"AccessKey={SERVICE};Version=1.0;",
        "Azure__SignalR__Endpoints__local": f"Endpoint=http://127.0.0.1;Port=8888;AccessKey={SERVICE};Version=1.0;",
        "BRIDGE_CALLERS__KEYS": CALLER,
        **CONSOLE,
    }
    async with client(create_app(load(gather(environment, {})))) as http:
        policy = (await http.get("/")).headers["content-security-policy"]
    rules = dict(one.strip().split(" ", 1) for one in policy.split(";"))
    assert rules["default-src"] == "'self'"
    assert (rules["frame-ancestors"], rules["base-uri"], rules["form-action"]) == ("'none'", "'none'", "'none'")
    assert set(rules["connect-src"].split()) == {
        "'self'",
        *("https://east.example", "wss://east.example", "https://front.example", "wss://front.example"),
        *("http://127.0.0.1:8888", "ws://127.0.0.1:8888"),
    }


async def test_it_stands_on_the_callers_listener_alone() -> None:
    app = build(NOWHERE, BRIDGE_CALLERS__LISTEN="127.0.0.1:8081", **CONSOLE)
    for kind, status in ((ListenerKind.PUBLIC, 404), (ListenerKind.CALLERS, 200)):
        wire = httpx.ASGITransport(app=ListenerApp(app, kind))
        async with httpx.AsyncClient(transport=wire, base_url="http://bridge", trust_env=False) as http:
            for path in ("/", "/page/style.css", "/static/signalr.min.js"):
                assert (await http.get(path)).status_code == status, (kind, path)


async def test_behind_a_prefix_that_a_proxy_takes_off() -> None:
    async with client(build(NOWHERE, BRIDGE_ROOT_PATH="/realtime", **CONSOLE), **AUTH) as http:
        assert (await http.get("/")).status_code == 200
        assert (await http.get("/page/style.css")).status_code == 200
        assert (await http.get("/openapi.json")).json()["servers"] == [{"url": "/realtime"}]
        assert "'/realtime/openapi.json'" in (await http.get("/docs")).text
        assert (await http.get("/hubs/chat/endpoints")).status_code == 200
    async with client(build(NOWHERE, BRIDGE_ROOT_PATH="/page", **CONSOLE)) as http:
        assert (await http.get("/page/style.css")).status_code == 200


@pytest.mark.parametrize("prefix", ["realtime", "/realtime/", "/", "https://bridge.example/x", "/a b", "//x", "/a?b"])
def test_what_is_no_prefix(prefix: str) -> None:
    with pytest.raises(SettingsError, match="BRIDGE_ROOT_PATH"):
        load(gather({"BRIDGE_CALLERS__KEYS": CALLER, "BRIDGE_ROOT_PATH": prefix}, {}))


async def test_without_its_library_serve_starts_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setattr(console, "LIBRARY", tmp_path / "signalr.min.js")
    async with client(build(NOWHERE, **CONSOLE)) as http:
        assert (await http.get("/")).status_code == 200
    assert "signalr.min.js is missing" in caplog.text
    with pytest.raises(SettingsError, match="make static"):
        console.list_routes(list, development=True)
