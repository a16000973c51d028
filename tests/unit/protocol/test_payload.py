"""Bodies of messages: finished for every hub protocol, as the Management SDK writes them."""

import msgpack
import pytest
from signalr_bridge.errors import MalformedJson, MalformedMessage
from signalr_bridge.protocol.payload import read_packed, write_packed
from signalr_bridge.protocol.rest import EVERY_PROTOCOL, JSON, media_type_of, write_message


def test_one_finished_message_for_each_protocol_in_the_order_of_the_sdk() -> None:
    body = write_packed("new\u00e9", b'[1, {"a": [null, true]}, 1.50]')
    found = msgpack.unpackb(body)
    assert list(found) == ["json", "messagepack"]
    assert found["json"] == '{"type":1,"target":"newé","arguments":[1, {"a": [null, true]}, 1.50]}\x1e'.encode()
    length, rest = found["messagepack"][0], found["messagepack"][1:]
    assert length == len(rest)
    assert msgpack.unpackb(rest) == [1, {}, None, "newé", [1, {"a": [None, True]}, 1.5], []]


def test_integers_that_messagepack_lacks_become_floats_there_alone() -> None:
    huge = 2**70
    found = msgpack.unpackb(write_packed("t", f"[{huge}, {-huge}, {2**64 - 1}, {-(2**63)}]".encode()))
    assert str(huge).encode() in found["json"]
    assert msgpack.unpackb(found["messagepack"][1:])[4] == [float(huge), -float(huge), 2**64 - 1, -(2**63)]


def test_numbers_that_python_cannot_hold_are_endless_in_messagepack_alone() -> None:
    arguments = b"[1e400,-1e400,%s,1e5]" % (b"7" * 5000)
    found = msgpack.unpackb(write_packed("t", arguments))
    assert arguments in found["json"]
    assert msgpack.unpackb(found["messagepack"][1:])[4] == [float("inf"), float("-inf"), float("inf"), 1e5]


def test_a_body_says_what_it_is() -> None:
    assert media_type_of(write_message("t", b"[]")) == JSON
    assert media_type_of(write_packed("t", b"[]")) == EVERY_PROTOCOL


def test_there_and_back() -> None:
    assert set(read_packed(write_packed("t", b"[]"))) == {"json", "messagepack"}


@pytest.mark.parametrize("body", [b"", b"{}", b"\x81\xa1a\x01", b"\x80\x80", b"\xc1"])
def test_what_is_no_map_of_messages(body: bytes) -> None:
    with pytest.raises(MalformedMessage):
        read_packed(body)


def test_arguments_that_no_message_can_hold() -> None:
    with pytest.raises(MalformedJson, match="nested"):
        write_packed("t", b"[" * 600 + b"]" * 600)
