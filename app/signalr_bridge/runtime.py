"""Time, chance and ids as types, and one frozen Runtime that carries them."""

import os
import random as _random
import time
from collections.abc import Callable
from dataclasses import dataclass
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


class IdPool:
    """Gives ids, which it makes many at a time. Threads may share it."""

    def __init__(self) -> None:
        self._ids: list[str] = []

    def take(self) -> str:
        """32 hexadecimal digits that nobody else is given. They are as random as ``secrets.token_hex``."""
        try:
            return self._ids.pop()
        except IndexError:
            first, *others = os.urandom(_POOL_BYTES).hex(" ", bytes_per_sep=16).split()
            self._ids += others
            return first


@dataclass(frozen=True, slots=True)
class Runtime:
    """The clocks, randomness and ids that parts use. Tests hand in clocks and numbers that they control."""

    clock: Clock = time.monotonic
    wall_clock: WallClock = time.time
    random: Random = _random.random
    new_id: NewId = IdPool().take


RUNTIME = Runtime()
"""The runtime of the process."""
