"""The rules for the clients of one hub: what admits them, what names them, and what their tokens say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from signalr_bridge.errors import BadToken, InvalidName
from signalr_bridge.negotiate.identity import (
    Identity,
    claim_texts,
    copy_claims,
    is_forgery,
    read_jwt,
    read_platform,
)
from signalr_bridge.negotiate.negotiator import Admission
from signalr_bridge.negotiate.template import Template
from signalr_bridge.protocol.claims import ClaimValues
from signalr_bridge.protocol.names import check_client_user_id
from signalr_bridge.web.tokens.issuers import Issuers
from signalr_bridge.web.tokens.signed_token import read_bearers, read_claims, take_apart


@dataclass(frozen=True, slots=True)
class Approach:
    """What a client brings along; names of headers and of query parameters are in lower case."""

    headers: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    query: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)

    @property
    def tokens(self) -> Sequence[str]:
        return read_bearers(self.headers.get("authorization", ()))


@dataclass(frozen=True, slots=True)
class IdToken:
    """Where an id token stands; without ``issuers`` it is believed as it is."""

    template: Template
    issuers: Issuers | None


@dataclass(frozen=True, slots=True)
class ClientRules:
    """``anonymous``, ``issuers`` (of tokens) and ``platform`` admit; ``user_id`` names, or else what has admitted."""

    anonymous: bool = False
    issuers: Issuers | None = None
    platform: bool = False
    user_id: Template | None = None
    id_token: IdToken | None = None
    claim_types: tuple[str, ...] = ()
    defaults: Admission = field(default_factory=Admission)

    async def admit(self, approach: Approach) -> Admission:
        """What the client's token will say. Raises ``BadToken`` with the reason, and ``InvalidName``."""
        identity = await self._identify(approach)
        claims = await self._read_claims(identity, approach)
        return replace(self.defaults, user_id=self._name(identity, approach), claims=claims)

    async def _identify(self, approach: Approach) -> Identity:
        if self.issuers is not None and (tokens := approach.tokens):
            return await read_jwt(self.issuers, tokens, named=self.user_id is None)
        found = read_platform(approach.headers) if self.platform else None
        if found is not None:
            return found
        if not self.anonymous:
            raise BadToken("the client shows no identity")
        return Identity()

    def _name(self, identity: Identity, approach: Approach) -> str | None:
        if self.user_id is None:
            return _check_vouched(identity.user_id)
        sources = {"headers": approach.headers, "query": approach.query, "claims": claim_texts(identity.claims)}
        user_id = self.user_id.fill(sources)
        if user_id is None:
            return None
        if is_forgery(check_client_user_id(user_id)):
            raise InvalidName("The user id holds what would forge claims.")
        return user_id

    async def _read_claims(self, identity: Identity, approach: Approach) -> dict[str, ClaimValues]:
        if self.id_token is None:
            return copy_claims(identity.claims, self.claim_types)
        template, issuers = self.id_token.template, self.id_token.issuers
        token = template.fill({"headers": approach.headers, "query": approach.query}) or ""
        token = next(iter(read_bearers([token])), token)
        said = (await issuers.check(token)).claims if issuers is not None else read_claims(take_apart(token))
        return copy_claims(said, self.claim_types)


def _check_vouched(user_id: str | None) -> str | None:
    """The user id that a token or the platform names: one that no client may have is their mistake, and refused."""
    if user_id is None:
        return None
    try:
        check_client_user_id(user_id)
    except InvalidName:
        raise BadToken("the user id is one that no client may have") from None
    if is_forgery(user_id):
        raise BadToken("the user id holds what would forge claims")
    return user_id
