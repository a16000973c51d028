"""Time, chance and ids as types, and one frozen Runtime that carries them."""

import random as _random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

Clock: TypeAlias = Callable[[], float]
"""Monotonic seconds, for deadlines and durations."""

WallClock: TypeAlias = Callable[[], float]
"""Seconds since 1970, for what others read: tokens, logs, expiry."""

Random: TypeAlias = Callable[[], float]
"""A number from 0 to 1, without 1, for jitter and choices. It must not be used for secrets."""

NewId: TypeAlias = Callable[[], str]
"""32 hexadecimal digits, from a source that is good for secrets."""

_NEW_ID: NewId = partial(secrets.token_hex, 16)


@dataclass(frozen=True, slots=True)
class Runtime:
    """The clocks, randomness and ids that parts use. Tests hand in clocks and numbers that they control."""

    clock: Clock = time.monotonic
    wall_clock: WallClock = time.time
    random: Random = _random.random
    new_id: NewId = _NEW_ID


RUNTIME = Runtime()
"""The runtime of the process."""
