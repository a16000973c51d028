"""`make bench` works: every path answers under load, and the table is printed. What it says is nobody's test."""

import subprocess
import sys

from tests.e2e.processes import ROOT, clean_environment


def test_the_benchmark_runs_and_prints_its_table() -> None:
    command = [sys.executable, "-m", "tests.bench", "--once"]
    done = subprocess.run(command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    assert [line[:28].strip() for line in lines if " us " in line] == [
        "plain ASGI echo",
        "event to a Python handler",
        "event to an HTTP handler",
        "POST /hubs/{hub}/send",
        "POST /hubs/{hub}/negotiate",
        *(f"{number} endpoint{'s' if number > 1 else ''}" for number in (1, 5, 20, 50)),
    ]
