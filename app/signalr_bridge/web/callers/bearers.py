"""Backends with a token of an OpenID Connect issuer: which one is a caller's, and what its roles allow."""

from collections.abc import Callable, Mapping

from signalr_bridge.errors import BadToken
from signalr_bridge.settings.sections.callers import OidcSettings
from signalr_bridge.web.callers.caller import Caller, Grant
from signalr_bridge.web.callers.key_ring import read_grant
from signalr_bridge.web.tokens.issuers import IssuerKeys, Issuers
from signalr_bridge.web.tokens.signed_token import Claims
from signalr_bridge.web.tokens.token_rules import TokenRules, read_values

_NAMES = ("azp", "appid", "client_id", "sub")


def read_caller(claims: Claims, roles: Mapping[str, Grant]) -> Caller:
    """The caller whose verified token says ``claims``. ``BadToken`` when no role of its is mapped: it is a client's."""
    granted = tuple(roles[one] for one in sorted(read_values(claims, "roles") & roles.keys()))
    if not granted:
        raise BadToken("the token has no role that the settings map")
    return Caller(f"oidc:{_name(claims)}", granted)


def _name(claims: Claims) -> str:
    named = (claims[name] for name in _NAMES if isinstance(claims.get(name), str))
    return "".join(one for one in next(named, "unnamed")[:64] if one.isascii() and one.isprintable())


class Bearers:
    """Knows callers by their tokens."""

    def __init__(self, issuers: Issuers, roles: Mapping[str, Grant]) -> None:
        self._issuers = issuers
        self._roles = dict(roles)

    async def find(self, token: str) -> Caller:
        """Raises ``BadToken`` with the reason."""
        return read_caller((await self._issuers.check(token)).claims, self._roles)


def build_bearers(settings: OidcSettings, keys: IssuerKeys, clock: Callable[[], float]) -> Bearers | None:
    """None when the settings name no issuer."""
    if settings.issuer is None:
        return None
    rules = TokenRules(settings.issuer, frozenset(settings.audience))
    return Bearers(Issuers([rules], keys, clock), {name: read_grant(one) for name, one in settings.roles.items()})
