"""What is cited is there: the facts under docs/protocol by their headings, and every file that a text of ours names."""

import re

import pytest

from tests.shape.citations import (
    FACTS,
    Citation,
    find_citations,
    find_documents,
    find_headings,
    find_links,
    find_modules,
    find_sections,
    read_tracked,
)
from tests.shape.tree import ROOT

# Of the place where the facts were written down, and no part of a clone.
_ELSEWHERE = re.compile(r"\.\./(?:shared|vectors|spec|design)\b|(?<![\w./-])(?:shared|spec|design)/[\w-]+\.\w")


def shown(citation: Citation) -> str:
    return f"{citation.file} {', '.join(citation.numbers) or 'without a number'}"


def test_every_citation_of_a_fact_is_one_of_a_heading() -> None:
    found = [(path, one) for path, text in read_tracked({".py"}) for one in find_citations(text)]
    assert len(found) > 30
    lost = [
        f"{path.relative_to(ROOT)}: {shown(one)}"
        for path, one in found
        if not one.numbers or not find_headings(one.file).issuperset(one.numbers)
    ]
    assert lost == []


def test_every_document_that_is_named_is_there() -> None:
    lost = [
        f"{path.relative_to(ROOT)}: {name}"
        for path, text in read_tracked()
        for name in find_documents(text)
        if not any((folder / name).is_file() for folder in (ROOT, path.parent))
    ]
    assert lost == []


def test_every_module_that_is_named_by_its_path_is_there() -> None:
    named = [(path, name) for path, text in read_tracked() for name in find_modules(text)]
    lost = [
        f"{path.relative_to(ROOT)}: {name}"
        for path, name in named
        if not any((folder / name).is_file() for folder in (ROOT, ROOT / "app"))
    ]
    assert lost == []


def test_every_section_of_the_readme_that_is_named_is_there() -> None:
    headings = set(re.findall(r"^#+ (.+)$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE))
    named = [(path, name) for path, text in read_tracked({".py"}) for name in find_sections(text)]
    assert [f"{path.relative_to(ROOT)}: {name}" for path, name in named if name not in headings] == []


def test_every_link_to_a_file_leads_somewhere() -> None:
    links = [(path, link) for path, text in read_tracked({".md"}) for link in find_links(text)]
    assert len(links) > 10
    assert [f"{path.relative_to(ROOT)}: {link}" for path, link in links if not (path.parent / link).exists()] == []


def test_nothing_speaks_of_what_a_clone_does_not_have() -> None:
    found = [(path, match[0]) for path, text in read_tracked() for match in _ELSEWHERE.finditer(text)]
    assert [f"{path.relative_to(ROOT)}: {text}" for path, text in found] == []


@pytest.mark.parametrize("file", sorted(path.name for path in FACTS.glob("*.md")))
def test_a_file_of_facts_is_introduced(file: str) -> None:
    assert file == "README.md" or f"({file})" in (FACTS / "README.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("text", "file", "numbers"),
    [
        ("Source: ``docs/protocol/a.md`` 1.4 and 1.12. Nothing", "a.md", ("1.4", "1.12")),
        ("Source: ``docs/protocol/a.md`` 2.2, 2.5 and 4.9 to 4.11.", "a.md", ("2.2", "2.5", "4.9", "4.10", "4.11")),
        ("``docs/protocol/a.md`` 2 to 4 and 6; ``x``", "a.md", ("2", "3", "4", "6")),
        ("``docs/protocol/a.md``,\n1.7, 1.8.", "a.md", ("1.7", "1.8")),
        ("``docs/protocol/a.md`` 6.1\nand 6.3.", "a.md", ("6.1", "6.3")),
        ("    # docs/protocol/a.md 4.1\n    assert 1", "a.md", ("4.1",)),
        ("    # see docs/protocol/a.md 4.1\n    # and 4.2", "a.md", ("4.1", "4.2")),
        ("``docs/protocol/a-b.md`` says so", "a-b.md", ()),
    ],
)
def test_a_citation_is_read(text: str, file: str, numbers: tuple[str, ...]) -> None:
    assert find_citations(text) == [Citation(file, numbers)]


def test_headings_are_read() -> None:
    assert {"1", "1.12", "5"} <= find_headings("functions-bindings.md")
    assert "1.13" not in find_headings("functions-bindings.md")
    assert find_headings("nowhere.md") == set()


def test_modules_and_sections_are_found() -> None:
    assert find_modules("tests/a/b.py, x/tests/c.py and signalr_bridge/d.py") == ["tests/a/b.py", "signalr_bridge/d.py"]
    assert find_sections('# The README\'s "Outcomes and\n# errors" says so') == ["Outcomes and errors"]


def test_documents_and_links_are_found() -> None:
    assert find_documents("see `design/a.md`, b-c.md, ../d.md. https://x.example/e.md") == [
        "design/a.md",
        "b-c.md",
        "../d.md",
    ]
    assert find_links("[a](b.md#c) [d](https://x/y.md) [e](#f) ![g](../h.png)") == ["b.md", "../h.png"]
    assert _ELSEWHERE.search("as `../sha" + "red/x` says")
    assert _ELSEWHERE.search("see spec/" + "rest.md")
