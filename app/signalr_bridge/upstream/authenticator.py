"""The ordered checks of a caller: the code in the address, then a signature or a token. Every one fails closed.

Source: ``docs/protocol/functions-bindings.md`` 1.4 and 1.12. Nothing of the body is read before.
"""

import hmac
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias
from urllib.parse import parse_qsl

from signalr_bridge.errors import BadSignature, BadToken, SettingsError, Unauthenticated
from signalr_bridge.protocol.upstream_event import SIGNATURE_HEADER, EventHeaders, decode_header, find_signer
from signalr_bridge.settings.model import Settings, UpstreamSettings
from signalr_bridge.upstream.entra import EntraTokens


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key that vouches for a call, and the endpoint it speaks for; None when it does not tell."""

    endpoint: str | None
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenSource:
    """An endpoint whose calls carry a token of Entra. ``application`` is the id in it; None when that is not known."""

    endpoint: str
    application: str | None = None


AnyVerifier: TypeAlias = VerificationKey | TokenSource


def collect_verifiers(
    keys: Mapping[str, Iterable[str]], applications: Mapping[str, str] | None = None
) -> list[AnyVerifier]:
    """From each endpoint's keys and, by endpoint, the applications that the settings name.

    A key that several endpoints share does not tell which of them called. An endpoint without any key is vouched for by
    tokens alone, which opens nothing to the callers of the others.
    """
    named = applications or {}
    owners: dict[str, set[str]] = {}
    tokens: list[AnyVerifier] = []
    for endpoint, its_keys in keys.items():
        held = list(its_keys)
        for key in held:
            owners.setdefault(key, set()).add(endpoint)
        if not held or endpoint in named:
            tokens.append(TokenSource(endpoint, named.get(endpoint)))
    return [*(VerificationKey(next(iter(its)) if len(its) == 1 else None, key) for key, its in owners.items()), *tokens]


def find_endpoint(verifiers: Sequence[TokenSource], application: str) -> str | None:
    """The one endpoint whose tokens name ``application``; None when the token does not tell.

    ``BadToken`` when every endpoint's application is known, and this is none of them.
    """
    named = {one.endpoint for one in verifiers if (one.application or "").lower() == application.lower()}
    if not named and all(one.application for one in verifiers):
        raise BadToken("the token's application is that of no endpoint of the hub")
    return next(iter(named)) if len(named) == 1 else None


HeaderLines: TypeAlias = Sequence[tuple[bytes, bytes]]
"""A request's header lines as they came, with lower-case names."""

VerifiersOf: TypeAlias = Callable[[str], Sequence[AnyVerifier]]
"""The verifiers of a hub (in lower case); asked at each request, for keys rotate."""

_LOG = logging.getLogger("signalr_bridge.upstream")

_MOST_CODES = 16
_CODE_HEADER = b"x-functions-key"
_SIGNATURE = SIGNATURE_HEADER.encode()
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="signalr-bridge"'}


class UpstreamAuthenticator:
    """``codes`` open the address, when there are any; ``verify_keys`` only verify signatures; ``tokens`` checks those
    of Entra, which count for the endpoints that a ``TokenVoucher`` stands for, and for no other."""

    def __init__(
        self,
        verifiers_of: VerifiersOf,
        codes: Iterable[str] = (),
        verify_keys: Iterable[str] = (),
        allow_unsigned: bool = False,
        tokens: EntraTokens | None = None,
    ) -> None:
        self._verifiers_of = verifiers_of
        self._codes = [_not_empty(code, "code").encode() for code in codes]
        self._verify_only = [VerificationKey(None, _not_empty(key, "key")) for key in verify_keys]
        self._allow_unsigned = allow_unsigned
        self._tokens = tokens

    async def check(self, query: bytes, lines: HeaderLines, headers: EventHeaders) -> str | None:
        """The name of the endpoint that vouched, if that is known. Raises ``Unauthenticated``."""
        if self._codes:
            self._check_code(query, lines)
        try:
            return await self._find_endpoint(lines, headers)
        except (BadSignature, BadToken) as error:
            if self._allow_unsigned:
                return None
            raise _refuse(error) from None

    def check_verifiable(self, hub: str, handler: str) -> None:
        """``SettingsError`` when a hub has a handler and no call of it could ever be verified."""
        keys, identities = self._verifiers(hub)
        if not self._allow_unsigned and not keys and not (identities and self._tokens):
            raise SettingsError(
                f"The hub '{hub}' has a handler ({handler}), but no key verifies the service's calls: "
                "set an access key, BRIDGE_UPSTREAM__KEYS, BRIDGE_UPSTREAM__ENTRA__* for endpoints without a key, "
                "or BRIDGE_UPSTREAM__ALLOW_UNSIGNED."
            )

    def _verifiers(self, hub: str) -> tuple[list[VerificationKey], list[TokenSource]]:
        found = self._verifiers_of(hub.lower())
        keys = [one for one in found if isinstance(one, VerificationKey)]
        return [*keys, *self._verify_only], [one for one in found if isinstance(one, TokenSource)]

    async def _find_endpoint(self, lines: HeaderLines, headers: EventHeaders) -> str | None:
        if not headers.hub or not headers.connection_id:
            raise BadSignature("There is no hub or no connection id to judge by.")
        keys, identities = self._verifiers(headers.hub)
        signatures = [decode_header(value) for name, value in lines if name == _SIGNATURE]
        try:
            return keys[find_signer(signatures, headers.connection_id, [one.key for one in keys])].endpoint
        except BadSignature:
            if self._tokens is None or not identities or not self._tokens.are_among(lines):
                raise
            return find_endpoint(identities, await self._tokens.read_application(lines))

    def _check_code(self, query: bytes, lines: HeaderLines) -> None:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, errors="replace")
        given = [value for name, value in pairs if name.lower() == "code"]
        given += [decode_header(value) for name, value in lines if name == _CODE_HEADER]
        matches = [
            hmac.compare_digest(code, one.encode("utf-8", "replace"))
            for code in self._codes
            for one in given[:_MOST_CODES]
        ]
        if not any(matches):
            raise Unauthenticated("The upstream address lacks its code, or has another one.", headers=_CHALLENGE)


