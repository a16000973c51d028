"""No file holds the address of a package registry or a path of a developer's machine."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shape.tree import ROOT

# In pieces, so that this file does not match itself.
_REGISTRIES = [
    "py" + r"pi\.org",
    "python" + r"hosted\.org",
    "npm" + r"js\.org",
    "yarn" + r"pkg\.com",
    "arti" + "factory",
]
_OPTIONS = ["--(?:extra-)?" + "index-url", '"res' + r'olved"\s*:', "regis" + r"try\s*=\s*http"]
_HOMES = [
    r"(?<![\w.])/ro" + r"ot/",
    r"(?<![\w.])/ho" + r"me/(?!site/|app\b)\w",
    r"(?<![\w.])/Us" + r"ers/\w",
    r"[A-Za-z]:\\+Us" + "ers",
    r"(?<![\w.])/wo" + r"rk/(?:main|shared|\.)",
]
UNWANTED = re.compile("|".join(_REGISTRIES + _OPTIONS + _HOMES).encode())


def tracked() -> list[Path]:
    """What git has or would take: ignored files are nobody's business."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def unwanted() -> Iterator[str]:
    for path in tracked():
        for number, line in enumerate(path.read_bytes().splitlines(), start=1):
            if (match := UNWANTED.search(line)) is not None:
                yield f"{path.relative_to(ROOT)}:{number}: {match[0].decode('utf-8', 'replace')}"


def test_no_file_holds_an_address_of_a_registry_or_of_a_machine() -> None:
    assert ROOT / "pyproject.toml" in tracked()
    assert list(unwanted()) == []


@pytest.mark.parametrize(
    "line",
    [
        "https://pypi" + ".org/simple",
        "https://registry.npm" + "js.org/ws",
        '"resol' + 'ved": "https://x/y.tgz"',
        "cd /ro" + "ot/project",
        "/ho" + "me/jane/signalr",
        "C:\\Use" + "rs\\jane",
    ],
)
def test_the_patterns_find_what_they_are_for(line: str) -> None:
    assert UNWANTED.search(line.encode()) is not None
