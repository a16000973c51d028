"""Calls that schemathesis makes up from the OpenAPI document of a real ``serve``, with all of its checks: no failures.

``FULL_SCALE`` (``make trial``) adds its fuzzing and its walks over links to the calls that cover each rule of a schema.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import API_KEY, E2E, ROOT, Machine, clean_environment, run_apart

IS_FULL = bool(os.environ.get("FULL_SCALE"))
PHASES = "examples,coverage,fuzzing,stateful" if IS_FULL else "examples,coverage"
SECONDS = 600 if IS_FULL else 25
HOOKS = {"SCHEMATHESIS_HOOKS": "tests.e2e.schemathesis_hooks", "PYTHONPATH": str(ROOT)}
OPEN = {
    "BRIDGE_DOCS": "true",
    "BRIDGE_CONSOLE": "true",
    "BRIDGE_NEGOTIATE__ANONYMOUS": "true",
    "BRIDGE_NEGOTIATE__HUBS": "*",
    "BRIDGE_DEFAULT_HUB": "chat",
    "BRIDGE_LIMITS__DEADLINE_SECONDS": "2",
}


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with run_apart(OPEN) as running:
        yield running


def test_schemathesis_finds_nothing(machine: Machine, tmp_path: Path) -> None:
    schemathesis = Path(sys.executable).parent / "schemathesis"
    command = [
        *(str(schemathesis), "--config-file", str(E2E / "schemathesis.toml"), "run"),
        f"{machine.url}/openapi.json".replace("localhost", "127.0.0.1"),
        *("-H", f"X-API-Key: {API_KEY}", "--checks", "all", "--phases", PHASES),
        *("--continue-on-failure", "--max-examples", "50" if IS_FULL else "5", "--max-time", str(SECONDS)),
        *("--seed", "1", "--request-timeout", "10"),
    ]
    ended = subprocess.run(
        command, cwd=tmp_path, env=clean_environment() | HOOKS, capture_output=True, text=True, timeout=900, check=False
    )
    assert ended.returncode == 0, ended.stdout[-20_000:] + ended.stderr
    log = machine.bridge.output
    assert "unhandled error" not in log
    assert "Traceback" not in log
