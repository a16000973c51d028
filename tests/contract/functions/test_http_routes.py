"""Where functions answer: their routes beside each other and beside the bridge's own, and what hides what."""

import pytest
from signalr_bridge.errors import SettingsError
from signalr_bridge.functions.description import FunctionDescription

from tests.contract.bridge.running import build
from tests.contract.functions.answering import answering, http, use
from tests.contract.functions.invoking import Code, info

ROUTES = [
    http("hello"),
    http("Named", "names/{name}", methods=["get"]),
    http("one", "items/{id:int}"),
    http("special", "items/special"),
    http("other", "items/{id}"),
    http("all_below", "items/{*rest}"),
    http("read", "things", methods=["get"]),
    http("write", "things", methods=["POST", "put"]),
    http("loose", "things/{id?}", methods=["delete"]),
    http("count", "counts/{from=1}/{to=9}"),
    http("file", "files/{name}.{ending?}", methods=["get", "options"]),
]


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ("GET /api/hello", 200, "hello"),
        ("PATCH /API/Hello", 200, "hello"),
        ("GET /api/hello/", 200, "hello"),
        ("GET /api/hello//", 400, ""),
        ("GET /hello", 404, ""),
        ("GET /api", 404, ""),
        ("GET /api/names/a%2Fb", 200, "Named"),
        ("HEAD /api/names/ann", 200, ""),
        ("POST /api/names/ann", 405, "GET, HEAD"),
        ("GET /api/names/", 404, ""),
        ("GET /api/names//", 400, ""),
        ("GET /api/items/special", 200, "special"),
        ("GET /api/items/SPECIAL", 200, "special"),
        ("GET /api/items/-7", 200, "one"),
        ("GET /api/items/2147483648", 200, "other"),
        ("GET /api/items/x", 200, "other"),
        ("GET /api/items/x/y/", 200, "all_below"),
        ("GET /api/items", 200, "all_below"),
        ("GET /api/things", 200, "read"),
        ("PUT /api/things", 200, "write"),
        ("DELETE /api/things", 200, "loose"),
        ("DELETE /api/things/5", 200, "loose"),
        ("PATCH /api/things", 405, "GET, HEAD, POST, PUT, DELETE"),
        ("GET /api/counts", 200, "count"),
        ("GET /api/counts/3", 200, "count"),
        ("GET /api/counts/3/4/5", 404, ""),
        ("GET /api/files/a.b.c", 200, "file"),
        ("OPTIONS /api/files/a", 200, "file"),
        ("POST /api/negotiate", 401, ""),
        ("POST /api/nothing", 404, ""),
    ],
)
async def test_who_answers(line: str, status: int, said: str) -> None:
    method, path = line.split(" ")
    async with answering(*ROUTES) as running:
        answer = await running.http.request(method, path)
        assert (answer.status_code, bool(answer.headers["x-request-id"])) == (status, True)
        if status == 405:
            assert answer.headers["allow"] == said
        elif status == 200 and method != "HEAD":
            assert answer.text == said
        assert status == 200 or answer.headers["content-type"] == "application/problem+json"


async def test_what_a_route_says_of_its_values() -> None:
    async with answering(*ROUTES) as running:
        seen = {}
        for path in ("names/a%2Fb%2520", "items/x/y%20z", "counts/3", "files/a.b.c", "files/a", "things"):
            await running.http.request("DELETE" if path == "things" else "GET", f"/api/{path}")
            seen[path] = running.call().route
    assert seen == {
        "names/a%2Fb%2520": {"name": "a/b%20"},
        "items/x/y%20z": {"rest": "x/y z"},
        "counts/3": {"from": "3", "to": "9"},
        "files/a.b.c": {"name": "a.b", "ending": "c"},
        "files/a": {"name": "a"},
        "things": {},
    }


async def test_a_head_is_a_get_without_a_body() -> None:
    async with answering(http("read", methods=["get"]), http("both")) as running:
        for path, method in (("read", "GET"), ("both", "HEAD")):
            answer = await running.http.head(f"/api/{path}")
            assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "4")
            assert running.call().method == method


@pytest.mark.parametrize(
    ("prefix", "functions", "said"),
    [
        ("api", [http("a", "x/{id}"), http("b", "X/{name}")], "The functions a and b both answer GET /api/X/{name}"),
        ("api", [http("a", "x", methods=["get"]), http("b", "x", methods=["get", "post"])], "GET /api/x"),
        ("api", [http("a", "x", methods=["get"]), http("b", "x", methods=["post"])], ""),
        ("api", [http("a", "x/{id:int}"), http("b", "x/{id:alpha}"), http("c", "x/{id}")], ""),
        ("api", [http("a", "{*route}"), http("b", "{**route}", methods=["get"])], "both answer GET"),
        ("api", [http("a", "{*route}")], ""),
        ("api", [http("a", "x/{id:integer}")], "the constraint ':integer' is not understood"),
        ("api", [http("a", "x/{id")], "The function a: in the route, a brace is not closed"),
        ("api", [http("a", authLevel="system")], "authLevel"),
        ("api", [http("a", methods=["get it"])], "method"),
        ("", [http("hello")], ""),
        ("", [http("hubs")], "The function hubs answers at /hubs, which takes /hubs of the bridge"),
        ("", [http("a", "Runtime/webhooks/mine")], "takes /runtime"),
        ("", [http("a", "health/mine")], "takes /health"),
        ("", [http("a", "Metrics")], "takes /metrics"),
        ("", [http("a", "metrics/mine")], ""),
        ("", [http("a", "openapi.json")], "takes /openapi.json"),
        ("", [http("a", "events")], "takes /events"),
        ("", [http("a", "upstream/{x}")], "takes /upstream"),
        ("", [http("a", "docs/x")], "takes /docs"),
        ("", [http("a", "{x?}")], "takes / of the bridge"),
        ("", [http("a", "{x:int}/y")], ""),
        ("", [http("a", "{*route}")], "give it another route, or its app a routePrefix in host.json"),
        ("hubs", [http("a")], "takes /hubs"),
    ],
)
def test_what_a_start_says_of_routes(prefix: str, functions: list[FunctionDescription], said: str) -> None:
    app = build("http://127.0.0.1:1")
    if not said:
        use(app, Code(), functions, prefix)
        return
    with pytest.raises(SettingsError) as raised:
        use(app, Code(), functions, prefix)
    assert said in raised.value.detail


