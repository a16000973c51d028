"""The rules for the clients of a hub, made from settings: what admits them, their user ids and their claims."""

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, TypeAlias

import msgspec

from signalr_bridge.errors import BadToken, Forbidden, SettingsError, Unauthenticated
from signalr_bridge.negotiate.admitter import NO_HANDLERS, REFUSAL, Admitter, Candidate
from signalr_bridge.negotiate.identity import (
    NOBODY,
    ClientIdentity,
    check_verified_user_id,
    check_written_user_id,
    claim_texts,
    copy_claims,
    group_values,
    name_by_principal,
    read_id_token,
    read_jwt,
    read_platform,
    take_only,
)
from signalr_bridge.negotiate.negotiator import ClientToken
from signalr_bridge.protocol.admission import NegotiateHandler, NegotiateRequest
from signalr_bridge.protocol.claims import ClaimValues
from signalr_bridge.protocol.names import read_parameters
from signalr_bridge.protocol.upstream_event import HeaderLines, decode_header
from signalr_bridge.runtime import Runtime, WallClock
from signalr_bridge.settings.model import ClientSettings, JwtSettings, Settings
from signalr_bridge.web.callers import CHALLENGE, FindAddress, check_wait
from signalr_bridge.web.issuer_keys import IssuerKeys, Issuers
from signalr_bridge.web.limits import Rate
from signalr_bridge.web.tokens import TokenRules, read_bearers
from signalr_bridge.web.trace import TRACE

_PLACEHOLDER = re.compile(r"\{(?:(query|headers)\.([A-Za-z0-9_.-]{1,64})|(claims)\.([^{}\s]{1,256}))\}")
TemplateValues: TypeAlias = Mapping[str, Mapping[str, Sequence[str]]]
"""The values of ``query``, ``headers`` and ``claims`` by name. The names of the first two are in lower case."""

_NO_IDENTITY = "the client shows no identity"
_LOG = logging.getLogger("signalr_bridge.negotiate")


class _NoIdentity(BadToken):
    """The client shows nothing that could say who it is, and clients without an identity are not admitted."""


@dataclass(frozen=True, slots=True)
class Template:
    """A text with placeholders. When it is ``optional``, an absent value gives no user id instead of an error."""

    text: str
    optional: bool = False
    _parts: Sequence[tuple[str, str, str]] = field(init=False, repr=False, compare=False)
    """Each placeholder: the text in front of it, its kind and its name."""
    _rest: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        parts, position = [], 0
        for match in _PLACEHOLDER.finditer(self.text):
            kind, name = (match[1], match[2].lower()) if match[1] else (match[3], match[4])
            parts.append((self.text[position : match.start()], kind, name))
            position = match.end()
        object.__setattr__(self, "_parts", parts)
        object.__setattr__(self, "_rest", self.text[position:])

    def fill(self, sources: TemplateValues) -> str | None:
        """The text with every placeholder replaced. None when the template is optional and a value is absent.

        Raises ``BadToken`` when a value is absent, empty or repeated.
        """
        filled = ""
        for before, kind, name in self._parts:
            values = sources.get(kind, {}).get(name, ())
            if not values and self.optional:
                return None
            filled += before + take_only(values, kind)
        return filled + self._rest


def parse_template(text: str, *, setting: str, optional: bool = False) -> Template:
    """The template in a text. Raises ``SettingsError``, which names ``setting``, for a brace outside a placeholder."""
    rest = _PLACEHOLDER.sub("", text)
    if "{" in rest or "}" in rest:
        raise SettingsError(
            "a placeholder is {query.<name>}, {headers.<name>} or {claims.<name>}: write one of these.", setting=setting
        )
    return Template(text, optional)


class ClientRequest(msgspec.Struct, frozen=True):
    """The headers and the query of a client's request. All names are in lower case."""

    headers: Mapping[str, Sequence[str]] = msgspec.field(default_factory=dict)
    query: Mapping[str, Sequence[str]] = msgspec.field(default_factory=dict)

    def __repr__(self) -> str:
        return "ClientRequest()"  # both may hold tokens

    @property
    def tokens(self) -> Sequence[str]:
        """The bearer tokens of the request."""
        return read_bearers(self.headers.get("authorization", ()))


def read_client_request(lines: HeaderLines, query: bytes) -> ClientRequest:
    """The request with these header lines and this query. Both are read when a rule first asks for them."""
    return ClientRequest(_HeaderValues(lines), _QueryValues(query))


class _HeaderValues(Mapping[str, Sequence[str]]):
    """The values of header lines by name. Only those that are asked for are decoded."""

    def __init__(self, lines: HeaderLines) -> None:
        self._lines = lines

    def __getitem__(self, name: str) -> Sequence[str]:
        wanted = name.encode("latin-1")
        values = [decode_header(value) for given, value in self._lines if given == wanted]
        if not values:
            raise KeyError(name)
        return values

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.decode("latin-1") for name, _ in self._lines))

    def __len__(self) -> int:
        return len({name for name, _ in self._lines})


