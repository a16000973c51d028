"""Which token of Microsoft Entra proves that the service calls. Pure: the published key and the time are given.

Source: ``spec/functions-bindings.md`` 1.12; https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import jwt

from app.errors import BadToken, MalformedJson
from app.protocol import json_text
from app.upstream.trust.published_key import ALGORITHMS, PublishedKey

LEEWAY_SECONDS = 300
"""How far the clock of the issuer may be from ours."""

ANY_APPLICATION = "*"

_LONGEST_TOKEN = 16_384
_LONGEST_KEY_ID = 256
_PUBLIC_AUTHORITY = "https://login.microsoftonline.com"
_JWS = jwt.PyJWS(algorithms=ALGORITHMS)
# Under the issuers of version 1.0; those of version 2.0 are the authorities themselves.
_OLD_ISSUERS = {
    "login.chinacloudapi.cn": "sts.chinacloudapi.cn",
    "login.partner.microsoftonline.cn": "sts.chinacloudapi.cn",
}


@dataclass(frozen=True, slots=True)
class EntraRules:
    """What a token must say. Ids are in lower case; ``applications`` may hold ``*``, any of the tenant."""

    tenant: str
    issuers: frozenset[str]
    audiences: frozenset[str]
    applications: frozenset[str]


def make_rules(tenant: str, audiences: Iterable[str], applications: Iterable[str], authority: str) -> EntraRules:
    """``authority`` is the address that issues the tenant's tokens, without a slash at its end."""
    old = _OLD_ISSUERS.get(urlsplit(authority).hostname or "", "sts.windows.net")
    issuers = {f"https://{old}/{tenant}/"} | {f"{one}/{tenant}/v2.0" for one in (_PUBLIC_AUTHORITY, authority)}
    return EntraRules(
        tenant=tenant.lower(),
        issuers=frozenset(one.lower() for one in issuers),
        audiences=frozenset(audiences),
        applications=frozenset(one.lower() for one in applications),
    )


def read_key_id(token: str) -> str:
    """Which published key is said to have signed the token. Nothing that it says is believed yet. ``BadToken``."""
    if not token.isascii() or len(token) > _LONGEST_TOKEN:
        raise BadToken("The token is not a JSON Web Token.")
    try:
        header = _JWS.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise BadToken("The token is not a JSON Web Token.") from None
    key_id = header.get("kid")
    if header.get("alg") not in ALGORITHMS or not isinstance(key_id, str) or not 0 < len(key_id) <= _LONGEST_KEY_ID:
        raise BadToken("The token names no key or no algorithm of Entra's.")
    return key_id


def read_application(token: str, key: PublishedKey, rules: EntraRules, now: float) -> str:
    """The id of the application that the token was issued to. ``now`` is in seconds since 1970. ``BadToken``."""
    claims = _read_claims(token, key)
    _check_times(claims, now)
    if _text(claims, "iss").lower() not in rules.issuers or _text(claims, "tid").lower() != rules.tenant:
        raise BadToken("The token is not of the tenant.")
    if _text(claims, "aud") not in rules.audiences:
        raise BadToken("The token is for another audience.")
    return _find_application(claims, rules)


def _read_claims(token: str, key: PublishedKey) -> Mapping[str, Any]:
    try:
        claims = json_text.decode(_JWS.decode(token, key.key, algorithms=key.algorithms))
    except (jwt.PyJWTError, MalformedJson):
        raise BadToken("The token was not signed with the key it names.") from None
    if not isinstance(claims, dict):
        raise BadToken("The token is not a JSON Web Token.")
    return claims


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    expires, begins, issued = (
        claims.get(name, default) for name, default in (("exp", None), ("nbf", now), ("iat", now))
    )
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in (expires, begins, issued)):
        raise BadToken("The token does not say when it is valid.")
    if now >= expires + LEEWAY_SECONDS or max(begins, issued) > now + LEEWAY_SECONDS:
        raise BadToken("The token has expired or is not valid yet.")


def _find_application(claims: Mapping[str, Any], rules: EntraRules) -> str:
    """From ``appid`` (version 1.0) or ``azp`` (version 2.0), which must not disagree."""
    named = {_text(claims, name).lower() for name in ("appid", "azp") if name in claims}
    if len(named) != 1 or "" in named or named == {ANY_APPLICATION}:
        raise BadToken("The token names no application.")
    # Tokens of users hold a scope; the service's identity has none. "*" must not let in every user of the tenant.
    if "scp" in claims or claims.get("idtyp", "app") != "app":
        raise BadToken("The token is a user's, not an application's.")
    if not {*named, ANY_APPLICATION} & rules.applications:
        raise BadToken("The token is that of another application.")
    return named.pop()


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""
