"""The backends of deploy/examples as processes: Node from its wheel, Go and PHP as tests/install.py has found them."""

import atexit
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from tests.e2e.processes import NODE, ROOT, Process, wait_until_answered
from tests.golang import compile_go
from tests.install import find

FOLDER = ROOT / "deploy" / "examples"
LANGUAGES = ("node", "go", "php")


def command(language: str, port: int) -> list[str]:
    """What runs the example of a language. Raises ``LookupError`` where its program is not installed."""
    match language:
        case "node":
            return [NODE, str(FOLDER / "node" / "backend.js")]
        case "go":
            return [compile_example()]
        case _:
            return [find("php"), "-S", f"127.0.0.1:{port}", str(FOLDER / "php" / "backend.php")]


@cache
def compile_example() -> str:
    """The Go example as a program."""
    folder = Path(mkdtemp(prefix="signalr-bridge-go-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    program = folder / "backend"
    compile_go([FOLDER / "go" / "main.go"], program)
    return str(program)


@contextmanager
def run_example(language: str, port: int, settings: dict[str, str]) -> Iterator[Process]:
    environment = {"PORT": str(port)} | settings
    with Process(f"{language} backend", command(language, port), environment) as process:
        wait_until_answered(process, f"http://localhost:{port}/health")
        yield process
