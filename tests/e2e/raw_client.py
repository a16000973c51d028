"""A client that speaks bytes, for what no library would write. It goes to the service without negotiation."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jwt
import msgpack
from websockets.sync.client import ClientConnection, connect

from tests.e2e.processes import EMULATOR_KEY

WITHIN = 15.0
RECORD_SEPARATOR = b"\x1e"
KEY_ID = "-1234567890"
"""As Microsoft's .NET libraries write it: a hash of the key, another one in each process."""


def token_as_recorded(header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    """A token with the claims of a recording, for now: ``<now>`` and ``<now+3600>`` are seconds since 1970."""
    now = int(time.time())
    said = {name: {"<now>": now, "<now+3600>": now + 3600}.get(str(value), value) for name, value in claims.items()}
    return jwt.encode(said, EMULATOR_KEY, str(header["alg"]), headers={**header, "kid": KEY_ID})


class RawClient:
    """One WebSocket, after its handshake. ``protocol`` is ``json`` or ``messagepack``."""

    def __init__(self, socket: ClientConnection, protocol: str) -> None:
        self._socket, self._is_text = socket, protocol == "json"

    def send(self, message: bytes) -> None:
        """One message, without its framing."""
        if self._is_text:
            self._socket.send((message + RECORD_SEPARATOR).decode())
        else:
            self._socket.send(frame(message))

    def receive(self) -> bytes:
        """The next message but pings, without its framing."""
        while True:
            got = self._socket.recv(WITHIN)
            message = got.encode().removesuffix(RECORD_SEPARATOR) if isinstance(got, str) else unframe(got)
            if message not in {b'{"type":6}', b"\x91\x06"}:
                return message

    def answer(self) -> dict[str, Any]:
        """The next message, which is a completion: its id, and its result or its error."""
        message = self.receive()
        if self._is_text:
            told = json.loads(message)
            assert told.pop("type") == 3, message
            return {"id": told.pop("invocationId"), **told}
        kind, _, invocation_id, how, *what = msgpack.unpackb(message, timestamp=3, strict_map_key=False)
        assert kind == 3, message
        return {"id": invocation_id, **({"error": what[0]} if how == 1 else {"result": what[0] if what else None})}


def frame(message: bytes) -> bytes:
    """A MessagePack message behind its length."""
    prefix, length = bytearray(), len(message)
    while length > 0x7F:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([*prefix, length]) + message


def unframe(data: bytes) -> bytes:
    """The only message in the bytes."""
    width = next(place for place, byte in enumerate(data, 1) if byte < 0x80)
    assert len(data) - width == sum((byte & 0x7F) << 7 * place for place, byte in enumerate(data[:width]))
    return data[width:]


@contextmanager
def raw_client(port: int, protocol: str, token: str | None = None, hub: str = "chat") -> Iterator[RawClient]:
    """A client of the emulator at the port. Without a token it is one without a name."""
    token = token or token_as_recorded({"alg": "HS256"}, {"aud": "anything", "exp": "<now+3600>"})
    headers = {"Authorization": f"Bearer {token}"}
    url = f"ws://127.0.0.1:{port}/client/?hub={hub}"
    with connect(url, additional_headers=headers, proxy=None, ping_interval=None, max_queue=None) as socket:
        socket.send(json.dumps({"protocol": protocol, "version": 1}) + "\x1e")
        accepted = socket.recv(WITHIN)
        assert accepted in {"{}\x1e", b"{}\x1e"}, accepted
        yield RawClient(socket, protocol)
