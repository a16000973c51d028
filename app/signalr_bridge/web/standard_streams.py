"""Standard input, output and error: each of them is there, and nobody who prints waits for a reader."""

import atexit
import io
import os
import sys
from typing import TextIO

from typing_extensions import Buffer

from signalr_bridge.web.line_writer import LineWriter, make_write


class QueuedStream(io.TextIOWrapper):
    """A text stream whose writes never wait and never fail. A thread takes them to ``stream``.

    It has the descriptor, the encoding and the error handling of ``stream``, and is as much of a terminal.

    Args:
        stream: Where the text goes.
        writer: What takes it there.
    """

    def __init__(self, stream: TextIO, writer: LineWriter) -> None:
        raw = io.BufferedWriter(_Queue(stream, writer))
        super().__init__(raw, stream.encoding or "utf-8", stream.errors, line_buffering=True)
        self.writer = writer
        """What takes the text to the stream."""


class _Queue(io.RawIOBase):
    """Hands bytes to a writer."""

    def __init__(self, stream: TextIO, writer: LineWriter) -> None:
        self._stream, self._writer = stream, writer

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer) -> int:
        piece = bytes(data)
        self._writer.put_piece(piece)
        return len(piece)

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return self._stream.isatty()


def open_missing_streams() -> None:
    """Put the null device in the place of each standard stream that the process was started without.

    Else its first connections would get their numbers. Libraries would write errors into them, and uvloop ends the
    process where it closes one.
    """
    for number, mode in enumerate(("r", "w", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        name = ("stdin", "stdout", "stderr")[number]
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def queue_standard_streams() -> None:
    """Let nobody wait who prints: standard output and error take everything at once, and threads write it.

    What finds no room is dropped and counted. At the end of the process each thread has a second for the rest.
    """
    before = sys.stdout, sys.stderr
    error = _make_writer(sys.stderr)
    is_shared = os.path.sameopenfile(sys.stdout.fileno(), sys.stderr.fileno())
    output = error if is_shared else _make_writer(sys.stdout)  # one queue keeps the order in one terminal
    sys.stdout, sys.stderr = QueuedStream(sys.stdout, output), QueuedStream(sys.stderr, error)
    os.register_at_fork(after_in_child=lambda: _restore(*before))


def _make_writer(stream: TextIO) -> LineWriter:
    writer = LineWriter(make_write(stream), lambda count: b"lines dropped: %d" % count)
    atexit.register(writer.flush)
    return writer


def _restore(output: TextIO, error: TextIO) -> None:
    """In a child process: the threads that write are only in its parent."""
    sys.stdout, sys.stderr = output, error
