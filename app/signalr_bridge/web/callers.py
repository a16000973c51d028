"""The callers: which keys and tokens they have, what they may do, and how often they may call."""

import hashlib
import hmac
import logging
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn, TypeAlias

from signalr_bridge.errors import BadToken, Forbidden, RateLimited, Unauthenticated
from signalr_bridge.protocol import json_text
from signalr_bridge.runtime import Runtime, WallClock
from signalr_bridge.settings.access import CallerKey, GrantSettings, OidcSettings, digest_of
from signalr_bridge.settings.model import Settings
from signalr_bridge.web.guards import ListenerKind
from signalr_bridge.web.issuer_keys import IssuerKeys, Issuers
from signalr_bridge.web.limits import Rate
from signalr_bridge.web.tokens import Claims, TokenRules, read_values
from signalr_bridge.web.trace import TRACE

CHALLENGE = {"WWW-Authenticate": 'ApiKey realm="signalr-bridge", header="X-API-Key", Bearer realm="signalr-bridge"'}
REFUSAL = "Send a valid API key in the header X-API-Key, or a valid bearer token."
"""One text for every reason, so that an attacker does not learn how near a guess is. The log has the reason."""

FAILURES_AT_ONCE, FAILURES_PER_SECOND = 100, 1.0
"""So many wrong credentials may come from one address at once, and so many more each second."""

FindAddress: TypeAlias = Callable[[], str]
"""Works out the client's address. This work is done for requests that are refused or limited only."""

_LATEST = 2.0**40  # seconds since 1970; a token may name a number that no float holds
_COUNTED = re.compile(r"key(-\d+)?")
"""The names of keys that the settings give no name."""
_NAMES = ("azp", "appid", "client_id", "sub")
_LOG = logging.getLogger("signalr_bridge.callers")


class Right(StrEnum):
    """What a caller may be allowed to do."""

    NEGOTIATE = "negotiate"
    SEND = "send"
    GROUPS = "groups"
    CONNECTIONS = "connections"
    READ = "read"
    FUNCTIONS = "functions"
    FUNCTIONS_ADMIN = "functions-admin"


ALL_RIGHTS = frozenset(Right)


@dataclass(frozen=True, slots=True)
class Grant:
    """Rights for hubs, whose names are in lower case. ``hubs`` None means all hubs."""

    rights: frozenset[Right] = ALL_RIGHTS
    hubs: frozenset[str] | None = None

    def covers(self, rights: Collection[Right], hub: str | None) -> bool:
        """Whether it gives one of ``rights`` for ``hub``. With None, it must give one for every hub."""
        return not self.rights.isdisjoint(rights) and (self.hubs is None or hub in self.hubs)


@dataclass(frozen=True, slots=True)
class Caller:
    """A backend that calls us.

    Args:
        name: What people read in logs and events. Several callers may have one.
        grants: What it may do.
        identity: What limits and idempotency go by, which no two callers share. Empty stands for the name, where that
            is given by nobody outside.
        until: When its credential ends, in seconds since 1970. None means that it ends with the settings.
    """

    name: str
    grants: tuple[Grant, ...] = (Grant(),)
    identity: str = ""
    until: float | None = None

    def may(self, right: Right, hub: str | None) -> bool:
        """Whether the caller has the right for ``hub``. None stands for what concerns all hubs."""
        return any(grant.covers((right,), hub) for grant in self.grants)

    def has(self, right: Right) -> bool:
        """Whether the caller has the right for at least one hub."""
        return any(right in grant.rights for grant in self.grants)

    def check(self, rights: Collection[Right], hub: str | None) -> None:
        """Raise ``Forbidden`` when the caller has none of ``rights`` for ``hub``."""
        if not any(grant.covers(rights, hub) for grant in self.grants):
            wanted = " or ".join(f"'{right}'" for right in sorted(rights))
            raise Forbidden(f"You may not do this here; it takes the right {wanted} for the hub.")


