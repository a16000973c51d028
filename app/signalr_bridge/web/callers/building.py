"""From the settings to the callers: their keys, their tokens, and how often they may call."""

import logging
from collections.abc import Callable, Mapping

from signalr_bridge.settings.model import Settings
from signalr_bridge.web.callers.bearers import build_bearers
from signalr_bridge.web.callers.callers import Callers
from signalr_bridge.web.callers.key_ring import read_keys
from signalr_bridge.web.doors import Door
from signalr_bridge.web.limits.rate import Rate
from signalr_bridge.web.tokens.issuers import IssuerKeys

FAILURES_AT_ONCE, FAILURES_PER_SECOND = 100, 1.0
"""So many wrong credentials from one address, and so many more each second."""

_LOG = logging.getLogger("signalr_bridge")


def build_callers(
    settings: Settings, keys: IssuerKeys, *, clock: Callable[[], float], monotonic: Callable[[], float]
) -> Callers:
    """``clock`` gives seconds since 1970."""
    oidc, per_second = settings.callers.oidc, settings.limits.caller_per_second
    if any(one.issuer == oidc.issuer and set(one.audience) & set(oidc.audience) for one in settings.negotiate.jwt):
        _LOG.warning("clients and callers have one issuer and audience: only the roles of a token tell them apart")
    return Callers(
        read_keys(settings.callers.keys),
        build_bearers(oidc, keys, clock),
        failures=Rate(FAILURES_PER_SECOND, monotonic, burst=FAILURES_AT_ONCE),
        rate=None if per_second is None else Rate(per_second, monotonic),
    )


def name_anonymous(settings: Settings) -> Mapping[Door, str]:
    """Who calls without a key, by the door: nobody, unless the settings say so."""
    if settings.development:
        return {Door.ONLY: "development"}
    return {Door.CALLERS: "anonymous"} if settings.callers.anonymous else {}
