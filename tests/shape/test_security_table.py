"""The README's security table names a test for each line, and every test that it names exists."""

import ast
import re

import pytest

from tests.shape.tree import ROOT

_NAMED = re.compile(r"\[`(test_\w+)`\]\((tests/[\w/]+\.py)\)")
_SECTION = re.compile(r"^### Security\n(.*?)^## ", re.MULTILINE | re.DOTALL)


def lines() -> list[str]:
    """The rows of both tables, without their heads."""
    section = _SECTION.search((ROOT / "README.md").read_text("utf-8"))
    assert section is not None, "README.md has no section Security"
    rows = [one for one in section[1].splitlines() if one.startswith("| ")]
    return [one for one in rows if not one.startswith(("| what |", "| threat |"))]


def functions(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return {one.name for one in tree.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_there_are_lines() -> None:
    assert len(lines()) >= 17


@pytest.mark.parametrize("line", lines(), ids=lambda line: line.split("|")[1].strip())
def test_a_line_names_tests_that_exist(line: str) -> None:
    named = _NAMED.findall(line.split("|")[-2])
    assert named, "the last cell links no test"
    for name, path in named:
        assert (ROOT / path).is_file(), path
        assert name in functions(path), f"{path} has no {name}"
