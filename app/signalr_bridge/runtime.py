"""Time, chance and ids as types, and one frozen Runtime that carries them."""

import os
import random as _random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import TypeAlias

Clock: TypeAlias = Callable[[], float]
"""Monotonic seconds, for deadlines and durations."""

WallClock: TypeAlias = Callable[[], float]
"""Seconds since 1970, for what others read: tokens, logs, expiry."""

Random: TypeAlias = Callable[[], float]
"""A number from 0 to 1, without 1, for jitter and choices. It must not be used for secrets."""

NewId: TypeAlias = Callable[[], str]
"""32 hexadecimal digits, from a source that is good for secrets."""

_POOL_BYTES = 4096
"""Random bytes that are taken at once. To ask the system costs more than to cut them into pieces."""


def pool_ids() -> NewId:
    """Makes what gives ids. It makes many of them at a time. Threads may share it."""
    return chain.from_iterable(map(_make_ids, repeat(_POOL_BYTES))).__next__


def _make_ids(count: int) -> list[str]:
    """The ids in so many random bytes, which are as good as those of ``secrets.token_hex``."""
    return os.urandom(count).hex(" ", bytes_per_sep=16).split()


@dataclass(frozen=True, slots=True)
class Runtime:
    """The clocks, randomness and ids that parts use. Tests hand in clocks and numbers that they control."""

    clock: Clock = time.monotonic
    wall_clock: WallClock = time.time
    random: Random = _random.random
    new_id: NewId = field(default_factory=pool_ids)


RUNTIME = Runtime()
"""The runtime of the process."""
