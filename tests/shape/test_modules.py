"""The house: modules say what they are for, stay small, bear good names, and the protocol stays SANS-IO."""

import ast
from pathlib import Path

import pytest

from tests.shape.tree import APP, ROOT, first_line, modules

LONGEST_FUNCTION, LONGEST_FILE = 45, 400
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "core", "base", "manager", "service", "misc"}
ALLOWED_IN_PROTOCOL = {
    "signalr_bridge.errors",
    "signalr_bridge.protocol",
    "base64",
    "binascii",
    "collections.abc",
    "dataclasses",
    "decimal",
    "enum",
    "functools",
    "hashlib",
    "hmac",
    "ipaddress",
    "itertools",
    "msgspec",
    "re",
    "typing",
    "urllib.parse",
}


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(module: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." * node.level + (node.module or ""))
    return found


def length_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from ``def`` on, without the docstring's."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and ast.get_docstring(function, clean=False) is not None
    return lines - ((first.end_lineno or 0) - first.lineno + 1 if documented else 0)


def long_functions(text: str) -> dict[str, int]:
    """Those of a module that are too long, methods and inner functions included, with their lengths."""
    lengths = {
        f"{node.name}, line {node.lineno}": length_of(node)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    return {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION}


def fits(text: str) -> bool:
    return len(text.splitlines()) <= LONGEST_FILE


def allowed_in_protocol(name: str) -> bool:
    return any(name == one or name.startswith(one + ".") for one in ALLOWED_IN_PROTOCOL)


@pytest.mark.parametrize("module", modules(), ids=shown)
def test_a_module_says_what_it_is_for(module: Path) -> None:
    line = first_line(module)
    assert line.endswith((".", "?")), f"the docstring's first line is no sentence: {line!r}"
    assert not line[0].islower() or line.startswith("signalr-bridge"), (
        f"the docstring's first line is no sentence: {line!r}"
    )


@pytest.mark.parametrize("module", modules(), ids=shown)
def test_a_file_fits_into_the_head(module: Path) -> None:
    assert fits(module.read_text("utf-8"))


@pytest.mark.parametrize("module", modules(), ids=shown)
def test_a_function_fits_on_a_screen(module: Path) -> None:
    assert long_functions(module.read_text("utf-8")) == {}


@pytest.mark.parametrize("first", ["def run():", "async def run():", "@cached\ndef run():"])
@pytest.mark.parametrize("docstring", ["", '    """What it does.\n\n    And why.\n    """\n'])
def test_a_function_is_measured_from_def_on_without_its_docstring(first: str, docstring: str) -> None:
    assert long_functions(f"{first}\n{docstring}" + "    pass\n" * 44) == {}
    (length,) = long_functions(f"{first}\n{docstring}" + "    pass\n" * 45).values()
    assert length == 46


def test_a_method_and_an_inner_function_are_measured_too() -> None:
    body = "        pass\n" * 50
    assert set(long_functions(f"class One:\n    def run(self):\n{body}")) == {"run, line 2"}
    assert set(long_functions(f"def outer():\n    def inner():\n{body}")) == {"outer, line 1", "inner, line 2"}


def test_a_file_is_measured_with_all_its_lines() -> None:
    assert fits("\n" * 400)
    assert not fits("\n" * 401)


def test_no_name_is_empty_of_meaning() -> None:
    ours = [
        *APP.rglob("*"),
        *(path for part in ("unit", "contract", "shape") for path in (ROOT / "tests" / part).rglob("*")),
    ]
    names = {shown(path): path.stem.removeprefix("test_") for path in ours if path.suffix == ".py" or path.is_dir()}
    assert [path for path, name in names.items() if name in EMPTY_NAMES] == []


@pytest.mark.parametrize("module", sorted((APP / "protocol").rglob("*.py")), ids=shown)
def test_the_protocol_imports_little(module: Path) -> None:
    assert {name for name in imports(module) if not allowed_in_protocol(name)} == set()
