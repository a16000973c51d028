"""Answers kept for callers that ask again with the same ``Idempotency-Key``, in this process.

An answer is kept when the request may have taken effect (2xx and 504). Any other answer is forgotten, so that the next
request with the key is carried out.
"""

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeAlias

from signalr_bridge.errors import IdempotencyInProgress, IdempotencyMismatch
from signalr_bridge.runtime import Clock
from signalr_bridge.wire.exchange import Answer

KEEP_SECONDS = 24 * 3600
"""How many seconds an answer is kept."""
MOST_ANSWERS = 10_000
MOST_BYTES = 32 * 1024 * 1024

ENTRY_BYTES = 1024
"""What an entry takes besides its answer: two digests, the lines of the answer's head, and Python's own objects."""

Scope: TypeAlias = bytes
"""The identity of a request, as ``write_scope`` makes it."""


def write_scope(*parts: str | bytes) -> Scope:
    """The SHA-256 of what identifies a request: caller, method, path, query and key. It is as long for long ones.

    Each part is hashed for itself, so that nothing can be moved from one to the next.
    """
    digests = (sha256(one.encode() if isinstance(one, str) else one).digest() for one in parts)
    return sha256(b"".join(digests)).digest()


@dataclass(slots=True)
class _Entry:
    """The answer to a request, and the digest of its body. ``answer`` is None while the first request runs."""

    digest: bytes
    until: float
    answer: Answer | None = None

    @property
    def size(self) -> int:
        """In bytes. An entry without an answer is that of a request in flight, which has its own bounds."""
        if self.answer is None:
            return 0
        return ENTRY_BYTES + len(self.answer.body) + sum(len(name) + len(value) for name, value in self.answer.headers)


class Idempotency:
    """A store of answers. It is bounded in number and in bytes, keys included, and drops the oldest first.

    ``clock`` gives monotonic seconds.
    """

    def __init__(self, clock: Clock, *, most_answers: int = MOST_ANSWERS, most_bytes: int = MOST_BYTES) -> None:
        self._clock = clock
        self._most_answers, self._most_bytes = most_answers, most_bytes
        self._entries: OrderedDict[Scope, _Entry] = OrderedDict()
        self._bytes = 0
        self.replayed = 0
        """How many answers were given again."""

    def __len__(self) -> int:
        """How many requests it knows."""
        return len(self._entries)

    @property
    def kept_bytes(self) -> int:
        """How many bytes all entries take."""
        return self._bytes

    def begin(self, scope: Scope, digest: bytes) -> Answer | None:
        """The answer that was kept. None for a new request, after which ``keep`` or ``forget`` must be called.

        Raises ``IdempotencyMismatch`` for another body, and ``IdempotencyInProgress`` while the first request runs.
        """
        self._forget_old()
        entry = self._entries.get(scope)
        if entry is None:
            self._entries[scope] = _Entry(digest, self._clock() + KEEP_SECONDS)
            return None
        if entry.digest != digest:
            raise IdempotencyMismatch("This Idempotency-Key was used for another body: choose a new one.")
        if entry.answer is None:
            raise IdempotencyInProgress("The first request with this Idempotency-Key is still running.")
        self.replayed += 1
        return entry.answer

    def keep(self, scope: Scope, answer: Answer) -> None:
        """Keeps the answer to a request that has begun."""
        entry = self._entries.pop(scope)
        entry.answer, entry.until = answer, self._clock() + KEEP_SECONDS
        self._entries[scope] = entry
        self._bytes += entry.size
        self._forget_old()

    def forget(self, scope: Scope) -> None:
        """Drops a request, so that the next one with its key is a new one."""
        entry = self._entries.pop(scope, None)
        self._bytes -= 0 if entry is None else entry.size

    def _forget_old(self) -> None:
        now = self._clock()
        while self._entries:
            scope, oldest = next(iter(self._entries.items()))
            full = len(self._entries) > self._most_answers or self._bytes > self._most_bytes
            if oldest.until > now and not full:
                return
            if oldest.answer is None and oldest.until > now:
                self._entries.move_to_end(scope)  # still running
                if all(one.answer is None for one in self._entries.values()):
                    return
            else:
                self.forget(scope)