class _QueryValues(Mapping[str, Sequence[str]]):
    """The values of a query by name. They are read when the first of them is asked for."""

    def __init__(self, query: bytes) -> None:
        self._query = query
        self._values: Mapping[str, Sequence[str]] | None = None

    def _read(self) -> Mapping[str, Sequence[str]]:
        if self._values is None:
            self._values = group_values(read_parameters(self._query.decode("latin-1")))
        return self._values

    def __getitem__(self, name: str) -> Sequence[str]:
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())


@dataclass(frozen=True, slots=True)
class IdToken:
    """Where a request holds an id token. Without ``issuers`` its claims are believed without verification."""

    template: Template
    issuers: Issuers | None


@dataclass(frozen=True, slots=True)
class ClientRules:
    """How one hub admits clients.

    Args:
        anonymous: Whether clients without an identity are admitted.
        issuers: The issuers whose tokens admit clients.
        platform: Whether the platform's headers admit clients.
        user_id: The template of the user id. Without it, the token or the headers name the user.
        id_token: The token that the claims are copied from. Without it, they come from the client's identity.
        claim_types: The types of the claims that are copied.
        defaults: The lifetime of tokens, and whether connections end with them. It names no user and no endpoint.
        lossless: Whether tokens carry ``bridge.claims``, and so can carry groups.
    """

    anonymous: bool = False
    issuers: Issuers | None = None
    platform: bool = False
    user_id: Template | None = None
    id_token: IdToken | None = None
    claim_types: tuple[str, ...] = ()
    defaults: ClientToken = field(default_factory=ClientToken)
    lossless: bool = True

    async def admit(self, client_request: ClientRequest, identity: ClientIdentity | None = None) -> ClientToken:
        """What the client's token will say. Raises ``BadToken`` with the reason, and ``InvalidName``.

        ``identity`` is who the client is, where that is known already.
        """
        if identity is None:
            identity = await self.identify(client_request)
        claims = await self._read_claims(identity, client_request)
        user_id = self._name(identity, client_request)
        if user_id is None and not claims:
            return self.defaults
        return ClientToken(user_id, claims, self.defaults.lifetime_seconds, None, self.defaults.close_on_expiry)

    async def verify(self, client_request: ClientRequest) -> tuple[ClientToken | None, bool]:
        """The same, and whether it is verified who the client is. No token for a client that shows no identity.

        Raises ``BadToken`` and ``InvalidName`` for a client that shows a bad one.
        """
        try:
            identity = await self.identify(client_request)
        except _NoIdentity:
            return None, False
        return await self.admit(client_request, identity), identity is not NOBODY

    async def identify(self, client_request: ClientRequest) -> ClientIdentity:
        """Who the client is. Raises ``BadToken`` for a client that shows a bad identity, or none where it must."""
        if self.issuers is not None and (tokens := client_request.tokens):
            return await read_jwt(self.issuers, tokens, named=self.user_id is None)
        found = read_platform(client_request.headers) if self.platform else None
        if found is not None:
            return found
        if not self.anonymous:
            raise _NoIdentity(_NO_IDENTITY)
        return NOBODY

    def _name(self, identity: ClientIdentity, client_request: ClientRequest) -> str | None:
        if self.user_id is None:
            return check_verified_user_id(identity.user_id)
        sources = {
            "headers": name_by_principal(client_request.headers) if self.platform else client_request.headers,
            "query": client_request.query,
            "claims": claim_texts(identity.claims),
        }
        user_id = self.user_id.fill(sources)
        if user_id is None:
            return None
        return check_written_user_id(user_id)

    async def _read_claims(self, identity: ClientIdentity, client_request: ClientRequest) -> dict[str, ClaimValues]:
        if self.id_token is None:
            return copy_claims(identity.claims, self.claim_types)
        token = self.id_token.template.fill({"headers": client_request.headers, "query": client_request.query})
        return copy_claims(await read_id_token(token or "", self.id_token.issuers), self.claim_types)


RulesOf: TypeAlias = Callable[[str | None], ClientRules]
"""Gives the rules of a hub, whose name is in lower case. For an unknown hub or None it gives the general rules."""


