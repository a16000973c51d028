"""Puts into a Python environment what a lock file names, from the environment of the tests instead of a registry.

Usage: ``python seed.py ENVIRONMENT SOURCE REQUIREMENT...``, each requirement a lock file or a package's name. The
tests' environment was made from the same locks, with the same hashes. A package that it lacks ends this with exit
code 1.
"""

import re
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

_LINE = re.compile(r"([\w.-]+)==([\w.!+]+)(?: *; *(.*?))? *\\")


def read_names(requirement: str) -> Iterator[tuple[str, str | None]]:
    """Names and versions. A line for other Pythons or systems is known by the version that is here."""
    file = Path(requirement)
    if not file.is_file():
        yield requirement, None
        return
    for match in map(_LINE.match, file.read_text("utf-8").splitlines()):
        if match is not None:
            yield match[1], match[2] if match[3] is None else ""


def normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def copy(package: Distribution, source: Path, target: Path) -> None:
    """Its files below the folder of packages, compiled ones too."""
    for file in package.files or []:
        path = Path(str(package.locate_file(file)))
        if path.is_file() and path.is_relative_to(source):
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, place)


def main(environment: Path, source: Path, requirements: list[str]) -> int:
    target = next(environment.glob("lib/python3.*/site-packages"))
    here = {normalize(one.name): one for one in distributions(path=[str(source)])}
    for name, version in (pair for one in requirements for pair in read_names(one)):
        package = here.get(normalize(name))
        if package is not None and version in (None, "", package.version):
            copy(package, source, target)
            if name == "pip":
                launcher = environment / "bin" / "pip"
                launcher.write_text(f'#!/bin/sh\nexec {environment}/bin/python -m pip "$@"\n')
                launcher.chmod(0o755)
        elif version != "":
            print(f"seed.py: the tests' environment has no {name} {version}: run make programs", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
