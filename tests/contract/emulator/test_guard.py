"""The emulator's guard: everybody knows its key, so a foreign page, or a name made up for it, gets nothing."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx
import pytest
from signalr_bridge.emulator import Emulator
from signalr_bridge.errors import SettingsError
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.contract.emulator.parties import HANDSHAKE, Upstream, address, bearer, join, token

EVIL = "https://evil.example"
CALLS = [
    ("POST", "/api/v1/hubs/chat"),
    ("POST", "/api/hubs/chat/:send"),
    ("PUT", "/api/hubs/chat/users/ann/groups/g?api-version=2024-12-01"),
    ("HEAD", "/api/hubs/chat/connections/x?api-version=2024-12-01"),
    ("POST", "/client/negotiate?hub=chat&negotiateVersion=1"),
    ("OPTIONS", "/client/negotiate?hub=chat"),
    ("GET", "/client/?hub=chat"),
    ("POST", "/api/v1/auth/accessKey"),
    ("GET", "/api/health"),
    ("GET", "/nothing"),
]


@asynccontextmanager
async def http_of(emulator: Emulator) -> AsyncIterator[httpx.AsyncClient]:
    url = f"http://127.0.0.1:{emulator.port}"
    async with httpx.AsyncClient(base_url=url, headers=bearer(token()), trust_env=False) as http:
        yield http


async def open_with(emulator: Emulator, headers: Mapping[str, str]) -> int:
    """The status of a WebSocket's handshake by ``admin``, who then calls a method."""
    given = bearer(token(sub="admin")) | dict(headers)
    try:
        async with connect(address(emulator, "hub=chat"), additional_headers=given, proxy=None) as socket:
            await socket.send(HANDSHAKE + '{"type":1,"target":"wipe","arguments":[]}\x1e')
            await asyncio.wait_for(socket.recv(), 5)
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": EVIL},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "http://localhost:8080@evil.example"},
        {"Origin": "http://evil.example\\@localhost"},
        {"Origin": "http://10.0.0.1:8080"},
        {"Origin": "file://localhost"},
        {"Host": "evil.example"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
        {"Host": "127.0.0.1.evil.example:8888"},
        {"Host": "0.0.0.0"},
    ],
    ids=str,
)
async def test_a_foreign_page_gets_nothing(emulator: Emulator, upstream: Upstream, headers: dict[str, str]) -> None:
    """It neither sends, nor asks, nor runs a handler, although it has the key."""
    async with join(emulator) as peer, http_of(emulator) as http:
        for method, path in CALLS:
            asks = {"Access-Control-Request-Method": "POST"} if method == "OPTIONS" else {}
            answer = await http.request(method, path, headers=headers | asks, json={"target": "t", "arguments": []})
            assert answer.status_code == 403, (method, path)
            assert answer.text.startswith("The emulator ") or method == "HEAD"
            assert not any(name.startswith("access-control-") for name in answer.headers)
        assert await open_with(emulator, headers) == 403
        assert (await http.post("/api/v1/hubs/chat", json={"target": "last", "arguments": []})).status_code == 202
        assert (await peer.receive())["target"] == "last"
    assert upstream.events[:1] == ["connected"]
    assert "wipe" not in upstream.events


@pytest.mark.parametrize(
    "origin",
    ["http://localhost:5173", "http://127.0.0.1:1", "https://[::1]:8443", "http://127.8.8.8", "HTTP://LOCALHOST:3000"],
)
async def test_a_page_of_this_machine_sends_and_connects(emulator: Emulator, upstream: Upstream, origin: str) -> None:
    async with http_of(emulator) as http:
        answer = await http.post("/client/negotiate?hub=chat", headers={"Origin": origin})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, origin)
    assert await open_with(emulator, {"Origin": origin}) == 101
    await upstream.wait_for("wipe")


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:8888", "127.8.8.8", "LocalHost"])
async def test_it_is_called_by_each_name_of_this_machine(emulator: Emulator, host: str) -> None:
    async with http_of(emulator) as http:
        assert (await http.get("/api/health", headers={"Host": host})).status_code == 200


async def test_where_it_does_not_listen_on_loopback_alone_it_has_any_name() -> None:
    """In compose it is called by the name of its service. Pages are refused there, too."""
    async with Emulator(0, "0.0.0.0") as emulator, http_of(emulator) as http:
        named = {"Host": "signalr:8888"}
        assert (await http.get("/api/health", headers=named)).status_code == 200
        assert (await http.get("/api/health", headers=named | {"Origin": "http://localhost:8080"})).status_code == 200
        for origin in (EVIL, "null", "http://signalr:8888"):
            assert (await http.get("/api/health", headers=named | {"Origin": origin})).status_code == 403
            assert await open_with(emulator, {"Origin": origin}) == 403


async def test_further_origins_are_named() -> None:
    origins = ["https://app.example", "https://*.example.org"]
    async with Emulator(0, origins=origins) as emulator, http_of(emulator) as http:
        for origin, status in (
            ("https://app.example", 200),
            ("https://a.example.org", 200),
            ("http://app.example", 403),
            ("https://a.b.example.org", 403),
            ("null", 403),
        ):
            assert (await http.get("/api/health", headers={"Origin": origin})).status_code == status
        assert await open_with(emulator, {"Origin": "https://app.example"}) == 101
        assert (await http.get("/api/health", headers={"Host": "app.example"})).status_code == 403


@pytest.mark.parametrize("origin", ["*", "null", "app.example", "https://app.example/", "https://a.example/x"])
def test_an_origin_that_is_none(origin: str) -> None:
    with pytest.raises(SettingsError, match="--allow-origin: an origin is scheme://host"):
        Emulator(0, origins=[origin])
