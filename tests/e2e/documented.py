"""The programs in the documentation: blocks of Python whose first line is the name of a file."""

import re
from pathlib import Path

from tests.e2e.processes import ROOT

_BLOCK = re.compile(r"^```python\n# (\w+\.py)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def write_programs(document: str, folder: Path) -> dict[str, Path]:
    """Writes the programs of ``document``, a path from the top, into the folder; gives their files by name."""
    text = (ROOT / document).read_text("utf-8")
    files = {match[1]: folder / match[1] for match in _BLOCK.finditer(text)}
    for match in _BLOCK.finditer(text):
        files[match[1]].write_text(match[2], "utf-8")
    return files
