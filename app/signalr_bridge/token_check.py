"""``token --check``: whose a token is, for which hub and endpoint, and why it would be refused."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeAlias, TypeVar
from urllib.parse import parse_qs, urlsplit

from signalr_bridge.endpoints.credentials import Credentials
from signalr_bridge.errors import BadToken, BridgeError
from signalr_bridge.negotiate.rules import read_rules
from signalr_bridge.protocol.access_token import LONGEST_TOKEN, client_audience, client_claims, is_signed, read_header
from signalr_bridge.protocol.signing_key import SigningKey
from signalr_bridge.runtime import RUNTIME, Runtime
from signalr_bridge.settings.model import EndpointSettings, EntraSettings, Settings
from signalr_bridge.upstream.entra import EntraTokens, build_entra_tokens, make_rules
from signalr_bridge.web.callers import Bearers, Caller, build_bearers, read_keys
from signalr_bridge.web.issuer_keys import IssuerKeys, Issuers
from signalr_bridge.web.observer import SILENT
from signalr_bridge.web.tokens import check_times, read_unverified, read_user

Fact: TypeAlias = tuple[str, str]
"""A name and its value, as they are printed."""

_Value = TypeVar("_Value")
_LEEWAY_SECONDS = 300
"""By how many seconds the service's clock may differ."""
_USER_CLAIMS = ("asrs.s.uid", "sub", "nameid")
_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


@dataclass(frozen=True, slots=True)
class TokenReport:
    """What is to be said of a token. Nothing of it holds the token, its signature or a key.

    Args:
        whose: Whose it is, in a few words.
        facts: What it is for, and until when.
        refusal: Why it would be refused. None for one that would be taken.
    """

    whose: str
    facts: Sequence[Fact] = ()
    refusal: str | None = None

    def write(self) -> Iterator[str]:
        """The lines to print. The last one is ``good``, or says why the token would be refused."""
        yield self.whose
        yield from (f"{name}: {value}" for name, value in self.facts)
        yield "good" if self.refusal is None else f"refused: {self.refusal}"


@dataclass(frozen=True, slots=True)
class _Role:
    """Whose a token of an issuer may be. ``verify`` gives facts, and raises ``BadToken`` for one that is refused."""

    whose: str
    audiences: frozenset[str]
    facts: Sequence[Fact]
    verify: Callable[[], Awaitable[Sequence[Fact]]] = field(repr=False)


async def check_token(settings: Settings, token: str, runtime: Runtime = RUNTIME) -> TokenReport:
    """Whose a token is. Issuers are asked for their keys, and the service for its own where an identity opens it.

    Args:
        settings: The settings whose callers, clients and endpoints are known.
        token: The token, a key of a caller, or a header's value that begins with ``Bearer``.
        runtime: The clocks.
    """
    token = token.strip()
    token = token[7:].strip() if token[:7].lower() == "bearer " else token
    caller = read_keys(settings.callers.keys).find(token)
    if caller is not None:
        return TokenReport("a caller's key", [("caller", caller.name), *_describe_grants(caller)])
    try:
        claims, header = read_unverified(token), read_header(token)
    except BadToken as error:
        text = f"it is not the key of a caller, and no JSON Web Token either ({error.detail}): copy all of it."
        return TokenReport("nobody's whom the settings know", (), text)
    times = list(_list_times(claims, runtime.wall_clock()))
    if str(header.get("alg")).upper() == "HS256":
        return await _judge_signed(settings, token, claims, times, runtime)
    return await _judge_issued(settings, token, claims, times, runtime)


def _describe_grants(caller: Caller) -> Iterator[Fact]:
    for grant in caller.grants:
        hubs = "every hub" if grant.hubs is None else ", ".join(sorted(grant.hubs))
        yield "rights", f"{', '.join(sorted(grant.rights))} for {hubs}"


