"""The layers and the absence of cycles are held, and what holds them can fail."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shape.imports import cycles_of_folders, cycles_of_modules
from tests.shape.tree import APP, ROOT


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package, to be spoilt; the contracts lie beside its source folder."""
    copied = tmp_path / "app" / APP.name
    shutil.copytree(APP, copied, ignore=shutil.ignore_patterns("__pycache__", "static"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return copied


def lint_imports(package: Path) -> tuple[int, str]:
    """import-linter's exit code and what it prints, with its lines joined."""
    call = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    environment = os.environ | {"PYTHONPATH": str(package.parent), "COLUMNS": "200"}
    command, folder = [sys.executable, "-c", call], package.parents[1]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def append(module: Path, text: str) -> None:
    module.write_text(module.read_text("utf-8") + text, "utf-8")


def test_no_module_imports_itself_through_others() -> None:
    assert cycles_of_modules(APP) == []


def test_no_folder_imports_itself_through_others() -> None:
    assert cycles_of_folders(APP) == []


def test_the_contracts_hold_for_the_copy(copy: Path) -> None:
    code, output = lint_imports(copy)
    assert code == 0, output


def test_a_module_in_no_row_of_the_layers_is_an_error(copy: Path) -> None:
    (copy / "stray.py").write_text('"""Somewhere."""\n', "utf-8")
    code, output = lint_imports(copy)
    assert code == 1
    assert "not listed as layers: - signalr_bridge.stray" in output


def test_an_import_from_a_row_above_is_an_error(copy: Path) -> None:
    append(copy / "protocol" / "names.py", "\n\ndef late():\n    from signalr_bridge.main import create_app\n")
    code, output = lint_imports(copy)
    assert code == 1
    assert "signalr_bridge.protocol.names -> signalr_bridge.main" in output


@pytest.mark.parametrize(
    "line",
    [
        "from signalr_bridge.upstream.python import loading\n",
        "from .python.loading import load_hub\n",
        "def late():\n    import signalr_bridge.upstream.python.loading\n",
        "if TYPE_CHECKING:\n    from signalr_bridge.upstream.python.loading import load_hub\n",
    ],
)
def test_a_cycle_among_folders_is_found_wherever_its_import_stands(copy: Path, line: str) -> None:
    append(copy / "upstream" / "values.py", f"\n\n{line}")
    assert cycles_of_folders(copy) == [["signalr_bridge.upstream", "signalr_bridge.upstream.python"]]


def test_a_cycle_among_modules_is_found(copy: Path) -> None:
    append(copy / "errors.py", "\n\ndef late():\n    from signalr_bridge import runtime\n")
    append(copy / "runtime.py", "\n\ndef late():\n    from signalr_bridge.errors import BridgeError\n")
    assert cycles_of_modules(copy) == [["signalr_bridge.errors", "signalr_bridge.runtime"]]
