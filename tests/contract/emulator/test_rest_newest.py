"""What the service's REST learned by 2024-12-01: members, calls of a client; and bodies of every kind."""

import asyncio
import json
from typing import Any

import httpx
import msgpack
import pytest
from signalr_bridge.emulator import Emulator
from signalr_bridge.protocol.payload import write_packed
from signalr_bridge.protocol.rest import CLIENT_ERROR_CODE

from tests.contract.emulator.parties import Peer, join

HUB = "/api/hubs/chat"
VERSION = "api-version=2024-12-01"


async def call(rest: httpx.AsyncClient, peer: Peer) -> httpx.Response:
    body = {"Target": "t", "Arguments": [1]}
    return await rest.post(f"{HUB}/connections/{peer.id}/:invoke?{VERSION}", json=body)


async def asked(peer: Peer) -> str:
    message = await peer.receive()
    assert (message["type"], message["target"], message["arguments"]) == (1, "t", [1])
    return str(message["invocationId"])


async def test_a_clients_answers(emulator: Emulator, rest: httpx.AsyncClient) -> None:
    async with join(emulator) as peer:
        answers: list[tuple[dict[str, Any], int, dict[str, Any]]] = [
            ({"result": {"a": 1}}, 200, {"result": {"a": 1}}),
            ({}, 200, {"result": None}),
            ({"error": "no"}, 400, {"code": CLIENT_ERROR_CODE, "message": "no"}),
        ]
        for more, status, body in answers:
            calling = asyncio.create_task(call(rest, peer))
            await peer.send({"type": 3, "invocationId": await asked(peer), **more})
            answer = await calling
            assert (answer.status_code, answer.json()) == (status, body)


async def test_answers_out_of_order_and_to_unknown_calls(emulator: Emulator, rest: httpx.AsyncClient) -> None:
    async with join(emulator) as peer:
        calling = [asyncio.create_task(call(rest, peer)) for _ in range(2)]
        ids = [await asked(peer) for _ in range(2)]
        await peer.send({"type": 3, "invocationId": "nobody", "result": 0})
        for invocation_id in reversed(ids):
            await peer.send({"type": 3, "invocationId": invocation_id, "result": invocation_id})
        assert sorted([(await one).json()["result"] for one in calling]) == sorted(ids)


async def test_a_client_that_goes(emulator: Emulator, rest: httpx.AsyncClient) -> None:
    async with join(emulator) as peer:
        calling = asyncio.create_task(call(rest, peer))
        await asked(peer)
        await peer.socket.close()
        answer = await calling
        assert (answer.status_code, answer.headers["x-ms-error-code"]) == (404, "Error.Connection.NotExisted")
        assert (await call(rest, peer)).status_code == 404


async def test_members_page_by_page(emulator: Emulator, rest: httpx.AsyncClient) -> None:
    async with join(emulator, **{"asrs.s.uid": "ann"}) as one, join(emulator) as other:
        for peer in (one, other):
            await rest.put(f"{HUB}/groups/g/connections/{peer.id}?{VERSION}")
        wanted = sorted([{"connectionId": one.id, "userId": "ann"}, {"connectionId": other.id}], key=str)
        whole = await rest.get(f"{HUB}/groups/g/connections?{VERSION}")
        assert sorted(whole.json()["value"], key=str) == wanted
        assert whole.json().keys() == {"value"}
        first = (await rest.get(f"{HUB}/groups/g/connections?{VERSION}&maxpagesize=1")).json()
        second = (await rest.get(first["nextLink"] + f"&{VERSION}&maxPageSize=1")).json()
        assert sorted(first["value"] + second["value"], key=str) == wanted
        assert "nextLink" not in second
    assert (await rest.get(f"{HUB}/groups/none/connections?{VERSION}")).json() == {"value": []}


@pytest.mark.parametrize("size", ["0", "201", "x", "-1"])
async def test_a_bad_page_size(rest: httpx.AsyncClient, size: str) -> None:
    assert (await rest.get(f"{HUB}/groups/g/connections?{VERSION}&maxpagesize={size}")).status_code == 400


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("application/x-msgpack", msgpack.packb({"Target": "t", "Arguments": [1]})),
        ("application/octet-stream", write_packed("t", b"[1]")),
        ("application/json", json.dumps({"target": "t", "arguments": [1]}).encode()),
    ],
)
async def test_bodies(emulator: Emulator, rest: httpx.AsyncClient, media_type: str, body: bytes) -> None:
    async with join(emulator) as peer:
        answer = await rest.post(f"{HUB}/:send", content=body, headers={"Content-Type": media_type})
        assert answer.status_code == 202
        assert await peer.receive() == {"type": 1, "target": "t", "arguments": [1]}


@pytest.mark.parametrize("media_type", ["application/x-msgpack", "application/octet-stream"])
@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x93\x01\x02\x03"])
async def test_bad_bodies(rest: httpx.AsyncClient, media_type: str, body: bytes) -> None:
    answer = await rest.post(f"{HUB}/:send", content=body, headers={"Content-Type": media_type})
    assert answer.status_code == 400
