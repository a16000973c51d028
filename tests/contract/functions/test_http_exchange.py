"""What a function sees of a request, and what the bridge makes of its reply and of its failure."""

import logging
from collections.abc import Sequence

import httpx
import pytest
from signalr_bridge.errors import NoEndpointAvailable, Rejected, Unauthenticated
from signalr_bridge.functions.invocation import FunctionFailed, FunctionResult, HttpReply, Invocation

from tests.contract.functions.answering import answering, http
from tests.contract.functions.invoking import Answer, info

SECRETS = ("s3cret-code", "s3cret-key", "s3cret-token", "s3cret-id", "s3cret-of-old", "a-key-of-functions")
HEADERS = [
    ("Host", "chat.contoso.com:8443"),
    ("X-API-Key", "a-key-of-functions"),
    ("x-functions-key", "s3cret-key"),
    ("Authorization", "Bearer s3cret-token"),
    ("X-MS-CLIENT-PRINCIPAL-ID", "forged"),
    ("x-ms-token-aad-id-token", "forged"),
    ("X-Custom", "one"),
    ("x-custom", "zw\u00f6lf"),
    ("Cookie", "a=b"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "front.contoso.com"),
]
QUERY = "code=s3cret-code&a=1&A=2&a=%C3%BC+x&%69d=s3cret-id&access_token=s3cret-of-old&Code=s3cret-code&empty="


