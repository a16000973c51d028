"""The hub protocols as the service speaks them, written by other libraries than the bridge's own."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgpack
from signalr_bridge.wire.exchange import Answer, make_answer


@dataclass(frozen=True)
class Json:
    media_type = "application/json"

    def invocation(self, target: str = "send", arguments: Sequence[Any] = ("hi", 1), id: str | None = None) -> bytes:
        waits = {} if id is None else {"invocationId": id}
        return _dump({"type": 1, **waits, "target": target, "arguments": arguments})

    def completion(self, **ending: Any) -> Answer:
        """With ``result`` or ``error``, for the invocation 7."""
        return make_answer(200, _dump({"type": 3, "invocationId": "7", **ending}) + b"\x1e", self.media_type)


def _dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True)
class MessagePack:
    media_type = "application/x-msgpack"

    def invocation(self, target: str = "send", arguments: Sequence[Any] = ("hi", 1), id: str | None = None) -> bytes:
        body: bytes = msgpack.packb([1, {}, id, target, arguments, []], datetime=True)
        return body

    def completion(self, **ending: Any) -> Answer:
        """With ``result`` or ``error``, for the invocation 7."""
        [(name, value)] = ending.items()
        body = msgpack.packb([3, {}, "7", {"error": 1, "result": 3}[name], value], datetime=True)
        assert len(body) < 128, "its length fits into one byte"
        return make_answer(200, bytes([len(body)]) + body, self.media_type)


Speech = Json | MessagePack

SPEECHES: list[Speech] = [Json(), MessagePack()]
