"""A backend that has proved who it is, and what it may do: rights, each for some hubs or for all."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from signalr_bridge.errors import Forbidden


class Right(StrEnum):
    """What a caller may be allowed to do."""

    NEGOTIATE = "negotiate"
    SEND = "send"
    GROUPS = "groups"
    CONNECTIONS = "connections"
    READ = "read"


ALL_RIGHTS = frozenset(Right)


@dataclass(frozen=True, slots=True)
class Grant:
    """Rights for hubs, whose names are in lower case; ``hubs`` None: for all."""

    rights: frozenset[Right] = ALL_RIGHTS
    hubs: frozenset[str] | None = None

    def covers(self, rights: Collection[Right], hub: str | None) -> bool:
        """Whether it gives one of ``rights`` for ``hub``; for None it must hold for every hub."""
        return not self.rights.isdisjoint(rights) and (self.hubs is None or hub in self.hubs)


@dataclass(frozen=True, slots=True)
class Caller:
    """``name`` stands in logs and metrics; limits and idempotency go by it."""

    name: str
    grants: tuple[Grant, ...] = (Grant(),)

    def may(self, right: Right, hub: str | None) -> bool:
        """``hub`` None: something that concerns all of them."""
        return any(grant.covers((right,), hub) for grant in self.grants)

    def has(self, right: Right) -> bool:
        """Whether it has the right for any hub."""
        return any(right in grant.rights for grant in self.grants)

    def check(self, rights: Collection[Right], hub: str | None) -> None:
        """``Forbidden`` without one of ``rights`` for ``hub``."""
        if not any(grant.covers(rights, hub) for grant in self.grants):
            wanted = " or ".join(f"'{right}'" for right in sorted(rights))
            raise Forbidden(f"You may not do this here; it takes the right {wanted} for the hub.")
