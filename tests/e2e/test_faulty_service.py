"""Services that hang up, hang, throttle or lack operations, on real sockets, before a real ``serve``."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from email.utils import formatdate
from urllib.parse import urlsplit

import httpx
from signalr_bridge.check import probe_endpoints
from signalr_bridge.protocol.upstream_event import sign
from signalr_bridge.settings import gather, load

from tests.contract.endpoints.programmable import Server, answer_of, programmable_server
from tests.e2e.processes import (
    API_KEY,
    EMULATOR_KEY,
    Process,
    app_command,
    bridge_settings,
    connection_string,
    free_port,
    run_bridge,
)
from tests.unit.upstream.fakes import event, header_lines

ITEM = {"target": "t", "arguments": [1]}
ABSENT = "Warning.Connection.NotExisted"
NOT_THERE = answer_of(404, x_ms_error_code=ABSENT)


@asynccontextmanager
async def serving(service: Server, **settings: str) -> AsyncIterator[tuple[Process, httpx.AsyncClient]]:
    """``serve`` in front of the service, and a backend's client. What a test serves itself goes on meanwhile."""
    port, known = free_port(), {"BRIDGE_LIMITS__DRAIN_SECONDS": "0"}
    with ExitStack() as stack:
        process = await asyncio.to_thread(stack.enter_context, run_bridge(port, service.port, known | settings))
        headers = {"X-API-Key": API_KEY}
        try:
            async with httpx.AsyncClient(base_url=f"http://localhost:{port}", headers=headers, trust_env=False) as http:
                yield process, http
        finally:
            await asyncio.to_thread(stack.close)


async def until(look: Callable[[], Awaitable[bool]], what: str) -> None:
    for _ in range(1000):
        if await look():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"not within 20 s: {what}")


def posts(service: Server) -> int:
    return sum(one.method == "POST" for one in service.requests)


async def deliver(http: httpx.AsyncClient) -> httpx.Response:
    """One message of a client, as the service delivers it."""
    headers = header_lines(event(), x_asrs_signature=sign("c1", EMULATOR_KEY))
    message = {"type": 1, "target": "send", "arguments": []}
    return await http.post("/upstream?code=a-code-of-the-service", content=json.dumps(message), headers=headers)


async def test_no_message_goes_out_on_a_connection_that_its_peer_gives_up_and_throttled_calls_are_counted() -> None:
    async with programmable_server() as service, programmable_server() as backend:
        kept = "timeout=2"  # each answer says so, for a probe has had the first one of its connection
        service.answer = answer_of(202, Keep_Alive=kept)
        service.honest = {"/connections/probe": answer_of(404, x_ms_error_code=ABSENT, Keep_Alive=kept)}
        backend.say(204)
        settings = {
            "BRIDGE_FORWARD__ALL__URL": f"{backend.url}/event",
            "BRIDGE_FORWARD__ALL__UNSIGNED": "true",
            "BRIDGE_UPSTREAM__CODE": "a-code-of-the-service",
            "AzureSignalRRetry__MaxRetries": "3",
            "AzureSignalRRetry__Delay": "00:00:00.1",
        }
        async with serving(service, **settings) as (_, http):
            for _ in range(2):
                assert (await http.post("/hubs/chat/send", json=ITEM)).status_code == 202
                assert (await deliver(http)).status_code == 200
            before = service.connections, backend.connections
            await asyncio.sleep(1.7)  # gunicorn's 2 s are not announced
            assert (await http.post("/hubs/chat/send", json=ITEM)).status_code == 202
            assert (await deliver(http)).status_code == 200
            assert (service.connections, backend.connections) == (before[0] + 1, before[1] + 1)
            await throttle(service, http)


async def throttle(service: Server, http: httpx.AsyncClient) -> None:
    service.say(503)
    before = posts(service)
    answers = await asyncio.gather(*(http.post("/hubs/chat/send", json=ITEM) for _ in range(20)))
    assert {one.json()["code"] for one in answers} == {"throttled"}
    assert posts(service) == before + 20 * 4, "3 retries are 4 attempts"

    service.say(500)
    join = asyncio.create_task(http.put("/hubs/chat/groups/g/connections/c"))
    await until(_async(lambda: service.requests[-1].method == "PUT"), "a join")
    service.say(200)
    assert (await join).status_code == 204, "the pauses of messages take no retry from a join"

    now = time.time()
    waits = {"864000": 864_000, formatdate(now + 120, usegmt=True): 120}
    for asked, seconds in waits.items():
        before = posts(service)
        service.say(429, Retry_After=asked, Date=formatdate(now, usegmt=True))
        answer = await http.post("/hubs/chat/send", json=ITEM)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, str(seconds))
        assert posts(service) == before + 1


