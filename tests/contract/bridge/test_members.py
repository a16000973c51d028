"""Who is in a group, over three emulators: every member once, page by page, as the routes tell it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest
from signalr_bridge.emulator import Emulator
from signalr_bridge.main import create_app
from signalr_bridge.settings import gather, load

from tests.contract.bridge.running import AUTH, CALLER, Bridge, bridge, client
from tests.unit.emulator.fakes import FakeMember

NAMES = ("AzureSignalRConnectionString", "Azure__SignalR__Endpoints__b", "Azure__SignalR__Endpoints__c__secondary")
MEMBERS = {"default": 500, "b": 0, "c": 550}
PATH = "/hubs/chat/groups/a%2Fb/connections"


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with AsyncExitStack() as stack:
        emulators = [await stack.enter_async_context(Emulator(0)) for _ in NAMES]
        for emulator, (name, count) in zip(emulators, MEMBERS.items(), strict=True):
            hub = emulator.hubs.find("chat")
            for number in range(count):
                hub.enter(FakeMember(f"{name}-{number}", "ann" if number % 2 else None))
                hub.add_connection("a/b", f"{name}-{number}")
        settings = {name: one.connection_string for name, one in zip(NAMES, emulators, strict=True)}
        app = create_app(load(gather(settings | {"BRIDGE_CALLERS__KEYS": CALLER}, {})))
        await stack.enter_async_context(app.router.lifespan_context(app))
        yield await stack.enter_async_context(client(app, **AUTH))


@pytest.mark.parametrize(("top", "pages"), [("200", 6), ("137", 8), (None, 6)])
async def test_every_member_once(http: httpx.AsyncClient, top: str | None, pages: int) -> None:
    found: list[dict[str, str]] = []
    sizes: list[int] = []
    query = {} if top is None else {"top": top}
    while True:
        page = (await http.get(PATH, params=query)).json()
        found += page["value"]
        sizes.append(len(page["value"]))
        if page["continuationToken"] is None:
            break
        query["continuationToken"] = page["continuationToken"]
    assert len(found) == 1050
    assert len({one["connectionId"] for one in found}) == 1050
    assert {one["connectionId"].split("-")[0] == one["endpoint"] for one in found} == {True}
    assert {one["userId"] for one in found} == {"ann", None}
    assert (len(sizes), set(sizes[:-1])) == (pages, {int(top or 200)}), "pages are full, across endpoints"


async def test_a_group_that_nobody_is_in(http: httpx.AsyncClient) -> None:
    answer = await http.get("/hubs/chat/groups/empty/connections")
    assert answer.json() == {"value": [], "continuationToken": None}


@pytest.fixture
async def running() -> AsyncIterator[Bridge]:
    async with bridge() as started:
        yield started


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("top=0", "invalid-query"),
        ("top=201", "invalid-query"),
        ("top=x", "invalid-query"),
        ("top=", "invalid-query"),
        ("top=5&top=6", "invalid-query"),
        ("page=5", "invalid-query"),
        ("continuationToken=", "invalid-continuation-token"),
        ("continuationToken=https%3A%2F%2Fevil.example", "invalid-continuation-token"),
    ],
)
async def test_a_bad_question(running: Bridge, query: str, code: str) -> None:
    answer = await running.http.get(f"/hubs/chat/groups/g/connections?{query}", headers=AUTH)
    assert (answer.status_code, answer.headers["x-problem-code"], running.seen) == (400, code, [])


async def test_a_link_leads_nowhere_but_to_the_endpoint(running: Bridge) -> None:
    """Of a next link from outside only the token counts: its host and path must never get our credential."""
    body = b'{"value": [{"connectionId": "c1"}], "nextLink": "http://evil.example/steal?continuationToken=a%2Bb"}'
    running.service.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    first = await running.http.get("/hubs/chat/groups/g/connections?top=1", headers=AUTH)
    token = first.json()["continuationToken"]
    await running.http.get(f"/hubs/chat/groups/g/connections?top=1&continuationToken={token}", headers=AUTH)
    path = "/api/hubs/chat/groups/g/connections?api-version=2024-12-01&maxpagesize=1"
    assert [one.target for one in running.seen] == [path, f"{path}&continuationToken=a%2Bb"]


@pytest.mark.parametrize(
    ("query", "target"),
    [
        ("groupName=a%2Fb", "groups/a%2Fb"),
        ("userId=u", "users/u"),
        ("connectionId=c", "connections/c"),
        ("userId=u&groupName=g", "users/u/groups/g"),
    ],
)
async def test_existence_by_query(running: Bridge, query: str, target: str) -> None:
    running.service.say(200)
    answer = await running.http.get(f"/hubs/chat/exists?{query}", headers=AUTH)
    assert (answer.status_code, answer.json()) == (200, {"exists": True})
    assert running.seen[0].target == f"/api/hubs/chat/{target}?api-version=2022-06-01"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "invalid-query"),
        ("groupName=g&connectionId=c", "invalid-query"),
        ("userId=u&connectionId=c", "invalid-query"),
        ("userId=u&userId=v", "invalid-query"),
        ("name=u", "invalid-query"),
        ("userId=", "invalid-name"),
        ("groupName=..", "invalid-name"),
    ],
)
async def test_a_bad_question_of_existence(running: Bridge, query: str, code: str) -> None:
    answer = await running.http.get(f"/hubs/chat/exists?{query}", headers=AUTH)
    assert (answer.status_code, answer.headers["x-problem-code"], running.seen) == (400, code, [])