class KeyRing:
    """The callers' keys. ``keys`` are pairs of a key's SHA-256 and the caller who has it."""

    def __init__(self, keys: Iterable[tuple[bytes, Caller]]) -> None:
        self._keys = tuple(keys)

    def find(self, given: str) -> Caller | None:
        """The caller with this key, or None. Every key is compared, so that the time tells nothing."""
        # All digests have one length, so the comparison does not show how long a key is.
        digest = digest_of(given)
        found = [caller for known, caller in self._keys if hmac.compare_digest(known, digest)]
        return found[0] if found else None


def read_keys(settings: Iterable[CallerKey]) -> KeyRing:
    """The key ring of the keys that the settings name.

    Keys with one name are one caller's, so that it can change its key. A name that only counts the keys would go to
    another caller's key when one before it is taken away, so there the key itself is the identity.
    """
    ring: list[tuple[bytes, Caller]] = []
    for one in settings:
        identity = identify("key", one.digest.hex() if _COUNTED.fullmatch(one.name) else one.name)
        ring.append((one.digest, Caller(one.name, (read_grant(one),), identity)))
    return KeyRing(ring)


def identify(*parts: str) -> str:
    """A text of one length that differs for callers of whom one of the parts differs, however long the parts are."""
    return hashlib.sha256(json_text.encode(parts)).hexdigest()


def read_grant(settings: GrantSettings) -> Grant:
    """The grant of a key or a role. Without rights in the settings it gives all, without hubs for all hubs."""
    rights = ALL_RIGHTS if settings.rights is None else frozenset(map(Right, settings.rights))
    return Grant(rights, None if settings.hubs is None else frozenset(settings.hubs))


def read_caller(claims: Claims, roles: Mapping[str, Grant]) -> Caller:
    """The caller of a verified token.

    Args:
        claims: The claims of the token.
        roles: The grants by role.

    Raises:
        BadToken: None of its roles is mapped. It may be a client's token.
    """
    granted = tuple(roles[one] for one in sorted(read_values(claims, "roles") & roles.keys()))
    if not granted:
        raise BadToken("the token has no role that the settings map")
    until = min(claims["exp"], _LATEST)
    return Caller(f"oidc:{_name(claims)}", granted, _identify(claims), until)


def _identify(claims: Claims) -> str:
    """The identity of a token's caller: its issuer and its whole subject. Without a subject, each token has its own.

    ``azp`` and the like name an application, and several subjects may call by one.
    """
    subject = claims.get("sub")
    if isinstance(subject, str) and subject:
        return identify("oidc", claims["iss"], subject)
    return identify("oidc", claims["iss"], "", json_text.encode(claims).hex())


def _name(claims: Claims) -> str:
    named = (claims[name] for name in _NAMES if isinstance(claims.get(name), str))
    return "".join(one for one in next(named, "unnamed")[:64] if one.isascii() and one.isprintable())


class Bearers:
    """Knows callers by their tokens."""

    def __init__(self, issuers: Issuers, roles: Mapping[str, Grant]) -> None:
        self._issuers = issuers
        self._roles = dict(roles)

    async def find(self, token: str) -> Caller:
        """The caller of a token. Raises ``BadToken`` with the reason when it is not a caller's."""
        return read_caller((await self._issuers.check(token)).claims, self._roles)


def build_bearers(settings: OidcSettings, keys: IssuerKeys, clock: WallClock) -> Bearers | None:
    """What knows callers by their tokens, as the settings describe it. None when they name no issuer."""
    if settings.issuer is None:
        return None
    rules = TokenRules(settings.issuer, frozenset(settings.audience))
    return Bearers(Issuers([rules], keys, clock), {name: read_grant(one) for name, one in settings.roles.items()})


