"""The backends of deploy/examples as processes: Node from its wheel, the others as tests/install.py has found them."""

import atexit
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from tests.e2e.processes import NODE, ROOT, Process, wait_until_answered
from tests.golang import compile_go
from tests.install import find
from tests.java import SHORT_LIVED, compile_java
from tests.rust import compile_rust

FOLDER = ROOT / "deploy" / "examples"
LANGUAGES = ("node", "go", "php", "java", "rust")
"""Those that are started. The one in C# is read."""


def command(language: str, port: int) -> list[str]:
    """What runs the example of a language. Raises ``LookupError`` where its program is not installed."""
    match language:
        case "node":
            return [NODE, str(FOLDER / "node" / "backend.js")]
        case "php":
            return [find("php"), "-S", f"127.0.0.1:{port}", str(FOLDER / "php" / "backend.php")]
        case _:
            return compile_example(language)


COMPILED = ("rust", "java", "go")
_COMPILERS = ThreadPoolExecutor(max_workers=1, thread_name_prefix="compiler")


@cache
def start_compiling(language: str) -> Future[list[str]]:
    """Compiles the example of a language once, beside the tests that do not need it yet, one language at a time."""
    return _COMPILERS.submit(_compile, language)


def compile_example(language: str) -> list[str]:
    """What starts the example of a language, once it is compiled."""
    return start_compiling(language).result()


def _compile(language: str) -> list[str]:
    if language == "rust":
        return [str(compile_rust(FOLDER / "rust"))]
    folder = Path(mkdtemp(prefix=f"signalr-bridge-{language}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    if language == "go":
        compile_go([FOLDER / "go" / "main.go"], folder / "backend")
        return [str(folder / "backend")]
    compile_java(FOLDER / "java" / "Main.java", folder)
    return [find("java"), SHORT_LIVED, "-cp", str(folder), "Main"]


@contextmanager
def run_example(language: str, port: int, settings: dict[str, str]) -> Iterator[Process]:
    environment = {"PORT": str(port)} | settings
    with Process(f"{language} backend", command(language, port), environment) as process:
        wait_until_answered(process, f"http://localhost:{port}/health")
        yield process