def _list_times(claims: Mapping[str, Any], now: float) -> Iterator[Fact]:
    for name, words in (("nbf", "valid from"), ("exp", "valid until")):
        value = claims.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 253_402_300_799:
            when = datetime.fromtimestamp(value, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
            yield words, f"{when} ({_describe_distance(value - now)})"


def _describe_distance(seconds: float) -> str:
    unit, size = next(((unit, size) for unit, size in _UNITS if abs(seconds) >= size), _UNITS[-1])
    count = int(abs(seconds) // size)
    words = f"{count} {unit}{'' if count == 1 else 's'}"
    return f"in {words}" if seconds >= 0 else f"{words} ago"


# --- tokens that a key of the service has signed


async def _judge_signed(
    settings: Settings, token: str, claims: Mapping[str, Any], times: Sequence[Fact], runtime: Runtime
) -> TokenReport:
    audience = claims.get("aud")
    parts = _try_split(audience) if isinstance(audience, str) else None
    if not isinstance(audience, str) or parts is None:
        text = "its audience is no address of a SignalR instance, and it is signed by a key instead of an issuer."
        return TokenReport("nobody's whom the settings know", times, text)
    host, path, hub = parts
    whose = "a client's token" if path.startswith("/client") else "a server's token for the service"
    asked = settings.endpoints_of(hub) if hub else settings.all_endpoints()
    meant = [one for one in asked if _is_meant(one, audience, host, hub if path.startswith("/client") else "")]
    user = next((str(claims[name]) for name in _USER_CLAIMS if name in claims), None)
    facts = [
        *([("hub", hub)] if hub else []),
        *(("endpoint", f"{one.name}, {one.connection.endpoint}") for one in meant),
        *([("user", user)] if user and path.startswith("/client") else []),
        *times,
    ]
    if not meant:
        return TokenReport(whose, [*facts, ("audience", audience)], "no endpoint of the settings has its audience.")
    return TokenReport(whose, facts, await _find_refusal(settings, token, claims, meant, runtime))


def _try_split(audience: str) -> tuple[str, str, str] | None:
    """Host, path and hub of an audience. None for what is not a URL."""
    try:
        url = urlsplit(audience)
    except ValueError:
        return None
    if url.scheme not in {"http", "https"} or not url.hostname:
        return None
    pieces = url.path.split("/")
    named = parse_qs(url.query).get("hub", [""])[0]
    in_path = pieces[pieces.index("hubs") + 1 :][:1] if "hubs" in pieces else []
    return url.hostname, url.path, (named or next(iter(in_path), "")).lower()


def _is_meant(one: EndpointSettings, audience: str, host: str, client_hub: str) -> bool:
    if client_hub:
        return client_audience(one.connection.endpoint, client_hub) == audience
    own = (one.connection.endpoint, one.connection.server_endpoint)
    return host in {urlsplit(address).hostname for address in own if address}


async def _find_refusal(
    settings: Settings, token: str, claims: Mapping[str, Any], meant: Sequence[EndpointSettings], runtime: Runtime
) -> str | None:
    """Why the service would refuse the token, or None."""
    try:
        keys = await _list_keys(settings, meant, runtime)
    except BridgeError as error:
        return f"its key cannot be asked for, so that nobody knows who signed it ({error.detail})."
    if not keys:
        return "the bridge's identity may not have its key, so that nobody knows who signed it."
    if not is_signed(token, keys):
        return "no key of its endpoint has signed it: was that key rotated, or is this another instance's?"
    try:
        check_times(claims, runtime.wall_clock(), _LEEWAY_SECONDS)
    except BadToken as error:
        return f"{error.detail}."
    return f"it has more than {LONGEST_TOKEN} characters." if len(token) > LONGEST_TOKEN else None


async def _list_keys(settings: Settings, endpoints: Sequence[EndpointSettings], runtime: Runtime) -> list[SigningKey]:
    """The keys that sign for the endpoints. That of an identity is issued by the service, which is asked for it."""
    found: list[str] = []
    async with Credentials(settings.authority_host, runtime=runtime, observer=SILENT) as credentials:
        for one in endpoints:
            credential = credentials.find(one)
            if one.credential.kind != "access-key":
                now = int(runtime.wall_clock())
                audience = client_audience(one.connection.endpoint, "bridge")
                asked = client_claims(audience=audience, user_id=None, claims={}, now=now, lifetime=60)
                await credential.client_token(asked)
            found += credential.client_keys
    return [SigningKey(key) for key in dict.fromkeys(found) if key]


# --- tokens of issuers


async def _judge_issued(
    settings: Settings, token: str, claims: Mapping[str, Any], times: Sequence[Fact], runtime: Runtime
) -> TokenReport:
    issuer, audience = str(claims.get("iss", "")), claims.get("aud")
    audiences = {one for one in (audience if isinstance(audience, list) else [audience]) if isinstance(one, str)}
    roles = list(_list_roles(settings, token, issuer, runtime))
    roles.sort(key=lambda role: not role.audiences & audiences)
    said = [("issuer", issuer), ("audience", ", ".join(sorted(audiences))), *times]
    refused: list[TokenReport] = []
    for role in roles:
        try:
            return TokenReport(role.whose, [*role.facts, *await role.verify(), *said])
        except BadToken as error:
            refused.append(TokenReport(role.whose, [*role.facts, *said], f"{error.detail}."))
    if refused:
        return refused[0]
    return TokenReport("nobody's whom the settings know", said, "its issuer is none of the settings'.")


def _list_roles(settings: Settings, token: str, issuer: str, runtime: Runtime) -> Iterator[_Role]:
    """Whose a token of this issuer may be, by the settings."""
    keys = IssuerKeys(runtime.clock, observer=SILENT)
    oidc = settings.callers.oidc
    bearers = build_bearers(oidc, keys, runtime.wall_clock)
    if bearers is not None and oidc.issuer == issuer:
        yield _Role("a caller's token", frozenset(oidc.audience), (), partial(_verify_caller, bearers, token))
    entra = build_entra_tokens(settings, runtime, SILENT)
    for hubs, one in _by_hubs(settings, lambda hub: settings.upstream_of(hub).entra):
        tokens = entra(one) if issuer.lower() in _list_issuers(one, settings.authority_host) else None
        if tokens is not None:
            verify = partial(_verify_service, settings, tokens, token)
            yield _Role("the service's token", frozenset(one.audience), [("hub", hubs)], verify)
    for hubs, jwt in _by_hubs(settings, lambda hub: settings.negotiate_of(hub).jwt):
        rules = [read_rules(each) for each in jwt if each.issuer == issuer]
        if rules:
            verify = partial(_verify_client, Issuers(rules, keys, runtime.wall_clock), token)
            audiences = frozenset().union(*(each.audiences for each in rules))
            yield _Role("a client's own token, for negotiate", audiences, [("hub", hubs)], verify)


def _by_hubs(settings: Settings, find: Callable[[str], _Value]) -> Iterator[tuple[str, _Value]]:
    """What holds for all hubs, and for each hub that has something else."""
    common = find("")
    yield "every one", common
    yield from ((hub, find(hub)) for hub in settings.hubs if find(hub) != common)


def _list_issuers(entra: EntraSettings, authority: str) -> frozenset[str]:
    """The names of the issuers of a tenant, in lower case."""
    return frozenset() if entra.tenant is None else make_rules(entra.tenant, (), (), authority).issuers


async def _verify_caller(bearers: Bearers, token: str) -> Sequence[Fact]:
    caller = await bearers.find(token)
    return [("caller", caller.name), *_describe_grants(caller)]


async def _verify_service(settings: Settings, tokens: EntraTokens, token: str) -> Sequence[Fact]:
    application = await tokens.read_application([(b"authorization", f"Bearer {token}".encode())])
    named = [one for one in settings.all_endpoints() if (one.upstream_app_id or "").lower() == application]
    endpoints = [("endpoint", f"{one.name}, {one.connection.endpoint}") for one in named]
    return [("application", application), *endpoints]


async def _verify_client(issuers: Issuers, token: str) -> Sequence[Fact]:
    found = await issuers.check(token)
    return [("user", read_user(found.claims, found.rules))]
