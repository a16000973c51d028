"""Negotiation and the life of a client's WebSocket: spec 5.2, 5.4, 2.2, 2.5 and 4.1."""

import asyncio
import json
import time
from typing import Any

import httpx
import pytest
from signalr_bridge.emulator import Emulator, Limits
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.contract.emulator.parties import (
    HANDSHAKE,
    KEY,
    OTHER_KEY,
    PATIENCE,
    Upstream,
    address,
    bearer,
    join,
    open_socket,
    token,
)

RS = "\x1e"
UNEXPECTED = "An unexpected error occurred during connection handshake."


async def refused(emulator: Emulator, query: str, headers: dict[str, str] | None = None) -> int:
    """The HTTP status that a WebSocket gets instead of 101."""
    with pytest.raises(InvalidStatus) as caught:
        async with connect(address(emulator, query), additional_headers=headers, proxy=None):
            pass
    return caught.value.response.status_code


# --- negotiation


async def test_negotiation_version_1(rest: httpx.AsyncClient) -> None:
    response = await rest.post("/client/negotiate?hub=chat&negotiateVersion=1")
    answer = response.json()
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert set(answer) == {"negotiateVersion", "connectionId", "connectionToken", "availableTransports"}
    assert answer["negotiateVersion"] == 1
    assert answer["connectionId"] != answer["connectionToken"]
    assert answer["availableTransports"] == [{"transport": "WebSockets", "transferFormats": ["Text", "Binary"]}]


@pytest.mark.parametrize(("query", "version"), [("", 0), ("&negotiateVersion=0", 0), ("&NegotiateVersion=7", 1)])
async def test_the_version_is_at_most_1(rest: httpx.AsyncClient, query: str, version: int) -> None:
    answer = (await rest.post("/client/negotiate?hub=chat&id=stale" + query)).json()
    assert answer["negotiateVersion"] == version
    assert ("connectionToken" in answer) is (version == 1)
    assert None not in answer.values()


async def test_a_version_that_is_no_number_is_an_error_in_the_answer(rest: httpx.AsyncClient) -> None:
    response = await rest.post("/client/negotiate?hub=chat&negotiateVersion=x")
    assert response.status_code == 200
    assert response.json() == {"error": "The client requested a non-integer protocol version."}


async def test_negotiation_is_a_post_with_a_token(rest: httpx.AsyncClient) -> None:
    assert (await rest.get("/client/negotiate?hub=chat")).status_code == 405
    response = await rest.post("/client/negotiate?hub=chat", headers={"Authorization": ""})
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    response = await rest.post(f"/client/negotiate?hub=chat&access_token={token()}", headers={"Authorization": ""})
    assert response.status_code == 401, "only WebSockets may bring their token in the query"


# --- opening


async def test_without_negotiation_a_connection_is_new(emulator: Emulator, rest: httpx.AsyncClient) -> None:
    async with open_socket(emulator, "hub=chat", **{"asrs.s.uid": "u"}) as peer:
        await peer.socket.send(HANDSHAKE)
        assert await peer.receive_raw() == "{}" + RS
        assert (await rest.head("/api/hubs/chat/users/u")).status_code == 200


@pytest.mark.parametrize("path", ["/client", "/client/"])
async def test_both_paths_are_served(emulator: Emulator, path: str) -> None:
    async with open_socket(emulator, "hub=chat", path) as peer:
        await peer.socket.send(HANDSHAKE)
        assert await peer.receive_raw() == "{}" + RS


async def test_a_browser_brings_its_token_in_the_query(emulator: Emulator) -> None:
    async with connect(address(emulator, f"hub=chat&access_token={token()}"), proxy=None) as socket:
        await socket.send(HANDSHAKE)
        assert await asyncio.wait_for(socket.recv(), PATIENCE) == "{}" + RS


@pytest.mark.parametrize(
    "text", ["", "x", "a.b.c", token(OTHER_KEY), token(lifetime=-3600), token()[:-2], token().split(".")[0] + ".."]
)
async def test_a_bad_token_is_refused_before_the_upgrade(emulator: Emulator, text: str) -> None:
    assert await refused(emulator, "hub=chat", bearer(text)) == 401
    assert await refused(emulator, f"hub=chat&access_token={text}") == 401


async def test_a_bad_header_is_not_saved_by_the_query(emulator: Emulator) -> None:
    assert await refused(emulator, f"hub=chat&access_token={token()}", bearer("x")) == 401


async def test_an_unknown_connection_is_refused_before_the_upgrade(emulator: Emulator) -> None:
    assert await refused(emulator, "hub=chat&id=unknown", bearer(token())) == 404


async def test_an_open_connection_is_refused_before_the_upgrade(emulator: Emulator, rest: httpx.AsyncClient) -> None:
    answer = (await rest.post("/client/negotiate?hub=chat")).json()
    query = f"hub=chat&id={answer['connectionId']}"
    async with open_socket(emulator, query) as peer:
        assert await refused(emulator, query, bearer(token())) == 409
        await peer.socket.close()
    assert await refused(emulator, query, bearer(token())) == 404


@pytest.mark.parametrize("query", ["", "hub=", "hub=a&hub=b"])
async def test_a_client_names_exactly_one_hub(emulator: Emulator, query: str) -> None:
    assert await refused(emulator, query, bearer(token())) == 400


@pytest.mark.parametrize("path", ["/server/", "/client/other", "/"])
async def test_other_paths_are_not_there(emulator: Emulator, rest: httpx.AsyncClient, path: str) -> None:
    with pytest.raises(InvalidStatus) as caught:
        async with connect(address(emulator, "hub=chat", path), additional_headers=bearer(token()), proxy=None):
            pass
    assert caught.value.response.status_code == 404
    assert (await rest.get(path)).status_code == 404


