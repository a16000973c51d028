"""A rate for each of many names, as a bucket that refills steadily: one number is kept for each."""

from collections import OrderedDict
from collections.abc import Callable

MOST_NAMES = 50_000
"""Anybody can come from many addresses: of more names than this, those that were not heard of longest are forgotten."""


def next_moment(full_at: float, now: float, per_second: float, burst: float) -> tuple[float, float]:
    """Take one from a bucket that will be full at ``full_at``: when it will be full again, and seconds to wait.

    With a wait nothing was taken. (The generic cell rate algorithm, ITU-T I.371.)
    """
    later = max(full_at, now) + 1 / per_second
    wait = later - now - burst / per_second
    return (full_at, wait) if wait > 1e-9 else (later, 0.0)


class Rate:
    """``per_second`` for each name, and ``burst`` at once. ``clock`` gives monotonic seconds."""

    def __init__(
        self, per_second: float, clock: Callable[[], float], *, burst: float | None = None, most_names: int = MOST_NAMES
    ) -> None:
        self._per_second = per_second
        self._burst = max(1.0, per_second if burst is None else burst)
        self._clock = clock
        self._most_names = most_names
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, name: str) -> float:
        """Seconds to wait; 0 when there was one to take."""
        now = self._clock()
        full_at, wait = next_moment(self._full_at.get(name, now), now, self._per_second, self._burst)
        self._full_at[name] = full_at
        self._full_at.move_to_end(name)
        if len(self._full_at) > self._most_names:
            self._full_at.popitem(last=False)
        return wait
