"""Gathers the licences of what is installed beside this Python, for an image that ships it.

Usage: ``python licenses.py FOLDER``. It writes ``index.txt``, a line for each package with its version and licence, and
a folder for each with the files that the package brings. A package without such a file has its line only.
"""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

_FILE = re.compile(r"(?:.*[._-])?(licen[cs]e|copying|notice|authors)(?![a-z]).*", re.IGNORECASE)


def name_license(package: Distribution) -> str:
    """What the package says of itself: an expression, else a short text, else its classifiers."""
    of = package.metadata
    for field in ("License-Expression", "License"):
        text = of[field].strip() if field in of else ""
        if text and "\n" not in text:
            return text
    found = [one.rpartition(" :: ")[2] for one in of.get_all("Classifier") or [] if one.startswith("License ::")]
    return ", ".join(found) or "see its files"


def find_files(package: Distribution) -> Iterator[Path]:
    """The files with licences, in the package's own metadata or in what it installed."""
    for file in package.files or []:
        if _FILE.fullmatch(file.name) and file.suffix not in {".py", ".pyc"}:
            yield Path(str(package.locate_file(file)))


def gather(folder: Path, packages: list[Distribution]) -> None:
    lines = []
    for package in sorted(packages, key=lambda one: one.name.lower()):
        lines.append(f"{package.name} {package.version}: {name_license(package)}")
        for number, file in enumerate(find_files(package)):
            target = folder / f"{package.name}-{package.version}" / (f"{number}-{file.name}" if number else file.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    (folder / "index.txt").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.mkdir(parents=True, exist_ok=True)
    gather(place, list(distributions()))
