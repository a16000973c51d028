"""A client's connection as a hub sees it, without a socket."""

from signalr_bridge.emulator.codecs import CODECS, ClientCodec, Frame
from signalr_bridge.protocol.hub_message import Completion, Invocation


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
