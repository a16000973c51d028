"""The tokens of Microsoft Entra by which the service shows that it calls: which of them are taken, and their check.

Source: ``docs/protocol/functions-bindings.md`` 1.12, and
https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from signalr_bridge.errors import BadToken
from signalr_bridge.runtime import Runtime, WallClock
from signalr_bridge.settings.model import EntraSettings, Settings
from signalr_bridge.web.issuer_keys import Discovery, KeyCache
from signalr_bridge.web.observer import Observer
from signalr_bridge.web.tokens import ALGORITHMS, PublishedKey, check_times, read_claims, take_apart, verify

LEEWAY_SECONDS = 300
"""How far the clock of the issuer may be from ours."""

ANY_APPLICATION = "*"

_PUBLIC_AUTHORITY = "https://login.microsoftonline.com"
_DOCUMENTS = ("v2.0/.well-known/openid-configuration", ".well-known/openid-configuration")
"""One for each version of tokens. One of the two may be missing."""

# The issuers of tokens of version 1.0, by the authority. Those of version 2.0 are the authorities themselves.
_OLD_ISSUERS = {
    "login.chinacloudapi.cn": "sts.chinacloudapi.cn",
    "login.partner.microsoftonline.cn": "sts.chinacloudapi.cn",
}
_AUTHORIZATION = b"authorization"
_SCHEME = b"bearer "


@dataclass(frozen=True, slots=True)
class EntraRules:
    """What a token must say. Ids are in lower case. ``*`` among ``applications`` means any of the tenant's."""

    tenant: str
    issuers: frozenset[str]
    audiences: frozenset[str]
    applications: frozenset[str]


def make_rules(tenant: str, audiences: Iterable[str], applications: Iterable[str], authority: str) -> EntraRules:
    """The rules for the tokens of one tenant.

    Args:
        tenant: The tenant's id.
        audiences: What a token may name as its audience. They are compared exactly.
        applications: The ids of the applications whose tokens are taken, or ``*``.
        authority: The address that issues the tenant's tokens, without a slash at its end.
    """
    old = _OLD_ISSUERS.get(urlsplit(authority).hostname or "", "sts.windows.net")
    issuers = {f"https://{old}/{tenant}/"} | {f"{one}/{tenant}/v2.0" for one in (_PUBLIC_AUTHORITY, authority)}
    return EntraRules(
        tenant=tenant.lower(),
        issuers=frozenset(one.lower() for one in issuers),
        audiences=frozenset(audiences),
        applications=frozenset(one.lower() for one in applications),
    )


def entra_documents(authority: str, tenant: str) -> list[str]:
    """The addresses of the tenant's discovery documents."""
    return [f"{authority}/{tenant}/{path}" for path in _DOCUMENTS]


def read_key_id(token: str) -> str:
    """The id of the key that is said to have signed the token, which is not verified yet. Raises ``BadToken``."""
    found = take_apart(token)
    if found.algorithm not in ALGORITHMS:
        raise BadToken("the algorithm is none of Entra's")
    return found.key_id


def read_application(token: str, key: PublishedKey, rules: EntraRules, now: float) -> str:
    """The id of the application that a token was issued to, once the token has been verified.

    Args:
        token: The token as it came.
        key: The published key that must have signed it.
        rules: What it must say.
        now: Seconds since 1970.

    Raises:
        BadToken: It is not verified, or not one that the rules take.
    """
    found = take_apart(token)
    verify(found, key)
    claims = read_claims(found)
    check_times(claims, now, LEEWAY_SECONDS)
    if _text(claims, "iss").lower() not in rules.issuers or _text(claims, "tid").lower() != rules.tenant:
        raise BadToken("the token is not of the tenant")
    if _text(claims, "aud") not in rules.audiences:
        raise BadToken("the token is for another audience")
    return _find_application(claims, rules)


def _find_application(claims: Mapping[str, Any], rules: EntraRules) -> str:
    """From ``appid`` (version 1.0) or ``azp`` (version 2.0), which must not disagree."""
    named = {_text(claims, name).lower() for name in ("appid", "azp") if name in claims}
    if len(named) != 1 or "" in named or named == {ANY_APPLICATION}:
        raise BadToken("the token names no application")
    # Tokens of users hold a scope, and those of the service's identity do not. "*" must not let in the tenant's users.
    if "scp" in claims or claims.get("idtyp", "app") != "app":
        raise BadToken("the token is a user's, not an application's")
    if not {*named, ANY_APPLICATION} & rules.applications:
        raise BadToken("the token is that of another application")
    return named.pop()


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""


class EntraTokens:
    """Checks the tokens of upstream calls by one set of rules. ``clock`` gives seconds since 1970."""

    def __init__(self, rules: EntraRules, keys: KeyCache, clock: WallClock) -> None:
        self._rules = rules
        self._keys = keys
        self._clock = clock

    def are_among(self, lines: Sequence[tuple[bytes, bytes]]) -> bool:
        """Whether a request has a bearer token."""
        return any(name == _AUTHORIZATION and value[: len(_SCHEME)].lower() == _SCHEME for name, value in lines)

    async def read_application(self, lines: Sequence[tuple[bytes, bytes]]) -> str:
        """The id of the application whose token this is. Raises ``BadToken``."""
        given = [value for name, value in lines if name == _AUTHORIZATION]
        if len(given) != 1:
            raise BadToken("there is more than one header 'Authorization'")
        token = given[0][len(_SCHEME) :].decode("latin-1").strip()
        key = await self._keys.find(read_key_id(token))
        if key is None:
            raise BadToken("the issuer publishes no such key, or cannot be asked")
        return read_application(token, key, self._rules, self._clock())


def build_entra_tokens(
    settings: Settings, runtime: Runtime, observer: Observer
) -> Callable[[EntraSettings], EntraTokens | None]:
    """What checks the tokens of each hub. Hubs with the same settings of Entra share the issuer's keys.

    It answers None for settings that name no tenant.
    """
    upstreams = [settings.upstream, *(one.upstream for one in settings.hubs.values() if one.upstream is not None)]
    named = {one.entra: one.entra.tenant for one in upstreams}
    return {
        entra: _make_tokens(entra, tenant, settings.authority_host, runtime, observer)
        for entra, tenant in named.items()
        if tenant is not None
    }.get


def _make_tokens(
    settings: EntraSettings, tenant: str, authority: str, runtime: Runtime, observer: Observer
) -> EntraTokens:
    discovery = Discovery(entra_documents(authority, tenant))
    rules = make_rules(tenant, settings.audience, settings.app_ids, authority)
    keys = KeyCache(discovery.fetch, runtime.clock, issuer=f"{authority}/{tenant}", observer=observer)
    return EntraTokens(rules, keys, runtime.wall_clock)
