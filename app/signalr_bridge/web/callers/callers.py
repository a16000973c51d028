"""Who calls: known by a key or a token, let in or refused, and how often at most."""

import logging
import math
from dataclasses import dataclass, field
from typing import NoReturn

from starlette.datastructures import Headers

from signalr_bridge.errors import BadToken, RateLimited, Unauthenticated
from signalr_bridge.web.callers.bearers import Bearers
from signalr_bridge.web.callers.caller import Caller
from signalr_bridge.web.callers.key_ring import KeyRing
from signalr_bridge.web.limits.rate import Rate
from signalr_bridge.web.tokens.signed_token import read_bearers
from signalr_bridge.web.trace import request_id

CHALLENGE = {"WWW-Authenticate": 'ApiKey realm="signalr-bridge", header="X-API-Key", Bearer realm="signalr-bridge"'}
REFUSAL = "Send a valid API key in the header X-API-Key, or a valid bearer token."
"""One text for every reason: those who try must not learn how near they are. The log has the reason."""

_log = logging.getLogger("signalr_bridge.callers")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request brings to show who it is; with several values of a kind none of them counts."""

    keys: tuple[str, ...] = field(default=(), repr=False)
    bearers: tuple[str, ...] = field(default=(), repr=False)


def read_credentials(headers: Headers) -> Credentials:
    """From ``X-API-Key`` and ``Authorization: Bearer``; other schemes are none of ours."""
    return Credentials(tuple(headers.getlist("x-api-key")), read_bearers(headers.getlist("authorization")))


class Callers:
    """``failures`` limits wrong credentials by address, ``rate`` calls by caller.

    A right credential is let in however many wrong ones came from its address: behind a proxy that address is many
    people's, and one of them must not be able to lock the others out. Keys are too long to be found by trying.
    """

    def __init__(
        self, keys: KeyRing, bearers: Bearers | None = None, *, failures: Rate, rate: Rate | None = None
    ) -> None:
        self._keys = keys
        self._bearers = bearers
        self._failures = failures
        self._rate = rate

    def use(self, keys: KeyRing) -> None:
        """From the next request on these keys count."""
        self._keys = keys

    async def find(self, given: Credentials, address: str, *, or_client: bool = False) -> Caller | None:
        """The caller; None without a credential. Of a key and a token the key alone is judged.

        ``or_client``: a token that is no caller's may be a client's, and is None too. Raises ``Unauthenticated`` and
        ``RateLimited``.
        """
        if given.keys:
            return self._find_by_key(given.keys, address)
        if not given.bearers or self._bearers is None:
            return None
        try:
            return await self._find_by_token(self._bearers, given.bearers)
        except BadToken as error:
            if or_client:
                return None
            self._refuse(error.detail, address)

    def _find_by_key(self, keys: tuple[str, ...], address: str) -> Caller:
        caller = self._keys.find(keys[0]) if len(keys) == 1 else None
        if caller is None:
            self._refuse("the key is not known" if len(keys) == 1 else "there are several keys", address)
        return caller

    async def _find_by_token(self, bearers: Bearers, tokens: tuple[str, ...]) -> Caller:
        if len(tokens) != 1:
            raise BadToken("there are several tokens")
        return await bearers.find(tokens[0])

    def check_rate(self, caller: Caller) -> None:
        """``RateLimited`` when the caller calls too often."""
        if self._rate is not None:
            check_wait(self._rate.take(caller.name), "You call too often; try again later.")

    def _refuse(self, reason: str, address: str) -> NoReturn:
        check_wait(self._failures.take(address), "Too many wrong credentials came from your address; try again later.")
        _log.info("caller refused", extra={"reason": reason, "address": address, "request_id": request_id()})
        raise Unauthenticated(REFUSAL, headers=CHALLENGE)


def check_wait(seconds: float, detail: str) -> None:
    """``RateLimited`` when there is something to wait for."""
    if seconds > 0:
        raise RateLimited(detail, headers={"Retry-After": str(max(1, math.ceil(seconds)))})
