"""When something that expires is renewed, and who waits for it. Pure: the time is given, in seconds since 1970."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

T = TypeVar("T")

_AHEAD_SECONDS = 600.0
_PAUSE_SECONDS = 60.0
_FIRST_REST, _LONGEST_WISH = 1.0, 600.0


@dataclass(frozen=True, slots=True)
class Held(Generic[T]):
    """A value, from when on it is renewed, and until when it is good."""

    value: T = field(repr=False)
    renew_at: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class Trouble:
    """How often renewing has failed in a row, why the last time, and when it is tried again."""

    failures: int
    reason: str
    retry_at: float
    forbidden: bool = False


class Step(Enum):
    """What a request does about the value it needs."""

    USE = "use what is held"
    USE_AND_RENEW = "use what is held, and have it renewed meanwhile"
    WAIT = "have it renewed, and wait"
    REFUSE = "do without: renewing has just failed"


def decide(held: Held[T] | None, trouble: Trouble | None, now: float) -> Step:
    resting = trouble is not None and now < trouble.retry_at
    if held is None or now >= held.expires_at:
        return Step.REFUSE if resting else Step.WAIT
    return Step.USE_AND_RENEW if now >= held.renew_at and not resting else Step.USE


def hold(value: T, expires_at: float, now: float, renew_at: float | None = None) -> Held[T]:
    """``renew_at`` is what the issuer proposes; else ten minutes before the end, or at half time of a short life.

    Never at once: an issuer that keeps its tokens gives the same one again until shortly before its end.
    """
    half = max((expires_at - now) / 2, 0.0)
    planned = expires_at - min(_AHEAD_SECONDS, half) if renew_at is None else renew_at
    return Held(value, max(planned, now + min(_PAUSE_SECONDS, half)), expires_at)


def rest_seconds(failures: int, retry_after: float | None, longest: float, random: Callable[[], float]) -> float:
    """How long to leave the issuer alone after ``failures`` in a row: doubling with jitter, or what it asked for."""
    backoff = min(_FIRST_REST * float(1 << min(failures - 1, 16)), longest)
    return max(backoff * (0.5 + random() / 2), min(retry_after or 0.0, _LONGEST_WISH))
