"""The lines of keys: by hand for every way to write one, and against the parsers for whatever they accept."""

import json
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from signalr_bridge.settings.lines import KeyPath, find_json_lines, find_toml_lines, without_comments

TOML = '''# a comment = 1
docs = true  # [not.a.table]
limits.grace_seconds = 5

[hubs."My.Hub".negotiate]
'user id' = "a = b # no comment"
text = """
[not.a.table]
key = \\"""1
"""
literal = \'\'\'
x = 1\'\'\'

[[negotiate.jwt]]
issuer = "https://a"
audience = [
  "one",  # a comment, with ] and "
  "two",
]
[negotiate.jwt.required]
scp = "chat"
[[negotiate.jwt]]
issuer = "https://b"
required = { scp = ["x", "y"], "a.b" = 1 }

[forward . orders]
url="http://b"'''
TOML_LINES: dict[KeyPath, int] = {
    ("docs",): 2,
    ("limits", "grace_seconds"): 3,
    ("hubs", "My.Hub", "negotiate"): 5,
    ("hubs", "My.Hub", "negotiate", "user id"): 6,
    ("hubs", "My.Hub", "negotiate", "text"): 7,
    ("hubs", "My.Hub", "negotiate", "literal"): 11,
    ("negotiate", "jwt"): 14,
    ("negotiate", "jwt", 0, "issuer"): 15,
    ("negotiate", "jwt", 0, "audience"): 16,
    ("negotiate", "jwt", 0, "audience", 1): 18,
    ("negotiate", "jwt", 0, "required", "scp"): 21,
    ("negotiate", "jwt", 1): 22,
    ("negotiate", "jwt", 1, "issuer"): 23,
    ("negotiate", "jwt", 1, "required", "scp", 1): 24,
    ("negotiate", "jwt", 1, "required", "a.b"): 24,
    ("forward", "orders", "url"): 27,
}


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_every_way_to_write_a_key(ends: str) -> None:
    text = TOML.replace("\n", ends)
    found = find_toml_lines(text)
    assert {path: found.get(path) for path in TOML_LINES} == TOML_LINES
    assert set(paths(tomllib.loads(text))) == set(found)


def test_json_with_comments() -> None:
    text = '{\n  // one\n  "Values": { /* two\n lines */\n    "A": "b // c",\n    "D\\"": [1,\n 2, ], },\n}'
    clean = without_comments(text)
    assert json.loads(clean) == {"Values": {"A": "b // c", 'D"': [1, 2]}}
    assert find_json_lines(clean) == {
        ("Values",): 3,
        ("Values", "A"): 5,
        ("Values", 'D"'): 6,
        ("Values", 'D"', 0): 6,
        ("Values", 'D"', 1): 7,
    }


NAMES = st.text(max_size=6)
DOCUMENTS = st.dictionaries(
    NAMES,
    st.recursive(
        st.integers() | st.booleans() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


@given(DOCUMENTS, st.sampled_from([None, 0, 2]))
def test_every_path_of_a_json_document_is_found(document: dict[str, Any], indent: int | None) -> None:
    text = json.dumps(document, indent=indent)
    found = find_json_lines(without_comments(text))
    assert set(found) == set(paths(document))
    assert all(json.dumps(path[-1]) in text.splitlines()[line - 1] for path, line in found.items() if is_text(path[-1]))


@given(DOCUMENTS)
def test_every_path_of_a_toml_document_is_found(document: dict[str, Any]) -> None:
    """Inline tables and lists, which TOML writes almost as JSON does."""
    text = "\n".join(f"{quote(name)} = {write(value)}" for name, value in document.items())
    assert set(find_toml_lines(text)) == set(paths(tomllib.loads(text)))


@given(st.text(alphabet='a."=[]{},#\n\\', max_size=40))
def test_what_cannot_be_followed_has_no_lines_and_ends(text: str) -> None:
    for find in (find_toml_lines, find_json_lines):
        assert all(line >= 1 for line in find(text).values())


def is_text(part: object) -> bool:
    return isinstance(part, str)


def quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")  # DEL stands escaped in TOML


def write(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quote(name)} = {write(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(write, value)) + "]"
    return quote(value) if isinstance(value, str) else json.dumps(value)


def paths(value: Any, above: KeyPath = ()) -> Iterator[KeyPath]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*above, key)
        yield from paths(one, (*above, key))
