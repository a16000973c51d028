"""Programs in Go, compiled for the tests by the Go that tests/install.py has found, with no other libraries."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.install import find

# No network, no other toolchain, no C compiler.
SETTINGS = {"GOTOOLCHAIN": "local", "GOPROXY": "off", "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"}
CACHE = Path(sys.prefix) / "go-cache"
"""What Go keeps of what it compiles, so that the next time is short."""


def compile_go(sources: Sequence[Path], program: Path) -> None:
    """Compile the files into one program.

    Raises:
        LookupError: Go is not installed. The text says what to do.
        RuntimeError: It does not compile. The text is Go's.
    """
    folders = {"GOCACHE": str(CACHE), "GOPATH": str(program.parent)}
    done = subprocess.run(
        [find("go"), "build", "-o", str(program), *map(str, sources)],
        env=dict(os.environ) | SETTINGS | folders,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
