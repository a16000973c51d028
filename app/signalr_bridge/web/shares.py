"""What requests in flight may take together: places and bytes of bodies, with a share for each kind of who asks."""

from enum import StrEnum

from signalr_bridge.errors import Overloaded
from signalr_bridge.web.observer import Observer

PARTS_IN_FLIGHT = 5
"""One of so many parts of the places is kept for each of clients, callers and the service."""

PARTS_OF_BYTES = 20
"""One of so many parts of the bytes is left to the others by whoever takes the most."""

_RETRY = {"Retry-After": "1"}


class ShareName(StrEnum):
    """Whose share it is. ``COMMON`` has what is kept for nobody, and is for whoever comes."""

    CLIENTS = "clients"
    CALLERS = "callers"
    SERVICE = "service"
    COMMON = "common"


class Shed(StrEnum):
    """Why a request was turned away under load."""

    RATE = "rate"
    IN_FLIGHT = "in-flight"
    BYTES = "bytes"


class Share:
    """What one kind of who asks has in flight at this moment.

    Args:
        name: Whose it is.
        kept: How many places are kept for it.

    Attributes:
        in_flight: Its requests that hold a place.
        body_bytes: The bytes of their bodies.
        shed: How many of its requests were turned away so far, by the reason.
    """

    __slots__ = ("body_bytes", "in_flight", "kept", "name", "shed")

    def __init__(self, name: ShareName, kept: int) -> None:
        self.name, self.kept = name, kept
        self.in_flight = self.body_bytes = 0
        self.shed = dict.fromkeys(Shed, 0)


class Shares:
    """Counts what is in flight. Health does not count, so it is answered whatever the load is.

    A share takes the places that are kept for it, and then the common ones. So whoever floods the bridge leaves a fifth
    to each of the others. Bodies have no such parts, because a single one may be as large as the whole budget. There,
    who has several in flight leaves a twentieth to the others.

    Args:
        most_in_flight: How many requests may be in flight.
        most_bytes: How many bytes their bodies may have together.
        observer: Is told of each request that is turned away.

    Attributes:
        body_bytes: The bytes of all bodies in flight.
    """

    def __init__(self, most_in_flight: int, most_bytes: int, observer: Observer) -> None:
        kept = most_in_flight // PARTS_IN_FLIGHT
        self.clients = Share(ShareName.CLIENTS, kept)
        self.callers = Share(ShareName.CALLERS, kept)
        self.service = Share(ShareName.SERVICE, kept)
        self.common = Share(ShareName.COMMON, 0)
        self._most_common = most_in_flight - 3 * kept
        self._common_taken = 0
        self._most_bytes, self._most_of_one = most_bytes, most_bytes - most_bytes // PARTS_OF_BYTES
        self.body_bytes = 0
        self._observer = observer

    @property
    def every(self) -> tuple[Share, ...]:
        """All shares."""
        return self.clients, self.callers, self.service, self.common

    def count_in_flight(self) -> dict[ShareName, int]:
        """How many places of each share are taken. Those that are kept for nobody are the common share's."""
        own = {one.name: min(one.in_flight, one.kept) for one in self.every}
        return own | {ShareName.COMMON: self._common_taken}

    def take_place(self, share: Share) -> None:
        """Take a place. Raises ``Overloaded`` when the share has none left, and the common one neither."""
        if share.in_flight >= share.kept:
            if self._common_taken >= self._most_common:
                self.count_shed(share, Shed.IN_FLIGHT)
                raise Overloaded("Too many requests are being answered; try again.", headers=_RETRY)
            self._common_taken += 1
        share.in_flight += 1

    def leave_place(self, share: Share) -> None:
        """Give the place back."""
        share.in_flight -= 1
        if share.in_flight >= share.kept:
            self._common_taken -= 1

    def take_bytes(self, share: Share, size: int, taken: int) -> None:
        """Take the bytes of a body, or of its next piece. Raises ``Overloaded`` when there are too many in flight.

        Args:
            share: Whose body it is.
            size: How many bytes.
            taken: How many were taken for the same body before.
        """
        every, own = self.body_bytes + size, share.body_bytes + size
        if every > self._most_bytes or (own > self._most_of_one and self.body_bytes != taken):
            self.count_shed(share, Shed.BYTES)
            raise Overloaded("The bodies of all requests in flight are too large together; try again.", headers=_RETRY)
        self.body_bytes, share.body_bytes = every, own

    def count_shed(self, share: Share, reason: Shed) -> None:
        """Note that a request was turned away."""
        share.shed[reason] += 1
        self._observer.request_shed(share=share.name.value, reason=reason.value)


class Flight:
    """What one request takes of its share, from the moment that its body is there to its answer.

    Nothing is taken for a request that is still to be authenticated, or whose body is on its way. The bytes that have
    come of a body count at once.

    Args:
        shares: What there is to take.
        share: Whose share it is, which is known once it is known who asks.

    Attributes:
        body_bytes: How many bytes count for the body.
    """

    __slots__ = ("_has_place", "_share", "_shares", "body_bytes")

    def __init__(self, shares: Shares, share: Share) -> None:
        self._shares, self._share = shares, share
        self._has_place = False
        self.body_bytes = 0

    def begin(self, size: int = 0) -> None:
        """Take a place, unless the request has one, and so many bytes. Raises ``Overloaded``."""
        share = self._share
        if not self._has_place:
            if share.in_flight < share.kept:  # the usual case, in two operations
                share.in_flight += 1
            else:
                self._shares.take_place(share)
            self._has_place = True
        if size > 0:
            self._shares.take_bytes(share, size, self.body_bytes)
            self.body_bytes += size

    def add_bytes(self, size: int) -> None:
        """Bytes of the body have come, or are announced. Raises ``Overloaded``."""
        self._shares.take_bytes(self._share, size, self.body_bytes)
        self.body_bytes += size

    def end(self) -> None:
        """Give everything back."""
        share, size = self._share, self.body_bytes
        if self._has_place:
            self._has_place = False
            self._shares.leave_place(share)
        if size:
            share.body_bytes -= size
            self._shares.body_bytes -= size
            self.body_bytes = 0
