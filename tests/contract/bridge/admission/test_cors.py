"""CORS as written: on negotiate alone, exact origins, preflights without authentication, headers on errors too."""

from dataclasses import replace
from typing import Any

import httpx
import pytest

from tests.contract.bridge.running import AUTH, bridge

ORIGIN = "https://app.contoso.com"
SETTINGS = {
    "BRIDGE_CORS__ORIGINS": f"{ORIGIN},https://*.fabrikam.com",
    "BRIDGE_CORS__HEADERS": "X-Tenant",
    "BRIDGE_HUBS__NEWS__CORS__ORIGINS": "https://news.example",
    "BRIDGE_NEGOTIATE__ANONYMOUS": "true",
    "BRIDGE_NEGOTIATE__HUBS": "chat",
    "BRIDGE_DEFAULT_HUB": "news",
}
WANTED = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-requested-with"}


def cors_of(answer: httpx.Response) -> dict[str, str]:
    prefix = "access-control-"
    return {name[len(prefix) :]: value for name, value in answer.headers.items() if name.startswith(prefix)}


async def test_a_preflight() -> None:
    async with bridge(**SETTINGS) as running:
        for path, origin in (
            ("/hubs/chat/negotiate", ORIGIN),
            ("/hubs/CHAT/negotiate?negotiateVersion=1", "https://x.fabrikam.com"),
            ("/hubs/unknown/negotiate", ORIGIN),
            ("/hubs/news/negotiate", "https://news.example"),
            ("/api/negotiate", "https://news.example"),
        ):
            answer = await running.http.options(path, headers={"Origin": origin} | WANTED)
            assert (answer.status_code, answer.content) == (204, b"")
            assert (answer.headers["vary"], bool(answer.headers["x-request-id"])) == ("Origin", True)
            assert cors_of(answer) == {
                "allow-origin": origin,
                "allow-credentials": "true",
                "allow-methods": "POST",
                "allow-headers": "authorization, content-type, x-requested-with, x-signalr-user-agent, x-tenant",
                "max-age": "600",
            }


async def test_without_credentials_no_cookie_is_sent() -> None:
    """Source: https://fetch.spec.whatwg.org/#http-access-control-allow-credentials."""
    async with bridge(**SETTINGS, BRIDGE_CORS__CREDENTIALS="false") as running:
        for answer in (
            await running.http.options("/hubs/chat/negotiate", headers={"Origin": ORIGIN} | WANTED),
            await running.http.post("/hubs/chat/negotiate", headers={"Origin": ORIGIN}),
        ):
            assert cors_of(answer)["allow-origin"] == ORIGIN
            assert "allow-credentials" not in cors_of(answer)


@pytest.mark.parametrize(
    ("path", "origin"),
    [
        ("/hubs/chat/negotiate", "https://evil.example"),
        ("/hubs/chat/negotiate", "null"),
        ("/hubs/chat/negotiate", "https://news.example"),
        ("/hubs/news/negotiate", ORIGIN),
        ("/api/negotiate", ORIGIN),
    ],
)
async def test_an_origin_that_is_not_allowed(path: str, origin: str) -> None:
    async with bridge(**SETTINGS) as running:
        preflight = await running.http.options(path, headers={"Origin": origin} | WANTED)
        assert (preflight.status_code, cors_of(preflight), preflight.headers["vary"]) == (204, {}, "Origin")
        answer = await running.http.post(path, headers={"Origin": origin})
        assert (cors_of(answer), answer.headers["vary"]) == ({}, "Origin")


SHOWN = {"allow-origin": ORIGIN, "allow-credentials": "true", "expose-headers": "X-Request-Id, Retry-After"}


@pytest.mark.parametrize(
    ("request_line", "more", "status"),
    [
        ("POST /hubs/chat/negotiate", {}, 200),
        ("POST /hubs/chat/negotiate", {"content": b"x"}, 401),
        ("POST /hubs/unknown/negotiate", {}, 403),
        ("POST /hubs/1/negotiate", {}, 400),
        ("GET /hubs/chat/negotiate", {}, 405),
        ("POST /hubs/chat/negotiate", {"headers": AUTH, "json": {"endpoint": "x"}}, 422),
        ("POST /hubs/chat/negotiate", {"headers": {"X-API-Key": "wrong"}}, 401),
    ],
)
async def test_the_headers_stand_on_errors_too(request_line: str, more: dict[str, Any], status: int) -> None:
    method, path = request_line.split(" ")
    async with bridge(**SETTINGS) as running:
        headers = {"Origin": ORIGIN} | more.pop("headers", {})
        answer = await running.http.request(method, path, headers=headers, **more)
        assert (answer.status_code, cors_of(answer)) == (status, SHOWN)


async def test_even_when_something_goes_wrong_here() -> None:
    async with bridge(**SETTINGS) as running:
        running.app.front.parts = replace(running.app.state.parts, negotiator=None)
        answer = await running.http.post("/hubs/chat/negotiate", headers={"Origin": ORIGIN})
        assert (answer.status_code, cors_of(answer)) == (500, SHOWN)


@pytest.mark.parametrize("path", ["/hubs/chat/send", "/hubs/chat/negotiate/endpoints", "/health/live", "/upstream"])
async def test_no_other_route_has_any(path: str) -> None:
    async with bridge(**SETTINGS) as running:
        for method in ("OPTIONS", "POST", "GET"):
            answer = await running.http.request(method, path, headers={"Origin": ORIGIN} | WANTED | AUTH)
            assert cors_of(answer) == {}
            assert method != "OPTIONS" or answer.status_code == 405


async def test_without_an_origin_it_is_no_preflight() -> None:
    async with bridge(**SETTINGS) as running:
        answer = await running.http.options("/hubs/chat/negotiate", headers=WANTED)
        assert (answer.status_code, answer.headers["allow"], cors_of(answer)) == (405, "POST", {})
        assert "vary" in (await running.http.post("/hubs/chat/negotiate")).headers
