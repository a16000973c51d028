"""A client's connection as a hub sees it, without a socket, and what WebSocket frames hold."""

import pytest
from signalr_bridge.emulator.codecs import CODECS, ClientCodec, Frame
from signalr_bridge.protocol.hub_message import Completion, Invocation
from websockets import frames
from websockets.streams import StreamReader


def read_frame(frame: Frame) -> str | bytes:
    """The message of a text or a binary frame, as a client's library reads it."""
    reader = StreamReader()
    reader.feed_data(frame)
    reading = frames.Frame.parse(reader.read_exact, mask=False)
    try:
        next(reading)
    except StopIteration as end:
        read: frames.Frame = end.value
    else:
        raise AssertionError("the frame is not whole")
    assert read.fin
    reader.feed_eof()
    with pytest.raises(StopIteration) as ended:
        next(reader.at_eof())
    assert ended.value.value is True, "nothing comes behind the frame"
    return bytes(read.data).decode() if read.opcode is frames.Opcode.TEXT else bytes(read.data)


class FakeMember:
    def __init__(self, connection_id: str, user_id: str | None = None, codec: ClientCodec = CODECS["json"]) -> None:
        self.connection_id, self.user_id, self.codec = connection_id, user_id, codec
        self.frames: list[Frame] = []
        self.closed: list[str | None] = []

    def deliver(self, frame: Frame) -> None:
        self.frames.append(frame)

    def close(self, reason: str | None = None) -> None:
        self.closed.append(reason)

    async def call(self, message: Invocation) -> Completion:
        return Completion(message.invocation_id or "", message.arguments, has_result=True)


class Clock:
    """Seconds that pass only when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now
