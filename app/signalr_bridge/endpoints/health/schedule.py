"""When to probe: every so often while all is well, backing off while not, and never all endpoints at once."""

from collections.abc import Callable

INTERVAL_SECONDS = 10.0
PROBE_SECONDS = 2.0
"""How long one probe may take. Together with the interval: within 12 s nobody is sent to an endpoint that is down."""

_STEPS = 10
"""The first probes are spread over a tenth of the interval, and the first wait for a recovery is as long."""
_HEAD_START = 500
_JITTER = 0.1


def probe_seconds(interval: float) -> float:
    """How long one probe may take: less where somebody asks more often."""
    return min(PROBE_SECONDS, interval / 5)


def first_delay(rank: int, count: int, interval: float) -> float:
    """Seconds before the first probe of the endpoint at ``rank`` of ``count``: requests are served first."""
    return min(interval, INTERVAL_SECONDS) / _HEAD_START + rank * interval / _STEPS / max(count, 1)


def second_delay(rank: int, count: int, interval: float) -> float:
    """Seconds from the first probe to the second: here the endpoints spread over the whole interval."""
    return interval * (rank + 1) / max(count, 1)


def healthy_delay(interval: float, random: Callable[[], float]) -> float:
    """Seconds from one good probe to the next; a little less than the interval, so that nobody keeps step."""
    return interval * (1 - _JITTER * random())


def recovery_delay(failures: int, retry_after: float | None, interval: float, random: Callable[[], float]) -> float:
    """Seconds to the next probe after ``failures`` in a row: doubling, but never more than the interval.

    The service may ask for a longer wait than we would take by ourselves.
    """
    backoff = interval / _STEPS * float(1 << min(failures - 1, 10))
    return min(max(backoff, retry_after or 0.0), interval) * (1 - _JITTER * random())
