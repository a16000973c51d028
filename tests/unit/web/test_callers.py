"""Who is a caller: by key, by token, and who is refused how often."""

import hashlib
import logging
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from signalr_bridge.errors import Forbidden, RateLimited, Unauthenticated
from signalr_bridge.settings.access import CallersSettings
from signalr_bridge.web.authorize import Access, HubNames
from signalr_bridge.web.callers import (
    ALL_RIGHTS,
    Bearers,
    Caller,
    Callers,
    FindAddress,
    Grant,
    Right,
    read_caller,
    read_keys,
)
from signalr_bridge.web.guards import ListenerKind
from signalr_bridge.web.limits import Rate

from tests.unit.upstream.issued import FakeClock
from tests.unit.web.issuing import AUDIENCE, NOW, said, signed
from tests.unit.web.requests import request
from tests.unit.web.test_signed_token import issuers

ANN, BOB = "key-of-ann-012345", "key-of-bob-012345"
SETTINGS = CallersSettings.model_validate(
    {
        "keys": [
            {"key": ANN, "name": "ann"},
            {
                "sha256": hashlib.sha256(BOB.encode()).hexdigest().upper(),
                "name": "bob",
                "hubs": ["Chat"],
                "rights": ["send"],
            },
        ]
    }
)
ROLES = {"sender": Grant(frozenset({Right.SEND}), frozenset({"chat"})), "reader": Grant(frozenset({Right.READ}))}


def callers(*, failures: float = 1000, rate: Rate | None = None, clock: FakeClock | None = None) -> Callers:
    limit, ring = Rate(1, clock or FakeClock(0.0), burst=failures), read_keys(SETTINGS.keys)
    return Callers(lambda: ring, Bearers(issuers(), ROLES), failures=limit, rate=rate)


def at(address: str) -> FindAddress:
    return lambda: address


def shown(caller: Caller | None) -> Caller | None:
    """The caller without what only limits and streams look at."""
    return None if caller is None else Caller(caller.name, caller.grants)


async def test_a_caller_is_known_by_its_key() -> None:
    assert shown(callers().find_by_key([ANN], at(""))) == Caller("ann")
    bob = callers().find_by_key([BOB], at(""))
    assert shown(bob) == Caller("bob", (Grant(frozenset({Right.SEND}), frozenset({"chat"})),))


