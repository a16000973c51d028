"""The hub protocols of clients: their frames, numbers that one of them lacks, and what an upstream may answer."""

from typing import Any

import msgpack
import msgspec
import pytest
from signalr_bridge.emulator.codecs import CODECS, Frame
from signalr_bridge.emulator.upstream import UpstreamReply, interpret
from signalr_bridge.errors import UnheldValue
from signalr_bridge.protocol.hub_message import Completion, Invocation, Ping

from tests.unit.emulator.fakes import read_frame

JSON, MESSAGEPACK = CODECS["json"], CODECS["messagepack"]
COMPLETION = b"\x0c\x95\x03\x80\xa17\x03\xa5world"
PING = b"\x02\x91\x06"


def told(answer: UpstreamReply | None) -> bytes:
    return binary(interpret(answer, "7", MESSAGEPACK))


def binary(frame: Frame) -> bytes:
    data = read_frame(frame)
    assert isinstance(data, bytes)
    return data


def unframed(data: bytes) -> Any:
    """What a short frame holds."""
    assert data[0] == len(data) - 1
    return msgpack.unpackb(data[1:], strict_map_key=False)


def test_frames_are_text_in_json_and_binary_in_messagepack() -> None:
    assert read_frame(JSON.write(Ping())) == '{"type":6}\x1e'
    assert read_frame(JSON.frame(b"{}\x1e")) == "{}\x1e"
    assert read_frame(MESSAGEPACK.write(Ping())) == PING
    assert read_frame(MESSAGEPACK.frame(b"{}\x1e")) == b"{}\x1e"


def test_numbers_keep_their_kind() -> None:
    """service-emulation 4.4: integers as ints, other numbers float64, objects as maps with string keys."""
    [*_, arguments, streams] = unframed(binary(MESSAGEPACK.write(Invocation("t", [1, 1.0, {"a": "1"}, 2**64 - 1]))))
    assert arguments == [1, 1.0, {"a": "1"}, 2**64 - 1]
    assert [type(one) for one in arguments] == [int, float, dict, int]
    assert streams == []


def test_an_integer_that_no_64_bits_hold_is_what_javascript_makes_of_it() -> None:
    values = b'[{"n":[%d,%d]},%d,%d,1e400,-1%s,true]' % (2**64, 2**64 - 1, -(2**63) - 1, -(2**63), b"0" * 5000)
    message = Invocation("t", msgspec.Raw(values))
    [*_, arguments, _] = unframed(binary(MESSAGEPACK.write(message)))
    assert arguments == [
        {"n": [float(2**64), 2**64 - 1]},
        -(2.0**63),
        -(2**63),
        float("inf"),
        float("-inf"),
        True,
    ]
    whole = b'{"type":1,"target":"t","arguments":' + values + b"}\x1e"
    assert read_frame(JSON.write(message)) == whole.decode(), "JSON clients still get it whole"


def test_a_message_that_is_nested_too_deeply_has_no_place() -> None:
    value: list[Any] = []
    for _ in range(10_000):
        value = [value]
    with pytest.raises(UnheldValue):
        MESSAGEPACK.write_body(Invocation("t", value))


def test_arguments_of_json_are_written_as_the_service_writes_them() -> None:
    """service-emulation 3.3: compact, characters instead of escapes, and numbers and equal names as they came."""
    sent = b'{"type":1,"target":"t","arguments": [1.50, 1e3 ,1E400,"\\u00e9\\/ \\ud83d",{"a":1, "a":2}]}'
    message = JSON.read(sent)
    assert isinstance(message, Invocation)
    wanted = '{"type":1,"target":"t","arguments":[1.50,1e3,1E400,"\u00e9/ \ufffd",{"a":1,"a":2}]}'
    assert JSON.write_body(message).decode() == wanted


# --- answers of the upstream


@pytest.mark.parametrize("body", [COMPLETION, PING + COMPLETION, b"\x02\x91\x63"])
def test_framed_messages_are_passed_on_as_they_are(body: bytes) -> None:
    assert told(UpstreamReply(200, body)) == body


@pytest.mark.parametrize(
    "body",
    [
        COMPLETION[1:],
        COMPLETION[:-1],
        COMPLETION + b"\x01",
        COMPLETION + b"\x00",
        b"\x03\x91\x06\xc0",
        b"\x80\x80\x80\x80\x08",
        b'{"type":3,"invocationId":"7"}\x1e',
        b"<html>",
    ],
)
def test_what_is_no_message_becomes_an_error(body: bytes) -> None:
    [*_, kind, text] = unframed(told(UpstreamReply(200, body)))
    assert (kind, text) == (1, "Invocation failed, the answer of the upstream is no message of the hub protocol.")


def test_other_answers() -> None:
    assert told(UpstreamReply(200)) == told(UpstreamReply(204)) == binary(MESSAGEPACK.write(Completion("7")))
    not_found = bytes.fromhex("2a 95 03 80 a1 37 01 d9 22") + b"Invocation failed, status code 404"
    assert told(UpstreamReply(404, COMPLETION)) == not_found
