"""Frames are byte for byte those of ``websockets``, which no client has trouble with."""

import pytest
from signalr_bridge.protocol.websocket_frame import write_binary, write_text
from websockets.frames import Frame, Opcode


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65_535, 65_536, 1_000_000])
def test_a_frame_is_what_another_library_makes_of_it(length: int) -> None:
    text = b"x" * length
    assert write_text(text) == Frame(Opcode.TEXT, text).serialize(mask=False)
    data = b"\xff" * length
    assert write_binary(data) == Frame(Opcode.BINARY, data).serialize(mask=False)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (write_text(b"Hello"), "81 05 48 65 6c 6c 6f"),
        (write_binary(bytes(256))[:4], "82 7e 01 00"),
        (write_binary(bytes(65_536))[:10], "82 7f 00 00 00 00 00 01 00 00"),
    ],
)
def test_the_examples_of_the_standard(frame: bytes, expected: str) -> None:
    """https://www.rfc-editor.org/rfc/rfc6455.html#section-5.7"""
    assert frame == bytes.fromhex(expected)


@pytest.mark.parametrize("data", [b"\xff", b"\xed\xa0\x80", b"abc\xc3"])
def test_text_is_utf_8(data: bytes) -> None:
    with pytest.raises(UnicodeDecodeError):
        write_text(data)
    assert write_binary(data).endswith(data)
