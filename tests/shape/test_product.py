"""The product is the product without its emulator: it starts, it type-checks, and it never imports it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shape.tree import APP, ROOT

FOR_DEVELOPMENT = ("emulator", "dev", "demo", "testing", "fixtures")


def run(*arguments: str, folder: Path = ROOT) -> str:
    """What ``python <arguments>`` prints; the failure with all of its output otherwise."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"python {' '.join(arguments)}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture
def without_emulator(tmp_path: Path) -> Path:
    copy = tmp_path / "app" / APP.name
    shutil.copytree(APP, copy, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name in FOR_DEVELOPMENT:
        shutil.rmtree(copy / name, ignore_errors=True)
        (copy / f"{name}.py").unlink(missing_ok=True)
    return tmp_path


def test_it_starts_without_the_emulator(without_emulator: Path) -> None:
    where = "import signalr_bridge; print(signalr_bridge.__file__)"
    folder = without_emulator / "app"
    assert run("-c", where, folder=folder).startswith(str(folder)), "the copy is what is tried"
    assert run("-m", "signalr_bridge", "--version", folder=folder).strip()


@pytest.mark.slow
def test_its_types_are_right_without_the_emulator(without_emulator: Path) -> None:
    run("-m", "mypy", "--cache-dir", str(without_emulator / ".mypy_cache"), "app", folder=without_emulator)


def test_it_is_all_that_app_holds() -> None:
    listed = subprocess.run(["git", "ls-files", "app"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {Path(line).parts[1] for line in listed.splitlines()} == {APP.name}


def test_importing_it_loads_nothing_but_the_standard_library() -> None:
    ask = "import sys; before = {*sys.modules}; import signalr_bridge; print(*{*sys.modules} - before)"
    loaded = {name.partition(".")[0] for name in run("-c", ask, folder=APP.parent).split()}
    assert loaded - sys.stdlib_module_names == {"signalr_bridge"}


def test_it_gives_every_public_name() -> None:
    ask = "import signalr_bridge as b; names = {}; exec('from signalr_bridge import ' + ', '.join(b.__all__), names)"
    assert run("-c", f"{ask}; print(*(name for name in b.__all__ if names[name] is None))").strip() == ""


def test_on_windows_it_says_in_one_line_what_to_use_instead() -> None:
    start = "import runpy, sys; sys.platform = 'win32'; runpy.run_module('signalr_bridge', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", start], cwd=APP.parent, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "signalr-bridge does not run on Windows itself: use its container image, or WSL.\n"


def test_it_never_imports_the_emulator() -> None:
    ask = (
        "import sys, signalr_bridge.main; print(*(name for name in sys.modules if name.startswith('signalr_bridge.')))"
    )
    loaded = run("-c", ask).split()
    assert "signalr_bridge.main" in loaded
    unwanted = tuple(f"signalr_bridge.{name}" for name in FOR_DEVELOPMENT)
    assert [name for name in loaded if name in unwanted or name.startswith(tuple(f"{one}." for one in unwanted))] == []
