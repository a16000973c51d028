"""Groups that a client joins when it has connected: by what its claims say, or as a negotiate handler named them."""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from signalr_bridge.errors import InvalidName, SettingsError
from signalr_bridge.protocol.hub_message import Payload
from signalr_bridge.protocol.names import check_group
from signalr_bridge.protocol.upstream_event import CONNECTED, CONNECTIONS
from signalr_bridge.settings.model import Settings
from signalr_bridge.upstream.context import Context
from signalr_bridge.upstream.dispatch import ANY

VALUE = "{value}"
"""Stands in a rule's group for the value of the claim."""

MOST_GROUPS = 100
"""How many groups one client joins at most."""

_AT_ONCE = 8
_LOG = logging.getLogger("signalr_bridge.upstream")


@dataclass(frozen=True, slots=True)
class JoinRule:
    """For every value of ``claim`` a client joins ``group``, in which ``{value}`` stands for the value."""

    claim: str
    group: str


def groups_of(claims: Mapping[str, Sequence[str]], rules: Iterable[JoinRule]) -> list[str]:
    """The groups, each once, in the order of the rules. Values that do not make a valid name are left out."""
    found = (rule.group.replace(VALUE, value) for rule in rules for value in claims.get(rule.claim, ()) if value)
    return [name for name in dict.fromkeys(found) if _is_group(name)][:MOST_GROUPS]


def _is_group(name: str) -> bool:
    try:
        return bool(check_group(name))
    except InvalidName:
        return False


class Join:
    """The handler of ``connected`` for one hub. Claims that are not exact may be forged, and join no group."""

    category, event, takes_json = CONNECTIONS, CONNECTED, False

    def __init__(self, hub: str, rules: Sequence[JoinRule]) -> None:
        self.hub = hub
        self.source = f"BRIDGE_HUBS__{hub.upper()}__JOIN"
        self._rules = tuple(rules)

    async def answer(self, context: Context) -> Payload:
        """Join all groups of the client. When all have been tried, raises the error of the first join that failed."""
        if not context.claims_exact:
            if any(context.claims.get(rule.claim) for rule in self._rules):
                _LOG.warning("claims that may be forged join no group", extra={"hub": self.hub})
            return None
        await join_all(context, groups_of(context.claims, self._rules))
        return None


class NegotiatedJoin:
    """The handler of ``connected`` for clients whose token names groups. It is asked before all others."""

    hub, category, event, takes_json, source = ANY, CONNECTIONS, CONNECTED, False, "negotiate"

    async def answer(self, context: Context) -> Payload:
        """Join all groups that the token names. Raises what ``join_all`` does."""
        await join_all(context, context.negotiated_groups)
        return None


NEGOTIATED_JOIN = NegotiatedJoin()
"""It keeps nothing, so one is enough."""


async def join_all(context: Context, groups: Iterable[str]) -> None:
    """Have the connection join the groups. When all have been tried, raises the error of the first that failed."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def join(group: str) -> None:
        async with gate:
            await context.groups.add(group, connection=context.connection_id)

    for ending in await asyncio.gather(*map(join, groups), return_exceptions=True):
        if isinstance(ending, BaseException):
            raise ending


def build_joins(settings: Settings) -> list[Join]:
    """A handler for each hub that has rules. Raises ``SettingsError`` for a hub whose claims could be forged."""
    for error in find_errors(settings):
        raise error
    hubs = {name: hub.join for name, hub in settings.hubs.items() if hub.join}
    return [Join(name, [JoinRule(one.claim, one.group) for one in rules]) for name, rules in hubs.items()]


def find_errors(settings: Settings) -> Iterator[SettingsError]:
    """An error for each hub that has rules, and whose claims could be forged."""
    for name, hub in settings.hubs.items():
        if hub.join and not settings.negotiate_of(name).lossless_claims:
            yield SettingsError(
                "needs LOSSLESS_CLAIMS, or claims could be forged: write true there, or remove the rules.",
                setting=f"BRIDGE_HUBS__{name.upper()}__JOIN",
            )
