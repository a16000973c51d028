"""Negotiate over HTTP: who may, for which hub, with which body."""

import json
from base64 import b64encode
from typing import Any

import httpx
import jwt
import pytest

from tests.contract.bridge.running import AUTH, SERVICE, Bridge, bridge, build, client
from tests.contract.endpoints.programmable import programmable_server

OPEN = {"BRIDGE_NEGOTIATE__ANONYMOUS": "true", "BRIDGE_NEGOTIATE__HUBS": "chat"}
TEMPLATE = OPEN | {"BRIDGE_NEGOTIATE__USER_ID": "{query.userId}", "BRIDGE_NEGOTIATE__TRUST_CLIENT_INPUT": "true"}
TO_CHAT = "/hubs/chat/negotiate?negotiateVersion=1"


def claims_of(answer: httpx.Response, hub: str = "chat") -> dict[str, Any]:
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body.keys() == {"url", "accessToken"}
    assert body["url"].startswith("http://127.0.0.1:")
    assert body["url"].endswith(f"/client/?hub={hub}")
    audience = f"http://127.0.0.1/client/?hub={hub}"
    claims: dict[str, Any] = jwt.decode(body["accessToken"], SERVICE, algorithms=["HS256"], audience=audience)
    return claims


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.headers["x-problem-code"]


async def as_caller(running: Bridge, body: Any, path: str = "/hubs/chat/negotiate", **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = AUTH | {"Content-Type": "application/json"} | headers
    return await running.http.post(path, content=content, headers=given)


@pytest.mark.parametrize("body", [b"", b" \r\n", b"{}", b"{ }"])
@pytest.mark.parametrize("content_type", [None, "text/plain;charset=UTF-8", "application/json", "nonsense"])
async def test_a_client_sends_nothing_of_any_content_type(body: bytes, content_type: str | None) -> None:
    async with bridge(**OPEN) as running:
        headers = {} if content_type is None else {"Content-Type": content_type}
        answer = await running.http.post(TO_CHAT, content=body, headers=headers)
        claims = claims_of(answer)
        assert "asrs.s.uid" not in claims
        assert claims["exp"] - claims["iat"] == 3600
        assert running.seen == [], "the service is not asked"


async def test_hubs_ignore_case() -> None:
    async with bridge(**OPEN) as running:
        claims_of(await running.http.post("/hubs/CHAT/negotiate"))


@pytest.mark.parametrize(
    ("settings", "path", "expected"),
    [
        ({}, TO_CHAT, (401, "unauthenticated")),
        ({"BRIDGE_NEGOTIATE__HUBS": "*"}, "/hubs/1/negotiate", (401, "unauthenticated")),
        ({}, "/api/negotiate", (401, "unauthenticated")),
        (OPEN, "/hubs/internal/negotiate", (403, "forbidden")),
        (OPEN, "/hubs/1/negotiate", (400, "invalid-name")),
        (TEMPLATE, TO_CHAT, (401, "unauthenticated")),
        (TEMPLATE, TO_CHAT + "&userId=", (401, "unauthenticated")),
        (TEMPLATE, TO_CHAT + "&userId=a&userId=b", (401, "unauthenticated")),
        (TEMPLATE, TO_CHAT + "&userId=%20", (400, "invalid-name")),
        (TEMPLATE, TO_CHAT + "&userId=a%0Ab", (400, "invalid-name")),
        (TEMPLATE, TO_CHAT + "&userId=" + "y" * 1025, (400, "invalid-name")),
    ],
)
async def test_a_client_that_may_not(settings: dict[str, str], path: str, expected: tuple[int, str]) -> None:
    async with bridge(**settings) as running:
        answer = await running.http.post(path)
        assert problem_of(answer) == expected
        assert ("www-authenticate" in answer.headers) is (expected[0] == 401)


async def test_a_template_names_the_client() -> None:
    async with bridge(**TEMPLATE) as running:
        assert claims_of(await running.http.post(TO_CHAT + "&userId=ann%2Fb"))["asrs.s.uid"] == "ann/b"


@pytest.mark.parametrize("body", [b'{"userId":"admin"}', b"x", b"[]", b"null", b" " * 70_000])
@pytest.mark.parametrize("settings", [{}, OPEN])
async def test_a_body_of_a_client_that_is_not_a_caller(settings: dict[str, str], body: bytes) -> None:
    async with bridge(**settings) as running:
        answer = await running.http.post(TO_CHAT, content=body, headers={"Content-Type": "application/json"})
        assert problem_of(answer) == (401, "unauthenticated")
        assert answer.headers["www-authenticate"]


async def test_a_caller_may_say_for_whom() -> None:
    async with bridge() as running:
        body = {"userId": "ann", "claims": {"role": ["admin", "editor"]}, "lifetimeSeconds": 60, "closeOnExpiry": True}
        claims = claims_of(
            await as_caller(running, body | {"endpoint": "DEFAULT"}, "/hubs/internal/negotiate"), "internal"
        )
        assert (claims["asrs.s.uid"], claims["role"]) == ("ann", ["admin", "editor"])
        assert claims["exp"] - claims["iat"] == 60
        assert claims["asrs.s.coae"] == "true"
        claims = claims_of(await as_caller(running, {"claims": {"sub": "eve"}}))
        assert not {"sub", "asrs.s.uid"} & claims.keys()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"userId": ""}, (422, "invalid-name")),
        ({"lifetimeSeconds": 0}, (422, "invalid-item")),
        ({"lifetimeSeconds": 86401}, (422, "invalid-item")),
        ({"claims": {"nameid": "x"}}, (422, "reserved-claim")),
        ({"claims": {"asrs.s.uid": "x"}}, (422, "reserved-claim")),
        ({"hub": "x"}, (422, "unknown-property")),
        ({"endpoint": "nowhere"}, (422, "unknown-endpoint")),
        ({"claims": {"x": "y" * 4000}}, (400, "token-too-long")),
        (b"{", (400, "malformed-json")),
        (b"x", (400, "malformed-json")),
        (b'{"userId":"' + b"x" * 70_000 + b'"}', (413, "body-too-large")),
    ],
)
async def test_an_error_of_a_caller(body: Any, expected: tuple[int, str]) -> None:
    async with bridge() as running:
        assert problem_of(await as_caller(running, body)) == expected


