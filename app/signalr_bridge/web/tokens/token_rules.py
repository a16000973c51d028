"""Which tokens of an issuer are believed: pure rules over what a token says."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from signalr_bridge.errors import BadToken
from signalr_bridge.web.tokens.signed_token import Claims

LEEWAY_SECONDS = 60
"""How far an issuer's clock may be from ours."""

_LISTS_IN_A_TEXT = {"scope", "scp"}
"""Their values stand in one text, parted by blanks (RFC 8693, 4.2)."""


@dataclass(frozen=True, slots=True)
class TokenRules:
    """Of each claim in ``required`` one of the values given must be there. Everything is compared exactly."""

    issuer: str
    audiences: frozenset[str]
    user_claim: str = "sub"
    required: Mapping[str, frozenset[str]] = field(default_factory=dict)


def find_issuer(claims: Claims, rules: Iterable[TokenRules]) -> str:
    """The issuer that a token names, if any rule believes it. ``BadToken``."""
    named = claims.get("iss")
    if not isinstance(named, str) or not named:
        raise BadToken("the issuer is missing or no text")
    known = {one.issuer for one in rules}
    if named in known:
        return named
    if named.rstrip("/") in {one.rstrip("/") for one in known}:
        raise BadToken("the issuer differs from the settings' by a slash at its end")
    raise BadToken("the issuer is not one of the settings'")


def choose_rules(claims: Claims, rules: Sequence[TokenRules]) -> TokenRules:
    """The first rules that the token, whose signature and times are right, fulfils. ``BadToken``."""
    own = [one for one in rules if one.issuer == claims.get("iss")]
    meant = [one for one in own if one.audiences & _read_audiences(claims)]
    if not meant:
        raise BadToken("the token is for another audience")
    for one in meant:
        if _missing(claims, one) is None:
            return one
    raise BadToken(_missing(claims, meant[0]) or "")


def _read_audiences(claims: Claims) -> set[str]:
    value = claims.get("aud")
    audiences = value if isinstance(value, list) else [value]
    if not audiences or not all(isinstance(one, str) and one for one in audiences):
        raise BadToken("the audience is missing, no text or no list of texts")
    return set(audiences)


def _missing(claims: Claims, rules: TokenRules) -> str | None:
    """What the token lacks; None when nothing."""
    for name, wanted in rules.required.items():
        if name not in claims:
            return "a required claim is missing"
        if not wanted & read_values(claims, name):
            return "a required claim has another value"
    return None


def read_values(claims: Claims, name: str) -> set[str]:
    """The texts of a claim that is one text or a list of them; others do not count."""
    value: Any = claims.get(name)
    if isinstance(value, str):
        return set(value.split()) if name in _LISTS_IN_A_TEXT else {value}
    return {one for one in value if isinstance(one, str)} if isinstance(value, list) else set()


def read_user(claims: Claims, rules: TokenRules) -> str:
    """The user id, from the claim that the rules name. ``BadToken``."""
    if rules.user_claim not in claims:
        raise BadToken("the claim of the user id is missing")
    value = claims[rules.user_claim]
    if not isinstance(value, str) or not value:
        raise BadToken("the claim of the user id is empty or no text")
    return value
