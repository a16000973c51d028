"""JSON text: raw members exactly as written, and no member twice, compared with Python's own json module."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from signalr_bridge.errors import MalformedJson
from signalr_bridge.protocol import json_text
from signalr_bridge.protocol.json_text import DuplicateMember

from tests.unit.protocol.legal import json_values, packed_values, texts

BLANKS = st.text(" \t\r\n", max_size=2)


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)  # NaN and Infinity are no JSON


def _pairs(text: str) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = json.loads(text, object_pairs_hook=list, parse_constant=_refuse_constant)
    return pairs


@st.composite
def objects(draw: st.DrawFn) -> str:
    """An object's text; few names and numbers, so that many stand there twice and are prefixes of one another."""
    names = st.sampled_from(["a", "b", "é", '"', "\\", "a:1", "", "}"]) | texts
    values = st.sampled_from([1, 12, 1.5, -1, 0, "1", "", [1], {}, {"a": 1}, [], None]) | json_values

    def blank() -> str:
        return draw(BLANKS)

    def spelt(value: Any) -> str:
        return (
            blank() + json.dumps(value, ensure_ascii=draw(st.booleans()), indent=draw(st.none() | st.just(1))) + blank()
        )

    members = [f"{spelt(name)}:{spelt(value)}" for name, value in draw(st.lists(st.tuples(names, values), max_size=4))]
    return blank() + "{" + (",".join(members) or blank()) + "}" + blank()


@given(objects())
@example('{"a":12,"a":1}')
@example('{"a":1,"a":12}')
@example('{"a":1,"b":2,"\\u0061":1}')
@example('{"a":"}","b":{"a":1}}')
@example('{"a":1.5,"a":1 }')
@example('{"a":1e5,"b":1,"a":1}')
@example(" { } ")
def test_members_are_those_that_the_json_module_sees(text: str) -> None:
    seen = [name for name, _ in _pairs(text)]
    if len(seen) == len(set(seen)):
        found = json_text.members(text.encode())
        assert {name: json.loads(value) for name, value in found.items()} == json.loads(text)
        assert all(value in text.encode() and value == value.strip() for value in found.values())
    else:
        with pytest.raises(DuplicateMember) as refusal:
            json_text.members(text.encode())
        assert seen.count(refusal.value.name) > 1


@given(st.text('{}[]":,\\ \n019eE.-+truefalsn\x00é', max_size=12) | objects().map(lambda text: text[:-1]))
@example('{"a":tru}')
@example('{"a":1,}')
@example('{"a":"\x01"}')
@example('{"a":01}')
@example('{"a":1}x')
@example('{"a":NaN}')
def test_members_are_found_in_an_object_and_in_nothing_else(text: str) -> None:
    try:
        is_object = text.lstrip(" \t\r\n").startswith("{") and isinstance(_pairs(text), list)
    except ValueError:
        is_object = False
    try:
        json_text.members(text.encode())
        assert is_object
    except DuplicateMember:
        assert is_object
    except MalformedJson:
        assert not is_object


@given(st.lists(json_values))
def test_elements_are_the_arrays_own_text(values: list[Any]) -> None:
    assert json_text.elements(json.dumps(values).encode()) == [json.dumps(value).encode() for value in values]


@given(json_values)
def test_values_survive(value: Any) -> None:
    assert json_text.decode(json_text.encode(value)) == value
    assert json.loads(json_text.encode(value)) == value


def test_integers_are_kept_whole() -> None:
    assert json_text.decode(b"123456789012345678901234567890") == 123456789012345678901234567890


@pytest.mark.parametrize("text", [b"{}", b" \t\r\n[]", b'"a"', b"", b"  "])
def test_the_first_character(text: bytes) -> None:
    assert json_text.first_character(text) == text.strip()[:1]


