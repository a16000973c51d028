"""The last lines of a process: they come out however it ends, and a stream that takes nothing does not keep it."""

import os
import signal
import subprocess
import sys
from textwrap import dedent

import pytest

ENDS_WITHIN = 60.0

BEGIN = """
import asyncio, logging, os, signal, sys, threading, time
from signalr_bridge.web.log_observer import LogObserver
from signalr_bridge.web.logs import configure_logs

writer = configure_logs("info", "{form}")
log, observer = logging.getLogger("signalr_bridge"), LogObserver()

def tell(path):
    facts = dict(method="GET", path=path, route="/x", status=200, seconds=0.0, caller=None, request_id="id")
    observer.request_ended(**facts)
"""


def command(code: str, form: str = "json") -> list[str]:
    return [sys.executable, "-c", BEGIN.format(form=form) + dedent(code)]


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("", 0),
        ("sys.exit(3)", 3),
        ("raise ValueError('it crashed')", 1),
        ("signal.signal(signal.SIGTERM, lambda *_: sys.exit(4)); os.kill(os.getpid(), signal.SIGTERM)", 4),
    ],
)
def test_every_line_comes_out(form: str, end: str, code: int) -> None:
    work = """
    for number in range(5000):
        tell(f"/a{number}b")
    log.error("the last one")
    """
    ended = subprocess.run(
        command(dedent(work) + end, form), capture_output=True, text=True, timeout=ENDS_WITHIN, check=False
    )
    assert ended.returncode == code
    assert ended.stderr.count("/a") == 5000
    assert "the last one" in ended.stderr
    assert ("ValueError: it crashed" in ended.stderr) is ("it crashed" in end)


def test_a_stream_that_takes_nothing_stops_neither_the_loop_nor_the_end() -> None:
    work = """
    async def serve():
        for _ in range(60):  # 10,000 lines wait, and as many may be in the writer's hand
            for _ in range(1000):
                tell("/a/path/that/fills/every/pipe")
            await asyncio.sleep(0)
        return "served"

    print(asyncio.run(serve()), writer.dropped > 20_000, flush=True)
    """
    reader, end = os.pipe()  # nobody reads
    try:
        ended = subprocess.run(
            command(work), stdout=subprocess.PIPE, stderr=end, text=True, timeout=ENDS_WITHIN, check=False
        )
    finally:
        os.close(reader)
        os.close(end)
    assert (ended.returncode, ended.stdout) == (0, "served True\n")


def test_a_reader_that_has_gone_does_not_end_the_process() -> None:
    work = """
    sys.stdin.readline()  # standard error has no reader any more
    for _ in range(3):
        tell("/a")
        log.error("failed", exc_info=ValueError("it broke"))
        logging.getLogger().handlers[0].flush()
    print("alive", writer.dropped, flush=True)
    """
    reader, end = os.pipe()
    with subprocess.Popen(
        command(work), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=end, text=True
    ) as process:
        os.close(end)
        os.close(reader)
        output, _ = process.communicate("go\n", timeout=ENDS_WITHIN)
    assert (process.returncode, output) == (0, "alive 6\n")


def test_a_process_that_is_killed_has_written_all_but_the_very_last_lines() -> None:
    """Lines wait for others at most for a moment, and never for the end."""
    work = """
    tell("/first")
    sys.stdin.readline()
    """
    with subprocess.Popen(command(work), stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "/first" in process.stderr.readline()
        process.send_signal(signal.SIGKILL)
