"""Tokens of every algorithm that is taken, and the table of those that are not."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from signalr_bridge.errors import BadToken
from signalr_bridge.runtime import WallClock
from signalr_bridge.web.issuer_keys import IssuerKeys, Issuers, KeyCache
from signalr_bridge.web.observer import SILENT
from signalr_bridge.web.tokens import (
    TokenRules,
    check_times,
    choose_rules,
    find_issuer,
    read_claims,
    read_values,
    take_apart,
    verify,
)

from tests.unit.web.bad_tokens import bad_tokens
from tests.unit.web.issuing import ALGORITHMS, AUDIENCE, ISSUER, NOW, RULES, published, said, signed

STRICT = TokenRules(ISSUER, frozenset({AUDIENCE}), required={"roles": frozenset({"chatter"})})


def issuers(*rules: TokenRules, clock: WallClock = lambda: NOW) -> Issuers:
    async def fetch() -> Any:
        return published("rsa", "p256", "p384", "p521", "ed")

    keys = IssuerKeys(lambda: 0.0, lambda issuer: KeyCache(fetch, lambda: 0.0, observer=SILENT), observer=SILENT)
    return Issuers(rules or (RULES,), keys, clock)


@pytest.mark.parametrize(("algorithm", "name"), ALGORITHMS.items())
async def test_every_algorithm(algorithm: str, name: str) -> None:
    verified = await issuers().check(signed(name=name, algorithm=algorithm))
    assert (verified.rules, verified.claims) == (RULES, said())


def test_the_table_of_bad_tokens_is_long_and_its_reasons_differ() -> None:
    """Each of them is tried at the clients' rules and at the running bridge."""
    assert len(bad_tokens()) >= 40
    assert len({reason for _, reason in bad_tokens().values()}) >= 35


@pytest.mark.parametrize("audience", [AUDIENCE, [AUDIENCE], ["api://other", AUDIENCE]])
async def test_audiences(audience: Any) -> None:
    await issuers().check(signed(said(aud=audience)))


async def test_the_issuer_s_clock_may_be_a_little_wrong() -> None:
    for more in ({"exp": int(NOW) - 59}, {"nbf": int(NOW) + 59}, {"iat": int(NOW) + 59}):
        await issuers().check(signed(said(**more)))


@pytest.mark.parametrize("value", [float("inf"), float("nan"), True, None, "1", []])
def test_no_moment(value: Any) -> None:
    with pytest.raises(BadToken):
        check_times({"exp": value}, NOW, 60)


def test_several_rules_of_one_issuer() -> None:
    other = TokenRules(ISSUER, frozenset({"api://other"}), "oid")
    assert choose_rules(said(aud="api://other"), [RULES, other]) is other
    assert choose_rules(said(aud=["api://other", AUDIENCE]), [RULES, other]) is RULES
    assert choose_rules(said(roles="x"), [STRICT, RULES]) is RULES
    assert find_issuer(said(), [RULES, other]) == ISSUER


@pytest.mark.parametrize(
    ("claims", "name", "values"),
    [
        ({"roles": "a b"}, "roles", {"a b"}),
        ({"scp": "a b"}, "scp", {"a", "b"}),
        ({"scope": ["a b"]}, "scope", {"a b"}),
        ({"roles": ["a", 1, None, ["b"]]}, "roles", {"a"}),
        ({"roles": {"a": 1}}, "roles", set()),
        ({}, "roles", set()),
    ],
)
def test_the_values_of_a_claim(claims: dict[str, Any], name: str, values: set[str]) -> None:
    assert read_values(claims, name) == values


@given(st.text(max_size=60) | st.from_regex(r"[A-Za-z0-9_-]{0,20}(\.[A-Za-z0-9_-]{0,20}){2}", fullmatch=True))
def test_any_text_is_refused_in_good_order(text: str) -> None:
    with pytest.raises(BadToken):
        asyncio.run(issuers().check(text))


@given(st.binary(max_size=80))
def test_a_changed_signature_is_none(change: bytes) -> None:
    head, _, signature = signed().rpartition(".")
    found = take_apart(f"{head}.{signature}")
    bad = type(found)(found.key_id, found.algorithm, found.signed, found.payload, change)
    with pytest.raises(BadToken):
        verify(bad, published("rsa")["rsa"])
    assert read_claims(found) == said()


def test_nothing_of_a_token_shows() -> None:
    assert "canary" not in repr(take_apart(signed(said(sub="canary"))))
