"""The backends of deploy/examples as processes: Node from its wheel, Go and PHP as tests/install.py has found them."""

import atexit
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from tests.e2e.processes import NODE, ROOT, Process, wait_until_answered
from tests.install import find

FOLDER = ROOT / "deploy" / "examples"
LANGUAGES = ("node", "go", "php")


def command(language: str, port: int) -> list[str]:
    """What runs the example of a language. Raises ``LookupError`` where its program is not installed."""
    match language:
        case "node":
            return [NODE, str(FOLDER / "node" / "backend.js")]
        case "go":
            return [compile_go()]
        case _:
            return [find("php"), "-S", f"127.0.0.1:{port}", str(FOLDER / "php" / "backend.php")]


@cache
def compile_go() -> str:
    """The Go example as a program; what Go compiles for it is kept in .venv, so that the next time is short."""
    folder = Path(mkdtemp(prefix="signalr-bridge-go-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    program = folder / "backend"
    # No network, no other toolchain, no C compiler.
    settings = {"GOTOOLCHAIN": "local", "GOPROXY": "off", "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"}
    folders = {"GOCACHE": str(Path(sys.prefix) / "go-cache"), "GOPATH": str(folder)}
    done = subprocess.run(
        [find("go"), "build", "-o", str(program), str(FOLDER / "go" / "main.go")],
        env=dict(os.environ) | settings | folders,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return str(program)


@contextmanager
def run_example(language: str, port: int, settings: dict[str, str]) -> Iterator[Process]:
    environment = {"PORT": str(port)} | settings
    with Process(f"{language} backend", command(language, port), environment) as process:
        wait_until_answered(process, f"http://localhost:{port}/health")
        yield process
