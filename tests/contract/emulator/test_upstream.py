"""What the upstream is called with, in which order, and what its answers do: spec 3."""

import asyncio
import hashlib
import hmac
import json

import httpx
import pytest
from aiohttp import web
from signalr_bridge.emulator import Emulator, Limits, UpstreamTemplate

from tests.contract.emulator.parties import (
    HANDSHAKE,
    KEY,
    OTHER_KEY,
    Call,
    Upstream,
    join,
    open_socket,
    token,
    wait_until_gone,
)

NAME_ID = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"


async def echo(call: Call) -> web.StreamResponse:
    message = json.loads(call.body)
    if "invocationId" not in message:
        return web.Response()
    completion = {"type": 3, "invocationId": message["invocationId"], "result": message["arguments"]}
    return web.Response(body=json.dumps(completion).encode() + b"\x1e")


async def test_the_headers_and_bodies_of_events(emulator: Emulator, upstream: Upstream) -> None:
    async with join(emulator, "Chat", nameid="ü", role=["a", "b"]) as peer:
        await peer.send({"target": "se/nd", "arguments": ["ü", 1.5], "type": 1, "headers": {"a": "b"}, "x": 1})
        call = await upstream.wait_for("se/nd")
    gone = await upstream.wait_for("disconnected")
    role = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
    fixed = {
        "X-ASRS-Connection-Id": peer.id,
        "X-ASRS-Hub": "Chat",
        "X-ASRS-User-Id": "ü",
        "X-ASRS-Client-Query": "?hub=Chat",
        "Content-Type": "application/json",
    }
    assert call.headers.items() >= (fixed | {"X-ASRS-Category": "messages", "X-ASRS-Event": "se/nd"}).items()
    assert call.headers["X-ASRS-User-Claims"].startswith(f"{NAME_ID}: ü, {role}: a, {role}: b, exp: ")
    assert call.headers["X-ASRS-User-Claims"].endswith(", aud: anything")
    assert call.target == "/Chat/messages/se%2Fnd"
    assert call.body.decode() == '{"type":1,"headers":{"a":"b"},"target":"se/nd","arguments":["ü",1.5]}'
    assert set(call.headers) == {*fixed, "Host", "Content-Length", "X-ASRS-Signature", "X-ASRS-User-Claims"} | {
        "X-ASRS-Category",
        "X-ASRS-Event",
    }
    assert upstream.calls[0].body == b'{"type":10}'
    assert upstream.calls[0].headers["X-ASRS-Category"] == "connections"
    assert gone.body == b'{"type":11}'


async def test_an_anonymous_client_has_no_user_header(emulator: Emulator, upstream: Upstream) -> None:
    async with join(emulator):
        call = await upstream.wait_for("connected")
    assert "X-ASRS-User-Id" not in call.headers


async def test_every_key_signs_and_a_bare_comma_joins(upstream: Upstream) -> None:
    async with Emulator(0, keys=(KEY, OTHER_KEY), upstream=upstream.url) as emulator, join(emulator) as peer:
        call = await upstream.wait_for("connected")
    first, second = call.headers["X-ASRS-Signature"].split(",")
    assert first.startswith("sha256=")
    assert second.startswith("sha256=")
    wanted = [hmac.new(key.encode(), peer.id.encode(), hashlib.sha256).hexdigest() for key in (KEY, OTHER_KEY)]
    assert [first.removeprefix("sha256=").lower(), second.removeprefix("sha256=").lower()] == wanted


@pytest.mark.parametrize("signs", [True, False])
async def test_an_identity_presents_its_token_anew_with_each_call(upstream: Upstream, signs: bool) -> None:
    tokens = iter(["first", "second", "third"])
    emulator = Emulator(0, upstream=upstream.url, sign_upstream=signs, upstream_token=lambda: next(tokens))
    async with emulator, join(emulator) as peer:
        await peer.send({"type": 1, "target": "send", "arguments": []})
        call = await upstream.wait_for("send")
    assert call.headers["Authorization"] == "Bearer second"
    assert ("X-ASRS-Signature" in call.headers) is signs


async def test_the_access_token_does_not_reach_the_upstream(emulator: Emulator, upstream: Upstream) -> None:
    async with open_socket(emulator, f"hub=chat&access_token={token()}&room=7") as peer:
        await peer.socket.send(HANDSHAKE)
        call = await upstream.wait_for("connected")
    assert call.headers["X-ASRS-Client-Query"] == "?hub=chat&room=7"


async def test_an_invocation_gets_its_completion(emulator: Emulator, upstream: Upstream) -> None:
    async with join(emulator) as peer:
        upstream.answer = echo
        await peer.send({"type": 1, "invocationId": "7", "target": "echo", "arguments": ["hi", {"K": 1}]})
        assert await peer.receive() == {"type": 3, "invocationId": "7", "result": ["hi", {"K": 1}]}


@pytest.mark.parametrize(
    ("status", "headers"),
    [(500, {}), (404, {}), (201, {}), (302, {"Location": "/elsewhere"}), (401, {"WWW-Authenticate": "Basic"})],
)
async def test_other_statuses_are_errors_and_redirects_are_not_followed(
    emulator: Emulator, upstream: Upstream, status: int, headers: dict[str, str]
) -> None:
    async def answer(_: Call) -> web.StreamResponse:
        return web.Response(status=status, headers=headers)

    async with join(emulator) as peer:
        upstream.answer = answer
        await peer.send({"type": 1, "invocationId": "7", "target": "t", "arguments": []})
        assert (await peer.receive())["error"] == f"Invocation failed, status code {status}"
        assert len(upstream.all("t")) == 1


