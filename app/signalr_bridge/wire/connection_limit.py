"""How many connections the servers of a process keep open, so that file descriptors are left for all else."""

import logging
import resource
from enum import Enum, auto
from typing import Protocol, Self

_OWN_DESCRIPTORS = 64
"""For the sockets that listen, files, libraries that are loaded late, and what handlers open."""

_MOST_RESERVED = 1024
_SHARE_CLOSED = 16
"""One connection in so many is closed at once, so that a flood of new ones does not look at all of them each time."""

_AGAIN_SECONDS = 60.0
_LOG = logging.getLogger("signalr_bridge.server")


class Connection(Protocol):
    """A connection that is counted."""

    def quiet_since(self) -> float | None:
        """Since when its client lets us wait, by the event loop's clock. None while it owes an answer."""

    def close(self) -> None:
        """End the connection."""


class Room(Enum):
    """What a new connection gets."""

    FREE = auto()
    EXTRA = auto()
    """It may stay for as long as it takes to refuse it."""
    NONE = auto()


class ConnectionLimit:
    """A bound on the connections of all servers of a process.

    At the bound the connections whose clients have let us wait longest make room for a new one. Where all are busy, the
    new one is refused. That is logged once, and again after a minute without it.

    Args:
        most: How many connections may be open.
        extra: How many further ones may be open for as long as it takes to refuse them.
    """

    def __init__(self, most: int, extra: int) -> None:
        self.most, self._extra = most, extra
        self._open: set[Connection] = set()
        self._ending: set[Connection] = set()
        self._reached_at: float | None = None

    @classmethod
    def below_descriptors(cls, outgoing: int = 0) -> Self:
        """The bound that leaves descriptors of this process for so many ``outgoing`` connections, and for all else."""
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if limit == resource.RLIM_INFINITY:
            limit = 1 << 30
        wanted = max(min(limit // 4, _MOST_RESERVED), outgoing + _OWN_DESCRIPTORS)
        reserved = min(wanted, limit // 2)
        return cls(limit - reserved, min(reserved // 4, _OWN_DESCRIPTORS))

    def add(self, connection: Connection, now: float) -> Room:
        """Count a connection that has been opened, and make room for it. ``now`` is the event loop's time."""
        over = len(self._open) - len(self._ending) + 1 - self.most
        if over > 0:
            over -= self._make_room(over, now)
        if over > self._extra:
            return Room.NONE
        self._open.add(connection)
        return Room.FREE if over <= 0 else Room.EXTRA

    def remove(self, connection: Connection) -> None:
        """Forget a connection that has ended. It does nothing for one that is not counted."""
        self._open.discard(connection)
        self._ending.discard(connection)

    def _make_room(self, wanted: int, now: float) -> int:
        """Close the connections that have been quiet longest. Return how many, which may be more than ``wanted``."""
        self._say(now)
        quiet = [
            (since, id(one), one)
            for one in self._open
            if one not in self._ending and (since := one.quiet_since()) is not None
        ]
        closed = [one for _, _, one in sorted(quiet)[: max(wanted, self.most // _SHARE_CLOSED)]]
        self._ending.update(closed)
        for one in closed:
            one.close()
        return len(closed)

    def _say(self, now: float) -> None:
        before, self._reached_at = self._reached_at, now
        if before is None or now > before + _AGAIN_SECONDS:
            _LOG.warning(
                "the limit of open files allows no more connections: idle ones are closed, and others are refused",
                extra={"count": self.most},
            )
