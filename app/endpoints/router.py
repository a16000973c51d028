"""Which endpoints to ask: decided from their types, names and health alone."""

from collections.abc import Callable, Collection, Sequence

from app.endpoints.endpoint import Endpoint

IsOnline = Callable[[Endpoint], bool]


def negotiation_candidates(endpoints: Sequence[Endpoint], is_online: IsOnline) -> list[Endpoint]:
    """Where a client may be sent: online primaries, else online secondaries. A single endpoint whatever its state."""
    if len(endpoints) == 1:
        return list(endpoints)
    online = [one for one in endpoints if is_online(one)]
    primaries = [one for one in online if one.endpoint_type == "Primary"]
    return primaries or online


def split_targets(
    endpoints: Sequence[Endpoint], is_online: IsOnline, names: Collection[str] | None
) -> tuple[list[Endpoint], list[Endpoint]]:
    """The endpoints to ask, and those that should be asked but are offline. ``names`` are in lower case; None: all.

    The only endpoint there is is asked whatever its state. An instance that is configured twice is asked once.
    """
    selected = _unite([one for one in endpoints if names is None or one.name.lower() in names])
    if len({one.url for one in endpoints}) == 1:
        return selected, []
    online = [one for one in selected if is_online(one)]
    return online, [one for one in selected if one not in online]


def _unite(endpoints: Sequence[Endpoint]) -> list[Endpoint]:
    """One endpoint for each URL, the first primary before others: else clients would get every message twice."""
    winners: dict[str, Endpoint] = {}
    for one in sorted(endpoints, key=lambda one: one.endpoint_type != "Primary"):
        winners.setdefault(one.url, one)
    return [one for one in endpoints if winners[one.url] is one]
