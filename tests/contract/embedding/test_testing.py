"""What authors test their handlers with: contexts that record, and calls as the bridge makes them."""

import asyncio
import threading

import httpx
import pytest
from pydantic import BaseModel
from signalr_bridge import Context, Hub, HubError, Rejected, outbox, testing
from signalr_bridge.errors import InvalidName, NoHandler, SettingsError
from signalr_bridge.protocol.upstream_event import EventHeaders
from signalr_bridge.testing import Sent, call, context, run_bridge, run_emulator, sent
from signalr_bridge.upstream.outbox import FoundOutbox


class Purchase(BaseModel):
    count: int
    price: float


chat = Hub("chat")


@chat.filter
async def keep_out(context: Context) -> None:
    if context.user_id == "mallory":
        raise Rejected("not here")


@chat.on("order")
async def order(context: Context, order: Purchase, *notes: str) -> Purchase:
    await context.clients.caller.send("ordered", order, *notes)
    return order


@chat.on("tour")
async def tour(context: Context) -> None:
    await context.clients.all.send("a", 1, excluded=["c1"])
    await context.clients.users(["ann", "bob"]).send("b", {"x": [None, True]})
    await context.clients.group("lobby").send("c")
    await context.groups.add("lobby", user="ann", ttl_seconds=60)
    await context.groups.add("lobby", connection="c1")
    await context.groups.remove("lobby", user="ann")
    await context.users.remove_from_all_groups("ann")
    assert await context.groups.exists("lobby")
    assert await context.connections.invoke("c1", "ask", 1) is None
    await context.users.close("ann")
    await context.connections.close("c1")
    await outbox("chat").clients.all.send("d")


@chat.on("silent")
def refuse_in_silence(context: Context) -> None:
    raise HubError


@chat.on("broken")
def fail(context: Context) -> None:
    raise LookupError("of the handler")


async def test_what_was_sent_is_listed_in_order() -> None:
    ann = context(chat, user_id="ann", connection_id="c0")
    assert await call(chat, "tour", context=ann) is None
    assert sent(ann) == [
        Sent("send", None, "a", [1], ("c1",)),
        Sent("send", {"userId": "ann"}, "b", [{"x": [None, True]}]),
        Sent("send", {"userId": "bob"}, "b", [{"x": [None, True]}]),
        Sent("send", {"groupName": "lobby"}, "c", []),
        Sent("add", {"userId": "ann", "groupName": "lobby"}, None, [], (), 60),
        Sent("add", {"groupName": "lobby", "connectionId": "c1"}, None, []),
        Sent("remove", {"userId": "ann", "groupName": "lobby"}, None, []),
        Sent("removeAll", {"userId": "ann"}, None, []),
        Sent("invoke", {"connectionId": "c1"}, "ask", [1]),
        Sent("close", {"userId": "ann"}, None, []),
        Sent("close", {"connectionId": "c1"}, None, []),
        Sent("send", None, "d", []),
    ]


async def test_arguments_travel_as_json_and_are_converted() -> None:
    ann = context(chat)
    assert await call(chat, "ORDER", {"count": "3", "price": "1.5"}, "soon", context=ann) == {
        "count": 3,
        "price": 1.5,
    }
    assert await call(chat, "order", Purchase(count=1, price=2), context=ann) == {"count": 1, "price": 2.0}
    assert [(one.to, one.arguments[1:]) for one in sent(ann)] == [
        ({"connectionId": "test"}, ["soon"]),
        ({"connectionId": "test"}, []),
    ]
    with pytest.raises(HubError, match="'order'"):
        await call(chat, "order", {"count": "many", "price": 1})
    with pytest.raises(HubError, match="missing"):
        await call(chat, "order")
    with pytest.raises(HubError, match="more than it takes"):
        await call(chat, "tour", 1)


async def test_refusals_are_what_a_client_is_told_and_failures_come_out() -> None:
    with pytest.raises(Rejected, match="not here"):
        await call(chat, "tour", context=context(chat, user_id="mallory"))
    with pytest.raises(HubError, match=r"^Method 'silent' failed\.$"):
        await call(chat, "silent")
    with pytest.raises(LookupError, match="of the handler"):
        await call(chat, "broken")
    with pytest.raises(NoHandler, match="'nothing'"):
        await call(chat, "nothing")
    with pytest.raises(NoHandler):
        await call(chat, "tour", context=context("other"))


async def test_every_handler_of_a_connection_event_runs_and_a_refusal_counts_most() -> None:
    hub, ran = Hub("*"), list[str]()

    @hub.connected
    async def first(context: Context) -> None:
        ran.append(context.event)
        raise LookupError

    @hub.connected
    def second(context: Context) -> None:
        ran.append(context.hub)
        raise Rejected("full")

    with pytest.raises(Rejected, match="full"):
        await call(hub, "connected", context=context("rooms"))
    assert ran == ["connected", "rooms"]
    await call(hub, "disconnected", context=context("rooms"))
    with pytest.raises(ValueError, match="give the name"):
        await call(hub, "connected")


async def test_items_of_an_array_are_recorded_too() -> None:
    ann = context(chat)
    items = b'[{"target":"a","arguments":[1]},{"action":"add","userId":"ann","groupName":"lobby"}]'
    assert [one.error for one in await ann.outbox.send_outputs("chat", items)] == [None, None]
    assert sent(ann) == [
        Sent("send", None, "a", [1]),
        Sent("add", {"userId": "ann", "groupName": "lobby"}, None, []),
    ]


def test_a_context_tells_what_it_was_given() -> None:
    told = context(
        "chat",
        "greet",
        user_id="ann",
        connection_id="c1",
        claims={"name": "Bob, role: admin", "role": ["a", "b"]},
        query={"room": "7", "tag": ["x", "y&z"], "access_token": "secret"},
        arguments=[1, ("two",), Purchase(count=1, price=2)],
    )
    assert (told.hub, told.event, told.category) == ("chat", "greet", "messages")
    assert (told.user_id, told.connection_id, told.error) == ("ann", "c1", None)
    assert told.claims == {"name": ["Bob, role: admin"], "role": ["a", "b"]}
    assert told.claims_exact
    assert told.query == {"room": ["7"], "tag": ["x", "y&z"]}
    assert told.arguments == [1, ["two"], {"count": 1, "price": 2.0}]
    assert context(Hub("News")).hub == "news"
    assert context("chat").category == "connections"
    with pytest.raises(InvalidName):
        context("no hub")


def test_only_its_own_contexts_record() -> None:
    with pytest.raises(TypeError, match=r"testing\.context"):
        sent(Context(EventHeaders("chat"), FoundOutbox()))


def test_handlers_that_cannot_be_used_fail_the_fixture_and_leave_nothing_behind() -> None:
    before = threading.active_count()
    with run_emulator() as emulator:
        with pytest.raises(SettingsError, match="nothing"), run_bridge(emulator, ["tests.e2e.handlers:nothing"]):
            pass
        with run_bridge(emulator, [chat]) as bridge:
            assert bridge.key not in repr(bridge)
            assert httpx.get(f"{bridge.url}/health/live").status_code == 200
    assert threading.active_count() == before


def test_a_bridge_that_does_not_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    hub, ended = Hub("slow"), threading.Event()

    @hub.startup
    async def wait() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    with run_emulator() as emulator:
        monkeypatch.setattr(testing, "STARTS_WITHIN", 0.3)
        starting = run_bridge(emulator, [hub])
        with pytest.raises(TimeoutError, match=r"^the bridge has not started within 0\.3 s$"):
            starting.__enter__()
    assert ended.wait(10)
