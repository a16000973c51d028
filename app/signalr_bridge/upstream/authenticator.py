"""The ordered checks of an upstream call: the code in its address, then a signature or a token. Every one fails closed.

The body is not read before they have passed. Source: ``docs/protocol/functions-bindings.md`` 1.4 and 1.12.
"""

import hmac
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import quote

from signalr_bridge.endpoints.directory import EndpointMap
from signalr_bridge.endpoints.endpoint import Endpoint
from signalr_bridge.errors import BadSignature, BadToken, SettingsError, Unauthenticated
from signalr_bridge.protocol.names import read_parameters
from signalr_bridge.protocol.signing_key import SigningKey
from signalr_bridge.protocol.upstream_event import (
    SIGNATURE_HEADER,
    EventHeaders,
    HeaderLines,
    Signers,
    decode_header,
)
from signalr_bridge.settings.model import ClientSettings, EntraSettings, Settings, UpstreamSettings
from signalr_bridge.upstream.dispatch import ANY
from signalr_bridge.upstream.entra import EntraTokens

_LOG = logging.getLogger("signalr_bridge.upstream")

_MOST_CODES = 16
_CODE_HEADER = b"x-functions-key"
_SIGNATURE = SIGNATURE_HEADER.encode()
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="signalr-bridge"'}

TokensOf: TypeAlias = Callable[[EntraSettings], EntraTokens | None]
"""Gives what checks tokens by these settings. None means that no token counts."""


class UnbelievedCall(Unauthenticated):
    """An upstream call is not authenticated. ``check`` is what it did not pass: ``code``, ``signature``, ``entra``."""

    def __init__(self, detail: str, check: str) -> None:
        super().__init__(detail, headers=_CHALLENGE)
        self.check = check


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key that verifies signatures, and the endpoint that signs with it. None means that the key does not tell."""

    endpoint: str | None
    key: str = field(repr=False)
    signing: SigningKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "signing", SigningKey(self.key))


@dataclass(frozen=True, slots=True)
class ServiceIdentity:
    """The managed identity of an endpoint, whose Entra token its calls carry.

    ``application`` is the application id in the token. None means that the settings do not name it.
    """

    endpoint: str
    application: str | None = None


Verifier: TypeAlias = VerificationKey | ServiceIdentity

VerifiersOf: TypeAlias = Callable[[str], Sequence[Verifier]]
"""Gives what verifies the calls of a hub's endpoints. The hub is in lower case, and ``*`` means all endpoints."""


def collect_verifiers(
    keys: Mapping[str, Iterable[str]], applications: Mapping[str, str] | None = None
) -> tuple[Verifier, ...]:
    """What verifies the calls of these endpoints: their keys, then their identities.

    A key that several endpoints share does not tell which of them called. An endpoint without any key is verified by
    tokens alone. Its tokens count for no other endpoint.

    Args:
        keys: The access keys by the name of the endpoint.
        applications: The application ids that the settings name, by the name of the endpoint.
    """
    named = applications or {}
    owners: dict[str, set[str]] = {}
    identities: list[Verifier] = []
    for endpoint, its_keys in keys.items():
        held = list(its_keys)
        for key in held:
            owners.setdefault(key, set()).add(endpoint)
        if not held or endpoint in named:
            identities.append(ServiceIdentity(endpoint, named.get(endpoint)))
    signers = (VerificationKey(next(iter(its)) if len(its) == 1 else None, key) for key, its in owners.items())
    return (*signers, *identities)


def find_endpoint(identities: Sequence[ServiceIdentity], application: str) -> str | None:
    """The one endpoint whose tokens name ``application``. None means that the token does not tell.

    Raises ``BadToken`` when every endpoint's application is known, and this is another one.
    """
    named = {one.endpoint for one in identities if (one.application or "").lower() == application.lower()}
    if not named and all(one.application for one in identities):
        raise BadToken("the token's application is that of no endpoint of the hub")
    return next(iter(named)) if len(named) == 1 else None


