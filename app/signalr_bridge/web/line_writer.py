"""The thread that writes lines to a stream. It takes them from a bounded queue, so that nobody waits for the stream."""

import os
import select
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TextIO

_MOST_WAITING = 10_000
"""In lines. They are about 3 MB of access lines, and a second of them under load."""

_LONG_BYTES = 2048
"""A line that is longer than this counts on its own, by its bytes."""

_MOST_LONG_BYTES = 16 * 1024 * 1024
"""Of all long lines that wait. So lines that clients make long, and stacks, do not take the memory."""

_PAUSE_SECONDS = 0.05
"""From one batch to the next. A thread that woke for every line would cost more than the lines."""

_FLUSH_SECONDS = 1.0
"""How long the end of the process waits for a stream that takes nothing."""


class LineWriter:
    """Writes lines in the order in which they came. A line that comes while the queue is full is dropped and counted.

    As soon as there is room again, a line says how many were dropped. It stands where they are missing.

    Args:
        write: Writes bytes, and may block. It raises ``OSError`` or ``ValueError`` when the stream is broken.
        describe_dropped: The line that says how many lines were dropped.
        most_waiting: How many lines may wait.
        most_long_bytes: How many bytes the long ones among them may have.
    """

    def __init__(
        self,
        write: Callable[[bytes], object],
        describe_dropped: Callable[[int], bytes],
        *,
        most_waiting: int = _MOST_WAITING,
        most_long_bytes: int = _MOST_LONG_BYTES,
    ) -> None:
        self.dropped = 0
        """How many lines were dropped since the start, because they found no room or the stream was broken."""
        self.describe_dropped = describe_dropped
        """The line that says how many lines were dropped."""
        self._told = self._long_bytes = 0
        self._is_stuck = False
        self._write, self._most_waiting, self._most_long_bytes = write, most_waiting, most_long_bytes
        self._queue: SimpleQueue[bytes | threading.Event | None] = SimpleQueue()
        self._counting, self._hurry = threading.Lock(), threading.Event()
        # A thread that the process waited for would let a stream that takes nothing keep the process alive.
        threading.Thread(target=self._run, name="log writer", daemon=True).start()

    def put(self, line: bytes) -> None:
        """Takes a line, without its line feed. It never waits."""
        if self._queue.qsize() < self._most_waiting and (len(line) <= _LONG_BYTES or self._has_room(len(line))):
            self._queue.put(line)
        else:
            self._count_dropped(1)

    def put_piece(self, data: bytes) -> None:
        """Takes what need not be a line, and is written as it is. It never waits, and counts as a line."""
        self.put(_Piece(data))

    def flush(self) -> None:
        """Returns when all lines that were put have been written, or when a second has passed.

        After a flush that was in vain the next one does not wait, unless the stream has taken something since: the end
        of a process has several.
        """
        written = threading.Event()
        self._queue.put(written)
        self._hurry.set()
        self._is_stuck = not written.wait(0 if self._is_stuck else _FLUSH_SECONDS)

    def close(self) -> None:
        """Ends the thread once it has written what was put. Lines that come later are lost."""
        self._queue.put(None)
        self._hurry.set()

    def _has_room(self, size: int) -> bool:
        with self._counting:
            is_little = self._long_bytes + size <= self._most_long_bytes
            self._long_bytes += size if is_little else 0
        return is_little

    def _give_back(self, lines: list[bytes]) -> None:
        size = sum(len(line) for line in lines if len(line) > _LONG_BYTES)
        with self._counting:
            self._long_bytes -= size

    def _count_dropped(self, lines: int) -> None:
        with self._counting:
            self.dropped += lines

    def _run(self) -> None:
        ended = False
        while not ended:
            batch = [self._queue.get()]
            batch += [self._queue.get() for _ in range(self._queue.qsize())]
            lines = [item for item in batch if isinstance(item, bytes)]
            self._write_lines(lines)
            self._give_back(lines)
            for item in batch:
                if isinstance(item, threading.Event):
                    item.set()
            ended = None in batch
            self._hurry.wait(_PAUSE_SECONDS)
            self._hurry.clear()

    def _write_lines(self, lines: list[bytes]) -> None:
        """Writes a batch that has just been taken. What was dropped so far came behind it."""
        dropped = self.dropped
        more = [self.describe_dropped(dropped - self._told)] if dropped > self._told else []
        try:
            self._write(b"".join(line if type(line) is _Piece else line + b"\n" for line in [*lines, *more]))
            self._told, self._is_stuck = dropped, False
        except (OSError, ValueError):
            self._count_dropped(len(lines))


class _Piece(bytes):
    """Bytes that are written as they are."""


def make_write(stream: TextIO | None) -> Callable[[bytes], object]:
    """A function that writes to a stream past its buffers, whose lock would abort the interpreter at its end.

    Args:
        stream: Usually standard error. None where the process was started without it, and then nothing is written.
    """
    if stream is None:
        return lambda data: None
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):  # it is not a file, as where a test reads along
        return lambda data: stream.write(data.decode())
    return lambda data: _write_whole(descriptor, data)


def _write_whole(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:  # another process that has the same pipe made it so
            select.select([], [descriptor], [])
