"""Talking back: which operations are performed, and what becomes of the results."""

from collections.abc import Awaitable, Callable

import pytest
from msgspec import Raw
from signalr_bridge import Context
from signalr_bridge.endpoints.endpoint import Verdict
from signalr_bridge.endpoints.outcome import Result, Status
from signalr_bridge.errors import (
    BridgeError,
    ConnectionNotFound,
    DeliveryFailed,
    DeliveryUnknown,
    InvalidName,
    InvokeFailed,
    NoEndpointAvailable,
    Throttled,
)
from signalr_bridge.protocol.rest import Action, ClientAnswer, Message, Operation

from tests.unit.upstream.fakes import FakeOutbox, context, result

Deed = Callable[[Context], Awaitable[object]]
HUB = "chat"


@pytest.mark.parametrize(
    ("deed", "operations"),
    [
        (lambda c: c.clients.all.send("m"), [Operation(Action.SEND_TO_ALL, HUB)]),
        (
            lambda c: c.clients.all.send("m", excluded=["x", "y"]),
            [Operation(Action.SEND_TO_ALL, HUB, excluded=("x", "y"))],
        ),
        (lambda c: c.clients.user("ann").send("m"), [Operation(Action.SEND_TO_USER, HUB, user="ann")]),
        (
            lambda c: c.clients.users(["ann", "bob", "ann"]).send("m"),
            [Operation(Action.SEND_TO_USER, HUB, user=one) for one in ("ann", "bob")],
        ),
        (
            lambda c: c.clients.group("g").send("m", excluded=("x",)),
            [Operation(Action.SEND_TO_GROUP, HUB, group="g", excluded=("x",))],
        ),
        (
            lambda c: c.clients.groups(["g", "h"]).send("m"),
            [Operation(Action.SEND_TO_GROUP, HUB, group=one) for one in ("g", "h")],
        ),
        (lambda c: c.clients.connection("c2").send("m"), [Operation(Action.SEND_TO_CONNECTION, HUB, connection="c2")]),
        (
            lambda c: c.clients.connections(["c1", "c2"]).send("m"),
            [Operation(Action.SEND_TO_CONNECTION, HUB, connection=one) for one in ("c1", "c2")],
        ),
        (
            lambda c: c.clients.groups(["g", "h"]).send("m", excluded=(one for one in "xy")),
            [Operation(Action.SEND_TO_GROUP, HUB, group=one, excluded=("x", "y")) for one in ("g", "h")],
        ),
        (lambda c: c.clients.users([]).send("m"), []),
        (
            lambda c: c.groups.add("g", connection="c2"),
            [Operation(Action.ADD_CONNECTION, HUB, group="g", connection="c2")],
        ),
        (
            lambda c: c.groups.add("g", user="ann", ttl_seconds=0),
            [Operation(Action.ADD_USER, HUB, group="g", user="ann", ttl=0)],
        ),
        (
            lambda c: c.groups.remove("g", connection="c2"),
            [Operation(Action.REMOVE_CONNECTION, HUB, group="g", connection="c2")],
        ),
        (lambda c: c.groups.remove("g", user="ann"), [Operation(Action.REMOVE_USER, HUB, group="g", user="ann")]),
        (lambda c: c.groups.exists("g"), [Operation(Action.GROUP_EXISTS, HUB, group="g")]),
        (lambda c: c.users.exists("ann"), [Operation(Action.USER_EXISTS, HUB, user="ann")]),
        (lambda c: c.users.remove_from_all_groups("ann"), [Operation(Action.REMOVE_USER_FROM_ALL, HUB, user="ann")]),
        (lambda c: c.users.close("ann"), [Operation(Action.CLOSE_USER, HUB, user="ann")]),
        (lambda c: c.connections.exists("c2"), [Operation(Action.CONNECTION_EXISTS, HUB, connection="c2")]),
        (
            lambda c: c.connections.close("c2", reason="bye"),
            [Operation(Action.CLOSE_CONNECTION, HUB, connection="c2", reason="bye")],
        ),
    ],
)
async def test_each_deed_is_an_operation_everywhere(deed: Deed, operations: list[Operation]) -> None:
    outbox = FakeOutbox()
    await deed(context(outbox, endpoint="eastus"))
    assert [(one, endpoint) for one, _, endpoint in outbox.performed] == [(one, None) for one in operations]


