"""Which endpoints to ask: decided from their types, names, weights and health alone."""

from collections.abc import Callable, Collection, Sequence

from signalr_bridge.endpoints.endpoint import Endpoint

Is = Callable[[Endpoint], bool]


def negotiation_candidates(endpoints: Sequence[Endpoint], is_online: Is) -> list[Endpoint]:
    """Where a client may be sent: online primaries, else online secondaries; none that is drained (weight 0).

    A single endpoint is a candidate whatever its state.
    """
    if len(endpoints) == 1:
        return list(endpoints)
    online = [one for one in endpoints if one.weight > 0 and is_online(one)]
    primaries = [one for one in online if one.endpoint_type == "Primary"]
    return primaries or online


def pinned_candidates(endpoints: Sequence[Endpoint], is_online: Is, name: str) -> list[Endpoint] | None:
    """Those called ``name``, in any case, that are online, drained ones too; None when there is none of this name."""
    named = [one for one in endpoints if one.name.lower() == name.lower()]
    if not named:
        return None
    return named if len(endpoints) == 1 else [one for one in named if is_online(one)]


def split_targets(
    endpoints: Sequence[Endpoint], is_down: Is, names: Collection[str] | None
) -> tuple[Sequence[Endpoint], Sequence[Endpoint]]:
    """The endpoints to ask, and those that should be asked but are down. ``names`` are in lower case; None: all.

    The only endpoint there is is asked whatever its state. An instance that is configured twice is asked once.
    """
    if len(endpoints) == 1 and names is None:
        return endpoints, ()
    selected = _unite([one for one in endpoints if names is None or one.name.lower() in names])
    if len({one.url for one in endpoints}) == 1:
        return selected, []
    down = [one for one in selected if is_down(one)]
    return [one for one in selected if one not in down], down


def _unite(endpoints: Sequence[Endpoint]) -> list[Endpoint]:
    """One endpoint for each URL, the first primary before others: else clients would get every message twice."""
    winners: dict[str, Endpoint] = {}
    for one in sorted(endpoints, key=lambda one: one.endpoint_type != "Primary"):
        winners.setdefault(one.url, one)
    return [one for one in endpoints if winners[one.url] is one]
