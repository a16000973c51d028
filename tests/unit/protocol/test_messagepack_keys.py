"""Keys that are no text: counted as another library sees them, and refused before a dict is made of very many."""

from typing import Any

import msgpack
from hypothesis import given
from hypothesis import strategies as st
from signalr_bridge.protocol.hub_message import UNHELD, Invocation
from signalr_bridge.protocol.hub_messagepack import read_message
from signalr_bridge.protocol.messagepack import MOST_KEYS, MOST_VALUES, count, has_too_many_keys

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=300)
    | st.binary(max_size=300)
    | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=40))
)
KEYS = st.integers(-(2**63), 2**64 - 1) | st.text(max_size=40) | st.binary(max_size=40) | st.booleans()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=20) | st.dictionaries(KEYS, inner, max_size=20), max_leaves=60
)


def expected(value: Any) -> tuple[int, int]:
    """The keys that are no text and all values, keys among them, of what the other library has read."""
    inside = list(value) if isinstance(value, list | Pairs) else []
    counted = [expected(one) for pair in inside for one in (pair if isinstance(value, Pairs) else [pair])]
    own = sum(not isinstance(key, str) for key, _ in value) if isinstance(value, Pairs) else 0
    return own + sum(keys for keys, _ in counted), 1 + sum(values for _, values in counted)


class Pairs(tuple[Any, ...]):
    """A map's pairs, in their order."""


@given(VALUES)
def test_another_library_counts_the_same(value: Any) -> None:
    body = msgpack.packb(value)
    read = msgpack.unpackb(body, object_pairs_hook=Pairs, strict_map_key=False)
    assert count(body) == expected(read)


@given(st.binary(max_size=200), st.integers(0, 10))
def test_any_bytes_are_counted(junk: bytes, times: int) -> None:
    body = junk * (times * 100)
    keys, values = count(body)
    assert 0 <= keys <= values <= max(len(body), 1)


def invocation(argument: Any) -> bytes:
    return bytes(msgpack.packb([1, {}, None, "t", [argument]]))


def test_no_more_keys_than_that_are_read() -> None:
    most: dict[Any, None] = dict.fromkeys(range(2**31, 2**31 + MOST_KEYS))
    assert read_message(invocation(most)) is not None
    for one_more in ([most, {0.5: None}], [{**most, 0.5: None}], {**most, b"bytes": None}):
        read = read_message(invocation(one_more))
        assert isinstance(read, Invocation)
        assert (read.arguments, read.fault) == ([], UNHELD)


def test_text_keys_may_be_as_many_as_they_like() -> None:
    assert read_message(invocation({f"key-{number}": number for number in range(5 * MOST_KEYS)})) is not None


def test_small_maps_do_not_count() -> None:
    """However many: a map of fewer than 256 entries cannot be made slow."""
    assert read_message(invocation([dict.fromkeys(range(200))] * 200)) is not None


def test_with_a_large_map_there_may_be_only_so_many_values() -> None:
    table = {f"{number}": None for number in range(256)}
    assert read_message(invocation([table, [None] * (MOST_VALUES - 1000)])) is not None
    assert has_too_many_keys(invocation([table, [None] * MOST_VALUES]))
    assert read_message(invocation([None] * (MOST_VALUES * 2))) is not None
