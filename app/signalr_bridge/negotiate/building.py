"""From the settings to each hub's rules for clients."""

from collections.abc import Callable

from signalr_bridge.negotiate.client_rules import ClientRules, IdToken
from signalr_bridge.negotiate.clients import Clients
from signalr_bridge.negotiate.negotiator import Admission
from signalr_bridge.negotiate.template import Template, parse_template
from signalr_bridge.settings.model import ClientSettings, JwtSettings, Settings
from signalr_bridge.web.limits.rate import Rate
from signalr_bridge.web.tokens.issuers import IssuerKeys, Issuers
from signalr_bridge.web.tokens.token_rules import TokenRules


def build_clients(
    settings: Settings, keys: IssuerKeys, *, clock: Callable[[], float], monotonic: Callable[[], float]
) -> Clients:
    """``clock`` gives seconds since 1970. Raises ``SettingsError`` for a template that means nothing."""

    def build(rules: ClientSettings, prefix: str) -> ClientRules:
        return _build_rules(rules, prefix, keys, clock, optional=settings.development)

    general = build(settings.negotiate, "BRIDGE_NEGOTIATE__")
    own = {
        name: build(hub.negotiate, f"BRIDGE_HUBS__{name.upper()}__NEGOTIATE__")
        for name, hub in settings.hubs.items()
        if hub.negotiate is not None
    }
    per_second = settings.limits.negotiate_per_second
    rate = None if per_second is None else Rate(per_second, monotonic)
    return Clients(lambda hub: own.get(hub or "", general), rate)


def _build_rules(
    rules: ClientSettings, prefix: str, keys: IssuerKeys, clock: Callable[[], float], *, optional: bool
) -> ClientRules:
    issuers = Issuers([_read_rules(one) for one in rules.jwt], keys, clock) if rules.jwt else None
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
        defaults=Admission(lifetime_seconds=rules.lifetime_seconds, close_on_expiry=rules.close_on_expiry),
    )


def _read_rules(jwt: JwtSettings) -> TokenRules:
    required = {name: frozenset(values) for name, values in jwt.required.items()}
    return TokenRules(jwt.issuer, frozenset(jwt.audience), jwt.user_claim, required)


def _parse(text: str | None, setting: str, *, optional: bool = False) -> Template | None:
    return None if text is None else parse_template(text, setting=setting, optional=optional)