@pytest.mark.parametrize(
    "deed",
    [
        lambda c: c.clients.caller.send("m"),
        lambda c: c.clients.connection("c1").send("m"),
        lambda c: c.groups.add("g", connection="c1"),
        lambda c: c.connections.close("c1"),
    ],
)
async def test_the_caller_is_met_where_it_is(deed: Deed) -> None:
    outbox = FakeOutbox()
    await deed(context(outbox, endpoint="eastus"))
    await deed(context(outbox))
    assert [endpoint for _, _, endpoint in outbox.performed] == ["eastus", None]
    assert {one.connection for one, _, _ in outbox.performed} == {"c1"}


async def test_a_message_is_the_targets_name_and_its_arguments() -> None:
    outbox = FakeOutbox()
    await context(outbox).clients.all.send("newMessage", "zoë", {"n": 2**70}, None)
    arguments = '["zoë",{"n":1180591620717411303424},null]'
    assert outbox.performed[0][1] == Message("newMessage", arguments.encode())


@pytest.mark.parametrize(
    ("deed", "error"),
    [
        (lambda c: c.clients.all.send(""), ValueError),
        (lambda c: c.clients.user("ann").send("m", excluded=["x"]), ValueError),
        (lambda c: c.clients.all.send("m", excluded="id"), ValueError),
        (lambda c: c.clients.users("bob").send("m"), ValueError),
        (lambda c: c.clients.groups("admins").send("m"), ValueError),
        (lambda c: c.clients.connections("id").send("m"), ValueError),
        (lambda c: c.clients.user(" ").send("m"), InvalidName),
        (lambda c: c.clients.group("..").send("m"), InvalidName),
        (lambda c: c.clients.connection("").send("m"), InvalidName),
        (lambda c: c.groups.add("g"), ValueError),
        (lambda c: c.groups.add("g", connection="c", user="u"), ValueError),
        (lambda c: c.groups.add("g", connection="c", ttl_seconds=1), ValueError),
        (lambda c: c.groups.add("g", user="u", ttl_seconds=-1), ValueError),
        (lambda c: c.groups.add("g", user="u", ttl_seconds=1.5), ValueError),
        (lambda c: c.groups.add("g", user="u", ttl_seconds=True), ValueError),
        (lambda c: c.groups.remove("", user="u"), InvalidName),
        (lambda c: c.users.close(""), InvalidName),
        (lambda c: c.connections.close(""), InvalidName),
    ],
)
async def test_a_wrong_call_performs_nothing(
    deed: Callable[[Context], Awaitable[object]], error: type[Exception]
) -> None:
    outbox = FakeOutbox()

    async def attempt() -> None:
        await deed(context(outbox))

    with pytest.raises(error):
        await attempt()
    assert outbox.performed == []


ABSENT = result(Status.ABSENT, Verdict.ABSENT, Verdict.ABSENT)
HALF_ABSENT = result(Status.ABSENT, Verdict.ABSENT, Verdict.OFFLINE)
UNKNOWN = result(Status.UNKNOWN, Verdict.UNKNOWN)
REJECTED = result(Status.REJECTED, Verdict.REJECTED, code="denied")
THROTTLED = result(Status.REJECTED, Verdict.REJECTED, code="throttled")
NOBODY = result(Status.REJECTED, Verdict.OFFLINE, code="no-endpoint-available")
PARTIAL = result(Status.PARTIAL, Verdict.ACCEPTED, Verdict.UNREACHABLE)


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        (UNKNOWN, DeliveryUnknown, "e0 unknown"),
        (REJECTED, DeliveryFailed, r"e0 rejected \(denied\)"),
        (THROTTLED, Throttled, "throttled"),
        (NOBODY, NoEndpointAvailable, "e0 offline"),
        (ABSENT, ConnectionNotFound, "e0 absent"),
    ],
)
async def test_a_delivery_that_fails_says_how(given: Result, error: type[BridgeError], text: str) -> None:
    sent, added = context(FakeOutbox(given)).clients.caller, context(FakeOutbox(given)).groups
    with pytest.raises(error, match=text):
        await sent.send("m")
    with pytest.raises(error, match=text):
        await added.add("g", connection="c2")