@pytest.mark.parametrize("given", ["", " ", ANN[:-1], ANN + "6", ANN.upper(), "é", "\udcff"])
async def test_a_wrong_key_is_refused(given: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(Unauthenticated) as caught:
        callers().find_by_key([given], at("198.51.100.9"))
    assert caught.value.headers["WWW-Authenticate"].startswith("ApiKey ")
    record = caplog.records[-1]
    assert (record.reason, record.address) == ("the key is not known", "198.51.100.9")  # type: ignore[attr-defined]
    assert not given.strip() or given not in caught.value.detail + caplog.text


async def test_several_keys_are_none() -> None:
    with pytest.raises(Unauthenticated):
        callers().find_by_key([ANN, ANN], at(""))


async def test_of_key_and_token_the_key_alone_is_judged() -> None:
    asked = Access(callers(), {}, HubNames((), ()))
    token = signed(said(roles=["reader"]))
    for beside in (token, "nonsense"):
        given = request(headers=[("X-API-Key", ANN), ("Authorization", f"Bearer {beside}")])
        await asked.find_caller(given)
        assert shown(given.caller) == Caller("ann")
    with pytest.raises(Unauthenticated):
        await asked.find_caller(request(headers=[("X-API-Key", "wrong"), ("Authorization", f"Bearer {token}")]))


@pytest.mark.parametrize("headers", [[], [("Authorization", "Basic y")], [("Authorization", "Bearer nonsense")]])
async def test_who_shows_nothing_of_a_caller_is_none(headers: list[tuple[str, str]]) -> None:
    given = request(headers=headers)
    await Access(callers(), {}, HubNames((), ())).find_caller(given)
    assert given.caller is None


async def test_a_token_is_known_in_any_case_of_its_scheme() -> None:
    token = signed(said(roles=["reader"], azp="batch"))
    given = request(headers=[("Authorization", f"bEaReR  {token} "), ("Authorization", "Basic y")])
    await Access(callers(), {}, HubNames((), ())).find_caller(given)
    assert shown(given.caller) == Caller("oidc:batch", (ROLES["reader"],))


async def identity(**claims: Any) -> str:
    found = await callers().find_by_token([signed(said(roles=["reader"], **claims))], at(""))
    assert found is not None
    return found.identity


async def test_a_token_s_caller_is_its_whole_subject() -> None:
    first = await identity(azp="batch", sub="s" * 100 + "1")
    assert first == await identity(azp="another", sub="s" * 100 + "1")
    assert len({first, await identity(azp="batch", sub="s" * 100 + "2"), await identity(azp="batch", sub="é")}) == 3
    assert re.fullmatch("[0-9a-f]{64}", first)
    claims: dict[str, Any] = {"exp": 2, "roles": ["reader"], "azp": "batch"}
    apart = [claims | {"iss": iss} | more for iss in ("a", "b") for more in ({"sub": "s"}, {"jti": "1"}, {"jti": "2"})]
    assert len({read_caller(one, ROLES).identity for one in apart}) == 6, "another issuer, or no subject at all"


def test_a_key_s_caller_is_its_name_or_else_the_key() -> None:
    def identities(*keys: Any) -> list[str]:
        ring = read_keys(CallersSettings.model_validate({"keys": [*keys]}).keys)
        texts = [one if isinstance(one, str) else one["key"] for one in keys]
        return [found.identity for text in texts if (found := ring.find(text)) is not None]

    first, second = "a-first-key-of-many", "a-second-key-of-many"
    both, left = identities(first, second), identities(second)
    assert left == both[1:], "the second is the first now, and still another caller"
    assert len({*both, *identities({"name": "oidc:batch", "key": first})}) == 3
    named = identities({"name": "ann", "key": first}, {"name": "ann", "key": second})
    assert len(named) == 2
    assert len({*named}) == 1


async def test_a_token_with_a_role() -> None:
    found = await callers().find_by_token([signed(said(roles=["reader", "x"], azp="batch"))], at(""))
    assert shown(found) == Caller("oidc:batch", (ROLES["reader"],))
    both = await callers().find_by_token([signed(said(roles=["sender", "reader"]))], at(""))
    assert both is not None
    assert both.may(Right.SEND, "chat")
    assert not both.may(Right.SEND, "news"), "each role for its own hubs"
    assert both.may(Right.READ, "news")


@pytest.mark.parametrize("roles", [None, [], ["x"], "x", [["reader"]], {"reader": 1}])
async def test_a_token_without_a_mapped_role_is_a_client_s(roles: object) -> None:
    given = [signed(said(roles=roles))]
    assert await callers().find_by_token(given, at(""), or_client=True) is None
    with pytest.raises(Unauthenticated):
        await callers().find_by_token(given, at(""))


async def test_wrong_credentials_are_limited_by_address_and_right_ones_are_not() -> None:
    clock = FakeClock(0.0)
    checked = callers(failures=2, clock=clock)
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            checked.find_by_key(["wrong"], at("a"))
    with pytest.raises(RateLimited) as by_key:
        checked.find_by_key(["wrong"], at("a"))
    with pytest.raises(RateLimited) as by_token:
        await checked.find_by_token(["wrong"], at("a"))
    assert by_key.value.headers == by_token.value.headers == {"Retry-After": "1"}
    assert shown(checked.find_by_key([ANN], at("a"))) == Caller("ann"), "nobody locks others out who share an address"
    with pytest.raises(Unauthenticated):
        checked.find_by_key(["wrong"], at("b"))
    clock.now += 1
    with pytest.raises(Unauthenticated):
        checked.find_by_key(["wrong"], at("a"))


async def test_the_address_is_worked_out_only_for_who_is_refused() -> None:
    asked: list[str] = []

    def find_address() -> str:
        asked.append("a")
        return "a"

    assert shown(callers().find_by_key([ANN], find_address)) == Caller("ann")
    assert asked == []
    with pytest.raises(Unauthenticated):
        callers().find_by_key(["wrong"], find_address)
    assert asked == ["a"]


async def test_keys_are_changed_while_running() -> None:
    rings = [read_keys(SETTINGS.keys), read_keys(CallersSettings.model_validate({"keys": ["a-new-key-of-ann-1"]}).keys)]
    checked = Callers(lambda: rings[0], failures=Rate(1, FakeClock(0.0)))
    assert shown(checked.find_by_key([ANN], at(""))) == Caller("ann")
    del rings[0]
    assert shown(checked.find_by_key(["a-new-key-of-ann-1"], at(""))) == Caller("key")
    with pytest.raises(Unauthenticated):
        checked.find_by_key([ANN], at(""))


async def test_calls_are_limited_by_caller() -> None:
    checked = callers(rate=Rate(1, FakeClock(0.0)))
    checked.check_rate(Caller("ann"))
    with pytest.raises(RateLimited):
        checked.check_rate(Caller("ann"))
    checked.check_rate(Caller("bob"))


@given(st.sampled_from(Right), st.sampled_from(["chat", "news", None]), st.sets(st.sampled_from(Right)))
def test_a_grant_covers_its_rights_for_its_hubs(right: Right, hub: str | None, rights: set[Right]) -> None:
    limited = Caller("x", (Grant(frozenset(rights), frozenset({"chat"})),))
    assert limited.may(right, hub) is (right in rights and hub == "chat")
    assert Caller("x", (Grant(frozenset(rights)),)).may(right, hub) is (right in rights)
    assert Caller("x").may(right, hub)
    assert not Caller("x", ()).may(right, hub)
    if not limited.may(right, hub):
        with pytest.raises(Forbidden):
            limited.check((right,), hub)


def test_everything_is_everything() -> None:
    words = {"negotiate", "send", "groups", "connections", "read", "functions", "functions-admin"}
    assert {str(one) for one in ALL_RIGHTS} == words


async def test_who_may_go_on() -> None:
    clock = FakeClock(NOW)
    both = Callers(lambda: read_keys(SETTINGS.keys), Bearers(issuers(clock=clock), ROLES), failures=Rate(1, clock))
    access = Access(both, {ListenerKind.ONLY: "anonymous"}, HubNames((), ()))

    async def may_go_on(right: Right, name: str, value: str, anonymous: bool = False) -> bool:
        headers = [(name, value), ("Host", "localhost" if anonymous else "bridge.example")]
        asked = request(headers=[one for one in headers if one[0]])
        asked.rights = frozenset({right})
        return await (access if anonymous else replace(access, anonymous={})).still_admits(asked)

    token = f"Bearer {signed(said(NOW, aud=AUDIENCE, roles=['reader']))}"
    assert await may_go_on(Right.READ, "X-API-Key", ANN)
    assert not await may_go_on(Right.READ, "X-API-Key", BOB)  # the right of one hub is not enough
    assert not await may_go_on(Right.READ, "X-API-Key", "gone-gone-gone-gone")
    assert await may_go_on(Right.READ, "Authorization", token)
    assert not await may_go_on(Right.SEND, "Authorization", token)
    clock.now = NOW + 7200
    assert not await may_go_on(Right.READ, "Authorization", token)
    assert not await may_go_on(Right.READ, "", "")
    assert await may_go_on(Right.READ, "", "", anonymous=True)
