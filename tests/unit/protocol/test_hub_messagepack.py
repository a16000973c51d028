"""The hub protocol in MessagePack: bytes as every official client understands them."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgpack
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from signalr_bridge.errors import MalformedJson, MalformedMessage
from signalr_bridge.protocol import hub_json, hub_message, json_text
from signalr_bridge.protocol.hub_message import (
    STREAMS_NOT_CARRIED,
    UNHELD,
    CancelInvocation,
    Close,
    Completion,
    HubMessage,
    Invocation,
    Ping,
    StreamInvocation,
    StreamItem,
)
from signalr_bridge.protocol.hub_messagepack import (
    read_invocation,
    read_message,
    split_frames,
    write_body,
    write_frame,
    write_message,
)

from tests.unit.protocol.legal import json_values, packed_values, texts
from tests.vectors import read_vectors

VECTORS = read_vectors("hub_messagepack")
OF_JAVASCRIPT = read_vectors("hub_messagepack_js")


def untag(value: Any) -> Any:
    """What JSON cannot say, as the vectors write it."""
    match value:
        case {"$bytes": digits}:
            return bytes.fromhex(digits)
        case {"$time": text}:
            return datetime.fromisoformat(text)
        case dict():
            return {name: untag(one) for name, one in value.items()}
        case list():
            return [untag(one) for one in value]
    return value


def message(row: dict[str, Any]) -> HubMessage:
    made: HubMessage = getattr(hub_message, row["kind"])(**untag(row["members"]))
    return made


def read_frame(frame: bytes) -> HubMessage | None:
    [body], rest = split_frames(frame)
    assert rest == b""
    return read_message(body)


def alike(one: HubMessage | None, other: HubMessage) -> bool:
    """Equal, but for the type of the sequences."""
    return one is not None and type(one) is type(other) and write_body(one) == write_body(other)


# --- values from outside


@pytest.mark.parametrize("row", VECTORS["messages"], ids=lambda row: row["frame"])
def test_a_message_is_this_frame(row: dict[str, Any]) -> None:
    assert write_message(message(row)) == bytes.fromhex(row["frame"])
    assert alike(read_frame(bytes.fromhex(row["frame"])), message(row))


@pytest.mark.parametrize("row", VECTORS["also_read"] + OF_JAVASCRIPT["messages"], ids=lambda row: row["frame"][:80])
def test_what_other_writers_write_is_read(row: dict[str, Any]) -> None:
    read = read_frame(bytes.fromhex(row["frame"]))
    assert alike(read, message(row))
    if isinstance(read, Invocation):
        assert read.arguments == untag(row["members"]["arguments"])


def test_values_are_written_as_javascript_writes_them() -> None:
    for row in OF_JAVASCRIPT["messages"]:
        if row["kind"] == "Invocation" and len(row["members"]) == 2:  # arguments alone, and no array of streams
            [body], _ = split_frames(bytes.fromhex(row["frame"]))
            assert write_body(message(row)) == b"\x96" + body[1:] + b"\x90"


@pytest.mark.parametrize("frame", VECTORS["ignored"])
def test_unknown_types_are_ignored(frame: str) -> None:
    assert read_frame(bytes.fromhex(frame)) is None


@pytest.mark.parametrize(("body", "text"), VECTORS["malformed"])
def test_a_malformed_message_says_what_is_wrong(body: str, text: str) -> None:
    with pytest.raises(MalformedMessage) as refusal:
        read_message(bytes.fromhex(body))
    assert refusal.value.detail == text


# --- framing


@pytest.mark.parametrize(("length", "prefix"), VECTORS["lengths"])
def test_a_length_is_this_prefix(length: int, prefix: str) -> None:
    frame = bytes.fromhex(prefix) + bytes(length)
    assert write_frame(bytes(length)) == frame
    assert split_frames(frame) == ([bytes(length)], b"")
    assert split_frames(frame[:-1]) == ([], frame[:-1])


def test_the_largest_length_is_waited_for() -> None:
    start = bytes.fromhex(VECTORS["largest_length"]) + b"\x91"
    assert split_frames(start) == ([], start)


@pytest.mark.parametrize("prefix", VECTORS["malformed_lengths"])
@pytest.mark.parametrize("before", [b"", b"\x02\x91\x06"])
def test_a_length_that_cannot_be(prefix: str, before: bytes) -> None:
    with pytest.raises(MalformedMessage):
        split_frames(before + bytes.fromhex(prefix))


@given(st.lists(st.binary(max_size=300), max_size=4), st.binary(min_size=1), st.data())
def test_frames_stand_side_by_side_and_the_rest_waits(bodies: list[bytes], last: bytes, data: st.DataObject) -> None:
    frame = write_frame(last)
    cut = data.draw(st.integers(0, len(frame) - 1))
    assert split_frames(b"".join(map(write_frame, bodies)) + frame[:cut]) == (bodies, frame[:cut])


# --- there and back


_payloads = st.lists(packed_values, max_size=3)
_maybe = st.none() | texts.filter(bool)
messages: st.SearchStrategy[HubMessage] = st.one_of(
    st.builds(
        Invocation, texts, _payloads, _maybe, st.dictionaries(texts, texts, max_size=2), st.lists(texts, max_size=2)
    ),
    st.builds(StreamItem, texts, packed_values),
    st.builds(Completion, texts, packed_values, st.none(), st.just(True)),
    st.builds(Completion, texts, st.none(), st.none() | texts),
    st.builds(StreamInvocation, texts, _payloads, texts),
    st.builds(CancelInvocation, texts),
    st.builds(Ping),
    st.builds(Close, st.none() | texts, st.booleans()),
)


@given(messages)
def test_every_message_is_read_as_it_was_written(one: HubMessage) -> None:
    assert read_frame(write_message(one)) == one


@given(texts, st.lists(json_values, max_size=3), _maybe)
def test_values_that_json_knows_are_the_same_in_both(target: str, arguments: list[Any], id: str | None) -> None:
    one = Invocation(target, arguments, id, stream_ids=[])
    in_json = hub_json.read_message(hub_json.write_message(one).removesuffix(b"\x1e"))
    assert isinstance(in_json, Invocation)
    assert read_frame(write_message(one)) == read_frame(write_message(in_json)) == one


def _unpack(body: bytes) -> Any:
    return msgpack.unpackb(body, timestamp=3, strict_map_key=False, raw=False)


@given(packed_values)
def test_another_library_reads_the_same(value: Any) -> None:
    assert _unpack(write_body(StreamItem("1", value))) == [2, {}, "1", value]


@given(packed_values)
def test_another_library_writes_the_same(value: Any) -> None:
    assert read_message(msgpack.packb([2, {}, "1", value], datetime=True)) == StreamItem("1", value)


@given(packed_values, packed_values)
def test_what_stands_behind_the_arguments_is_ignored_upstream(sixth: Any, seventh: Any) -> None:
    body = msgpack.packb([1, {}, "7", "s", [1], sixth, seventh], datetime=True)
    assert read_invocation(body) == Invocation("s", [1], "7", stream_ids=[])


@pytest.mark.parametrize("body", ["91 06", "92 07 c0", "91 63", "94 03 80 a1 37 02"])
def test_upstream_takes_invocations_only(body: str) -> None:
    with pytest.raises(MalformedMessage, match="no invocation"):
        read_invocation(bytes.fromhex(body))


# --- values


@pytest.mark.parametrize(
    ("packed", "value"),
    [
        ("cf ffffffffffffffff", 2**64 - 1),
        ("d3 8000000000000000", -(2**63)),
        ("ca 3fc00000", 1.5),
        ("c4 02 00ff", b"\x00\xff"),
        ("d6 ff 00000001", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
        ("d7 ff ee6b27fc 00000001", datetime(1970, 1, 1, 0, 0, 1, 999_999, tzinfo=UTC)),  # 999,999,999 ns are cut off
        ("c7 0c ff 3b9ac99c 0000003afff4417f", datetime.max.replace(tzinfo=UTC)),  # .NET's DateTime.MaxValue
        ("c7 0c ff 3b9ac9ff 0000003afff4417f", datetime.max.replace(tzinfo=UTC)),
        ("c7 0c ff 00000000 fffffff1886e0900", datetime.min.replace(tzinfo=UTC)),  # .NET's DateTime.MinValue
        ("c7 0c ff 00000001 ffffffffffffffff", datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (
            "92 a5 61 d7ff ee 6b c4 0a d7ff ee6b27fc 00000001",
            ["a\ufffd\ufffd\ufffdk", bytes.fromhex("d7ffee6b27fc00000001")],
        ),
        ("a5 61 eda0bd 62", "a\ufffdb"),  # half a character, as JavaScript's MessagePack writes it
        ("a2 c3 28", "\ufffd("),
        ("d9 21 " + "61" * 31 + "c3 28", "a" * 31 + "\ufffd("),
        ("82 01 a1 61 c0 a1 62", {1: "a", None: "b"}),
        ("81 c4 01 6b 01", {b"k": 1}),
        ("81 92 01 02 03", {(1, 2): 3}),
    ],
)
def test_values_that_json_does_not_know(packed: str, value: Any) -> None:
    body = bytes.fromhex("95 01 80 c0 a1 73 92" + packed + "a3 65 6e 64")
    assert read_invocation(body).arguments == [value, "end"]


def test_an_unknown_extension_is_kept_and_what_follows_is_read() -> None:
    body = bytes.fromhex("95 01 80 c0 a1 73 94 d4 05 aa c7 03 80 010203 d8 7f" + "00" * 16 + "a3 65 6e 64")
    *extensions, end = read_invocation(body).arguments
    assert [(one.code, one.data) for one in extensions] == [(5, b"\xaa"), (-128, b"\x01\x02\x03"), (127, bytes(16))]
    assert end == "end"
    assert write_body(Invocation("s", [*extensions, end])) == b"\x96" + body[1:] + b"\x90"


@pytest.mark.parametrize(
    "packed",
    [
        "c7 0c ff 00000000 7fffffffffffffff",
        "c7 0c ff 00000000 0000003afff44180",  # the year 10000
        "c7 0c ff 00000000 fffffff1886e08ff",  # before the year 1
        "c7 0c ff 3b9aca00 0000000000000000",  # a whole second in nanoseconds
        "d7 ff ffffffff00000001",
        "d4 ff 00",
        "c7 00 ff",
        "81 80 01",  # a map as a key
        "91" * 5000 + "c0",
    ],
)
def test_a_value_that_has_no_place_is_a_fault_of_its_invocation_alone(packed: str) -> None:
    value = bytes.fromhex(packed)
    for streams in (b"", b"\x91\xa19"):
        head = bytes([0x95 + bool(streams)])
        body = head + bytes.fromhex("01 80 a1 37 a1 73 92 01") + value + streams
        for read in (read_message, read_invocation):
            assert read(body) == Invocation("s", [], "7", stream_ids=[], fault=UNHELD)
    assert read_message(bytes.fromhex("95 03 80 a1 37 03") + value) == Completion("7", error=UNHELD)
    assert read_message(bytes.fromhex("94 02 80 a1 37") + value) is None
    assert read_message(bytes.fromhex("95 04 80 a1 37 a1 73 91") + value) is None


@pytest.mark.parametrize("ending", ["", "00", "c1"])
def test_what_is_malformed_stays_so_beside_a_value_that_has_no_place(ending: str) -> None:
    body = bytes.fromhex("95 01 80 a1 37 a1 73 92 d4ff00" + ending)
    with pytest.raises(MalformedMessage, match="Error reading MessagePack"):
        read_message(body if ending != "00" else body + b"\x00")


def test_streams_are_read_upstream_and_what_else_stands_there_is_not() -> None:
    assert read_invocation(bytes.fromhex("96 01 80 a1 37 a1 73 90 91 a1 39")).refusal == STREAMS_NOT_CARRIED
    assert read_invocation(bytes.fromhex("96 01 80 a1 37 a1 73 90 91 09")).refusal is None


def test_a_time_goes_out_in_utc() -> None:
    here = datetime(2026, 11, 22, 11, 0, tzinfo=timezone(timedelta(hours=1)))
    assert write_body(StreamItem("1", here)).endswith(bytes.fromhex("d6ff6b02bd20"))


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, "\ud800", object()])
def test_a_value_that_messagepack_cannot_hold(value: Any) -> None:
    with pytest.raises((OverflowError, UnicodeError, TypeError)):
        write_message(Completion("1", [value], has_result=True))


def test_a_result_may_be_raw_json() -> None:
    raw = msgspec.Raw(b'{"n": [1, 1.0, null, "\xc3\xa9"]}')
    read = read_frame(write_message(Completion("1", raw, has_result=True)))
    assert read == Completion("1", {"n": [1, 1.0, None, "é"]}, has_result=True)
    with pytest.raises(MalformedJson):
        write_message(Completion("1", msgspec.Raw(b'"\\ud800"'), has_result=True))


@pytest.mark.parametrize("opening", [b"\x91", b"\x81\xa1k"])
def test_endless_nesting_has_no_place(opening: bytes) -> None:
    read = read_message(b"\x95\x01\x80\xc0\xa1s\x91" + opening * 100_000 + b"\xc0")
    assert read == Invocation("s", [], stream_ids=[], fault=UNHELD)


_items = st.integers(-1, 12) | packed_values
_almost = st.lists(_items, max_size=7).map(msgspec.msgpack.encode)
_typed = st.tuples(st.integers(0, 8), st.just({}), texts, _items, _items, _items).map(msgspec.msgpack.encode)


@given(st.binary() | _almost | _typed)
@example(b"\xdd\xff\xff\xff\xff")
@example(b"\xdf\xff\xff\xff\xff")
@example(b"\x81\x80\x00")
def test_any_bytes_end_in_good_order(data: bytes) -> None:
    for read in (read_message, read_invocation, split_frames):
        with suppress(MalformedMessage):
            read(data)


@given(st.binary())
def test_whatever_was_read_can_be_written(data: bytes) -> None:
    with suppress(MalformedMessage):
        message = read_invocation(b"\x95\x01\x80\xc0\xa1s\x91" + data)
        assert read_invocation(write_body(message)) is not None
        assert json_text.decode(json_text.encode(message.arguments)) is not None