async def test_one_of_several_deliveries_fails() -> None:
    outbox = FakeOutbox(PARTIAL, UNKNOWN)
    with pytest.raises(DeliveryUnknown):
        await context(outbox).clients.users(["a", "b", "c"]).send("m")
    assert len(outbox.performed) == 3


async def test_a_delivery_in_part_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    await context(FakeOutbox(PARTIAL)).clients.all.send("m")
    assert vars(caplog.records[0])["outcomes"] == "e0 accepted, e1 unreachable"


async def test_who_is_not_there_has_left() -> None:
    await context(FakeOutbox(ABSENT)).groups.remove("g", connection="c2")
    await context(FakeOutbox(ABSENT)).connections.close("c2")
    with pytest.raises(NoEndpointAvailable, match="offline"):
        await context(FakeOutbox(HALF_ABSENT)).connections.close("c2")


@pytest.mark.parametrize(
    ("given", "exists"),
    [
        (result(Status.ACCEPTED, Verdict.ACCEPTED, Verdict.ABSENT), True),
        (PARTIAL, True),
        (ABSENT, False),
        (HALF_ABSENT, None),
        (UNKNOWN, None),
        (REJECTED, None),
        (NOBODY, None),
    ],
)
async def test_existence_is_known_or_an_error(given: Result, exists: bool | None) -> None:
    hub = context(FakeOutbox(given, given, given))
    for question in (hub.users.exists, hub.groups.exists, hub.connections.exists):
        if exists is None:
            with pytest.raises(NoEndpointAvailable):
                await question("x")
        else:
            assert await question("x") is exists


async def test_a_client_is_called() -> None:
    outbox = FakeOutbox()
    outbox.answer = ClientAnswer(Raw(b'{"n": 1}'))
    connections = context(outbox, connection_id="c1", endpoint="eastus").connections
    assert await connections.invoke("c2", "t", 1, "x") == {"n": 1}
    assert await connections.invoke("c1", "t") == {"n": 1}
    assert [(one.connection, message, endpoint) for one, message, endpoint in outbox.performed] == [
        ("c2", Message("t", b'[1,"x"]'), None),
        ("c1", Message("t", b"[]"), "eastus"),
    ]


async def test_a_client_that_returns_nothing_or_refuses() -> None:
    outbox = FakeOutbox()
    assert await context(outbox).connections.invoke("c", "t") is None
    outbox.answer = ClientAnswer(error="not today")
    with pytest.raises(InvokeFailed, match="not today"):
        await context(outbox).connections.invoke("c", "t")
    with pytest.raises(ValueError, match="target"):
        await context(outbox).connections.invoke("c", "")
    with pytest.raises(InvalidName):
        await context(outbox).connections.invoke("", "t")


@pytest.mark.parametrize("seconds", [float("inf"), float("nan"), 0.5, 0, -1, 101])
async def test_a_client_is_given_from_1_to_100_seconds(seconds: float) -> None:
    outbox = FakeOutbox()
    with pytest.raises(ValueError, match="timeout_seconds is a number of seconds from 1 to 100"):
        await context(outbox).connections.invoke("c", "t", timeout_seconds=seconds)
    for good in (1, 100):
        await context(outbox).connections.invoke("c", "t", timeout_seconds=good)
    assert len(outbox.performed) == 2