def _refuse(error: BadSignature | BadToken) -> Unauthenticated:
    """Why a token is refused is for the log: outside all of them look alike."""
    if isinstance(error, BadSignature):
        return Unauthenticated(error.detail, headers=_CHALLENGE)
    _LOG.info("the token of an upstream call was refused", extra={"why": error.detail})
    return Unauthenticated("The token of this call is not believed: see the log.", headers=_CHALLENGE)


def _not_empty(secret: str, kind: str) -> str:
    # Everybody knows the empty text: it would open the door.
    if not secret:
        raise SettingsError(f"An upstream {kind} (BRIDGE_UPSTREAM__CODE, BRIDGE_UPSTREAM__KEYS) is empty.")
    return secret


def build_authenticator(
    settings: UpstreamSettings, verifiers_of: VerifiersOf, tokens: EntraTokens | None
) -> UpstreamAuthenticator:
    return UpstreamAuthenticator(
        verifiers_of,
        codes=[one.get_secret_value() for one in settings.code],
        verify_keys=[one.get_secret_value() for one in settings.keys],
        allow_unsigned=settings.allow_unsigned,
        tokens=tokens,
    )


class Authenticator(Protocol):
    """Judges calls: by one set of rules for all hubs, or by the hub."""

    async def check(self, query: bytes, lines: HeaderLines, headers: EventHeaders) -> str | None:
        """The name of the endpoint that vouched, if that is known. Raises ``Unauthenticated``."""
        ...

    def check_verifiable(self, hub: str, handler: str) -> None:
        """``SettingsError`` when a hub has a handler and no call of it could ever be verified."""
        ...


class AuthenticatorByHub:
    """``own`` has the rules of hubs in lower case, ``common`` those of all others."""

    def __init__(self, common: UpstreamAuthenticator, own: Mapping[str, UpstreamAuthenticator]) -> None:
        self._common = common
        self._own = dict(own)

    async def check(self, query: bytes, lines: HeaderLines, headers: EventHeaders) -> str | None:
        return await self._find(headers.hub).check(query, lines, headers)

    def check_verifiable(self, hub: str, handler: str) -> None:
        self._find(hub).check_verifiable(hub, handler)

    def _find(self, hub: str) -> UpstreamAuthenticator:
        return self._own.get(hub.lower(), self._common)


def build_authenticators(
    settings: Settings,
    verifiers_of: VerifiersOf,
    tokens: EntraTokens | None,
    hub_tokens: Mapping[str, EntraTokens | None] | None = None,
) -> Authenticator:
    """``hub_tokens`` are for hubs whose tokens are checked by rules of their own."""
    common, own_tokens = build_authenticator(settings.upstream, verifiers_of, tokens), hub_tokens or {}
    own = {
        hub: build_authenticator(one.upstream, verifiers_of, own_tokens.get(hub, tokens))
        for hub, one in settings.hubs.items()
        if one.upstream is not None
    }
    return AuthenticatorByHub(common, own) if own else common
