"""A team that uses the bridge: its folder with a package ``app`` of its own, its wheel, and environments for both."""

import os
import re
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.processes import ROOT, clean_environment

SOURCES = Path(__file__).parent / "a_team"
CONSOLE = str(Path(sys.executable).parent / "signalr-bridge")


def copy_team(folder: Path) -> Path:
    """Their repository, outside of ours."""
    return Path(shutil.copytree(SOURCES, folder / "team", ignore=shutil.ignore_patterns("__pycache__", ".*")))


def run(*command: str | Path, folder: Path, environment: dict[str, str] | None = None) -> str:
    """What a command prints; the failure with all of its output otherwise."""
    code, output = try_run(*command, folder=folder, environment=environment)
    assert code == 0, f"{' '.join(map(str, command))}\n{output}"
    return output


def try_run(*command: str | Path, folder: Path, environment: dict[str, str] | None = None) -> tuple[int, str]:
    done = subprocess.run(
        [str(one) for one in command],
        cwd=folder,
        env=clean_environment() | (environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout


def pip(*arguments: str | Path, folder: Path) -> str:
    """Without an index: everything is on this machine."""
    quiet = {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONPATH": ""}
    return run(sys.executable, "-m", "pip", "-q", *arguments, folder=folder, environment=quiet)


def build_wheel(project: Path, folder: Path) -> Path:
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, project, folder=folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


@dataclass(frozen=True, slots=True)
class Environment:
    """A fresh virtual environment. What the wheels depend on is that of this one, without this one's own bridge."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def packages(self) -> Path:
        (found,) = self.folder.glob("lib/python*/site-packages")
        return found

    def install(self, *wheels: Path) -> None:
        self._pip("install", "--no-deps", *wheels)

    def uninstall(self, name: str) -> None:
        self._pip("uninstall", "--yes", name)

    def _pip(self, *arguments: str | Path) -> None:
        pip("--python", self.python, *arguments, folder=self.folder)

    def run(self, program: str, *arguments: str) -> str:
        return run(self.folder / "bin" / program, *arguments, folder=self.folder, environment=self.variables)

    def can_import(self, *names: str) -> bool:
        call = f"import {', '.join(names)}"
        code, output = try_run(self.python, "-c", call, folder=self.folder, environment=self.variables)
        assert code == 0 or "ModuleNotFoundError" in output, output
        return code == 0

    @property
    def variables(self) -> dict[str, str]:
        """A folder on this path is no site folder: the link to our sources that lies in it is not followed."""
        return {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path.endswith("site-packages"))}


def make_environment(folder: Path) -> Environment:
    venv.EnvBuilder(with_pip=False, symlinks=True).create(folder / "venv")
    return Environment(folder / "venv")


def readme_blocks() -> list[str]:
    """The Python of the README in which handlers are written."""
    readme = (ROOT / "README.md").read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    return [block for block in blocks if "signalr_bridge" in block]
