"""The limit of each client's messages: what is over it is answered or dropped, and counted."""

import logging

from signalr_bridge.runtime import Clock
from signalr_bridge.web.limits import Rate
from signalr_bridge.web.observer import Observer

SECONDS_BETWEEN_LINES = 60.0
"""How often the log tells of messages over the limit."""

_LOG = logging.getLogger("signalr_bridge.upstream")


class MessageLimit:
    """Counts the messages of each connection. Connection events are not counted.

    As many connections are known as a ``Rate`` keeps names. One that was silent for a second has its whole burst again,
    so it does not matter that it is forgotten.

    Args:
        per_second: How many messages a connection may send in a second, and in one burst.
        clock: Gives monotonic seconds.
        observer: Is told of each message over the limit.
    """

    def __init__(self, per_second: float, clock: Clock, observer: Observer) -> None:
        self._per_second, self._observer = per_second, observer
        self._rate, self._clock = Rate(per_second, clock), clock
        self._told, self._next_line_at = 0, clock()
        self.dropped = 0
        """How many messages were over the limit, since the start."""

    def explain_excess(self, connection_id: str, *, hub: str, event: str, answered: bool) -> str | None:
        """Take one message. None when it is within the limit, and else what its client is told.

        Args:
            connection_id: The connection that sent it.
            hub: The hub, as the call names it.
            event: The method that was called.
            answered: Whether the client waits for an answer.
        """
        if not self._rate.take(connection_id):
            return None
        self.dropped += 1
        self._tell(hub)
        self._observer.message_limited(hub=hub, event=event, answered=answered)
        return f"Method '{event}' was not called: you may send {self._per_second:g} messages per second."

    def _tell(self, hub: str) -> None:
        """Log the first message, and from then on how many there were, seldom."""
        now = self._clock()
        if now >= self._next_line_at:
            _LOG.warning("messages over the limit", extra={"hub": hub, "count": self.dropped - self._told})
            self._told, self._next_line_at = self.dropped, now + SECONDS_BETWEEN_LINES

    def forget(self, connection_id: str) -> None:
        """Forget a connection that has ended."""
        self._rate.forget(connection_id)