async def test_a_callers_body_is_json() -> None:
    async with bridge() as running:
        for headers in ({"Content-Type": "text/plain"}, {"Content-Encoding": "gzip"}):
            answer = await as_caller(running, {"userId": "ann"}, **headers)
            assert problem_of(answer) == (415, "unsupported-media-type")


@pytest.mark.parametrize(
    ("settings", "hub"),
    [
        ({"BRIDGE_DEFAULT_HUB": "Chat"}, "chat"),
        ({"BRIDGE_NEGOTIATE__HUBS": "only"}, "only"),
        ({"BRIDGE_NEGOTIATE__HUBS": "one,ONE,*"}, "one"),
        ({"BRIDGE_NEGOTIATE__HUBS": "one,two", "BRIDGE_DEFAULT_HUB": "two"}, "two"),
        (
            {
                "BRIDGE_FORWARD__A__URL": "http://a",
                "BRIDGE_FORWARD__A__UNSIGNED": "true",
                "BRIDGE_FORWARD__A__HUB": "news",
            },
            "news",
        ),
        ({"BRIDGE_NEGOTIATE__HUBS": "one,two"}, None),
        ({}, None),
    ],
)
async def test_the_default_hub(settings: dict[str, str], hub: str | None) -> None:
    async with bridge(BRIDGE_NEGOTIATE__ANONYMOUS="true", **settings) as running:
        answer = await running.http.post("/api/negotiate")
        if hub is None:
            assert problem_of(answer) == (404, "no-default-hub")
        else:
            claims_of(answer, hub)


async def test_nowhere_to_send_a_client() -> None:
    async with programmable_server() as gone:
        refused = gone.url
    app = build(refused, refused.replace("127.0.0.1", "localhost"))
    async with app.router.lifespan_context(app), client(app, **AUTH) as http:
        assert (await http.post("/hubs/chat/send", json={"target": "t"})).status_code == 502
        for body in ({"userId": "ann"}, {"endpoint": "b"}):
            answer = await http.post("/hubs/chat/negotiate", json=body)
            assert problem_of(answer) == (503, "no-endpoint-available")
            assert answer.headers["retry-after"]
        answer = await http.post("/hubs/chat/send", json={"target": "t"})
        assert problem_of(answer) == (503, "no-endpoint-available")
        assert {one["outcome"] for one in answer.json()["endpoints"]} == {"offline"}


async def test_a_static_web_app_says_who_has_signed_in_by_its_principal_alone() -> None:
    """The principal is that of Microsoft's page "Accessing user information in Azure Static Web Apps"."""
    principal = {"identityProvider": "github", "userId": "d75b260a64504067bfc5b2905e3b8182", "userDetails": "username"}
    text = b64encode(json.dumps(principal | {"userRoles": ["anonymous", "authenticated"]}).encode()).decode()
    settings = {"BRIDGE_NEGOTIATE__PLATFORM_IDENTITY": "true", "BRIDGE_NEGOTIATE__CLAIM_TYPES": "roles"}
    async with bridge(**settings, BRIDGE_NEGOTIATE__HUBS="chat") as running:
        claims = claims_of(await running.http.post(TO_CHAT, headers={"x-ms-client-principal": text}))
        assert claims["asrs.s.uid"] == "d75b260a64504067bfc5b2905e3b8182"
        assert claims["roles"] == ["anonymous", "authenticated"]
        for headers in ({}, {"x-ms-client-principal": "e30="}, {"x-ms-client-principal": "nonsense"}):
            assert problem_of(await running.http.post(TO_CHAT, headers=headers)) == (401, "unauthenticated")
