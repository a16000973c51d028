"""The five apps of the tests, imported as people import theirs, and the golden files of that.

``python -m tests.contract.functions.imports [APP]...`` writes the golden files anew.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from signalr_bridge.migration import Migration, migrate

from tests.e2e.processes import E2E, NODE, ROOT

APPS = ("go_custom", "node_v3", "node_v4", "python_v1", "python_v2")
GOLDEN = ROOT / "tests" / "vectors" / "imports"


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """The folder as the working folder, with Node on the path."""
    before, path = Path.cwd(), os.environ["PATH"]
    os.chdir(folder)
    os.environ["PATH"] = os.pathsep.join([str(Path(NODE).parent), path])
    try:
        yield
    finally:
        os.chdir(before)
        os.environ["PATH"] = path


def import_app(name: str, folder: Path) -> Migration:
    """What becomes of an app of the tests, seen from the folder that it is in, as `npm install` would leave it."""
    app = folder / name
    shutil.copytree(ROOT / "tests" / "function_apps" / name, app, ignore=shutil.ignore_patterns("__pycache__"))
    if (app / "package.json").exists():
        (app / "node_modules").symlink_to(E2E / "node_modules")
    with inside(folder):
        return migrate(Path(name))


def write_table(migration: Migration) -> str:
    return "".join(f"{line}\n" for line in migration.table)


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    for name in sys.argv[1:] or APPS:
        with tempfile.TemporaryDirectory() as folder:
            migration = import_app(name, Path(folder))
        (GOLDEN / f"{name}.toml").write_text(migration.text, "utf-8")
        (GOLDEN / f"{name}.txt").write_text(write_table(migration), "utf-8")


if __name__ == "__main__":
    main()
