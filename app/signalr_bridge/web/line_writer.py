"""The thread that writes lines to a stream. It takes them from a bounded queue, so that nobody waits for the stream."""

import os
import select
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TextIO

_MOST_WAITING = 10_000
"""In lines. They are about 3 MB of access lines, and a second of them under load."""

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
    """

    def __init__(
        self,
        write: Callable[[bytes], object],
        describe_dropped: Callable[[int], bytes],
        *,
        most_waiting: int = _MOST_WAITING,
    ) -> None:
        self.dropped = 0
        """How many lines were dropped since the start, because they found no room or the stream was broken."""
        self._told = 0
        self._write, self._describe_dropped, self._most_waiting = write, describe_dropped, most_waiting
        self._queue: SimpleQueue[bytes | threading.Event | None] = SimpleQueue()
        self._counting, self._hurry = threading.Lock(), threading.Event()
        # A thread that the process waited for would let a stream that takes nothing keep the process alive.
        threading.Thread(target=self._run, name="log writer", daemon=True).start()

    def put(self, line: bytes) -> None:
        """Takes a line, without its line feed. It never waits."""
        if self._queue.qsize() < self._most_waiting:
            self._queue.put(line)
        else:
            self._count_dropped(1)

    def flush(self) -> None:
        """Returns when all lines that were put have been written, or when a second has passed."""
        written = threading.Event()
        self._queue.put(written)
        self._hurry.set()
        written.wait(_FLUSH_SECONDS)

    def close(self) -> None:
        """Ends the thread once it has written what was put. Lines that come later are lost."""
        self._queue.put(None)
        self._hurry.set()

    def _count_dropped(self, lines: int) -> None:
        with self._counting:
            self.dropped += lines

    def _run(self) -> None:
        ended = False
        while not ended:
            batch = [self._queue.get()]
            batch += [self._queue.get() for _ in range(self._queue.qsize())]
            self._write_lines([item for item in batch if isinstance(item, bytes)])
            for item in batch:
                if isinstance(item, threading.Event):
                    item.set()
            ended = None in batch
            self._hurry.wait(_PAUSE_SECONDS)
            self._hurry.clear()

    def _write_lines(self, lines: list[bytes]) -> None:
        """Writes a batch that has just been taken. What was dropped so far came behind it."""
        dropped = self.dropped
        more = [self._describe_dropped(dropped - self._told)] if dropped > self._told else []
        try:
            self._write(b"".join(line + b"\n" for line in [*lines, *more]))
            self._told = dropped
        except (OSError, ValueError):
            self._count_dropped(len(lines))


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