class ClientAdmission:
    """Admits clients by the rules of their hub, and by its negotiate handler.

    Args:
        rules_of: The rules of each hub.
        rate: Limits the negotiations of one client address.
        admitter: Knows the negotiate handlers.
    """

    def __init__(self, rules_of: RulesOf, rate: Rate | None = None, admitter: Admitter = NO_HANDLERS) -> None:
        self.rules_of = rules_of
        self._rate = rate
        self.find_handler = admitter.find
        """The negotiate handler of a hub. None where it has none."""

    async def admit(self, hub: str | None, client_request: ClientRequest, address: FindAddress) -> ClientToken:
        """What the client's token will say. Raises ``Unauthenticated``, ``InvalidName`` and ``RateLimited``.

        ``address`` finds the client's address. It is called only for the rate and for the log of a refusal.
        """
        self.check_rate(address)
        try:
            return await self.rules_of(hub).admit(client_request)
        except BadToken as error:
            self._refuse(error.detail, address)

    async def verify(
        self, hub: str, handler: NegotiateHandler, lines: HeaderLines, query: bytes, address: FindAddress
    ) -> Candidate:
        """What the hub's rules say of a client about whom a handler decides. It raises what ``admit`` does.

        A client that shows no identity is not refused. It may have one that only the handler knows.
        """
        self.check_rate(address)
        rules = self.rules_of(hub)
        try:
            token, is_verified = await rules.verify(read_client_request(lines, query))
        except BadToken as error:
            self._refuse(error.detail, address)
        return Candidate(hub, handler, token, is_verified, rules.defaults, rules.lossless, rules.platform, lines)

    async def decide(self, candidate: Candidate, request: NegotiateRequest, address: FindAddress) -> ClientToken:
        """What the client's token will say, as its handler decides. It raises what ``Candidate.decide`` does."""
        try:
            token = await candidate.decide(request)
        except (Forbidden, Unauthenticated):
            log_refusal("the negotiate handler refused it", address)
            raise
        if token is None:
            self._refuse(_NO_IDENTITY, address)
        return token

    def check_rate(self, address: FindAddress) -> None:
        """Raise ``RateLimited`` for a client that negotiates too often."""
        if self._rate is not None:
            check_wait(self._rate.take(address()), "You negotiate too often; try again later.")

    def _refuse(self, reason: str, address: FindAddress) -> NoReturn:
        log_refusal(reason, address)
        raise Unauthenticated(REFUSAL, headers=CHALLENGE) from None


def log_refusal(reason: str, address: FindAddress) -> None:
    """Log why a client was refused, which its answer does not say. ``address`` finds the client's address."""
    extra = {"reason": reason, "address": address(), "request_id": TRACE.get().request_id}
    _LOG.info("client refused", extra=extra)


def build_clients(
    settings: Settings, keys: IssuerKeys, runtime: Runtime, admitter: Admitter = NO_HANDLERS
) -> ClientAdmission:
    """The rules for the clients of each hub. Raises ``SettingsError`` for a template that is malformed."""
    optional = settings.development

    def build(rules: ClientSettings, prefix: str) -> ClientRules:
        return _build_rules(rules, prefix, keys, runtime.wall_clock, optional=optional)

    general = build(settings.negotiate, "BRIDGE_NEGOTIATE__")
    own = {
        name: build(hub.negotiate, f"BRIDGE_HUBS__{name.upper()}__NEGOTIATE__")
        for name, hub in settings.hubs.items()
        if hub.negotiate is not None
    }
    per_second = settings.limits.negotiate_per_second
    rate = None if per_second is None else Rate(per_second, runtime.clock)
    return ClientAdmission(lambda hub: own.get(hub or "", general), rate, admitter)


def find_errors(settings: Settings) -> Iterator[SettingsError]:
    """An error for each template that is malformed. What all hubs have is said once."""
    own = {f"HUBS__{name.upper()}__": hub.negotiate for name, hub in settings.hubs.items() if hub.negotiate is not None}
    for prefix, rules in {"": settings.negotiate, **own}.items():
        for member in ("user_id", "id_token"):
            text = getattr(rules, member)
            if prefix and text == getattr(settings.negotiate, member):
                continue
            try:
                _parse(text, f"BRIDGE_{prefix}NEGOTIATE__{member.upper()}")
            except SettingsError as error:
                yield error


def _build_rules(
    rules: ClientSettings, prefix: str, keys: IssuerKeys, clock: WallClock, *, optional: bool
) -> ClientRules:
    issuers = Issuers([read_rules(one) for one in rules.jwt], keys, clock) if rules.jwt else None
    id_token = None
    if (text := _parse(rules.id_token, f"{prefix}ID_TOKEN")) is not None:
        id_token = IdToken(text, None if rules.id_token_unverified else issuers)
    return ClientRules(
        anonymous=rules.anonymous,
        issuers=issuers,
        platform=rules.platform_identity,
        user_id=_parse(rules.user_id, f"{prefix}USER_ID", optional=optional),
        id_token=id_token,
        claim_types=rules.claim_types,
        defaults=ClientToken(lifetime_seconds=rules.lifetime_seconds, close_on_expiry=rules.close_on_expiry),
        lossless=rules.lossless_claims,
    )


def read_rules(jwt: JwtSettings) -> TokenRules:
    """The rules for the tokens of one issuer."""
    required = {name: frozenset(values) for name, values in jwt.required.items()}
    return TokenRules(jwt.issuer, frozenset(jwt.audience), jwt.user_claim, required)


def _parse(text: str | None, setting: str, *, optional: bool = False) -> Template | None:
    return None if text is None else parse_template(text, setting=setting, optional=optional)