class Callers:
    """Knows callers by their credentials, and says how often they may try and call.

    A right credential is taken however many wrong ones came from its address. Many people share an address behind a
    proxy, and one of them must not be able to lock the others out. Keys are too long to be found by trying.

    Args:
        keys: Gives the keys in force.
        bearers: Knows callers by tokens. None means that no token is a caller's.
        failures: Limits wrong credentials by address.
        rate: Limits calls by caller. None means that they are not limited.
    """

    def __init__(
        self, keys: Callable[[], KeyRing], bearers: Bearers | None = None, *, failures: Rate, rate: Rate | None = None
    ) -> None:
        self._keys = keys
        self._bearers = bearers
        self._failures = failures
        self._rate = rate

    def find_by_key(self, keys: Sequence[str], address: FindAddress) -> Caller:
        """The caller with the key in a request.

        Args:
            keys: All keys of the request. There is at least one.
            address: Works out the client's address, when the request is refused.

        Raises:
            Unauthenticated: The key is not known, or there are several.
            RateLimited: Too many wrong credentials came from the address.
        """
        caller = self._keys().find(keys[0]) if len(keys) == 1 else None
        if caller is None:
            self._refuse("the key is not known" if len(keys) == 1 else "there are several keys", address())
        return caller

    def recall(self, key: str) -> Caller | None:
        """The caller with a key that was right once. None when it is not known any more, which counts as no failure."""
        return self._keys().find(key)

    async def find_by_token(
        self, tokens: Sequence[str], address: FindAddress, *, or_client: bool = False
    ) -> Caller | None:
        """The caller with the token in a request. None when no token is a caller's.

        Args:
            tokens: All bearer tokens of the request. There is at least one.
            address: Works out the client's address, when the request is refused.
            or_client: Whether a token that is not a caller's may be a client's. Then the result is None, too.

        Raises:
            Unauthenticated: The token is wrong, or there are several.
            RateLimited: Too many wrong credentials came from the address.
        """
        if self._bearers is None:
            return None
        try:
            if len(tokens) != 1:
                raise BadToken("there are several tokens")
            return await self._bearers.find(tokens[0])
        except BadToken as error:
            if or_client:
                return None
            self._refuse(error.detail, address())

    def check_rate(self, caller: Caller) -> None:
        """Raise ``RateLimited`` when the caller calls too often."""
        if self._rate is not None:
            check_wait(self._rate.take(caller.identity or caller.name), "You call too often; try again later.")

    def _refuse(self, reason: str, address: str) -> NoReturn:
        check_wait(self._failures.take(address), "Too many wrong credentials came from your address; try again later.")
        _LOG.info("caller refused", extra={"reason": reason, "address": address, "request_id": TRACE.get().request_id})
        raise Unauthenticated(REFUSAL, headers=CHALLENGE)


def check_wait(seconds: float, detail: str) -> None:
    """Raise ``RateLimited`` with the text ``detail`` when there are seconds to wait."""
    if seconds > 0:
        raise RateLimited(detail, headers={"Retry-After": str(max(1, math.ceil(seconds)))})


def build_callers(
    settings: Settings, issuer_keys: IssuerKeys, key_ring: Callable[[], KeyRing], runtime: Runtime
) -> Callers:
    """Callers as the settings describe them.

    Args:
        settings: Who may call, and how often.
        issuer_keys: The keys of token issuers, which clients' tokens need, too.
        key_ring: Gives the callers' keys in force.
        runtime: The clocks.
    """
    oidc, per_second = settings.callers.oidc, settings.limits.caller_per_second
    if any(one.issuer == oidc.issuer and set(one.audience) & set(oidc.audience) for one in settings.negotiate.jwt):
        _LOG.warning("clients and callers have one issuer and audience: only the roles of a token tell them apart")
    return Callers(
        key_ring,
        build_bearers(oidc, issuer_keys, runtime.wall_clock),
        failures=Rate(FAILURES_PER_SECOND, runtime.clock, burst=FAILURES_AT_ONCE),
        rate=None if per_second is None else Rate(per_second, runtime.clock),
    )


def name_anonymous(settings: Settings) -> Mapping[ListenerKind, str]:
    """The name of a caller without a key, by listener. It is empty when every caller needs a key."""
    if settings.development and not settings.callers.keys:
        return {ListenerKind.ONLY: "development"}
    return {ListenerKind.CALLERS: "anonymous"} if settings.callers.anonymous else {}