DEEP = [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' + b"[" * 100_000, b"9" * 10_000]


@pytest.mark.parametrize("text", [b"", b"\xff", b'"\xff"', b'{"a":"\xff"}', b'["\xed\xa0\x80"]', b"{", b"nul", *DEEP])
def test_no_json(text: bytes) -> None:
    for read in (json_text.decode, json_text.members, json_text.elements):
        with pytest.raises(MalformedJson):
            read(text)


@given(st.binary())
def test_any_bytes_end_in_good_order(data: bytes) -> None:
    for text in (data, b'{"a":' + data + b"}", b"[" + data + b"]"):
        for read in (json_text.decode, json_text.members, json_text.elements):
            with suppress(MalformedJson, DuplicateMember):
                read(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"\x00\xff", b'"AP8="'),
        (msgspec.msgpack.Ext(5, b"\x00\xff"), b'"AP8="'),
        (datetime(2026, 11, 22, 10, 0, 0, 123000, tzinfo=UTC), b'"2026-11-22T10:00:00.123000Z"'),
        ([float("nan"), float("-inf")], b"[null,null]"),
        ({1: 2**70, 1.5: 0, b"\xff": 0}, b'{"1":1180591620717411303424,"1.5":0,"/w==":0}'),
        ([{None: [{True: 1}]}, {(1, None, "a"): b"x"}], b'[{"null":[{"true":1}]},{"[1,null,\\"a\\"]":"eA=="}]'),
        ({None: msgspec.Raw(b'{"a": 1}')}, b'{"null":{"a": 1}}'),
    ],
)
def test_what_messagepack_holds_and_json_does_not(value: Any, text: bytes) -> None:
    assert json_text.encode(value) == text


@given(packed_values)
def test_whatever_messagepack_holds_becomes_json(value: Any) -> None:
    json.loads(json_text.encode(value), parse_constant=_refuse_constant)


@pytest.mark.parametrize("value", [object(), [object()], {None: object()}, {object(): 1}])
def test_a_value_that_no_protocol_holds(value: Any) -> None:
    with pytest.raises(TypeError):
        json_text.encode(value)


def test_a_large_object_is_walked_by_its_members_and_not_by_its_size() -> None:
    large = json.dumps({str(number): "x" * 1000 for number in range(1000)}).encode()
    assert len(json_text.members(large)) == 1000


def test_an_array_is_taken_apart_up_to_a_number_of_elements() -> None:
    three = b' [ {"a":[1,2]} , 2,"\xc3\xa9" ] '
    assert [bytes(one) for one in json_text.first_elements(three, 3)] == [b'{"a":[1,2]}', b"2", '"é"'.encode()]
    assert json_text.first_elements(b"[]", 3) == ()
    assert [bytes(one) for one in json_text.first_elements(b"[null]", 3)] == [b"null"]
    with pytest.raises(json_text.TooManyElements):
        json_text.first_elements(three, 2)
    with pytest.raises(json_text.TooManyElements):
        json_text.first_elements(b"[1,2,3 nothing behind is looked at", 2)
    for wrong in (b"[1", b"[1,]", b"[1] 2", b'["\xff"]', b"[" * 5000, b"{}", b"null"):
        with pytest.raises(MalformedJson):
            json_text.first_elements(wrong, 3)
    for wrong in (b"", b" ", b"[1", b"1,2", b'"\xff"', b"[" * 5000, b"[" * 5000 + b"]" * 5000):
        with pytest.raises(MalformedJson):
            json_text.decode(wrong)
        with pytest.raises(MalformedJson):
            json_text.check_roughly(wrong)
    json_text.check_roughly(b' {"a": [1, "\xc3\xa9"]} ')


def test_of_too_many_members_the_first_are_given() -> None:
    text = b'{"a":1,"b":2,"c":3,"a":4}'
    assert json_text.members(text, 2) == {"a": b"4", "b": b"2"}
    with pytest.raises(json_text.DuplicateMember):
        json_text.members(text, 3)
