"""Groups that clients join for their claims: which, when, and never by claims that may be forged."""

import pytest
from signalr_bridge.endpoints.endpoint import Verdict
from signalr_bridge.endpoints.outcome import Status
from signalr_bridge.errors import DeliveryFailed, InternalError, SettingsError
from signalr_bridge.protocol.claims import write_lossless
from signalr_bridge.protocol.rest import Action
from signalr_bridge.settings.model import Settings
from signalr_bridge.upstream.context import Context
from signalr_bridge.upstream.join import MOST_GROUPS, Join, JoinRule, build_joins, groups_of

from tests.unit.upstream.fakes import Caller, FakeHandler, FakeOutbox, event, result

RULES = [JoinRule("role", "role:{value}"), JoinRule("team", "team:{value}"), JoinRule("member", "members")]


@pytest.mark.parametrize(
    ("claims", "groups"),
    [
        ({}, []),
        ({"role": ["a", "b"], "team": ["a"], "x": ["y"]}, ["role:a", "role:b", "team:a"]),
        ({"role": ["a", "a"]}, ["role:a"]),
        ({"member": ["x", "y"]}, ["members"]),
        ({"role": ["", "a\nb", "x" * 1025, "ok"]}, ["role:ok"]),
        ({"role": ["{value}"]}, ["role:{value}"]),
        ({"Role": ["a"]}, []),
    ],
)
def test_the_groups(claims: dict[str, list[str]], groups: list[str]) -> None:
    assert groups_of(claims, RULES) == groups


def test_not_endlessly_many() -> None:
    assert len(groups_of({"role": [str(one) for one in range(500)]}, RULES)) == MOST_GROUPS


def context(outbox: FakeOutbox, line: str) -> Context:
    return Context(event(category="connections", event="connected", claims_line=line), outbox)


EXACT = f"role: admin, bridge.claims: {write_lossless({'role': ['admin', 'editor']})}"


async def test_a_client_joins_by_exact_claims() -> None:
    outbox = FakeOutbox()
    await Join("chat", RULES).answer(context(outbox, EXACT))
    joined = [(one.action, one.group, one.connection) for one, _, _ in outbox.performed]
    connection = event().connection_id
    assert joined == [(Action.ADD_CONNECTION, f"role:{name}", connection) for name in ("admin", "editor")]


@pytest.mark.parametrize(
    "line", ["", "role: admin", f"{EXACT}, {EXACT}", "role: admin, bridge.claims: nonsense", "name: Bob, role: admin"]
)
async def test_claims_that_may_be_forged_join_nothing(line: str, caplog: pytest.LogCaptureFixture) -> None:
    outbox = FakeOutbox()
    await Join("chat", RULES).answer(context(outbox, line))
    assert outbox.performed == []
    assert "admin" not in caplog.text


async def test_a_join_that_fails_is_told_when_all_have_been_tried() -> None:
    outbox = FakeOutbox(result(Status.REJECTED))
    with pytest.raises(DeliveryFailed):
        await Join("chat", RULES).answer(context(outbox, EXACT))
    assert len(outbox.performed) == 2


def settings(**negotiate: bool) -> Settings:
    hub = {"join": '{"claim": "role", "group": "role:{value}"}', "negotiate": negotiate}
    return Settings.model_validate({"hubs": {"Chat": hub, "news": {}}})


def test_a_handler_for_each_hub_that_has_rules() -> None:
    (one,) = build_joins(settings())
    assert (one.hub, one.category, one.event) == ("chat", "connections", "connected")


def test_claims_that_are_never_exact_cannot_join() -> None:
    with pytest.raises(SettingsError, match="BRIDGE_HUBS__CHAT__JOIN"):
        build_joins(settings(lossless_claims=False))


# --- groups that a negotiate handler named


def line_with(groups: list[str], **claims: list[str]) -> str:
    return f"role: x, bridge.claims: {write_lossless(claims, groups)}"


async def test_groups_of_a_token_are_joined_before_any_handler_runs() -> None:
    seen: list[int] = []

    class Counting(FakeHandler):
        async def answer(self, context: Context) -> None:
            seen.append(len(caller.outbox.performed))
            assert dict(context.claims) == {"role": ["admin"]}

    caller = Caller(Counting(category="connections"))
    connected = event(category="connections", event="connected", claims_line=line_with(["a", "b/c"], role=["admin"]))
    assert (await caller.call(connected)).status == 200
    joined = [(one.action, one.group, one.connection, where) for one, _, where in caller.outbox.performed]
    assert joined == [(Action.ADD_CONNECTION, group, "c1", "eastus") for group in ("a", "b/c")]
    assert seen == [2]


@pytest.mark.parametrize("name", ["disconnected", "connected"])
@pytest.mark.parametrize(
    "line",
    [
        "",
        f"bridge.claims: {write_lossless({'role': ['admin']})}",
        f"{line_with(['a'])}, {line_with(['a'])}",
        f"name: Bob bridge.claims: {write_lossless({}, ['a'])}",
        "bridge.groups: a",
        "bridge.claims: eyJicmlkZ2UuZ3JvdXBz",
    ],
)
async def test_what_may_be_forged_joins_nothing(line: str, name: str) -> None:
    handler = FakeHandler()
    caller = Caller(handler)
    await caller.call(event(category="connections", event=name, claims_line=line))
    assert caller.outbox.performed == []
    assert "bridge.groups" not in handler.seen[0].claims


async def test_a_users_id_that_looks_like_groups_joins_nothing() -> None:
    caller = Caller(FakeHandler())
    forged = f"x, bridge.claims: {write_lossless({}, ['a'])}"
    await caller.call(event(category="connections", event="connected", claims_line=line_with(["a"]), user_id=forged))
    assert caller.outbox.performed == []


async def test_only_connected_joins() -> None:
    caller = Caller(FakeHandler())
    for category, name in (("connections", "disconnected"), ("messages", "send")):
        body = b'{"type":1,"target":"send","arguments":[]}' if category == "messages" else b""
        await caller.call(event(category=category, event=name, claims_line=line_with(["a"])), body)
    assert caller.outbox.performed == []


async def test_a_group_that_cannot_be_joined_is_a_failure_and_handlers_run_all_the_same() -> None:
    handler, outbox = FakeHandler(), FakeOutbox(result(Status.REJECTED, Verdict.REJECTED))
    with pytest.raises(InternalError):
        await Caller(handler, outbox=outbox).call(
            event(category="connections", event="connected", claims_line=line_with(["a", "b"]))
        )
    assert [one.group for one, _, _ in outbox.performed] == ["a", "b"]
    assert len(handler.seen) == 1
