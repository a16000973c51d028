"""A client's request is read as far as a rule asks for it, and says the same as when it is read as a whole."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from signalr_bridge.negotiate.negotiator import ClientToken
from signalr_bridge.negotiate.rules import ClientRules, Template, read_client_request
from starlette.datastructures import Headers, QueryParams

LINES = [(b"host", b"a"), (b"authorization", b"Bearer x"), (b"x-user", b" \xc3\xa9\t"), (b"x-user", b"\xff")]

_names = st.sampled_from([b"host", b"authorization", b"x-user", b"x-ms-client-principal-id"])
_values = st.binary(max_size=8).filter(lambda value: not value.translate(None, bytes(range(0x21, 0x7F))))
_lines = st.lists(st.tuples(_names, _values), max_size=6)
_queries = st.text(st.sampled_from("abAB=&%+C3é"), max_size=20).map(str.encode)


class Unread(Sequence[Any]):
    """Header lines that nobody may look at."""

    def __getitem__(self, index: object) -> Any:
        raise AssertionError("a header was read")

    def __len__(self) -> int:
        raise AssertionError("the headers were counted")


class UnreadQuery(bytes):
    def decode(self, *_: str) -> str:
        raise AssertionError("the query was read")


async def test_an_anonymous_client_without_a_template_has_nothing_read_and_gets_the_hubs_defaults() -> None:
    rules = ClientRules(anonymous=True, claim_types=("role",), defaults=ClientToken(lifetime_seconds=60))
    for _ in range(2):
        assert await rules.admit(read_client_request(Unread(), UnreadQuery(b"a=b"))) is rules.defaults


async def test_a_template_of_headers_leaves_the_query_alone_and_the_other_way_round() -> None:
    by_header = ClientRules(anonymous=True, user_id=Template("{headers.x-user}"))
    assert (await by_header.admit(read_client_request([(b"x-user", b"ann")], UnreadQuery()))).user_id == "ann"
    by_query = ClientRules(anonymous=True, user_id=Template("{query.User}"))
    assert (await by_query.admit(read_client_request(Unread(), b"uSER=ann"))).user_id == "ann"


def test_values_are_utf8_or_latin1_without_the_blanks_of_http() -> None:
    found = read_client_request(LINES, b"a=1&A=2&b")
    assert found.headers.get("x-user") == ["é", "ÿ"]
    assert found.tokens == ("x",)
    assert found.headers.get("x-other") is None
    assert dict(found.query) == {"a": ["1", "2"], "b": [""]}
    assert list(found.headers) == ["host", "authorization", "x-user"]
    assert (len(found.headers), len(found.query)) == (3, 2)


@given(_lines, _queries)
def test_headers_are_those_that_starlette_reads_name_by_name(lines: list[tuple[bytes, bytes]], query: bytes) -> None:
    known, found = Headers(raw=lines), read_client_request(lines, query)
    for name in ("host", "authorization", "x-user", "x-ms-client-principal-id", "absent"):
        assert found.headers.get(name, []) == [one.strip(" \t") for one in known.getlist(name)]
    values: dict[str, list[str]] = {}
    for name, value in QueryParams(query).multi_items():
        values.setdefault(name.lower(), []).append(value)
    assert dict(found.query) == values


@pytest.mark.parametrize("text", [repr(read_client_request([(b"a", b"canary")], b"b=canary"))])
def test_nothing_shows(text: str) -> None:
    assert "canary" not in text
