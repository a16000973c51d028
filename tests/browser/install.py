"""Finds or installs the Chromium that the browser tests drive.

Run with the project's Python: ``.venv/bin/python tests/browser/install.py``. In this order:

1. the browser recorded by an earlier run, if it still starts: nothing to do;
2. Playwright's own Chromium, downloaded if need be;
3. a Chromium or Chrome that the machine has on its PATH;
4. Debian's ``chromium`` package, as root or through a sudo that asks no password.

A browser counts only once Playwright has started it: a download can succeed and still miss a system library. What was
found, ``playwright`` or the path of an executable, is printed and recorded in ``.venv/chromium-path``, where the tests
read it. Exit code 1 means that there is no browser, and the last line says what to install. Standard library only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

RECORD = Path(sys.prefix) / "chromium-path"
PLAYWRIGHT = "playwright"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGE = "chromium"

# Chromium refuses to run its sandbox as root, which is what containers are.
LAUNCH = """
import os, sys
from playwright.sync_api import sync_playwright
path = None if sys.argv[1] == "playwright" else sys.argv[1]
with sync_playwright() as p:
    p.chromium.launch(executable_path=path, chromium_sandbox=os.geteuid() != 0, timeout=30_000).close()
"""


def main() -> int:
    for browser in candidates():
        if starts(browser):
            RECORD.write_text(browser + "\n")
            print(browser)
            return 0
    RECORD.unlink(missing_ok=True)
    print(
        f"no Chromium for the browser tests: install the package '{PACKAGE}' (apt-get install {PACKAGE})",
        file=sys.stderr,
    )
    return 1


def candidates() -> Iterator[str]:
    """Browsers to try, cheapest first; a step that costs time is taken only when the ones before did not do."""
    if RECORD.exists():
        yield RECORD.read_text().strip()
    yield PLAYWRIGHT
    if download():
        yield PLAYWRIGHT
    yield from installed()
    if install_package():
        yield from installed()


def starts(browser: str) -> bool:
    """Whether Playwright can start this browser."""
    return run([sys.executable, "-c", LAUNCH, browser], seconds=60)


def download() -> bool:
    """Playwright's own download. Where its host is out of reach it fails, at once or at the time limit."""
    say("downloading Playwright's Chromium")
    return run([sys.executable, "-m", "playwright", "install", "chromium"], seconds=300)


def installed() -> Iterator[str]:
    return filter(None, map(shutil.which, PROGRAMS))


def install_package() -> bool:
    if shutil.which("apt-get") is None:
        return False
    become_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if become_root and not run([*become_root, "true"], seconds=10):
        return False
    apt = [*become_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120"]
    say(f"installing the package {PACKAGE}")
    run([*apt, "update"], seconds=300)  # one stale source must not stop us: the install decides
    return run([*apt, "install", "-y", "--no-install-recommends", PACKAGE], seconds=900)


def run(command: list[str], seconds: float) -> bool:
    """Whether a command worked. Its words are dropped: a failure is an expected answer, and the next step's turn."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def say(line: str) -> None:
    print(f"browser: {line}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
