"""Lines come out whole and in order, or are counted: whatever the stream does, nobody who logs waits for it."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest
from signalr_bridge.web.line_writer import LineWriter, make_write


class Stream:
    """Keeps what is written. It takes nothing while ``open`` is not set, and raises ``error`` when there is one."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.took: SimpleQueue[bytes] = SimpleQueue()
        self.asked, self.open = threading.Event(), threading.Event()
        self.open.set()
        self.error: Exception | None = None

    def write(self, data: bytes) -> None:
        self.asked.set()
        self.open.wait()
        if self.error is not None:
            raise self.error
        self.written.append(data)
        self.took.put(data)

    @property
    def lines(self) -> list[bytes]:
        return b"".join(self.written).splitlines()


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
def writer(stream: Stream) -> Iterator[LineWriter]:
    made = LineWriter(stream.write, lambda count: b"%d dropped" % count, most_waiting=3)
    yield made
    stream.open.set()
    made.close()


def fill(writer: LineWriter, stream: Stream, *lines: bytes) -> None:
    """Puts lines while the stream takes nothing: the first is on its way out, the others wait behind it."""
    stream.open.clear()
    writer.put(b"on its way")
    assert stream.asked.wait(30)
    for line in lines:
        writer.put(line)


def test_a_line_is_written_without_being_asked_for(writer: LineWriter, stream: Stream) -> None:
    writer.put(b"alone")
    assert stream.asked.wait(30)
    writer.flush()
    assert stream.lines == [b"alone"]


def test_lines_that_came_together_go_out_together_and_in_order(writer: LineWriter, stream: Stream) -> None:
    fill(writer, stream, b"1", b"2", b"3")
    stream.open.set()
    writer.flush()
    assert stream.written == [b"on its way\n", b"1\n2\n3\n"]
    assert writer.dropped == 0


def test_what_finds_no_room_is_dropped_and_told_of_where_it_is_missing(writer: LineWriter, stream: Stream) -> None:
    fill(writer, stream, b"1", b"2", b"3", b"4", b"5")
    assert writer.dropped == 2
    stream.open.set()
    writer.flush()
    writer.put(b"6")
    writer.flush()
    assert stream.lines == [b"on its way", b"1", b"2", b"3", b"2 dropped", b"6"]


def test_each_loss_is_told_once(writer: LineWriter, stream: Stream) -> None:
    for _ in range(2):
        stream.asked.clear()
        fill(writer, stream, b"1", b"2", b"3", b"4")
        stream.open.set()
        writer.flush()
    assert stream.lines.count(b"1 dropped") == writer.dropped == 2


@pytest.mark.parametrize("error", [BrokenPipeError(32, "Broken pipe"), ValueError("I/O operation on closed file")])
def test_a_broken_stream_costs_its_lines_and_nothing_else(writer: LineWriter, stream: Stream, error: Exception) -> None:
    stream.error = error
    writer.put(b"1")
    writer.put(b"2")
    writer.flush()
    assert writer.dropped == 2
    stream.error = None
    writer.put(b"3")
    writer.flush()
    assert stream.lines == [b"3", b"2 dropped"]


def test_nobody_waits_for_ever_for_a_stream_that_takes_nothing(writer: LineWriter, stream: Stream) -> None:
    fill(writer, stream, b"1")
    writer.flush()  # it returns
    assert stream.lines == []


def test_long_lines_count_by_their_bytes(stream: Stream) -> None:
    writer = LineWriter(stream.write, lambda count: b"%d dropped" % count, most_long_bytes=10_000)
    fill(writer, stream, b"a" * 6000, b"b" * 6000, b"short", b"c" * 3000)
    assert writer.dropped == 1
    stream.open.set()
    writer.flush()
    assert [len(line) for line in stream.lines] == [10, 6000, 5, 3000, 9]
    for _ in range(3):
        writer.put(b"d" * 9000)
        writer.flush()
    assert writer.dropped == 1, "what was written counts no longer"
    writer.close()


def test_a_piece_is_written_as_it_is(writer: LineWriter, stream: Stream) -> None:
    fill(writer, stream)
    writer.put_piece(b"half a ")
    writer.put_piece(b"line\n")
    writer.put(b"whole")
    stream.open.set()
    writer.flush()
    assert b"".join(stream.written) == b"on its way\nhalf a line\nwhole\n"


def test_lines_of_many_threads_come_out_whole_and_each_threads_in_order(stream: Stream) -> None:
    writer = LineWriter(stream.write, lambda count: b"%d dropped" % count)

    def put(name: str) -> None:
        for number in range(500):
            writer.put(f"{name} {number}".encode())

    threads = [threading.Thread(target=put, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.flush()
    for name in (b"a", b"b", b"c", b"d"):
        assert [line for line in stream.lines if line.startswith(name)] == [b"%s %d" % (name, n) for n in range(500)]
    writer.close()


def test_what_was_put_before_the_end_is_written(stream: Stream) -> None:
    writer = LineWriter(stream.write, lambda count: b"%d dropped" % count)
    fill(writer, stream, b"1")
    writer.close()
    stream.open.set()
    assert [stream.took.get(timeout=30) for _ in range(2)] == [b"on its way\n", b"1\n"]


def test_a_pipe_that_does_not_block_gets_every_byte() -> None:
    """Whoever shares standard error may have made it non-blocking."""
    reader, end = os.pipe()
    os.set_blocking(end, False)
    data = bytes(range(256)) * 4096
    with open(reader, "rb") as source, open(end, "w") as stream:
        read: list[bytes] = []
        thread = threading.Thread(target=lambda: read.append(source.read(len(data))))
        write = make_write(stream)
        thread.start()
        write(data)
        thread.join()
    assert read == [data]


def test_a_process_without_standard_error_writes_nothing() -> None:
    make_write(None)(b"line\n")


def test_a_file_gets_the_bytes_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "log"
    with file.open("w", encoding="latin-1") as stream:
        make_write(stream)("ü\n".encode())
    assert file.read_bytes() == b"\xc3\xbc\n"
