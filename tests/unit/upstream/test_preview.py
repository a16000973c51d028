"""Values cut short for those who watch."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from signalr_bridge.protocol import json_text
from signalr_bridge.upstream.values import LONGEST_TEXT, MOST_VALUES, cut, preview

LONG = "x" * (LONGEST_TEXT + 1)
CUT = "x" * LONGEST_TEXT + "…"


def nest(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        (2**64 - 1, 2**64 - 1),
        (2**64, "<65 bits>"),
        (10**4000, "<13288 bits>"),
        ("text", "text"),
        (LONG, CUT),
        ("\ud800", "?"),
        (b"bytes", "<5 bytes>"),
        ([1, [2, {"a": LONG}]], [1, [2, {"a": CUT}]]),
        ((1, 2), [1, 2]),
        ({LONG: 1, 5: 2, None: 3}, {CUT: 1, "5": 2, "None": 3}),
        ([], []),
        ({}, {}),
        (nest(9), [[[[["…"]]]]]),
        (datetime(2026, 11, 22, tzinfo=UTC), "2026-11-22T00:00:00+00:00"),
        (msgspec.msgpack.Ext(5, b"abc"), "<3 bytes>"),
        (object(), "<object>"),
    ],
)
def test_what_is_shown(value: Any, shown: Any) -> None:
    assert preview(value) == shown
    json_text.encode(preview(value))


def test_of_many_items_the_first_ones() -> None:
    shown = preview(list(range(100_000)))
    assert shown[:3] == [0, 1, 2]
    assert len(shown) <= MOST_VALUES + 1
    assert shown[-1] == f"… {100_000 - len(shown) + 1:,} more"
    members = preview({str(number): number for number in range(1000)})
    assert members["…"] == f"{1000 - len(members) + 1:,} more"


def test_it_stays_small_whatever_the_value() -> None:
    wide: Any = [[LONG] * 1000 for _ in range(1000)]
    for value in (wide, {LONG + str(number): wide for number in range(100)}, [wide] * 9):
        assert len(json.dumps(preview(value))) < MOST_VALUES * (LONGEST_TEXT + 10) * 3


def test_names_are_cut_too() -> None:
    assert cut(LONG) == CUT
    assert cut("zoë") == "zoë"
