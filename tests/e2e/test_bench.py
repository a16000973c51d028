"""`make bench` works: every path answers under load, and the tables are printed. What they say is nobody's test."""

import subprocess
import sys
from itertools import takewhile

import pytest

from tests.e2e.processes import ROOT, clean_environment

WIDEST = 140

ONE_ENDPOINT = [
    "the service itself, https",
    "echo",
    "negotiate, client: bridge",
    "negotiate, caller with claims: bridge",
    "negotiate: FastAPI",
    "negotiate: Go",
    *(
        f"send, {scheme}: {server}"
        for scheme in ("https", "http")
        for server in ("bridge", "ASGI + aiohttp", "FastAPI + httpx", "Go as Dapr", "Go tuned")
    ),
    "send to a group, https: bridge",
    "send an array of 10, https: bridge",
    "upstream, Python, JSON: bridge",
    "upstream, Python, MessagePack: bridge",
    "upstream, Python, connected: bridge",
    "upstream, HTTP handler: bridge",
    "upstream: FastAPI",
    "upstream: Go",
]
SEVERAL_ENDPOINTS = [
    "echo",
    "send, https, 1 endpoint: bridge",
    "send, https, 10 endpoints: bridge",
    "send, https, 10 endpoints: Go tuned",
    "upstream, Python, 10 endpoints: bridge",
    "upstream, HTTP handler, 10 endpoints: bridge",
]
GOALS = [
    "send, https / Go as Dapr",
    "send, https / Go tuned",
    "negotiate, client / echo",
    "upstream, Python, JSON / echo",
    "further endpoint, https, µs",
    "p99 added at 1,000/s, https, ms",
    "the same by Go as Dapr",
    "the same by Go tuned",
]


@pytest.mark.timeout(400)  # where Go's own packages have not been compiled yet, that comes first
def test_the_benchmark_runs_and_prints_its_tables() -> None:
    command = [sys.executable, "-m", "tests.bench", "--once"]
    done = subprocess.run(command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, timeout=360)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines[1:])) <= WIDEST  # the first one lists versions
    assert names_below("one endpoint ", lines) == ONE_ENDPOINT
    assert names_below("several endpoints ", lines) == SEVERAL_ENDPOINTS
    assert names_below("check of a signed event ", lines) == [
        f"{number} endpoint{'s' if number > 1 else ''}" for number in (1, 5, 20, 50)
    ]
    goals = names_below("goal ", lines)
    assert goals[: len(GOALS)] == GOALS
    assert [name.split(" sends")[0] for name in goals[len(GOALS) :]] == ["200", "20"]


def names_below(title: str, lines: list[str]) -> list[str]:
    """The first column of the table that begins with this title."""
    start = next(index for index, line in enumerate(lines) if line.startswith(title))
    return [line.partition("  ")[0] for line in takewhile(bool, lines[start + 1 :])]
