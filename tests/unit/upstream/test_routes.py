"""The route: paths, methods, and answers with their length."""

from dataclasses import dataclass

import httpx
import pytest
from signalr_bridge.runtime import RUNTIME
from signalr_bridge.upstream.receiver import Receiver
from signalr_bridge.upstream.routes import ROUTES
from signalr_bridge.web.authorize import Access
from signalr_bridge.web.front import Front
from signalr_bridge.web.observer import SILENT
from signalr_bridge.web.request import PartsByType
from signalr_bridge.web.shares import Shares
from signalr_bridge.web.table import Table
from starlette.types import Receive, Scope, Send

from tests.unit.upstream.fakes import Caller, FakeHandler, event, header_lines
from tests.unit.web.requests import access, no_cors

INVOKE = b'{"type":1,"invocationId":"7","target":"send","arguments":[]}'
SEND = b'{"type":1,"target":"send","arguments":[]}'


@dataclass(frozen=True, slots=True)
class FewParts(PartsByType):
    receiver: Receiver
    access: Access


async def no_fastapi(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError


def client() -> httpx.AsyncClient:
    front = Front(
        Table(ROUTES),
        no_fastapi,
        FewParts(Caller(FakeHandler("done")).receiver, access()),
        no_cors,
        runtime=RUNTIME,
        observer=SILENT,
        shares=Shares(10, 1_000_000, SILENT),
        separate=False,
        only_this_machine=False,
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(front), base_url="http://bridge")


async def call(path: str, body: bytes = INVOKE, method: str = "POST", **more: str) -> httpx.Response:
    async with client() as bridge:
        return await bridge.request(method, path, content=body, headers=header_lines(event(), **more))


@pytest.mark.parametrize(
    "path",
    [
        "/upstream",
        "/Upstream",
        "/upstream/",
        "/upstream/chat/messages/send",
        "/upstream/a%2Fb",
        "/runtime/webhooks/signalr",
        "/runtime/webhooks/signalr?code=x",
        "/Runtime/WebHooks/SignalR/anything/below",
    ],
)
async def test_the_service_calls_here_and_below(path: str) -> None:
    response = await call(path)
    assert (response.status_code, response.content) == (200, b'{"type":3,"invocationId":"7","result":"done"}\x1e')
    assert response.headers["content-type"] == "application/json"
    assert response.headers["content-length"] == str(len(response.content))


@pytest.mark.parametrize("path", ["/", "/upstreams", "/runtime/webhooks", "/runtime/webhooks/signalrx", "/x/upstream"])
async def test_and_nowhere_else(path: str) -> None:
    assert (await call(path)).status_code == 404


async def test_an_answer_is_in_the_protocol_of_the_call() -> None:
    body = b"\x96\x01\x80\xa17\xa4send\x90\x90"
    response = await call("/upstream", body, content_type="application/x-msgpack")
    assert (response.status_code, response.content) == (200, b"\x0b\x95\x03\x80\xa17\x03\xa4done")
    assert response.headers["content-type"] == "application/x-msgpack"
    assert response.headers["content-length"] == "12"


async def test_an_empty_answer_has_its_length_too() -> None:
    response = await call("/upstream", SEND)
    assert (response.status_code, response.content) == (200, b"")
    assert [name for name, _ in response.headers.raw] == [b"content-length", b"x-request-id"]
    assert response.headers["content-length"] == "0"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_only_with_post(method: str) -> None:
    response = await call("/upstream/x", method=method)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


async def test_a_body_that_is_too_large() -> None:
    response = await call("/upstream", b" " * 1001)
    assert (response.status_code, response.json()["code"]) == (413, "body-too-large")


async def test_an_unsigned_call() -> None:
    response = await call("/upstream", x_asrs_signature="")
    assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")
