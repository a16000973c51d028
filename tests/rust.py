"""Programs in Rust, compiled for the tests by the cargo that tests/install.py has found."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.install import find


def compile_rust(package: Path) -> Path:
    """Compile a package, in a copy of its folder: what cargo writes there would name the machine's registry.

    What cargo makes is kept in .venv, so that the next time is short and needs no network.

    Returns:
        The program.

    Raises:
        LookupError: Cargo is not installed. The text says what to do.
        RuntimeError: It does not compile. The text is cargo's.
    """
    copy = Path(sys.prefix) / "rust" / package.name
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("target", "Cargo.lock"), dirs_exist_ok=True)
    # It may run beside tests, which go first.
    command = ["nice", "-n", "19", find("cargo"), "build", "--quiet", "--target-dir", str(copy / "target")]
    done = subprocess.run(
        command, cwd=copy, env=dict(os.environ), capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return copy / "target" / "debug" / "backend"