# --- handshake


async def test_the_handshake_comes_in_a_text_or_a_binary_frame(emulator: Emulator) -> None:
    for request in (HANDSHAKE, HANDSHAKE.encode(), b'{"protocol": "json", "version": 1}\x1e'):
        async with open_socket(emulator, "hub=chat") as peer:
            await peer.socket.send(request)
            assert await peer.receive_raw() == "{}" + RS


@pytest.mark.parametrize(
    ("request_text", "error"),
    [
        ('{"protocol":"blazorpack","version":1}', "The protocol 'blazorpack' is not supported."),
        ('{"protocol":"json","version":2}', "The server does not support version 2 of the 'json' protocol."),
        (
            '{"protocol":"messagepack","version":2}',
            "The server does not support version 2 of the 'messagepack' protocol.",
        ),
        (
            "{}",
            f"{UNEXPECTED} The handshake names no protocol and version.",
        ),
        ("hello", f"{UNEXPECTED} Error reading JSON."),
    ],
)
async def test_a_bad_handshake_is_answered_and_ends_the_transport(
    emulator: Emulator, upstream: Upstream, request_text: str, error: str
) -> None:
    async with open_socket(emulator, "hub=chat") as peer:
        await peer.socket.send(request_text + RS)
        raw = await peer.receive_raw()
        assert isinstance(raw, str)
        assert json.loads(raw.removesuffix(RS)) == {"error": error}
        assert await peer.closed() == 1000
    assert upstream.calls == []


async def test_who_says_nothing_is_told_so(upstream: Upstream) -> None:
    async with (
        Emulator(0, upstream=upstream.url, limits=Limits(handshake_seconds=0.05)) as emulator,
        open_socket(emulator, "hub=chat") as peer,
    ):
        assert await peer.receive_raw() == '{"error":"Handshake was canceled."}' + RS
        assert await peer.closed() == 1000
    assert upstream.calls == []


async def test_messages_right_behind_the_handshake_count(emulator: Emulator, upstream: Upstream) -> None:
    async with open_socket(emulator, "hub=chat") as peer:
        await peer.socket.send(HANDSHAKE + '{"type":6}\x1e{"type":1,"target":"early","arguments":[]}\x1e{"type":1,')
        await peer.socket.send('"target":"split","arguments":[]}\x1e')
        await upstream.wait_for("split")
    assert upstream.events[:3] == ["connected", "early", "split"]


# --- life and end


async def test_pings_come_by_themselves_and_websocket_pings_are_answered() -> None:
    async with Emulator(0, ping_seconds=0.05) as emulator, join(emulator) as peer:
        assert await peer.receive_raw() == '{"type":6}' + RS
        assert await peer.receive_raw() == '{"type":6}' + RS
        await asyncio.wait_for(await peer.socket.ping(), PATIENCE)


async def test_a_clients_close_message_ends_the_transport(emulator: Emulator, upstream: Upstream) -> None:
    async with join(emulator) as peer:
        await peer.send({"type": 7})
        assert await peer.closed() == 1000
        assert (await upstream.wait_for("disconnected")).body == b'{"type":11}'


@pytest.mark.parametrize(
    ("bytes_sent", "error"),
    [
        ("hello\x1e", "Error reading JSON."),
        ('{"type":1,"arguments":[]}\x1e', "Missing required property 'target'."),
        ('{"type":1,"target":"t","arguments":[],"invocationId":7}\x1e', "The property 'invocationId' is no string."),
    ],
)
async def test_what_is_no_message_ends_the_connection(
    emulator: Emulator, upstream: Upstream, bytes_sent: str, error: str
) -> None:
    async with join(emulator) as peer:
        await peer.socket.send(bytes_sent)
        close = {"type": 7, "error": "Connection closed with an error.", "allowReconnect": True}
        assert await peer.receive() == close
        assert await peer.closed() == 1000
        body = json.loads((await upstream.wait_for("disconnected")).body)
        assert body == {"type": 11, "error": error}


async def test_other_messages_are_read_and_dropped(emulator: Emulator, upstream: Upstream) -> None:
    async with join(emulator) as peer:
        await peer.send({"type": 4, "invocationId": "1", "target": "stream", "arguments": []})
        await peer.send({"type": 3, "invocationId": "1"})
        await peer.send({"type": 99, "whatever": 1})
        await peer.send({"type": 1, "target": "last", "arguments": list(range(11))})
        await upstream.wait_for("last")
    assert "stream" not in upstream.events


async def test_the_connection_ends_with_the_authentication_when_the_token_says_so(emulator: Emulator) -> None:
    claims: dict[str, Any] = {"asrs.s.coae": "true", "asrs.s.aeo": int(time.time()) - 1}
    async with join(emulator, **claims) as peer:
        assert await peer.receive() == {"type": 7, "allowReconnect": True}
        assert await peer.closed() == 1000


async def test_old_tokens_are_taken_when_expiry_is_not_checked() -> None:
    async with Emulator(0, check_expiry=False) as emulator, join(emulator, lifetime=-100_000):
        pass


async def test_audiences_are_checked_only_if_asked_for() -> None:
    async with Emulator(0, check_audience=True) as emulator:
        assert await refused(emulator, "hub=chat", bearer(token())) == 401


async def test_any_of_the_keys_is_taken() -> None:
    async with Emulator(0, keys=(KEY, OTHER_KEY)) as emulator, join(emulator, key=OTHER_KEY), join(emulator, key=KEY):
        pass
