"""The house's own words that standard terms have replaced, and where they still stand."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tests.shape.tree import ROOT

NOWHERE = {
    *("vouch", "vouches", "vouched", "vouching", "voucher", "vouchers"),
    *("fleet", "fleets", "sighting", "sightings", "surroundings"),
    *("spare", "spares", "spared", "sparing", "seal", "seals", "sealed", "sealing", "sealer"),
}
"""Not in a name, not in a docstring, not in a comment."""

IN_NO_NAME = {
    *NOWHERE,
    *("approach", "door", "doors", "edge", "entrance", "faces", "finding", "findings", "formation", "held"),
    *("mistake", "mistakes", "patience", "renewed", "rotation", "somebody", "step", "trouble"),
    *("unwell", "never arrived", "no answer"),
}
"""Nor as a part of one."""

NO_WHOLE_NAME = {"events", "keys", "order", "place", "properties", "reader", "trust", "trusting"}
"""Of a module or class: these say something as a part of a longer name."""

IN_A_TEST = {"no answer", "rotation"}
"""But the name of a function among the tests is a sentence, and may say this in plain English."""

ALLOWED = {"KeyRotation", "key_rotation"}

_FIELDS = {"extra", "fields", "more", "where"}
"""What those are called that are put together before they are logged."""


@dataclass(frozen=True, slots=True)
class Name:
    """``kind`` is module, class, function, test function or log field."""

    kind: str
    text: str
    place: str


def split(name: str) -> list[str]:
    """The words of a name in snake_case or CamelCase, in lower case."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)]


def is_replaced(name: Name) -> bool:
    """Whether it bears a word of the left columns."""
    if name.text in ALLOWED:
        return False
    words = split(name.text)
    if name.kind in {"module", "class"} and " ".join(words) in NO_WHOLE_NAME:
        return True
    pairs = {" ".join(pair) for pair in pairwise(words)}
    replaced = IN_NO_NAME - IN_A_TEST if name.kind == "test function" else IN_NO_NAME
    return not replaced.isdisjoint({*words, *pairs})


def find_names(module: Path) -> Iterator[Name]:
    shown = module.relative_to(ROOT).as_posix() if module.is_relative_to(ROOT) else module.name
    named = module.parent.name if module.name == "__init__.py" else module.stem.removeprefix("test_")
    function = "test function" if shown.startswith("tests/") else "function"
    yield Name("module", named, f"{shown}:1")
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.ClassDef):
            yield Name("class", node.name, f"{shown}:{node.lineno}")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Name(function, node.name, f"{shown}:{node.lineno}")
        else:
            yield from (Name("log field", text, f"{shown}:{line}") for text, line in _find_fields(node))


def _find_fields(node: ast.AST) -> Iterator[tuple[str, int]]:
    """The names in what a line of the log is given, also where that has been put together before."""
    if isinstance(node, ast.keyword) and node.arg == "extra":
        given: ast.expr | None = node.value
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        given = node.value if any(isinstance(one, ast.Name) and one.id in _FIELDS for one in targets) else None
    else:
        return
    for one in ast.walk(given) if given is not None else ():
        for key in one.keys if isinstance(one, ast.Dict) else ():
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value, key.lineno


def find_words(text: str) -> Iterator[tuple[int, str]]:
    """The words of ``NOWHERE``, with the numbers of their lines."""
    for number, line in enumerate(text.splitlines(), start=1):
        for word in split(line):
            if word in NOWHERE:
                yield number, word
