"""The clients' door: each hub's rules, how often somebody may try, and one answer for everybody who is refused."""

import logging
from collections.abc import Callable

from signalr_bridge.errors import BadToken, Unauthenticated
from signalr_bridge.negotiate.client_rules import Approach, ClientRules
from signalr_bridge.negotiate.negotiator import Admission
from signalr_bridge.web.callers.callers import CHALLENGE, check_wait
from signalr_bridge.web.limits.rate import Rate
from signalr_bridge.web.trace import request_id

REFUSAL = "This client is not admitted; the log of the bridge has the reason."
_log = logging.getLogger("signalr_bridge.negotiate")

RulesOf = Callable[[str | None], ClientRules]
"""The rules of a hub, in lower case; those for all hubs when there is no such hub, or None."""


class Clients:
    """``rate`` limits negotiations by client address."""

    def __init__(self, rules_of: RulesOf, rate: Rate | None = None) -> None:
        self.rules_of = rules_of
        self._rate = rate

    async def admit(self, hub: str | None, approach: Approach, address: str) -> Admission:
        """What the client's token will say. Raises ``Unauthenticated``, ``InvalidName`` and ``RateLimited``."""
        if self._rate is not None:
            check_wait(self._rate.take(address), "You negotiate too often; try again later.")
        try:
            return await self.rules_of(hub).admit(approach)
        except BadToken as error:
            _log.info("client refused", extra={"reason": error.detail, "address": address, "request_id": request_id()})
            raise Unauthenticated(REFUSAL, headers=CHALLENGE) from None