async def test_an_upstream_that_is_not_there_is_an_error_and_closes_nobody() -> None:
    async with Emulator(0, upstream="http://127.0.0.1:9/") as emulator, join(emulator) as peer:
        await peer.send({"type": 1, "invocationId": "7", "target": "t", "arguments": []})
        assert (await peer.receive())["error"] == "Invocation failed, status code 500"


async def test_a_target_that_no_header_can_carry_is_an_error(emulator: Emulator) -> None:
    async with join(emulator) as peer:
        await peer.send({"type": 1, "invocationId": "7", "target": "a\x00b", "arguments": []})
        assert (await peer.receive())["error"] == "Invocation failed, status code 500"


async def test_an_upstream_that_breaks_off_is_an_error(emulator: Emulator, upstream: Upstream) -> None:
    async def answer(call: Call) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(call.request)
        await response.write(b"{")
        assert call.request.transport is not None
        call.request.transport.close()
        return response

    async with join(emulator) as peer:
        upstream.answer = answer
        await peer.send({"type": 1, "invocationId": "7", "target": "t", "arguments": []})
        assert (await peer.receive())["error"].startswith("Invocation failed, error: ")


async def test_an_upstream_that_takes_too_long_is_an_error(upstream: Upstream) -> None:
    async def answer(_: Call) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    limits = Limits(upstream_seconds=0.1)
    async with Emulator(0, upstream=upstream.url, limits=limits) as emulator, join(emulator) as peer:
        await upstream.wait_for("connected")
        upstream.answer = answer
        await peer.send({"type": 1, "invocationId": "7", "target": "t", "arguments": []})
        assert (await peer.receive())["error"] == "Invocation failed, status code 500"


async def test_without_a_template_an_invocation_is_an_error() -> None:
    async with Emulator(0) as emulator, join(emulator) as peer:
        await peer.send({"type": 1, "target": "t", "arguments": []})
        await peer.send({"type": 1, "invocationId": "7", "target": "t", "arguments": []})
        answer = {"type": 3, "invocationId": "7"}
        error = "Invocation failed, no upstream template matches the event."
        assert await peer.receive() == answer | {"error": error}


async def test_templates_may_be_replaced_while_clients_are_connected(emulator: Emulator, upstream: Upstream) -> None:
    async with join(emulator) as peer:
        emulator.replace_upstream([UpstreamTemplate(upstream.url + "/new/{event}", event_pattern="t")])
        await peer.send({"type": 1, "target": "t", "arguments": []})
        assert (await upstream.wait_for("t")).target == "/new/t"


# --- order


class Gate:
    """An upstream that answers an event only when the gate is opened."""

    def __init__(self, event: str) -> None:
        self._event, self.opened = event, asyncio.Event()

    async def __call__(self, call: Call) -> web.StreamResponse:
        if call.event == self._event:
            await self.opened.wait()
        return web.Response()


async def test_connected_is_answered_before_messages_and_disconnected_comes_last(
    emulator: Emulator, upstream: Upstream
) -> None:
    gate = upstream.answer = Gate("connected")
    async with join(emulator) as peer:
        for number in range(5):
            await peer.send({"type": 1, "target": f"m{number}", "arguments": []})
        await peer.send({"type": 7})
        await upstream.wait_for("connected")
        await asyncio.sleep(0.05)
        assert upstream.events == ["connected"]
        gate.opened.set()
        await upstream.wait_for("disconnected")
    assert upstream.events == ["connected", "m0", "m1", "m2", "m3", "m4", "disconnected"]


async def test_messages_of_one_client_go_one_after_the_other(emulator: Emulator, upstream: Upstream) -> None:
    gate = upstream.answer = Gate("first")
    async with join(emulator) as peer, join(emulator) as other:
        await peer.send({"type": 1, "target": "first", "arguments": []})
        await peer.send({"type": 1, "target": "second", "arguments": []})
        await upstream.wait_for("first")
        await other.send({"type": 1, "target": "of another", "arguments": []})
        await upstream.wait_for("of another")
        assert "second" not in upstream.events
        gate.opened.set()
        await upstream.wait_for("second")


async def test_a_client_is_heard_and_spoken_to_while_its_upstream_call_runs(
    emulator: Emulator, upstream: Upstream, rest: httpx.AsyncClient
) -> None:
    gate = upstream.answer = Gate("slow")
    async with join(emulator) as peer:
        await peer.send({"type": 1, "invocationId": "1", "target": "slow", "arguments": []})
        await upstream.wait_for("slow")
        await rest.post(f"/api/hubs/chat/connections/{peer.id}/:send", json={"target": "now"})
        assert (await peer.receive())["target"] == "now"
        await peer.socket.send("nonsense\x1e")
        assert (await peer.receive())["type"] == 7, "what the client sends meanwhile is read"
        assert await peer.closed() == 1000
        gate.opened.set()
        await upstream.wait_for("disconnected")


async def test_the_connection_is_known_until_disconnected_is_answered(
    emulator: Emulator, upstream: Upstream, rest: httpx.AsyncClient
) -> None:
    known: list[int] = []

    async def ask(call: Call) -> web.StreamResponse:
        path = f"/api/hubs/chat/connections/{call.headers['X-ASRS-Connection-Id']}"
        known.append((await rest.head(path)).status_code)
        return web.Response()

    upstream.answer = ask
    async with join(emulator) as peer:
        await upstream.wait_for("connected")
    await upstream.wait_for("disconnected")
    await wait_until_gone(rest, "HEAD", f"/api/hubs/chat/connections/{peer.id}")
    assert known == [200, 200]