@dataclass(frozen=True, slots=True)
class UpstreamRules:
    """Who may report events of a hub, and how they are taken.

    It is made once for each change of the settings, and events only read it.

    Args:
        codes: The codes of the address. When there are none, the address needs no code.
        keys: What verifies signatures: the endpoints' keys, then those that only verify.
        identities: The endpoints whose calls may carry a token.
        tokens: Checks the tokens. None means that no token counts.
        allow_unsigned: Whether a call without a right signature or token is taken.
        unhandled_is_fine: Whether a message without a handler is answered 200 instead of 404.
        lossless_claims: Whether the clients' tokens are ours, so that ``bridge.claims`` in them is exact.
        platform_identity: Whether the platform's headers count. Else events do not have them.
    """

    codes: tuple[bytes, ...] = field(default=(), repr=False)
    keys: tuple[VerificationKey, ...] = ()
    identities: tuple[ServiceIdentity, ...] = ()
    tokens: EntraTokens | None = None
    allow_unsigned: bool = False
    unhandled_is_fine: bool = False
    lossless_claims: bool = True
    platform_identity: bool = False
    signers: Signers = field(init=False, repr=False, compare=False)
    usual_queries: tuple[bytes, ...] = field(init=False, repr=False, compare=False)
    """The queries that are a code and nothing else, as most addresses have them."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "signers", Signers([one.signing for one in self.keys]))
        object.__setattr__(self, "usual_queries", tuple(b"code=" + quote(one, safe="").encode() for one in self.codes))

    def check_code(self, query: bytes, lines: HeaderLines) -> None:
        """Raise ``UnbelievedCall`` when a code is needed, and neither query nor headers have it."""
        if not self.codes or True in [hmac.compare_digest(one, query) for one in self.usual_queries]:
            return
        given = [value for name, value in read_parameters(query.decode("latin-1")) if name.lower() == "code"]
        given += [decode_header(value) for name, value in lines if name == _CODE_HEADER]
        matches = False
        for one in given[:_MOST_CODES]:
            text = one.encode("utf-8", "replace")
            for code in self.codes:  # every code is compared
                matches |= hmac.compare_digest(code, text)
        if not matches:
            raise UnbelievedCall("The upstream address lacks its code, or has another one.", "code")

    async def check(self, query: bytes, lines: HeaderLines, headers: EventHeaders) -> str | None:
        """As ``UpstreamAuthenticator.check``, for a call of the hub that these rules are for."""
        self.check_code(query, lines)
        try:
            return await self.find_endpoint(lines, headers)
        except (BadSignature, BadToken) as error:
            if self.allow_unsigned:
                return None
            raise _refuse(error) from None

    async def find_endpoint(self, lines: HeaderLines, headers: EventHeaders) -> str | None:
        """The endpoint that called, if that is known. Raises ``BadSignature`` and ``BadToken``."""
        if not headers.hub or not headers.connection_id:
            raise BadSignature("There is no hub or no connection id to judge by.")
        signatures = [decode_header(value) for name, value in lines if name == _SIGNATURE]
        try:
            return self.keys[self.signers.find(signatures, headers.connection_id)].endpoint
        except BadSignature:
            if self.tokens is None or not self.identities or not self.tokens.are_among(lines):
                raise
            return find_endpoint(self.identities, await self.tokens.read_application(lines))

    @property
    def can_verify(self) -> bool:
        """Whether there can be a call that is taken."""
        return self.allow_unsigned or bool(self.keys) or (bool(self.identities) and self.tokens is not None)


def make_upstream_rules(
    settings: UpstreamSettings,
    verifiers: Iterable[Verifier],
    tokens: EntraTokens | None = None,
    *,
    clients: ClientSettings | None = None,
) -> UpstreamRules:
    """The rules of a hub, from its settings and what verifies the calls of its endpoints.

    Raises ``SettingsError`` for an empty secret, which anyone could guess.

    Args:
        settings: The hub's settings of the upstream.
        verifiers: What verifies the calls of the hub's endpoints.
        tokens: Checks the tokens. None means that no token counts.
        clients: The rules for the hub's clients. None takes those without settings.
    """
    clients = ClientSettings() if clients is None else clients
    found = tuple(verifiers)
    keys = [one for one in found if isinstance(one, VerificationKey)]
    keys += [VerificationKey(None, _not_empty(one.get_secret_value(), "key")) for one in settings.keys]
    return UpstreamRules(
        codes=tuple(_not_empty(one.get_secret_value(), "code").encode() for one in settings.code),
        keys=tuple(keys),
        identities=tuple(one for one in found if isinstance(one, ServiceIdentity)),
        tokens=tokens,
        allow_unsigned=settings.allow_unsigned,
        unhandled_is_fine=settings.unhandled == "200",
        lossless_claims=clients.lossless_claims,
        platform_identity=clients.platform_identity,
    )


def _not_empty(secret: str, kind: str) -> str:
    if not secret:
        raise SettingsError(f"An upstream {kind} (BRIDGE_UPSTREAM__CODE, BRIDGE_UPSTREAM__KEYS) is empty.")
    return secret


class UpstreamAuthenticator:
    """Judges upstream calls by the rules of their hub. It never changes: a change of the settings makes another one.

    Args:
        common: The rules of every hub that has none of its own.
        own: Rules by hub, in lower case. Those of ``*`` are for handlers of all hubs.
    """

    def __init__(self, common: UpstreamRules, own: Mapping[str, UpstreamRules] | None = None) -> None:
        self._common = common
        self._own = dict(own or {})

    async def check(self, query: bytes, lines: HeaderLines, headers: EventHeaders) -> str | None:
        """The name of the endpoint that called, if that is known. Raises ``UnbelievedCall``.

        Args:
            query: The request's query as it came.
            lines: The request's header lines.
            headers: What the ``X-ASRS-*`` lines among them say.
        """
        return await self.rules_of(headers.hub).check(query, lines, headers)

    def check_verifiable(self, hub: str, handler: str) -> None:
        """Raise ``SettingsError`` when a hub has a handler and no call of it could ever be verified."""
        if not self.rules_of(hub).can_verify:
            raise SettingsError(
                f"The hub '{hub}' has a handler ({handler}), but no key verifies the service's calls: "
                "set an access key, BRIDGE_UPSTREAM__KEYS, BRIDGE_UPSTREAM__ENTRA__* for endpoints without a key, "
                "or BRIDGE_UPSTREAM__ALLOW_UNSIGNED."
            )

    def rules_of(self, hub: str) -> UpstreamRules:
        """The rules for a hub, whose name may be in any case."""
        return self._own.get(hub.lower(), self._common)


def _refuse(error: BadSignature | BadToken) -> UnbelievedCall:
    """The reason of a refused token stands in the log only. All refused tokens get the same answer."""
    if isinstance(error, BadSignature):
        return UnbelievedCall(error.detail, "signature")
    _LOG.info("the token of an upstream call was refused", extra={"reason": error.detail})
    return UnbelievedCall("The token of this call is not believed: see the log.", "entra")


def _no_tokens(_: EntraSettings) -> None:
    return None


def build_authenticator(
    settings: Settings, verifiers_of: VerifiersOf, tokens_of: TokensOf = _no_tokens
) -> UpstreamAuthenticator:
    """An authenticator with the rules of every hub. Raises ``SettingsError`` for an empty secret.

    ``verifiers_of`` and ``tokens_of`` are called here, and not later.
    """

    def make(hub: str) -> UpstreamRules:
        upstream = settings.upstream_of(hub)
        clients = settings.negotiate_of(hub)
        return make_upstream_rules(upstream, verifiers_of(hub), tokens_of(upstream.entra), clients=clients)

    return UpstreamAuthenticator(make(""), {hub: make(hub) for hub in (ANY, *settings.hubs)})


def read_verifiers(settings: Settings, endpoint_map: EndpointMap) -> VerifiersOf:
    """The verifiers of the endpoints. Hubs of one connection share them."""
    applications = {
        one.name: one.upstream_app_id for one in settings.all_endpoints() if one.upstream_app_id is not None
    }

    def collect(endpoints: Iterable[Endpoint]) -> tuple[Verifier, ...]:
        keys: dict[str, list[str]] = {}
        for endpoint in endpoints:
            keys.setdefault(endpoint.name, []).extend(endpoint.credential.verifying_keys)
        return collect_verifiers(keys, applications)

    every = collect(endpoint_map.endpoints)
    found = {name: collect(registry.endpoints) for name, registry in endpoint_map.registries.items()}
    return lambda hub: every if hub == ANY else found[endpoint_map.connection_of(hub)]
