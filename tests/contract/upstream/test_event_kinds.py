"""``GET /events?kind=``: negotiations, and what was sent by whom and where it arrived, over real sockets."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from signalr_bridge import outbox
from signalr_bridge.main import create_app
from signalr_bridge.outbound.sender import ALL_KINDS
from signalr_bridge.parts import Parts
from signalr_bridge.protocol.claims import write_lossless
from signalr_bridge.protocol.upstream_event import sign
from signalr_bridge.settings import Sources, load
from signalr_bridge.tail import read_events, read_lines
from signalr_bridge.upstream.event_feed import Kind
from signalr_bridge.web.document import BridgeApp
from signalr_bridge.wire.server import Listener
from signalr_bridge.wire.sockets import bind

from tests.contract.bridge.running import SERVICE, build
from tests.contract.bridge.test_running_changes import write
from tests.contract.endpoints.programmable import Server, answer_of, programmable_server
from tests.unit.upstream.fakes import event, header_lines

MARKUP = "<img src=x onerror=alert(1)>&\"'\u2028"
CANARY = "canary-canary-canary"
SHOP, WATCHER = "the-key-of-the-shop", "the-key-of-the-watcher"
KEYS = json.dumps([{"key": SHOP, "name": "shop"}, {"key": WATCHER, "name": "watcher", "rights": ["read"]}])
COMMON = {"kind", "time", "hub", "replica", "milliseconds", "status", "code"}
ACCEPTED = [{"name": "default", "endpointType": "Primary", "outcome": "accepted"}]
GONE = answer_of(404, x_ms_error_code="Warning.Connection.NotExisted")


@dataclass(slots=True)
class Bridge:
    http: httpx.AsyncClient
    service: Server
    parts: Parts

    async def call(self, method: str, path: str, body: Any = None, key: str = SHOP, status: int = 202) -> Any:
        answer = await self.http.request(method, path, json=body, headers={"X-API-Key": key})
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    async def report(self, body: Any, status: int = 200, **headers: str) -> httpx.Response:
        """The service reports an event."""
        given = event(**({"hub": "rooms", "event": "say", "user_id": "ann"} | headers))
        lines = header_lines(given, x_asrs_signature=sign("c1", SERVICE))
        answer = await self.http.post("/upstream", content=json.dumps(body), headers=lines)
        assert answer.status_code == status, answer.text
        return answer

    async def see(self, count: int, kinds: str = "send", after: str = "") -> list[dict[str, Any]]:
        """The first events that a stream gives, and that there are no more of them just now."""
        seen = []
        headers = {"X-API-Key": WATCHER} | ({"Last-Event-ID": after} if after else {})
        async with self.http.stream("GET", "/events", params={"kind": kinds}, headers=headers) as answer:
            assert answer.status_code == 200, await answer.aread()
            events = read_events(read_lines(answer.aiter_bytes()))
            async with asyncio.timeout(20):
                for _ in range(count):
                    seen.append((await anext(events))[1])
        with self.parts.events.listen(after or None, [Kind(one) for one in kinds.split(",")]) as stream:
            assert len(stream.waiting) == count
        assert all(seen[0].keys() >= COMMON for _ in seen)
        return [dict(one) for one in seen]


@asynccontextmanager
async def run(**settings: str) -> AsyncIterator[Bridge]:
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(programmable_server())
        given = {"BRIDGE_CONSOLE": "true", "BRIDGE_CALLERS__KEYS": KEYS} | settings
        yield await stack.enter_async_context(serve(build(service.url, **given), service))


@asynccontextmanager
async def serve(app: BridgeApp, service: Server) -> AsyncIterator[Bridge]:
    with bind("127.0.0.1", 0, "port") as sock:
        listener = Listener(app, sock, grace_seconds=5, end_streams=app.state.parts.events.close)
        serving = asyncio.create_task(listener.serve(sockets=[sock]))
        await listener.ready.wait()
        base = f"http://127.0.0.1:{listener.port}"
        async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=20) as http:
            yield Bridge(http, service, app.state.parts)
        listener.should_exit = True
        await serving


def brief(seen: Sequence[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(one.get(name) for name in names) for one in seen]


async def test_a_message_and_where_it_arrived() -> None:
    async with run() as bridge:
        message = {"target": MARKUP, "arguments": [MARKUP, {"n": 1}, "x" * 900], "groupName": MARKUP}
        answer = await bridge.call("POST", "/hubs/Rooms/send", message)
        [seen] = await bridge.see(1)
        assert seen.pop("milliseconds") >= 0
        assert seen.pop("time").endswith("Z")
        assert len(seen.pop("replica")) == 8
        assert seen == {
            "kind": "send",
            "hub": "rooms",
            "status": 202,
            "code": None,
            "by": "shop",
            "action": "send",
            "target": MARKUP,
            "to": {"groupName": MARKUP},
            "arguments": [MARKUP, {"n": 1}, "x" * 200 + "…"],
            "result": "accepted",
            "endpoints": ACCEPTED,
        }
        assert answer == {"status": "accepted", "endpoints": ACCEPTED}


async def test_every_way_of_sending() -> None:
    async with run() as bridge:
        hub = "/hubs/rooms"
        await bridge.call("POST", f"{hub}/send?order=none", [{"target": "a"}, {"target": "b", "userId": "ann"}])
        await bridge.call("POST", f"{hub}/groups", {"action": "add", "groupName": "g", "connectionId": "c1"})
        outputs = [{"target": "c"}, {"action": "removeAll", "userId": "u"}, {"action": "close", "groupName": "g"}]
        await bridge.call("POST", f"{hub}/outputs", outputs)
        await bridge.call("PUT", f"{hub}/groups/g/users/u", status=204)
        await bridge.call("DELETE", f"{hub}/groups/g/connections/c1", status=204)
        await bridge.call("DELETE", f"{hub}/connections/c1?reason=bye", status=204)
        await bridge.call("DELETE", f"{hub}/connections?confirm=all", status=204)
        bridge.service.honest["/:invoke"] = answer_of(200, b'{"result":[1]}', content_type="application/json")
        await bridge.call("POST", f"{hub}/connections/c1/invoke", {"target": "ask", "arguments": [2]}, status=200)
        seen = await bridge.see(11)
    assert brief(seen, "action", "target", "to") == [
        ("send", "a", None),
        ("send", "b", {"userId": "ann"}),
        ("add", None, {"groupName": "g", "connectionId": "c1"}),
        ("send", "c", None),
        ("removeAll", None, {"userId": "u"}),
        ("close", None, {"groupName": "g"}),
        ("add", None, {"userId": "u", "groupName": "g"}),
        ("remove", None, {"groupName": "g", "connectionId": "c1"}),
        ("close", None, {"connectionId": "c1"}),
        ("close", None, None),
        ("invoke", "ask", {"connectionId": "c1"}),
    ]
    assert {one["by"] for one in seen} == {"shop"}
    assert {one["result"] for one in seen} == {"accepted"}
    assert all(one["endpoints"] == ACCEPTED for one in seen)
    assert [one["status"] for one in seen] == [202] * 10 + [200]
    assert (seen[8]["reason"], seen[10]["arguments"], seen[10]["answer"]) == ("bye", [2], {"result": [1]})


async def test_the_events_in_the_documentation_have_the_members_that_there_are() -> None:
    page = (Path(__file__).parents[3] / "docs/events.md").read_text("utf-8")
    documented = [json.loads(block) for block in re.findall(r"```json\n(.+?)\n```", page, re.DOTALL)]
    settings = {"BRIDGE_HANDLERS": "tests.contract.upstream.telling:rooms", "BRIDGE_NEGOTIATE__ANONYMOUS": "true"}
    async with run(**settings) as bridge:
        assert (await bridge.http.post("/hubs/rooms/negotiate")).status_code == 200
        await bridge.call("POST", "/hubs/rooms/send", {"target": "t", "groupName": "g"})
        await bridge.report({"type": 1, "invocationId": "7", "target": "say", "arguments": ["hi"]})
        seen = {one["kind"]: one for one in await bridge.see(6, "upstream,negotiate,send")}
    assert len(documented) == len(Kind)
    for example in documented:
        assert example.keys() == seen[example["kind"]].keys(), example["kind"]


async def test_what_does_not_arrive() -> None:
    async with run() as bridge:
        bridge.service.answer = GONE
        await bridge.call("POST", "/hubs/rooms/send", {"target": "t", "connectionId": "c1"}, status=404)
        bridge.service.answer = answer_of(403)
        both = [{"target": "t"}, {"target": "never"}]
        await bridge.call("POST", "/hubs/rooms/send", both, status=502)
        await bridge.call("POST", "/hubs/rooms/send", {"target": 1}, status=422)
        await bridge.call("GET", "/hubs/rooms/users/ann", status=503)
        lost, refused = await bridge.see(2)
    assert brief([lost, refused], "result", "status", "code") == [
        ("absent", 404, "connection-not-found"),
        ("rejected", 502, "delivery-failed"),
    ]
    [outcome] = refused["endpoints"]
    assert (outcome["name"], outcome["outcome"], outcome["code"]) == ("default", "rejected", "denied")


async def test_what_is_skipped_is_not_shown() -> None:
    async with run() as bridge:
        sender = bridge.parts.sender
        items = await sender.read(b'[{"target":"a"},{"target":"b"}]', "rooms", ALL_KINDS)
        for send in (sender.send_side_by_side, sender.send_in_order):
            assert [one.status for one in await send(items, seconds=0)] == ["skipped"] * 2
        await sender.send(items[0])
        assert [one["target"] for one in await bridge.see(1)] == ["a"]


async def test_handlers_joins_and_backends_say_who_they_are() -> None:
    async with programmable_server() as backend:
        outputs = {"result": 1, "outputs": [{"target": "ordered", "arguments": [1]}]}
        backend.answer = answer_of(200, json.dumps(outputs).encode(), content_type="application/json")
        settings = {
            "BRIDGE_HANDLERS": "tests.contract.upstream.telling:rooms",
            "BRIDGE_HUBS__ROOMS__JOIN": json.dumps({"claim": "role", "group": "role:{value}"}),
            "BRIDGE_FORWARD__ORDERS__HUB": "orders",
            "BRIDGE_FORWARD__ORDERS__URL": backend.url,
            "BRIDGE_FORWARD__ORDERS__UNSIGNED": "true",
        }
        async with run(**settings) as bridge:
            await bridge.report({"type": 1, "invocationId": "7", "target": "say", "arguments": ["hi"]})
            claims = f"role: admin, bridge.claims: {write_lossless({'role': ['admin']})}"
            await bridge.report({}, category="connections", event="connected", claims_line=claims)
            order = {"type": 1, "invocationId": "8", "target": "order", "arguments": []}
            await bridge.report(order, hub="orders", event="order")
            seen = await bridge.see(8, "upstream,send")
    assert brief(seen, "kind", "by", "handler", "target", "to") == [
        ("send", "tests.contract.upstream.telling:say", None, "said", {"groupName": "blue"}),
        ("send", "tests.contract.upstream.telling:say", None, "said", {"groupName": "red"}),
        (*("send", "tests.contract.upstream.telling:say", None, None), {"groupName": "blue", "connectionId": "c1"}),
        ("upstream", None, "tests.contract.upstream.telling:say", None, None),
        ("send", "BRIDGE_HUBS__ROOMS__JOIN", None, None, {"groupName": "role:admin", "connectionId": "c1"}),
        ("upstream", None, "BRIDGE_HUBS__ROOMS__JOIN", None, None),
        ("send", "forward.orders", None, "ordered", None),
        ("upstream", None, "forward.orders", None, None),
    ]


async def test_what_is_sent_outside_an_event() -> None:
    """By a function at the start, by a negotiate handler, and by a program that the bridge is a part of."""
    async with run(BRIDGE_HANDLERS="tests.contract.upstream.telling:timed") as bridge:
        assert (await bridge.http.post("/hubs/timed/negotiate")).status_code == 200
        await outbox("timed").clients.all.send("from outside")
        seen = await bridge.see(4, "send,negotiate")
    source = "tests.contract.upstream.telling:"
    assert brief(seen, "kind", "by", "target", "userId") == [
        ("send", f"{source}begin", "started", None),
        ("send", f"{source}decide", "asked", None),
        ("negotiate", "client", None, "bob"),
        ("send", None, "from outside", None),
    ]


async def test_negotiations() -> None:
    settings = {
        "BRIDGE_NEGOTIATE__HUBS": "rooms",
        "BRIDGE_NEGOTIATE__ANONYMOUS": "true",
        "BRIDGE_NEGOTIATE__USER_ID": "{query.userId}",
        "BRIDGE_NEGOTIATE__TRUST_CLIENT_INPUT": "true",
        "BRIDGE_DEFAULT_HUB": "rooms",
    }
    async with run(**settings) as bridge:
        secret = {"Cookie": CANARY, "X-Other": CANARY}
        path = "/hubs/Rooms/negotiate"
        query = {"userId": MARKUP[:-1], "secret": CANARY}
        client = await bridge.http.post(path, params=query, headers=secret)
        tokens = [client.json()["accessToken"]]
        wish = {"userId": "bob", "claims": {"role": CANARY}}
        tokens.append((await bridge.call("POST", "/api/negotiate", wish, status=200))["accessToken"])
        assert (await bridge.http.post(path, headers=secret)).status_code == 401
        assert (await bridge.http.post("/hubs/other/negotiate?userId=a")).status_code == 403
        assert (await bridge.http.post("/hubs/a%20b/negotiate?userId=a")).status_code == 400
        assert (await bridge.http.post(path, headers={"X-API-Key": "a-wrong-key-of-somebody"})).status_code == 401
        await bridge.call("POST", f"{path}/endpoints", wish, status=200)
        await bridge.call("POST", path, {"endpoint": "nowhere"}, status=422)
        await bridge.call("POST", f"{path}?userId=carl", status=200)
        await bridge.call("POST", path, {"userId": "bob", "claims": {"long": "x" * 5000}}, status=400)
        assert (await bridge.http.get(path)).status_code == 405
        seen = await bridge.see(10, "negotiate")
    assert brief(seen, "hub", "by", "userId", "endpoint", "status", "code") == [
        ("rooms", "client", MARKUP[:-1], "default", 200, None),
        ("rooms", "shop", "bob", "default", 200, None),
        ("rooms", "client", None, None, 401, "unauthenticated"),
        ("other", "client", None, None, 403, "forbidden"),
        ("a%20b", "client", None, None, 400, "invalid-name"),
        ("rooms", "client", None, None, 401, "unauthenticated"),
        ("rooms", "shop", None, None, 200, None),
        ("rooms", "shop", None, None, 422, "unknown-endpoint"),
        ("rooms", "client", "carl", "default", 200, None),  # without a body it is a client's request
        ("rooms", "shop", None, None, 400, "token-too-long"),  # it got no token
    ]
    text = json.dumps(seen)
    assert not [one for one in (CANARY, SHOP, *tokens, *(token.split(".")[2] for token in tokens)) if one in text]
    assert {frozenset(one) for one in seen} == {frozenset({*COMMON, "by", "userId", "endpoint"})}


async def test_which_kinds_a_stream_gets() -> None:
    async with run(BRIDGE_HANDLERS="tests.contract.upstream.telling:rooms") as bridge:
        await bridge.report({"type": 1, "target": "say", "arguments": ["hi"]})
        await bridge.http.post("/hubs/rooms/negotiate")
        assert [one["kind"] for one in await bridge.see(1, "upstream")] == ["upstream"]
        everything = await bridge.see(5, "negotiate,send,upstream")
        assert [one["kind"] for one in everything] == ["send", "send", "send", "upstream", "negotiate"]
        headers = {"X-API-Key": WATCHER}
        for given, kinds in (({}, {"upstream"}), ({"kind": "later,negotiate"}, {"negotiate"})):
            async with bridge.http.stream("GET", "/events", params=given, headers=headers) as answer:
                assert {(await anext(read_events(read_lines(answer.aiter_bytes()))))[1]["kind"]} == kinds
        for wrong in ("kind=", "kind=a,,b", "kind=send&kind=upstream", "kind=Send", "kind=send%20", "kinds=send"):
            for method in ("GET", "HEAD"):
                answer = await bridge.http.request(method, f"/events?{wrong}", headers=headers)
                assert (answer.status_code, answer.headers["x-problem-code"]) == (400, "invalid-query"), wrong
        assert (await bridge.http.head("/events?kind=send", headers=headers)).status_code == 200
        assert (await bridge.http.get("/events?kind=send", headers={"X-API-Key": "x" * 20})).status_code == 401


async def test_one_kind_does_not_push_out_another_and_does_not_count_for_it() -> None:
    async with run() as bridge:
        await bridge.http.post("/hubs/rooms/negotiate")
        with bridge.parts.events.listen(kinds=[Kind.NEGOTIATE]) as watching:
            many = [{"target": str(number)} for number in range(400)]
            await bridge.call("POST", "/hubs/rooms/send?order=none", many)
            assert len(watching.waiting) == 1
            await bridge.http.post("/hubs/rooms/negotiate")
            assert len(watching.waiting) == 2, "the stream goes on"
        assert [one["target"] for one in await bridge.see(100)] == [str(number) for number in range(300, 400)]
        seen = await bridge.see(102, "send,negotiate")
        assert [one["kind"] for one in seen] == ["negotiate", *["send"] * 100, "negotiate"]
        boot = seen[0]["replica"]
        assert len(await bridge.see(1, "send,negotiate", after=f"{boot}-401")) == 1


async def test_nothing_is_kept_while_the_console_is_off() -> None:
    async with run(BRIDGE_CONSOLE="false", BRIDGE_HANDLERS="tests.contract.upstream.telling:rooms") as bridge:
        await bridge.call("POST", "/hubs/rooms/send", {"target": "t"})
        await bridge.report({"type": 1, "target": "say", "arguments": ["hi"]})
        await bridge.http.post("/hubs/rooms/negotiate")
        with bridge.parts.events.listen(kinds=list(Kind)) as stream:
            assert not stream.waiting
        assert (await bridge.http.get("/events?kind=send", headers={"X-API-Key": WATCHER})).status_code == 404


@pytest.mark.parametrize(("unhandled", "status"), [("404", 404), ("200", 200)])
async def test_a_call_that_nobody_handles_says_which_handlers_there_are(unhandled: str, status: int) -> None:
    settings = {"BRIDGE_HANDLERS": "tests.contract.upstream.telling:rooms", "BRIDGE_UPSTREAM__UNHANDLED": unhandled}
    async with run(**settings) as bridge:
        call = {"type": 1, "invocationId": "7", "target": "sya", "arguments": []}
        answer = await bridge.report(call, status, event="sya")
        elsewhere = await bridge.report(call | {"target": "x"}, status, hub="other", event="x")
        here, there = await bridge.see(2, "upstream")
    assert (here["detail"], there["detail"]) == ("It has handlers of say.", "It has no handler of messages.")
    assert (here["status"], here["code"]) == (status, "no-handler" if status == 404 else None)
    if status == 404:
        assert answer.json()["detail"].endswith("It has handlers of say.")
        assert elsewhere.json()["detail"].endswith("It has no handler of messages.")
    else:
        assert b"say" not in answer.content, "a client learns no names"


@pytest.mark.parametrize(("left", "status"), [([{"key": WATCHER, "hubs": ["rooms"]}], 403), ([], 401)])
async def test_a_stream_ends_when_its_key_or_its_right_goes(
    tmp_path: Path, left: list[dict[str, Any]], status: int
) -> None:
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(programmable_server())
        connection = f"Endpoint={service.url};AccessKey={SERVICE};Version=1.0;"
        write(tmp_path, {"AzureSignalRConnectionString": connection, "BRIDGE_CALLERS__KEYS": KEYS})
        sources = Sources({"BRIDGE_SECRETS_DIR": str(tmp_path), "BRIDGE_CONSOLE": "true"}, {})
        app = create_app(load(sources.read()), sources)
        app.state.parts.watcher.settle = 0.05
        bridge = await stack.enter_async_context(serve(app, service))
        headers = {"X-API-Key": WATCHER}
        async with bridge.http.stream("GET", "/events?kind=send", headers=headers) as answer:
            pieces = answer.aiter_bytes()
            assert await anext(pieces) == b"retry: 1000\n\n"
            keys = [{"key": SHOP, "name": "shop"}, *({"name": "watcher", "rights": ["read"]} | one for one in left)]
            write(tmp_path, {"BRIDGE_CALLERS__KEYS": json.dumps(keys)})
            await bridge.parts.watcher.read_again()
            await asyncio.sleep(1.1)  # so long a caller is believed
            await bridge.call("POST", "/hubs/rooms/send", {"target": "secret"})
            assert [one async for one in pieces] == []
        assert (await bridge.http.get("/events", headers=headers)).status_code == status