async def test_what_a_function_sees(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    function = http("call", "rooms/{room}", authLevel="function")
    lines = [(name.encode(), value.encode()) for name, value in HEADERS]
    async with answering(function) as running:
        answer = await running.http.post(f"/api/rooms/a%2Fb?{QUERY}", headers=lines, content=b"\x00body")
        assert answer.status_code == 200
        call = running.call()
    assert call.method == "POST"
    assert call.url == "http://chat.contoso.com:8443/api/rooms/a%2Fb?a=1&A=2&a=%C3%BC+x&empty="
    assert call.path == "/api/rooms/a%2Fb"
    assert call.query == {"a": ["1", "\u00fc x"], "A": ["2"], "empty": [""]}
    assert call.route == {"room": "a/b"}
    assert call.body == b"\x00body"
    assert {"x-custom", "cookie", "host", "content-length"} <= set(call.headers)
    assert call.headers["x-custom"] == ["one", "zw\u00f6lf"]
    hidden = {"x-api-key", "x-functions-key", "authorization", "x-ms-client-principal-id", "x-ms-token-aad-id-token"}
    assert not hidden & set(call.headers)
    seen = [repr(call), repr(running.code.calls[-1]), answer.text, str(answer.headers), caplog.text]
    seen += [str(vars(record)) for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert not [one for one in SECRETS for text in seen if one in text and text is not caplog.text]


@pytest.mark.parametrize(
    ("trusted", "headers", "url"),
    [
        ("127.0.0.0/8", {}, "https://front.contoso.com/api/call"),
        ("127.0.0.0/8", {"X-Forwarded-Proto": "gopher", "X-Forwarded-Host": "a b"}, "http://localhost/api/call"),
        ("127.0.0.0/8", {"X-Forwarded-Proto": "http, HTTPS"}, "https://front.contoso.com/api/call"),
        ("10.0.0.0/8", {}, "http://bridge/api/call"),
    ],
)
async def test_whose_word_on_scheme_and_host_counts(trusted: str, headers: dict[str, str], url: str) -> None:
    given = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "front.contoso.com"} | headers
    async with answering(http("call"), BRIDGE_TRUSTED_PROXIES=trusted) as running:
        await running.http.get("/api/call", headers=given)
        assert running.call().url == url


IMITATED = {"x_ms_client_principal_id": "eve", "x-ms-client_principal": "eve", "x_ms_token_aad_id_token": "eve"}
"""Names that a client may write: no platform strips them."""


async def test_platform_headers_are_seen_where_they_are_believed() -> None:
    async with answering(http("call", None, info()), BRIDGE_NEGOTIATE__PLATFORM_IDENTITY="true") as running:
        await running.http.get("/api/call", headers={"X-MS-CLIENT-PRINCIPAL-ID": "ann", **IMITATED})
        seen = running.call().headers
        assert seen["x-ms-client-principal-id"] == ["ann"]
        assert not IMITATED.keys() & seen.keys(), "apps by WSGI would take them for the platform's"


@pytest.mark.parametrize("path", ["%2e%2e/adm", "..%2fadm", "a/%2E", "a%5c..%5cb", "%2e%2e"])
async def test_a_path_that_leads_up_reaches_no_function(path: str) -> None:
    """The host takes such segments out, so an app does not expect them where it opens files by a path."""
    async with answering(http("files", "files/{*path}")) as running:
        refused = await running.http.get(f"/api/files/{path}")
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid-name")
        assert (await running.http.get("/api/files/..a/b%2e/%252e%252e")).status_code == 200
        assert running.call().route == {"path": "..a/b./%2e%2e"}


def replying(status: int, headers: Sequence[tuple[str, str]] = (), body: bytes = b"") -> Answer:
    return lambda _: FunctionResult(reply=HttpReply(status, headers, body))


async def ask(answer: Answer, method: str = "GET", **headers: str) -> httpx.Response:
    async with answering(http("call"), answer=answer, BRIDGE_CORS__ORIGINS="https://app.example") as running:
        return await running.http.request(method, "/api/call", headers=headers)


async def test_a_reply_is_the_apps_own() -> None:
    lines = [
        ("Set-Cookie", "a=1"),
        ("Content-Type", "text/html"),
        ("set-cookie", "b=\u00fc"),
        ("Connection", "close, X-Hop"),
        ("X-Hop", "1"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "999"),
        ("Date", "never"),
        ("X-Request-Id", "mine"),
        ("Access-Control-Allow-Origin", "*"),
    ]
    answer = await ask(replying(418, lines, b"<p>"), **{"X-Request-Id": "of-the-caller"})
    assert (answer.status_code, answer.content) == (418, b"<p>")
    assert [(name, value.decode()) for name, value in answer.headers.raw if name != b"vary"] == [
        (b"set-cookie", "a=1"),
        (b"content-type", "text/html"),
        (b"set-cookie", "b=\u00fc"),
        (b"access-control-allow-origin", "*"),
        (b"content-length", "3"),
        (b"x-request-id", "of-the-caller"),
    ]
    answer = await ask(replying(200, lines), Origin="https://app.example")
    assert answer.headers.get_list("access-control-allow-origin") == ["https://app.example"]


@pytest.mark.parametrize(
    ("status", "method", "body", "length"),
    [(204, "GET", b"x", None), (304, "GET", b"x", None), (200, "HEAD", b"xyz", "3"), (599, "GET", b"x", "1")],
)
async def test_answers_without_a_body(status: int, method: str, body: bytes, length: str | None) -> None:
    answer = await ask(replying(status, [], body), method)
    assert (answer.status_code, answer.headers.get("content-length")) == (status, length)
    assert answer.content == (b"x" if status == 599 else b"")


async def test_a_function_that_replies_nothing_is_a_204() -> None:
    assert (await ask(lambda _: FunctionResult())).status_code == 204


def failing(error: Exception) -> Answer:
    def fail(invocation: Invocation) -> FunctionResult:
        raise error

    return fail


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (failing(ValueError("s3cret of the app")), 500, "internal-error"),
        (failing(FunctionFailed("s3cret of the app")), 500, "internal-error"),
        (failing(Rejected("s3cret of the app")), 500, "internal-error"),
        (failing(Unauthenticated("Sign in.")), 401, "unauthenticated"),
        (failing(NoEndpointAvailable("Try later.", headers={"Retry-After": "1"})), 503, "no-endpoint-available"),
        (replying(99), 500, "internal-error"),
        (replying(100), 500, "internal-error"),
        (replying(600), 500, "internal-error"),
        (replying(200, [("X-A", "b\r\nset-cookie: s3cret")]), 500, "internal-error"),
        (replying(200, [("X A", "b")]), 500, "internal-error"),
        (replying(200, [("", "b")]), 500, "internal-error"),
    ],
)
async def test_failures(answer: Answer, status: int, code: str, caplog: pytest.LogCaptureFixture) -> None:
    found = await ask(answer, Origin="https://app.example")
    assert (found.status_code, found.headers["x-problem-code"]) == (status, code)
    assert found.headers["access-control-allow-origin"] == "https://app.example"
    assert "s3cret" not in found.text
    logged = [record for record in caplog.records if record.message == "function failed"]
    assert [vars(record)["function"] for record in logged] == (["call"] if status == 500 else [])


async def test_answers_with_tokens_are_not_kept() -> None:
    functions = [http("negotiate", None, info()), http("plain")]
    async with answering(*functions) as running:
        assert (await running.http.get("/api/negotiate")).headers["cache-control"] == "no-store"
        assert "cache-control" not in (await running.http.get("/api/plain")).headers
    async with answering(*functions, answer=replying(200, [("Cache-Control", "private")])) as running:
        assert (await running.http.get("/api/negotiate")).headers.get_list("cache-control") == ["private"]
