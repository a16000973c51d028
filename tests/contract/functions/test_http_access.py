"""Who may call a function: by ``authLevel``, keys and listeners, and pages of which origins."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.contract.functions.answering import Answering, answering, http

FUNCTIONS = [
    http("open"),
    http("keyed", authLevel="function", methods=["get", "post"]),
    http("silent", authLevel=None),
    http("admin", authLevel="Admin"),
    http("mixed_get", "mixed", methods=["get"]),
    http("mixed_post", "mixed", methods=["post"], authLevel="function"),
]
ALL, PAGE, ADMIN, SENDER = "a-key-of-a-caller", "a-key-of-functions", "a-key-of-the-admin", "a-key-of-a-sender"
WRONG = "a-key-of-nobody"


@pytest.mark.parametrize(
    ("headers", "query", "statuses"),
    [
        ({}, "", (200, 401, 401, 401)),
        ({"X-API-Key": ALL}, "", (200, 200, 200, 200)),
        ({"X-API-Key": PAGE}, "", (200, 200, 200, 403)),
        ({"x-functions-key": PAGE}, "", (200, 200, 200, 403)),
        ({}, f"code={PAGE}", (200, 200, 200, 403)),
        ({}, f"Code={PAGE}&x=1", (200, 200, 200, 403)),
        ({"X-API-Key": ADMIN}, "", (200, 200, 200, 200)),
        ({}, f"code={ADMIN}", (200, 200, 200, 200)),
        ({"X-API-Key": SENDER}, "", (200, 403, 403, 403)),
        ({"x-functions-key": SENDER}, "", (200, 403, 403, 403)),
        ({"X-API-Key": WRONG}, "", (200, 401, 401, 401)),
        ({"x-functions-key": WRONG}, "", (200, 401, 401, 401)),
        ({}, f"code={WRONG}", (200, 401, 401, 401)),
        ({}, f"code={PAGE}&code={PAGE}", (200, 401, 401, 401)),
        ({}, "code=", (200, 401, 401, 401)),
        ({"X-API-Key": ""}, f"code={PAGE}", (200, 200, 200, 403)),
        ({"X-API-Key": WRONG, "x-functions-key": PAGE}, f"code={PAGE}", (200, 401, 401, 401)),
        ({"x-functions-key": WRONG}, f"code={PAGE}", (200, 401, 401, 401)),
        ({"Authorization": "Bearer a.token.of-a-user"}, "", (200, 401, 401, 401)),
        ({"Authorization": "Bearer a.token.of-a-user"}, f"code={PAGE}", (200, 200, 200, 403)),
    ],
)
async def test_by_level(headers: dict[str, str], query: str, statuses: tuple[int, ...]) -> None:
    async with answering(*FUNCTIONS) as running:
        for name, status in zip(("open", "keyed", "silent", "admin"), statuses, strict=True):
            answer = await running.http.post(f"/api/{name}?{query}", headers=headers)
            assert (name, answer.status_code) == (name, status)
            if status == 401:
                assert answer.headers["x-problem-code"] == "unauthenticated"
                assert "ApiKey" in answer.headers["www-authenticate"]
            if status != 200:
                assert not any(key in answer.text for key in (ALL, PAGE, ADMIN, SENDER, WRONG))


async def test_such_a_key_opens_nothing_else() -> None:
    async with answering(*FUNCTIONS, BRIDGE_DEFAULT_HUB="chat") as running:
        for line in ("GET /hubs", "POST /hubs/chat/send", "POST /hubs/chat/negotiate", "POST /hubs/other/send"):
            method, path = line.split(" ")
            answer = await running.http.request(method, path, headers={"X-API-Key": PAGE}, json={"target": "t"})
            assert (line, answer.status_code) == (line, 403)
        assert (await running.http.get("/hubs?code=a-key-of-a-caller")).status_code == 401


async def test_wrong_keys_are_counted_by_address() -> None:
    async with answering(*FUNCTIONS) as running:
        for _ in range(100):
            assert (await running.http.get(f"/api/keyed?code={WRONG}")).status_code == 401
        answer = await running.http.get(f"/api/keyed?code={WRONG}")
        assert (answer.status_code, answer.headers["x-problem-code"]) == (429, "rate-limited")
        assert (await running.http.get(f"/api/keyed?code={PAGE}")).status_code == 200


async def test_callers_have_their_rate_and_bodies_their_size() -> None:
    async with answering(*FUNCTIONS, BRIDGE_LIMITS__CALLER_PER_SECOND="0.001") as running:
        seen = [(await running.http.get(f"/api/keyed?code={PAGE}")).status_code for _ in range(2)]
        assert seen == [200, 429]
        large = b"x" * (8 * 1024 * 1024)
        assert (await running.http.post("/api/open", content=large)).status_code == 200
        assert len(running.call().body) == len(large)
        answer = await running.http.post("/api/open", content=large + b"x")
        assert (answer.status_code, answer.headers["x-problem-code"]) == (413, "body-too-large")
        # Who may not call learns nothing of sizes.
        assert (await running.http.post("/api/keyed", content=large + b"x")).status_code == 401


async def test_a_key_that_goes_while_the_body_comes() -> None:
    async with answering(*FUNCTIONS) as running:
        parts = running.app.state.parts
        snapshots = parts.snapshots

        async def body() -> AsyncIterator[bytes]:
            yield b"a"
            settings = snapshots.settings()
            kept = tuple(one for one in settings.callers.keys if one.name != "page")
            callers = settings.callers.model_copy(update={"keys": kept})
            snapshots.prepare(settings.model_copy(update={"callers": callers}))()
            yield b"b"

        for header in ({"x-functions-key": PAGE}, {"x-functions-key": ADMIN}):
            answer = await running.http.post("/api/keyed", content=body(), headers=header)
            assert answer.status_code == (401 if PAGE in header.values() else 200)


# --- listeners

APART = {"BRIDGE_CALLERS__LISTEN": "127.0.0.1:1"}


@pytest.mark.parametrize(
    ("line", "public", "callers"),
    [
        ("GET /api/open", 200, 200),
        ("GET /api/keyed", 404, 401),
        ("GET /api/keyed?code=a-key-of-functions", 404, 200),
        ("DELETE /api/keyed", 404, 405),
        ("GET /api/admin?code=a-key-of-the-admin", 404, 200),
        ("GET /api/mixed", 200, 200),
        ("POST /api/mixed?code=a-key-of-functions", 405, 200),
        ("GET /hubs?code=a-key-of-a-caller", 404, 401),
        ("GET /api/nothing", 404, 404),
    ],
)
async def test_with_a_listener_of_their_own(line: str, public: int, callers: int) -> None:
    method, path = line.split(" ")
    async with answering(*FUNCTIONS, settings=APART) as running:
        for listener, status in (("public", public), ("callers", callers)):
            async with running.at(listener) as at:
                answer = await at.request(method, path)
                assert (listener, answer.status_code) == (listener, status)
                if answer.status_code == 405:
                    assert answer.headers["allow"] == ("GET, HEAD" if listener == "public" else "GET, HEAD, POST")


async def test_anonymous_callers_have_the_right_on_their_listener_alone() -> None:
    async with (
        answering(*FUNCTIONS, settings=APART, BRIDGE_CALLERS__ANONYMOUS="true") as running,
        running.at("callers") as at,
    ):
        assert (await at.get("http://localhost/api/admin")).status_code == 200
        assert (await at.get("http://foreign.example/api/admin")).status_code == 403
        assert (await at.get(f"http://localhost/api/admin?code={PAGE}")).status_code == 403
        assert (await at.get(f"http://localhost/api/admin?code={WRONG}")).status_code == 401


# --- pages

ORIGIN = "https://app.contoso.com"
CORS = {
    "BRIDGE_CORS__ORIGINS": ORIGIN,
    "BRIDGE_CORS__HEADERS": "X-Tenant",
    "BRIDGE_DEFAULT_HUB": "chat",
    "BRIDGE_HUBS__CHAT__CORS__ORIGINS": "https://chat.example",
}
HEADERS = "authorization, content-type, x-requested-with, x-signalr-user-agent, x-functions-key, x-tenant"


def cors_of(answer: httpx.Response) -> dict[str, str]:
    prefix = "access-control-"
    return {name[len(prefix) :]: value for name, value in answer.headers.items() if name.startswith(prefix)}


async def preflight(running: Answering, path: str, origin: str) -> httpx.Response:
    wanted = {"Origin": origin, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-tenant"}
    return await running.http.options(path, headers=wanted)


async def test_preflights() -> None:
    async with answering(*FUNCTIONS, http("own", methods=["options", "get"]), settings=CORS) as running:
        for name, methods in (
            ("open", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
            ("keyed", "GET, HEAD, POST"),
            ("mixed", "GET, HEAD, POST"),
        ):
            answer = await preflight(running, f"/api/{name}", ORIGIN)
            assert (answer.status_code, answer.content, answer.headers["vary"]) == (204, b"", "Origin")
            assert cors_of(answer) == {
                "allow-origin": ORIGIN,
                "allow-credentials": "true",
                "allow-methods": methods,
                "allow-headers": HEADERS,
                "max-age": "600",
            }
            for origin in ("https://chat.example", "https://evil.example", "null"):
                answer = await preflight(running, f"/api/{name}", origin)
                assert (answer.status_code, cors_of(answer)) == (204, {})
        assert not running.code.calls
        assert (await preflight(running, "/api/own", "https://evil.example")).text == "own"
        assert (await preflight(running, "/api/own", ORIGIN)).status_code == 204
        assert (await running.http.options("/api/open", headers={"Origin": ORIGIN})).text == "open"


@pytest.mark.parametrize(
    ("line", "status"),
    [("GET /api/open", 200), ("GET /api/keyed", 401), ("DELETE /api/keyed", 405), ("GET /api/nothing", 404)],
)
async def test_the_headers_stand_on_errors_too(line: str, status: int) -> None:
    method, path = line.split(" ")
    async with answering(*FUNCTIONS, settings=CORS) as running:
        answer = await running.http.request(method, path, headers={"Origin": ORIGIN})
        assert answer.status_code == status
        shown = {"allow-origin": ORIGIN, "allow-credentials": "true", "expose-headers": "X-Request-Id, Retry-After"}
        assert cors_of(answer) == ({} if status == 404 else shown)
        answer = await running.http.request(method, path, headers={"Origin": "https://evil.example"})
        assert (answer.status_code, cors_of(answer)) == (status, {})


# --- in development

OWN, OTHER_PORT, FOREIGN = "http://localhost:8080", "http://127.0.0.1:5173", "https://evil.example"


@pytest.mark.parametrize(
    ("host", "origin", "statuses"),
    [
        ("localhost:8080", "", (200, 200)),
        ("localhost:8080", OWN, (200, 200)),
        ("localhost:8080", OTHER_PORT, (200, 403)),
        ("localhost:8080", "https://named.example", (200, 403)),
        ("localhost:8080", FOREIGN, (403, 403)),
        ("localhost:8080", "null", (403, 403)),
        ("bridge.example", "", (403, 403)),
        ("bridge.example", OTHER_PORT, (403, 403)),
    ],
)
async def test_in_development(host: str, origin: str, statuses: tuple[int, ...]) -> None:
    settings = {"BRIDGE_CALLERS__KEYS": "", "BRIDGE_CORS__ORIGINS": "https://named.example"}
    async with answering(*FUNCTIONS, development=True, settings=settings) as running:
        for path, status in zip(("/api/open", f"/api/admin?code={WRONG}"), statuses, strict=True):
            headers = {"Host": host} | ({"Origin": origin} if origin else {})
            answer = await running.http.post(path, headers=headers)
            assert (path, answer.status_code) == (path, status)


async def test_in_development_with_keys_they_are_needed() -> None:
    async with answering(*FUNCTIONS, development=True) as running:
        for query, status in (("", 401), (f"?code={WRONG}", 401), (f"?code={PAGE}", 200)):
            answer = await running.http.get(f"/api/keyed{query}", headers={"Host": "localhost"})
            assert answer.status_code == status
