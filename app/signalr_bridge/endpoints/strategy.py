"""How one of several endpoints is chosen for a client: the seam, and the two ways there are."""

import math
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import TypeAlias

from signalr_bridge.endpoints.endpoint import Endpoint

Strategy: TypeAlias = Callable[[Sequence[Endpoint], str | None, Callable[[], float]], Endpoint]
"""One of the candidates (never none, each with a weight above 0) for a user id; with a number from 0 to 1 by chance."""


def choose_weighted(candidates: Sequence[Endpoint], user_id: str | None, random: Callable[[], float]) -> Endpoint:
    """By chance, in proportion to the weights."""
    if len(candidates) == 1:
        return candidates[0]
    left = random() * sum(one.weight for one in candidates)
    for one in candidates:
        left -= one.weight
        if left < 0:
            return one
    return candidates[-1]


def choose_sticky(candidates: Sequence[Endpoint], user_id: str | None, random: Callable[[], float]) -> Endpoint:
    """The same endpoint for the same user, as long as it is a candidate; somebody without a user id by chance.

    Weighted rendezvous hashing: when a candidate goes, its users alone move; when it is back, they return.
    """
    if user_id is None:
        return choose_weighted(candidates, user_id, random)
    return max(candidates, key=lambda one: _score(one, user_id))


def _score(endpoint: Endpoint, user_id: str) -> float:
    digest = blake2b(f"{endpoint.url}\0{user_id}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    share = ((int.from_bytes(digest) >> 12) + 0.5) / 2**52  # above 0, below 1
    return -endpoint.weight / math.log(share)


STRATEGIES: Mapping[str, Strategy] = {"weighted": choose_weighted, "sticky-user": choose_sticky}
"""By the name in ``BRIDGE_HUBS__<HUB>__STRATEGY``."""
