"""What has signed the tokens of a hub's clients: the keys of its endpoints, and for a day those that were replaced."""

from collections import OrderedDict
from collections.abc import Callable, Iterable

from signalr_bridge.endpoints.directory import EndpointMap
from signalr_bridge.endpoints.endpoint import Endpoint
from signalr_bridge.protocol.access_token import LONGEST_LIFETIME, client_audience, is_signed, read_audience
from signalr_bridge.protocol.signing_key import SigningKey
from signalr_bridge.runtime import WallClock

MOST_FORMER = 1024
"""How many replaced keys are kept. Each counts for one hub and one URL."""

_OTHERS = ""
"""Stands for all hubs that have no connection of their own."""


class ClientSigners:
    """Knows the tokens that the endpoints of a hub have signed for its clients, expired ones too.

    A connection outlives its token, its endpoint and its key, and the official JavaScript client negotiates anew with
    the old token. Of a key that was replaced, only what verifies is kept, and not the key. Nothing else trusts it.

    Args:
        current: Gives the endpoints in force.
        clock: Gives seconds since 1970.
    """

    def __init__(self, current: Callable[[], EndpointMap], clock: WallClock) -> None:
        self._current, self._clock = current, clock
        self._former: OrderedDict[tuple[str, str, str], tuple[SigningKey, float]] = OrderedDict()

    def have_signed(self, token: str, hub: str) -> bool:
        """Whether this is a token for clients of the hub, whose name is in lower case."""
        endpoints = self._current().find(hub).endpoints
        if any(one.credential.has_obtained(token, hub) for one in endpoints):
            return True
        if (audience := read_audience(token)) is None:
            return False
        meant = (one for one in endpoints if client_audience(one.url, hub) == audience)
        return is_signed(token, self._keys_of(meant)) or is_signed(token, self._former_keys(hub, audience))

    def _keys_of(self, endpoints: Iterable[Endpoint]) -> Iterable[SigningKey]:
        keys = dict.fromkeys(key for one in endpoints for key in one.credential.client_keys if key)
        return [SigningKey(key) for key in keys]

    def _former_keys(self, hub: str, audience: str) -> Iterable[SigningKey]:
        now = self._clock()
        return [
            key
            for (scope, url, _), (key, ends) in self._former.items()
            if now < ends and scope in {hub, _OTHERS} and client_audience(url, hub) == audience
        ]

    def replace(self, before: EndpointMap, now: EndpointMap) -> None:
        """Remember the keys of ``before`` that are not those of ``now``, for as long as their tokens may live."""
        self._forget()
        ends = self._clock() + LONGEST_LIFETIME
        for hub in (_OTHERS, *before.connections):
            kept = {(one.url, key) for one in now.find(hub).endpoints for key in one.credential.client_keys}
            for one in before.find(hub).endpoints:
                for key in one.credential.client_keys:
                    if key and (one.url, key) not in kept:
                        self._remember((hub, one.url, _name(key)), SigningKey(key), ends)

    def _remember(self, known: tuple[str, str, str], key: SigningKey, ends: float) -> None:
        self._former.pop(known, None)
        self._former[known] = key, ends
        if len(self._former) > MOST_FORMER:
            self._former.popitem(last=False)

    def _forget(self) -> None:
        now = self._clock()
        self._former = OrderedDict((known, one) for known, one in self._former.items() if now < one[1])


def _name(key: str) -> str:
    """What tells keys apart, without being one: the key's signature of nothing."""
    return SigningKey(key).digest(b"").hex()
