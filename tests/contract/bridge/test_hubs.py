"""``GET /hubs``: which hubs there are, what answers their events, what admits their clients, and who sees which."""

import json
from typing import Any

import pytest
from signalr_bridge import Context, Hub, NegotiateRequest
from signalr_bridge.parts import Parts
from signalr_bridge.upstream.python.loading import load_handlers

from tests.contract.bridge.running import AUTH, CALLER, SERVICE, bridge, build, client

rooms, everywhere = Hub("Rooms"), Hub("*")
members, private = Hub("members"), Hub("private")


@members.negotiate
@private.negotiate
async def admit(request: NegotiateRequest) -> None:
    """The rules decide."""


@rooms.connected
async def arrive(context: Context) -> None:
    """Everybody may come."""


@rooms.on("echo")
async def echo(context: Context, value: int) -> int:
    """What came goes back."""
    return value


@everywhere.on("Echo")
async def echo_elsewhere(context: Context, value: int) -> int:
    """The hub ``rooms`` has its own."""
    return value


@everywhere.on("help")
async def advise(context: Context) -> str:
    """Every hub has this one."""
    return "read the docs"


SETTINGS = {
    "BRIDGE_DEFAULT_HUB": "Chat",
    "BRIDGE_NEGOTIATE__HUBS": "news",
    "BRIDGE_NEGOTIATE__ANONYMOUS": "true",
    "BRIDGE_HUBS__MEMBERS__NEGOTIATE__ANONYMOUS": "false",
    "BRIDGE_HUBS__MEMBERS__NEGOTIATE__PLATFORM_IDENTITY": "true",
    "BRIDGE_HUBS__MEMBERS__NEGOTIATE__JWT": json.dumps([{"issuer": "https://localhost:1", "audience": "a"}]),
    "BRIDGE_HUBS__CHAT__NEGOTIATE__ANONYMOUS": "false",
    "BRIDGE_HUBS__AWAY__CONNECTION": "Other",
    "Other": f"Endpoint=https://other.example;AccessKey={SERVICE};Version=1.0;",
    "BRIDGE_HANDLERS": f"{__name__}:rooms,{__name__}:everywhere",
    "BRIDGE_FORWARD__ORDERS__HUB": "orders",
    "BRIDGE_FORWARD__ORDERS__URL": "http://localhost:1/signalr",
    "BRIDGE_FORWARD__ORDERS__UNSIGNED": "true",
}


def by_name(answer: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in answer}


def answers(hub: dict[str, Any]) -> list[str]:
    return [f"{one['category']} {one['event']} {one['source'].rpartition(':')[2]}" for one in hub["handlers"]]


async def test_what_holds_of_each_hub() -> None:
    async with client(build("http://localhost:1", "http://localhost:2", **SETTINGS), **AUTH) as http:
        answer = await http.get("/hubs")
        head = await http.head("/hubs")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert (head.status_code, head.content) == (200, b"")
    listed = answer.json()
    assert listed[0]["name"] == "chat"
    assert {frozenset(one) for one in listed} == {frozenset({"name", "handlers", "clients", "endpoints"})}
    hubs = by_name(listed)
    assert len(listed) == len(hubs)
    assert set(hubs) == {"chat", "news", "members", "away", "rooms", "orders"}
    for_all = ["messages Echo echo_elsewhere", "messages help advise"]
    assert answers(hubs["chat"]) == answers(hubs["news"]) == for_all
    assert answers(hubs["rooms"]) == [
        "connections connected arrive",
        "messages echo echo",
        "messages help advise",
    ]
    assert answers(hubs["orders"]) == [*for_all, "* * forward.orders"]
    assert {name: one["clients"] for name, one in hubs.items()} == {
        "chat": [],
        "members": ["jwt", "platform"],
        **{name: ["anonymous"] for name in ("news", "away", "rooms", "orders")},
    }
    # A named endpoint belongs to every connection, so the hub with its own connection has it, too.
    assert all(one["endpoints"] == ["default", "b"] for one in hubs.values())


RIGHTS: dict[str, tuple[dict[str, Any], int, set[str]]] = {
    "reads all": ({"rights": ["read"]}, 200, {"chat", "news", "members", "away", "rooms", "orders"}),
    "reads two": ({"rights": ["read"], "hubs": ["news", "Rooms"]}, 200, {"news", "rooms"}),
    "reads what is not there": ({"rights": ["read"], "hubs": ["else"]}, 200, set()),
    "does all in one hub": ({"hubs": ["orders"]}, 200, {"orders"}),
    "sends": ({"rights": ["send", "negotiate", "groups", "connections"]}, 403, set()),
}


@pytest.mark.parametrize("name", RIGHTS)
async def test_who_sees_which(name: str) -> None:
    grant, status, seen = RIGHTS[name]
    keys = json.dumps([{"key": CALLER, "name": "one", **grant}])
    async with client(build("http://localhost:1", **SETTINGS, BRIDGE_CALLERS__KEYS=keys)) as http:
        assert (await http.get("/hubs")).status_code == 401
        answer = await http.get("/hubs", headers=AUTH)
        assert answer.status_code == status
        assert set(by_name(answer.json() if status == 200 else [])) == seen
        assert (await http.head("/hubs", headers=AUTH)).status_code == status
        assert (await http.get("/hubs?top=1", headers=AUTH)).status_code == (400 if status == 200 else 403)
        assert (await http.post("/hubs", headers=AUTH)).status_code == 405


async def test_it_counts_against_the_callers_rate() -> None:
    async with client(build("http://localhost:1", BRIDGE_LIMITS__CALLER_PER_SECOND="1"), **AUTH) as http:
        assert [(await http.get("/hubs")).status_code for _ in range(2)] == [200, 429]


async def test_handlers_that_are_loaded_anew() -> None:
    async with bridge(**SETTINGS) as running:
        parts: Parts = running.app.state.parts
        parts.use(load_handlers([f"{__name__}:rooms"], default_seconds=1))
        hubs = by_name((await running.http.get("/hubs", headers=AUTH)).json())
    assert (answers(hubs["chat"]), answers(hubs["orders"])) == ([], ["* * forward.orders"])
    assert answers(hubs["rooms"]) == ["connections connected arrive", "messages echo echo"]


async def test_a_negotiate_handler_admits_too() -> None:
    async with bridge(**SETTINGS | {"BRIDGE_HANDLERS": f"{__name__}:members,{__name__}:private"}) as running:
        hubs = by_name((await running.http.get("/hubs", headers=AUTH)).json())
    assert {name: hub["clients"] for name, hub in hubs.items()} == {
        "chat": [],
        "news": ["anonymous"],
        "members": ["jwt", "platform", "handler"],
        "away": ["anonymous"],
        "orders": ["anonymous"],
        "private": ["anonymous", "handler"],
    }


async def test_endpoints_answer_head() -> None:
    async with client(build("http://localhost:1"), **AUTH) as http:
        head = await http.head("/hubs/chat/endpoints")
    assert (head.status_code, head.content) == (200, b"")
