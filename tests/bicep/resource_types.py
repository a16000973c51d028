"""The resource types of Bicep templates and the properties that they set, found without a parser of the language.

So templates that pycep cannot parse are read as well. ``python -m tests.bicep.resource_types FOLDER`` writes the vector
of templates that the Bicep compiler has taken.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.shape.tree import ROOT

VECTOR = ROOT / "tests" / "vectors" / "bicep_properties.json"
"""Types with their properties, as templates have them that Bicep 0.49.2 compiles without a warning."""

_RESOURCE = re.compile(r"^resource \w+ '([\w./]+@[\d-]+)'(?: existing)? = ", re.MULTILINE)
_TOKEN = re.compile(r"//[^\n]*|(?:'[^']*'|\w+)(?=:(?!:))|'(?:\\.|[^'\\])*'|[{}\n]|[^\s{}']")


def read_properties(folder: Path) -> dict[str, list[str]]:
    """The properties of each resource type, as paths, by type and version. Lists count for what is in them."""
    found: dict[str, set[str]] = {}
    for file in sorted(folder.glob("*.bicep")):
        text = file.read_text("utf-8")
        for match in _RESOURCE.finditer(text):
            found.setdefault(match[1], set()).update(_walk(text[match.end() :]))
    return {name: sorted(paths) for name, paths in sorted(found.items())}


def _walk(text: str) -> Iterator[str]:
    """The paths of the keys of the object that the text begins with, behind its condition."""
    path: list[str] = []
    key, depth = "", 0
    for token in _TOKEN.findall(text):
        if token == "{":
            path.append(key)
            depth += 1
        elif token == "}":
            key = path.pop()
            depth -= 1
            if depth == 0:
                return
        elif depth and (token[0] == "'" or token[0].isalpha()) and _is_key(token):
            key = token
            yield ".".join([*(one for one in path if one), key])


def _is_key(token: str) -> bool:
    return re.fullmatch(r"\w{2,}", token) is not None


if __name__ == "__main__":
    VECTOR.write_text(json.dumps(read_properties(Path(sys.argv[1])), indent=1) + "\n", "utf-8")
