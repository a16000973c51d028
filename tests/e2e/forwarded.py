"""A bridge that forwards every event of the hub ``chat`` to a recording backend, each in a process of its own."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from tests.e2e.processes import NAMED_CLIENTS, Machine, Process, run_apart, wait_until_answered

FULL_SCALE = bool(os.environ.get("FULL_SCALE"))
"""Whether the tests that put on load do all of it (minutes) instead of a sample (seconds)."""
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@contextmanager
def run_recording_backend(port: int) -> Iterator[Process]:
    command = [sys.executable, "-m", "tests.e2e.recording_backend", str(port)]
    with Process("recording backend", command) as process:
        wait_until_answered(process, f"http://127.0.0.1:{port}/health")
        yield process


@contextmanager
def run_forwarding(backend_port: int, more: Mapping[str, str] | None = None) -> Iterator[Machine]:
    """``more`` are further settings of the rule, by the last part of their names."""
    rule = {"HUB": "chat", "URL": f"http://127.0.0.1:{backend_port}/events", "SECRETS": SECRET} | dict(more or {})
    settings = {f"BRIDGE_FORWARD__RECORDER__{name}": value for name, value in rule.items()}
    with run_apart(settings | NAMED_CLIENTS) as machine:
        yield machine


def ask_backend(port: int, path: str = "seen") -> Any:
    with httpx.Client(trust_env=False, timeout=30) as client:
        answer = client.get(f"http://127.0.0.1:{port}/{path}").raise_for_status()
    return answer.json() if path == "seen" else answer.text
