"""What one may see of the endpoints: states and since when, readiness now and ever, and who sees the list."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.contract.bridge.running import AUTH, build_probing, client
from tests.contract.endpoints.programmable import Server, programmable_server


@dataclass(slots=True)
class Pair:
    first: Server
    second: Server
    http: httpx.AsyncClient

    async def until(self, *wanted: str) -> None:
        """Until each was heard of and is in this state."""
        listed: Any = None
        for _ in range(2000):
            listed = (await self.http.get("/hubs/chat/endpoints", headers=AUTH)).json()
            if [one["state"] for one in listed if one["since"] is not None] == list(wanted):
                return
            await asyncio.sleep(0.005)
        raise AssertionError(f"{listed}, not {wanted}")


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        first, second = [await stack.enter_async_context(programmable_server()) for _ in range(2)]
        for server in (first, second):
            server.say(404, x_ms_error_code="Warning.Connection.NotExisted")
        app = build_probing(0.5, first.url, second.url)
        await stack.enter_async_context(app.router.lifespan_context(app))
        yield Pair(first, second, await stack.enter_async_context(client(app)))


FAULTS: list[tuple[Callable[[Server], None], str, str]] = [
    (lambda server: server.refuse(), "offline", "could not be reached"),
    (lambda server: setattr(server, "answer", None), "offline", "no answer"),
    (lambda server: server.say(500), "offline", "status 500"),
    (lambda server: server.say(401), "denied", "status 401"),
    (lambda server: server.say(403), "denied", "status 403"),
    (lambda server: server.say(404), "misrouted", "status 404"),
    (lambda server: server.say(429), "throttled", "status 429"),
]


@pytest.mark.parametrize(("fault", "state", "error"), FAULTS, ids=[error for _, _, error in FAULTS])
async def test_states(pair: Pair, fault: Callable[[Server], None], state: str, error: str) -> None:
    await pair.until("online", "online")
    fault(pair.first)
    await pair.until(state, "online")
    first, second = (await pair.http.get("/hubs/chat/endpoints", headers=AUTH)).json()
    assert (first["online"], first["lastError"]) == (False, error)
    assert (first["endpointType"], first["endpoint"]) == ("Primary", pair.first.url)
    assert first["since"].endswith("Z")
    assert (second["online"], second["lastError"]) == (True, None)
    for _ in range(10):
        answer = await pair.http.post("/hubs/chat/negotiate", json={"userId": "u"}, headers=AUTH)
        assert answer.json()["url"].startswith(pair.second.url), "nobody is sent there"


async def test_an_endpoint_as_it_is_listed_can_stand_in_an_item(pair: Pair) -> None:
    listed = (await pair.http.get("/hubs/chat/endpoints", headers=AUTH)).json()
    pair.second.say(202)
    item = {"target": "t", "endpoints": [listed[1]]}
    answer = await pair.http.post("/hubs/chat/send", json=item, headers=AUTH)
    assert [one["name"] for one in answer.json()["endpoints"]] == ["b"]


async def test_ready_ever_and_now(pair: Pair) -> None:
    await pair.until("online", "online")
    for path in ("/health/ready", "/health/ready?strict=true"):
        assert (await pair.http.get(path)).status_code == 200
    pair.first.say(401)
    await pair.until("denied", "online")
    assert (await pair.http.get("/health/ready?strict=true")).status_code == 200, "one is enough"
    pair.second.refuse()
    await pair.until("denied", "offline")
    assert (await pair.http.get("/health/ready?strict=true")).status_code == 503
    assert (await pair.http.get("/health/ready")).status_code == 200, "an outage takes no replica out"


async def test_the_list_is_for_callers(pair: Pair) -> None:
    assert (await pair.http.get("/health/ready")).json().keys() == {"status"}
    wrong = await pair.http.get("/health/ready", headers={"X-API-Key": "wrong-wrong-wrong-wrong"})
    assert wrong.json().keys() == {"status"}
    listed = (await pair.http.get("/health/ready", headers=AUTH)).json()["endpoints"]
    assert [one["name"] for one in listed] == ["default", "b"]


async def test_a_fault_that_ends_is_forgotten(pair: Pair) -> None:
    await pair.until("online", "online")
    pair.first.say(401)
    await pair.until("denied", "online")
    pair.first.say(200)
    await pair.until("online", "online")