async def test_what_comes_in_front_of_what() -> None:
    """Below ``/api``: a function, then a path of the settings, then the negotiation of the default hub."""
    paths = '{"/api/Chat/negotiate": "chat", "/api/news": "news"}'
    settings = {"BRIDGE_NEGOTIATE__PATHS": paths, "BRIDGE_NEGOTIATE__ANONYMOUS": "true", "BRIDGE_DEFAULT_HUB": "lobby"}
    async with answering(settings=settings) as running:

        async def ask(path: str, method: str = "POST") -> str:
            answer = await running.http.request(method, path)
            if answer.status_code != 200:
                return f"{answer.status_code} {answer.headers.get('allow', '')}".strip()
            url = answer.json()["url"] if answer.headers["content-type"] == "application/json" else ""
            return str(url).rpartition("hub=")[2] if url else answer.text

        asked = ("/api/negotiate", "/api/chat/NEGOTIATE", "/api/news", "/hubs/chat/negotiate", "/api/News/")
        assert [await ask(one) for one in asked] == ["lobby", "chat", "news", "chat", "404"]
        assert await ask("/api/chat/negotiate", "GET") == "405 POST"
        use(running.app, running.code, [http("negotiate", methods=["get"]), http("mine", "news")])
        assert [await ask(one) for one in asked] == ["405 GET, HEAD", "chat", "mine", "chat", "mine"]
        use(running.app, running.code, [http("all", "{*route}")])
        assert [await ask(one) for one in asked] == ["all", "all", "all", "chat", "all"]
        assert (await running.http.get("/health/live")).status_code == 200
        use(running.app, running.code, [])
        assert [await ask(one) for one in asked] == ["lobby", "chat", "news", "chat", "404"]
        document = (await running.http.get("/openapi.json")).json()
    assert {path for path in document["paths"] if path.startswith("/api/")} == {
        "/api/negotiate",
        "/api/Chat/negotiate",
        "/api/news",
    }


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        ('{"chat/negotiate": "chat"}', "a path begins with /"),
        ('{"/api/{hub}/negotiate": "chat"}', "no parameters"),
        ('{"/api/chat/": "chat"}', "ends without"),
        ('{"/api/../hubs": "chat"}', "a path begins with /"),
        ('{"/api/a": "chat", "/API/A": "news"}', "stands twice"),
        ('{"/hubs/chat/negotiate": "chat"}', "the bridge itself answers below '/hubs'"),
        ('{"/Health/negotiate": "chat"}', "the bridge itself answers below '/Health'"),
        ('{"/": "chat"}', "a path begins with /"),
    ],
)
def test_paths_that_cannot_be(paths: str, said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        build("http://127.0.0.1:1", BRIDGE_NEGOTIATE__PATHS=paths)
    assert said in raised.value.detail
    assert raised.value.setting == "BRIDGE_NEGOTIATE__PATHS"


async def test_a_path_negotiates_as_the_route_of_its_hub_does() -> None:
    origin = {"Origin": "https://app.example"}
    settings = {
        "BRIDGE_NEGOTIATE__PATHS": '{"/api/chat/negotiate": "chat", "/api/negotiate": "main"}',
        "BRIDGE_HUBS__CHAT__NEGOTIATE__ANONYMOUS": "true",
        "BRIDGE_HUBS__CHAT__CORS__ORIGINS": "https://app.example",
    }
    key = {"X-API-Key": "a-key-of-a-caller"}
    async with answering(settings=settings) as running:
        for method, more in (
            ("POST", {}),
            ("GET", {}),
            ("OPTIONS", {"headers": origin | {"Access-Control-Request-Method": "POST"}}),
            ("POST", {"content": b"x"}),
            ("POST", {"headers": key, "json": {"userId": "ann"}}),
            ("POST", {"headers": {"X-API-Key": "wrong"}}),
            ("POST", {"headers": origin, "params": {"x": "y" * 9000}}),
        ):
            seen = []
            for path in ("/hubs/chat/negotiate", "/api/chat/negotiate"):
                answer = await running.http.request(method, path, **more)
                left = {"x-request-id", "content-length"}
                lines = {name: value for name, value in answer.headers.items() if name not in left}
                body = answer.json() if answer.content else {}
                seen.append((answer.status_code, lines, sorted(body), body.get("detail")))
            assert seen[0] == seen[1]
        assert (await running.http.post("/api/negotiate")).status_code == 401
        hubs = (await running.http.get("/hubs", headers=key)).json()
    assert [one["name"] for one in hubs] == ["chat", "main"]


async def test_the_rate_of_clients_holds_for_functions_that_hand_out_tokens() -> None:
    functions = [http("negotiate", None, info()), http("plain")]
    async with answering(*functions, BRIDGE_LIMITS__NEGOTIATE_PER_SECOND="0.001") as running:
        statuses = [(await running.http.post(f"/api/{one}")).status_code for one in ("negotiate", "negotiate", "plain")]
        assert statuses == [200, 429, 200]
