"""What files of ours are cited where, and which headings of them."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.shape.tree import ROOT

FACTS = ROOT / "docs" / "protocol"
TEXTS = {".py", ".md", ".toml", ".yaml", ".js", ".mjs", ".go", ".php", ""}

_NUMBER = r"\d+(?:\.\d+)?"
_CITATION = re.compile(rf"docs/protocol/([\w-]+\.md)`{{0,2}},?\s*({_NUMBER}(?:(?:, and |, | and | to ){_NUMBER})*)?")
_HEADING = re.compile(rf"^#+ ({_NUMBER})\.? ", re.MULTILINE)
_DOCUMENT = re.compile(r"(?<![\w/.-])[\w./-]*\w\.md\b")
_MODULE = re.compile(r"(?<![\w./-])((?:app/)?signalr_bridge/[\w/]+\.py|tests/[\w/]+\.py)\b")
_QUOTED = re.compile(r"README's (?:section )?\"([^\"]+)\"")
_LINK = re.compile(r"\]\(([^()\s]+)\)")


@dataclass(frozen=True, slots=True)
class Citation:
    """``numbers`` are those of headings; of "4.2 to 4.4" all three."""

    file: str
    numbers: tuple[str, ...]


def read_tracked(suffixes: set[str] = TEXTS) -> Iterator[tuple[Path, str]]:
    """The texts of the repository, this folder's own patterns left out."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for path in (ROOT / name for name in listed.split("\0") if name):
        if path.is_file() and path.suffix in suffixes and "citations" not in path.name:
            yield path, path.read_text("utf-8")


def find_citations(text: str) -> list[Citation]:
    """In docstrings and comments, also where a line ends within."""
    flat = re.sub(r"\s*\n\s*(?:# ?)?", " ", text)
    return [Citation(match[1], _list_numbers(match[2] or "")) for match in _CITATION.finditer(flat)]


def _list_numbers(text: str) -> tuple[str, ...]:
    numbers: list[str] = []
    for first, last in re.findall(rf"({_NUMBER})(?: to ({_NUMBER}))?", text):
        part, _, start = first.rpartition(".")
        end = (last or first).rpartition(".")[2]
        numbers += [f"{part}.{number}".lstrip(".") for number in range(int(start), int(end) + 1)]
    return tuple(numbers)


def find_headings(file: str) -> set[str]:
    """The numbers of the headings of a file of ``docs/protocol``; none when there is no such file."""
    path = FACTS / file
    return set(_HEADING.findall(path.read_text("utf-8"))) if path.is_file() else set()


def find_documents(text: str) -> list[str]:
    """What is named there and ends in ``.md``, links to elsewhere left out."""
    return _DOCUMENT.findall(re.sub(r"https?://\S+", "", text))


def find_modules(text: str) -> list[str]:
    """The modules of ours that are named by their path."""
    return _MODULE.findall(text)


def find_sections(text: str) -> list[str]:
    """The sections of the README that are named by their heading, also where a line ends within."""
    return _QUOTED.findall(re.sub(r"\s*\n\s*(?:# ?)?", " ", text))


def find_links(text: str) -> list[str]:
    """The targets of Markdown's links that are files."""
    return [
        link.partition("#")[0]
        for link in _LINK.findall(re.sub(r"`[^`\n]*`", "", text))
        if not re.match(r"#|[a-z]+:", link)
    ]
