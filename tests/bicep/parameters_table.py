"""The table of the Bicep parameters in the docs: ``python -m tests.bicep.parameters_table`` writes it anew."""

import re
from collections.abc import Iterator

from tests.bicep.templates import FOLDER, read_template
from tests.shape.tree import ROOT

GUIDE = ROOT / "docs/azure.md"
BLOCK = re.compile(r"(<!-- parameters: .*? -->\n)(.*?)(<!-- end of parameters -->)", re.DOTALL)
_PARAMETER = re.compile(r"^param (\w+) (\S+)(?: = (.+))?$", re.MULTILINE)


def table_lines() -> list[str]:
    """The table of ``main.bicep``, a row for each parameter, in its order."""
    return ["| parameter | type | default | meaning |", "|---|---|---|---|", *_rows()]


def _rows() -> Iterator[str]:
    """The defaults are as the template writes them."""
    parameters = read_template("main.bicep")["parameters"]
    for name, kind, default in _PARAMETER.findall((FOLDER / "main.bicep").read_text("utf-8")):
        decorators = {one["type"]: one.get("argument") for one in parameters[name]["decorators"]}
        secret = ", secure" if "secure" in decorators else ""
        shown = f"`{default}`" if default else "required"
        yield f"| `{name}` | {kind}{secret} | {shown} | {decorators['description'].replace('|', '&#124;')} |"


def written(guide: str) -> str:
    """The guide with the table as it should be."""
    text = "\n".join(table_lines())
    return BLOCK.sub(lambda match: f"{match[1]}{text}\n{match[3]}", guide)


if __name__ == "__main__":
    GUIDE.write_text(written(GUIDE.read_text("utf-8")), "utf-8")
