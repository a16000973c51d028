"""The hub protocol in JSON: records as every official client understands them."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs
from signalr_bridge.errors import MalformedMessage
from signalr_bridge.protocol import hub_json, hub_message, json_text
from signalr_bridge.protocol.hub_json import (
    Handshake,
    read_handshake_request,
    read_message,
    split_records,
    write_message,
)
from signalr_bridge.protocol.hub_message import (
    CancelInvocation,
    Close,
    Completion,
    HubMessage,
    Invocation,
    Ping,
    StreamInvocation,
    StreamItem,
)

from tests.unit.protocol.legal import json_values, texts
from tests.vectors import read_vectors

VECTORS = read_vectors("hub_messages")


def message(row: dict[str, Any]) -> HubMessage:
    made: HubMessage = getattr(hub_message, row["kind"])(**row["members"])
    return made


@pytest.mark.parametrize("row", VECTORS["messages"], ids=lambda row: row["record"])
def test_a_message_is_this_record(row: dict[str, Any]) -> None:
    assert write_message(message(row)) == row["record"].encode() + b"\x1e"
    assert write_message(read_message(row["record"].encode()) or Ping()) == row["record"].encode() + b"\x1e"


@pytest.mark.parametrize("row", VECTORS["also_read"], ids=lambda row: row["record"])
def test_members_come_in_any_order_and_nulls_are_absent(row: dict[str, Any]) -> None:
    assert write_message(read_message(row["record"].encode()) or Ping()) == write_message(message(row))


@pytest.mark.parametrize("record", VECTORS["ignored"])
def test_unknown_types_are_ignored(record: str) -> None:
    assert read_message(record.encode()) is None


@pytest.mark.parametrize(("record", "text"), VECTORS["malformed"])
def test_a_malformed_message_says_what_is_wrong(record: str, text: str) -> None:
    with pytest.raises(MalformedMessage) as refusal:
        read_message(record.encode())
    assert refusal.value.detail == text


_payloads = st.lists(json_values, max_size=3)
_maybe = st.none() | texts.filter(bool)
messages: st.SearchStrategy[HubMessage] = st.one_of(
    st.builds(
        Invocation, texts, _payloads, _maybe, st.dictionaries(texts, texts, max_size=2), st.lists(texts, max_size=2)
    ),
    st.builds(StreamItem, texts, json_values),
    st.builds(Completion, texts, json_values, st.none(), st.just(True)),
    st.builds(Completion, texts, st.none(), st.none() | texts),
    st.builds(StreamInvocation, texts, _payloads, texts),
    st.builds(CancelInvocation, texts),
    st.builds(Ping),
    st.builds(Close, st.none() | texts, st.booleans()),
)


def plain(one: HubMessage | None) -> HubMessage | None:
    """The message with values instead of JSON text."""
    match one:
        case Invocation():
            return structs.replace(one, arguments=value_of(one.arguments))
        case StreamInvocation():
            return replace(one, arguments=value_of(one.arguments))
        case StreamItem():
            return replace(one, item=value_of(one.item))
        case Completion():
            return structs.replace(one, result=value_of(one.result))
    return one


def value_of(payload: Any) -> Any:
    return json_text.decode(payload) if isinstance(payload, msgspec.Raw) else payload


@given(messages)
def test_every_message_is_read_as_it_was_written(one: HubMessage) -> None:
    records, rest = split_records(write_message(one))
    assert rest == b""
    assert [plain(read_message(record)) for record in records] == [one]


@given(st.lists(messages, max_size=4), st.binary().filter(lambda rest: b"\x1e" not in rest))
def test_records_stand_side_by_side_and_the_rest_waits(several: list[HubMessage], rest: bytes) -> None:
    records, left = split_records(b"".join(map(write_message, several)) + rest)
    assert [plain(read_message(record)) for record in records] == several
    assert left == rest


def test_arguments_and_results_may_be_raw_json() -> None:
    raw = msgspec.Raw(b'{"n": 1.0}')
    assert write_message(Invocation("s", [raw])) == b'{"type":1,"target":"s","arguments":[{"n": 1.0}]}\x1e'
    assert (
        write_message(Completion("1", raw, has_result=True)) == b'{"type":3,"invocationId":"1","result":{"n": 1.0}}\x1e'
    )


def test_a_messages_text_does_not_show_its_headers() -> None:
    assert "5ecret" not in repr(Invocation("s", [], headers={"Authorization": "Bearer canary-5ecret"}))


@pytest.mark.parametrize("row", VECTORS["handshake"]["requests"], ids=lambda row: row["record"])
def test_the_handshake(row: dict[str, Any]) -> None:
    handshake = Handshake(row["protocol"], row["version"])
    assert read_handshake_request(row["record"].encode()) == handshake
    assert hub_json.write_handshake_request(handshake) == row["record"].replace(" ", "").encode() + b"\x1e"


@pytest.mark.parametrize("record", VECTORS["handshake"]["malformed"])
def test_a_malformed_handshake(record: str) -> None:
    with pytest.raises(MalformedMessage):
        read_handshake_request(record.encode())


def test_the_answer_to_a_handshake_has_no_null() -> None:
    assert hub_json.write_handshake_response() == VECTORS["handshake"]["success"].encode() + b"\x1e"
    refusal = hub_json.write_handshake_response("The protocol 'x' is not supported.")
    assert refusal == VECTORS["handshake"]["failure"].encode() + b"\x1e"


_NAMES = ["type", "target", "arguments", "invocationId", "headers", "streamIds", "error", "result", "item"]
_almost = st.dictionaries(st.sampled_from(_NAMES), st.integers(-1, 12) | json_values)


@given(st.binary() | _almost.map(msgspec.json.encode))
@example(b"[" * 100_000)
@example(b'{"type":1,"target":"\\ud800","arguments":[]}')
@example(b'{"type":' + b"9" * 10_000 + b"}")
def test_any_bytes_end_in_good_order(record: bytes) -> None:
    for read in (read_message, read_handshake_request):
        with suppress(MalformedMessage):
            read(record)


# --- what a client may write


@pytest.mark.parametrize("name", ["arguments", "item", "result"])
def test_payloads_stay_as_they_were_written(name: str) -> None:
    kind = {"arguments": 1, "item": 2, "result": 3}[name]
    text = b'[1.10, 1e5, 1e999, 12345678901234567.89, %s, {"a":1,"a":2}]' % (b"9" * 5000)
    message = read_message(b'{"type":%d,"invocationId":"7","target":"t","%s":%s}' % (kind, name.encode(), text))
    assert bytes(getattr(message, name)) == text


def test_half_characters_are_replaced_and_whole_ones_stay() -> None:
    sent = (
        b'{"type":1,"target":"\\ud800","arguments":["\\ud83d\\ude00 \\ud83d \\\\ud800 \\\\\\udc00","\\udc00\\ud800"]}'
    )
    message = plain(read_message(sent))
    assert message == Invocation("\ufffd", ["\U0001f600 \ufffd \\ud800 \\\ufffd", "\ufffd\ufffd"], stream_ids=[])


def test_a_value_that_is_nested_too_deeply_does_not_hide_whose_it_is() -> None:
    deep = b"[" * 20_000 + b'"],}"' + b"]" * 20_000
    message = read_message(b'{"arguments":%s , "type": 1,"invocationId":"7","target":"t"}' % deep)
    assert isinstance(message, Invocation)
    assert (message.target, message.invocation_id, bytes(message.arguments)) == ("t", "7", deep)
    with pytest.raises(MalformedMessage):
        read_message(b'{"type":1,"target":"t","arguments":%s}' % (b"[0," * 20_000 + b"0" + b"]" * 20_000))