def _async(look: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        return look()

    return ask


async def test_where_messages_hang_no_clients_are_sent_and_one_message_at_a_time_is_a_trial() -> None:
    async with AsyncExitStack() as stack:
        hanging, other = [await stack.enter_async_context(programmable_server()) for _ in range(2)]
        hanging.honest = other.honest = {"HEAD ": NOT_THERE, "PUT ": answer_of(200)}
        hanging.answer = None
        named = {"Azure__SignalR__Endpoints__other": connection_string(other.port)}
        _, http = await stack.enter_async_context(serving(hanging, **named))

        async def state() -> str:
            listed = (await http.get("/hubs/chat/endpoints")).json()
            return str(next(one["state"] for one in listed if one["name"] == "default"))

        async def send() -> str:
            answer = await http.post("/hubs/chat/send", json=ITEM, headers={"X-Request-Timeout": "1"})
            return str(next(one["outcome"] for one in answer.json()["endpoints"] if one["name"] == "default"))

        for _ in range(3):
            assert (await http.put("/hubs/chat/groups/g/connections/c")).status_code == 204
            assert await send() == "unknown"
        assert await state() == "offline"
        outcomes: list[str] = []
        while "unknown" not in outcomes:  # a probe has been good, and lets one message through
            outcomes.append(await send())
            assert await state() == "offline"
            place = (await http.post("/hubs/chat/negotiate", json={"userId": "u"})).json()["url"]
            assert urlsplit(place).port == other.port
            assert len(outcomes) < 2000
        assert set(outcomes[:-1]) <= {"offline"}
        assert [await send() for _ in range(5)] == ["offline"] * 5
        assert posts(hanging) == 3 + 1

        hanging.say(202)

        async def is_back() -> bool:
            return await send() == "accepted"

        await until(is_back, "a trial that was good")
        assert await state() == "online"


EMULATOR_404 = answer_of(
    404, b'{"title":"Not Found","status":404}', Content_Type="application/problem+json; charset=utf-8"
)
SETTING = "BRIDGE_ENDPOINTS__DEFAULT__LENIENT_404"


async def test_an_emulator_without_error_codes() -> None:
    """As Microsoft's up to 1.1.0 answers. Source: docs/protocol/service-emulation.md 1.2, 1.4 and 6."""
    async with AsyncExitStack() as stack:
        emulator = await stack.enter_async_context(programmable_server())
        emulator.say(404)
        bare = answer_of(404, Content_Type="application/problem+json; charset=utf-8")
        emulator.honest = {":send": answer_of(202), "HEAD ": bare, "PUT ": EMULATOR_404}
        lenient = serving(emulator, **{SETTING: "true"})
        strict = serving(emulator)
        (_, good), (process, bad) = await asyncio.gather(*map(stack.enter_async_context, (lenient, strict)))
        checking = asyncio.create_task(asyncio.to_thread(check, emulator))

        await until(_is_ready(good), "ready")
        await operations_that_are_not_there(good)
        assert (await good.get("/hubs/chat/connections/c")).json()["code"] == "not-present"
        assert (await good.put("/hubs/chat/groups/g/connections/c")).json()["code"] == "connection-not-found"

        await asyncio.to_thread(process.wait_for_line, rf"endpoint is misrouted.*{SETTING}=true")
        assert (await bad.get("/health/ready")).status_code == 503
        [shown] = (await bad.get("/hubs/chat/endpoints")).json()
        assert shown["state"] == "misrouted"
        assert f"set {SETTING}=true" in shown["lastError"]
        await operations_that_are_not_there(bad)
        code, output = await checking
        assert (code, f"set {SETTING}=true" in output) == (1, True), output
        known = load(gather(bridge_settings(emulator.port) | {SETTING: "true"}, {}))
        assert [one.well for one in await probe_endpoints(known)] == [True], "the probe knows the setting"


async def operations_that_are_not_there(http: httpx.AsyncClient) -> None:
    """A group may be full and a client connected: that the service lacks the operation says nothing of them."""
    members = await http.get("/hubs/chat/groups/full/connections")
    called = await http.post("/hubs/chat/connections/c/invoke", json=ITEM)
    assert (members.json()["code"], called.json()["code"]) == ("no-endpoint-available", "invoke-failed")
    for answer in (members, called):
        assert "does not have this operation" in answer.json()["detail"]
        assert "Retry-After" not in answer.headers
        assert answer.json()["endpoints"][0]["code"] == "endpoint-misrouted"


def _is_ready(http: httpx.AsyncClient) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        return (await http.get("/health/ready")).status_code == 200

    return ask


def check(service: Server) -> tuple[int, str]:
    """The exit code and the words of ``check --probe``."""
    with Process("check", app_command("check", "--probe"), bridge_settings(service.port)) as process:
        return process.wait(), process.output
