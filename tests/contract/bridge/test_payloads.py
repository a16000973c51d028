"""Messages as finished frames for JSON and MessagePack, where a function app's setting says so."""

from typing import Any

import httpx
import msgpack
import pytest

from tests.contract.bridge.running import AUTH, Bridge, bridge

ON = {"Azure__SignalR__HubProtocol__MessagePack__Enabled": "true"}


async def post(running: Bridge, path: str, body: Any) -> httpx.Response:
    return await running.http.post(f"/hubs/chat/{path}", json=body, headers=AUTH)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("send", {"target": "t", "arguments": [1, {"a": None}]}),
        ("send", [{"target": "t", "arguments": [1, {"a": None}], "groupName": "g"}]),
        ("outputs", [{"target": "t", "arguments": [1, {"a": None}], "userId": "u"}]),
    ],
)
async def test_a_message_goes_out_for_every_protocol(path: str, body: Any) -> None:
    async with bridge(**ON) as running:
        assert (await post(running, path, body)).status_code == 202
        request = running.seen[0]
        assert request.headers["content-type"] == "application/octet-stream"
        found = msgpack.unpackb(request.body)
        assert found["json"] == b'{"type":1,"target":"t","arguments":[1,{"a":null}]}\x1e'
        assert msgpack.unpackb(found["messagepack"][1:])[3:5] == ["t", [1, {"a": None}]]


async def test_a_call_and_what_has_no_body_stay_as_they_are() -> None:
    async with bridge(**ON) as running:
        await post(running, "connections/c/invoke", {"target": "t"})
        await running.http.put("/hubs/chat/groups/g/connections/c", headers=AUTH)
        call, join = running.seen
        assert (call.headers["content-type"], call.body) == ("application/json", b'{"target":"t","arguments":[]}')
        assert (join.headers.get("content-type"), join.body) == (None, b"")


async def test_what_goes_out_is_measured() -> None:
    item = {"target": "t", "arguments": ["x" * 600_000]}
    async with bridge() as running:
        assert (await post(running, "send", item)).status_code == 202
    async with bridge(**ON) as running:
        answer = await post(running, "send", [{"target": "t"}, item])
        assert (answer.status_code, running.seen) == (422, [])
        assert [one["pointer"] for one in answer.json()["errors"]] == ["#/1"]
