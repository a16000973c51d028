"""Input bindings: the connection info of a client, all endpoints with one each, and the endpoints alone."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NoReturn

from msgspec import structs

from signalr_bridge.endpoints.directory import EndpointDirectory
from signalr_bridge.errors import BadToken, InvalidName, Unauthenticated
from signalr_bridge.functions.belief import is_from_platform
from signalr_bridge.functions.description import Binding, FunctionDescription, Kind
from signalr_bridge.functions.expressions import BindingData, Expression, Origin
from signalr_bridge.functions.invocation import FunctionFailed
from signalr_bridge.negotiate.admitter import REFUSAL
from signalr_bridge.negotiate.identity import (
    check_written_user_id,
    claim_texts,
    copy_claims,
    group_values,
    read_id_token,
)
from signalr_bridge.negotiate.negotiator import Choice, ClientToken, Negotiator
from signalr_bridge.negotiate.rules import ClientRequest, ClientRules, RulesOf
from signalr_bridge.protocol.claims import ClaimValues
from signalr_bridge.protocol.names import check_hub
from signalr_bridge.settings.model import Settings
from signalr_bridge.web.callers import CHALLENGE
from signalr_bridge.web.trace import TRACE

_LOG = logging.getLogger("signalr_bridge.functions")


@dataclass(frozen=True, slots=True)
class HubBinding:
    """A binding of a hub, with its expressions parsed.

    Attributes:
        binding: It as the app describes it.
        hub: The hub's name.
        user_id: The user of a client. None for an anonymous one.
        id_token: Where the token is whose claims are copied. None without one.
        claim_types: The types of the claims that are copied.
    """

    binding: Binding
    hub: Expression
    user_id: Expression | None = None
    id_token: Expression | None = None
    claim_types: tuple[str, ...] = ()

    @property
    def reads_claims(self) -> bool:
        """Whether an expression reads a claim."""
        read = [self.hub, *filter(None, (self.user_id, self.id_token))]
        return any(reference.origin is Origin.CLAIMS for one in read for reference in one.references)

    def find_hub(self, function: FunctionDescription, data: BindingData) -> str:
        """The hub of a call, in lower case. Raises ``FunctionFailed`` for one that there cannot be."""
        try:
            return check_hub(self.hub.fill(data))
        except BadToken as error:
            raise fail(function, self.binding, f"its hub is not known, because {error.detail}") from None
        except InvalidName as error:
            raise fail(function, self.binding, f"its hub is not one. {error.detail.rstrip('.')}") from None


def fail(function: FunctionDescription, binding: Binding, why: str) -> FunctionFailed:
    """The error of a binding in one call, for the log."""
    return FunctionFailed(f"Function '{function.name}', binding '{binding.name}': {why}.")


class Inputs:
    """Makes the values of input bindings.

    Args:
        rules_of: The rules for the clients of each hub.
        settings: Whether a hub's id tokens are believed without verification.
        negotiator: Signs the tokens of clients.
        directory: The endpoints of each hub.
    """

    def __init__(
        self, rules_of: RulesOf, settings: Settings, negotiator: Negotiator, directory: EndpointDirectory
    ) -> None:
        self._rules_of, self._settings = rules_of, settings
        self._negotiator, self._directory = negotiator, directory

    async def read(self, function: FunctionDescription, binding: HubBinding, data: BindingData) -> object:
        """The value of an input. It raises what ``Bindings.read_inputs`` does."""
        hub = binding.find_hub(function, data)
        if binding.binding.kind == Kind.ENDPOINTS:
            registry = self._directory.find(hub)
            return [Choice(one, registry.is_online(one), None).describe() for one in registry.endpoints]
        wanted = await self._admit(function, binding, hub, data)
        if binding.binding.kind == Kind.NEGOTIATION:
            return {"endpoints": [one.as_json() for one in await self._negotiator.negotiate_all(hub, wanted)]}
        return (await self._negotiator.negotiate(hub, wanted)).as_json()

    async def _admit(
        self, function: FunctionDescription, binding: HubBinding, hub: str, data: BindingData
    ) -> ClientToken:
        rules = self._rules_of(hub)
        try:
            if binding.reads_claims and data.is_request:
                data = replace(data, claims=await _find_claims(rules, data))
            user_id = self._name(binding, data)
            return structs.replace(rules.defaults, user_id=user_id, claims=await self._copy(rules, binding, hub, data))
        except BadToken as error:
            _refuse(function, binding, data, error.detail)

    def _name(self, binding: HubBinding, data: BindingData) -> str | None:
        if binding.user_id is None:
            return None
        if self._settings.development and any(not one.find(data) for one in binding.user_id.references):
            return None
        return check_written_user_id(binding.user_id.fill(data))

    async def _copy(
        self, rules: ClientRules, binding: HubBinding, hub: str, data: BindingData
    ) -> Mapping[str, ClaimValues]:
        if binding.id_token is None:
            return {}
        believed = is_from_platform(binding.id_token.references) or self._settings.negotiate_of(hub).id_token_unverified
        if not believed and rules.issuers is None:
            raise BadToken("nobody verifies the id token")
        claims = await read_id_token(binding.id_token.fill(data), None if believed else rules.issuers)
        return copy_claims(claims, binding.claim_types)


async def _find_claims(rules: ClientRules, data: BindingData) -> Mapping[str, list[str]]:
    """The claims of who sends a request, by the rules of the hub. Raises ``BadToken``."""
    identity = await rules.identify(ClientRequest(data.headers, data.query))
    texts = claim_texts(identity.claims)
    return group_values([(name, one) for name, values in texts.items() for one in values])


def _refuse(function: FunctionDescription, binding: HubBinding, data: BindingData, why: str) -> NoReturn:
    if not data.is_request:
        raise fail(function, binding.binding, f"nobody is admitted, because {why}") from None
    extra = {"function": function.name, "reason": why, "request_id": TRACE.get().request_id}
    _LOG.info("client refused", extra=extra)
    raise Unauthenticated(REFUSAL, headers=CHALLENGE) from None
