"""JavaScript function apps for tests: copied as they are, with packages beside them, and run as people run them."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.processes import E2E, NODE, ROOT, Process

APPS = ROOT / "tests" / "function_apps"
SERVER = str(ROOT / "deploy" / "functions-node")


def copy_app(name: str, folder: Path) -> Path:
    """A copy of one of the test apps, as `npm install` would leave it."""
    shutil.copytree(APPS / name, folder)
    return add_packages(folder)


def write_app(folder: Path, files: Mapping[str, str]) -> Path:
    """An app with these files, as `npm install` would leave it."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return add_packages(folder)


def add_packages(folder: Path) -> Path:
    (folder / "node_modules").symlink_to(E2E / "node_modules")
    return folder


@contextmanager
def run_functions_node(folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[tuple[Process, str]]:
    """The server for an app, and its address, once the app is loaded."""
    with Process("functions-node", [NODE, SERVER, str(folder), "--port", "0"], settings) as process:
        yield process, process.wait_for_line(r"at (http://127\.0\.0\.1:\d+)")[1]
