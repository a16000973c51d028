"""HTTP triggers of a Python app at a real server: routes, keys, pages, replies, and what no log line holds."""

import json
from pathlib import Path

import httpx

from tests.e2e.processes import API_KEY, Process, app_command, connection_string, free_port, wait_until_answered

APP = """
import asyncio

import azure.functions as func

app = func.FunctionApp()


@app.route(route="rooms/{room}/items/{id:int?}", auth_level=func.AuthLevel.ANONYMOUS)
def items(req: func.HttpRequest) -> func.HttpResponse:
    seen = [req.method, req.url, dict(req.params), dict(req.route_params), req.get_body().decode()]
    return func.HttpResponse(repr(seen), headers={"X-Of-The-App": "1"}, status_code=201)


@app.route(route="keyed", methods=["POST"])
def keyed(req: func.HttpRequest) -> str:
    return "opened"


@app.route(route="fails", auth_level=func.AuthLevel.ANONYMOUS)
async def fails(req: func.HttpRequest) -> str:
    raise ValueError("sesame")


@app.route(route="negotiate", auth_level=func.AuthLevel.ANONYMOUS, methods=["POST"])
@app.generic_input_binding(arg_name="info", type="signalRConnectionInfo", hubName="chat")
def negotiate(req: func.HttpRequest, info: str) -> func.HttpResponse:
    return func.HttpResponse(info, mimetype="application/json")
"""
ORIGIN = {"Origin": "https://app.example"}
PAGE_KEY = "a-key-that-stands-in-a-page"


def write_app(folder: Path) -> Path:
    folder.mkdir()
    (folder / "function_app.py").write_text(APP)
    (folder / "host.json").write_text('{"version": "2.0", "extensions": {"http": {"routePrefix": "v1/api"}}}')
    return folder


def settings() -> dict[str, str]:
    keys = [{"key": API_KEY, "name": "all"}, {"key": PAGE_KEY, "name": "page", "rights": ["functions"]}]
    return {
        "AzureSignalRConnectionString": connection_string(free_port()),
        "BRIDGE_ALLOW_EMULATOR_KEY": "true",
        "BRIDGE_HOST": "127.0.0.1",
        "BRIDGE_CALLERS__KEYS": json.dumps(keys),
        "BRIDGE_CORS__ORIGINS": ORIGIN["Origin"],
        "BRIDGE_NEGOTIATE__PATHS": '{"/api/news/negotiate": "news"}',
        "BRIDGE_NEGOTIATE__ANONYMOUS": "true",
    }


def test_functions_answer_at_a_real_server(tmp_path: Path) -> None:
    port = free_port()
    app = write_app(tmp_path / "app")
    command = app_command("serve", "--port", str(port), "--function-app", str(app))
    with (
        Process("bridge", command, settings()) as bridge,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http,
    ):
        wait_until_answered(bridge, f"http://127.0.0.1:{port}/health/live")
        answer = http.post(f"/v1/api/Rooms/a%2Fb/items/7?x=1&code={PAGE_KEY}", content=b"hi", headers=ORIGIN)
        url = f"http://127.0.0.1:{port}/v1/api/Rooms/a%2Fb/items/7?x=1"
        assert (answer.status_code, answer.headers["x-of-the-app"]) == (201, "1")
        assert answer.text == repr(["POST", url, {"x": "1"}, {"room": "a/b", "id": "7"}, "hi"])
        assert answer.headers["access-control-allow-origin"] == ORIGIN["Origin"]
        assert http.get("/v1/api/rooms/a/items/x").status_code == 404
        assert http.get("/api/rooms/a/items").status_code == 404
        head = http.head("/v1/api/rooms/a/items")
        assert (head.status_code, head.content) == (201, b"")

        preflight = http.options("/v1/api/keyed", headers=ORIGIN | {"Access-Control-Request-Method": "POST"})
        assert (preflight.status_code, preflight.headers["access-control-allow-methods"]) == (204, "POST")
        assert http.post("/v1/api/keyed").status_code == 401
        assert http.post(f"/v1/api/keyed?code={PAGE_KEY}").text == "opened"
        assert http.post("/v1/api/keyed", headers={"x-functions-key": API_KEY}).text == "opened"
        assert http.get("/v1/api/keyed").headers["allow"] == "POST"
        assert http.get("/hubs", headers={"X-API-Key": PAGE_KEY}).status_code == 403
        large = http.post("/v1/api/rooms/a/items", content=b"x" * (8 * 1024 * 1024 + 1))
        assert (large.status_code, large.headers["x-problem-code"]) == (413, "body-too-large")

        failed = http.get("/v1/api/fails")
        assert (failed.status_code, failed.headers["x-problem-code"]) == (500, "internal-error")
        assert "sesame" not in failed.text
        bridge.wait_for_line("function failed")

        found = http.post("/v1/api/negotiate")
        assert (found.status_code, found.headers["cache-control"]) == (200, "no-store")
        assert found.json()["url"].endswith("/client/?hub=chat")
        assert http.post("/api/news/negotiate").json()["url"].endswith("/client/?hub=news")
        assert http.post("/api/negotiate").status_code == 404  # no hub is the default one
        assert PAGE_KEY not in bridge.output
        assert "x=1" not in bridge.output
