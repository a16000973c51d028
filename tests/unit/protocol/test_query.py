"""A query's parameters are those that the standard library reads."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from signalr_bridge.protocol.names import read_parameters

from tests.unit.protocol.legal import any_text

QUERIES = st.one_of(any_text, st.text(st.sampled_from("ab=&%+;?25cC3éÿ你 \x00")))


@given(QUERIES)
def test_reads_what_the_standard_library_reads(query: str) -> None:
    assert read_parameters(query) == parse_qsl(query, keep_blank_values=True, errors="replace")


@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        ("", []),
        ("&&", []),
        ("a", [("a", "")]),
        ("=", [("", "")]),
        ("a=1&b=2&a=3", [("a", "1"), ("b", "2"), ("a", "3")]),
        ("a=b=c", [("a", "b=c")]),
        ("a+b=c%20d%2B", [("a b", "c d+")]),
        ("%61=%C3%A9", [("a", "é")]),
        ("a=%FF", [("a", "\ufffd")]),
        ("a=%", [("a", "%")]),
        ("a;b=1", [("a;b", "1")]),
    ],
)
def test_examples(query: str, pairs: list[tuple[str, str]]) -> None:
    assert read_parameters(query) == pairs
