"""Requests on a connection: the same ones and as many answers, however the network has cut the bytes."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from signalr_bridge.wire.http_protocol import BoundedProtocol
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

ANSWER = b"HTTP/1.1 200 OK\r\n"


class Wire(asyncio.Transport):
    """Keeps what is written; takes everything at once."""

    def __init__(self) -> None:
        super().__init__({"sockname": ("127.0.0.1", 1), "peername": ("127.0.0.1", 2)})
        self.written = b""
        self.closed = self.paused = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


@dataclass(frozen=True)
class Request:
    body: bytes
    upgrade: bytes = b""
    chunked: bool = False

    def write(self, path: str, more: bytes = b"") -> bytes:
        head = b"POST " + path.encode() + b" HTTP/1.1\r\nHost: x\r\n" + self.upgrade + more
        if not self.chunked:
            return head + b"Content-Length: %d\r\n\r\n" % len(self.body) + self.body
        chunk = b"%x\r\n%s\r\n" % (len(self.body), self.body) if self.body else b""
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\nX-Trailer: 1\r\n\r\n"


@dataclass
class Seen:
    path: str
    body: bytes
    headers: set[bytes]


class App:
    """Reads each request's body, answers, and remembers."""

    def __init__(self, reads: bool = True) -> None:
        self.seen: list[Seen] = []
        self.reads = reads
        self.errors: list[BaseException] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", self.reads
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.seen.append(Seen(scope["path"], body, {name for name, _ in scope["headers"]}))
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


async def exchange(app: App, pieces: Sequence[bytes]) -> Wire:
    config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None, access_log=False)
    config.load()
    wire, state = Wire(), ServerState()
    protocol = BoundedProtocol(
        config=config, server_state=cast(Any, state), app_state={}, _loop=asyncio.get_running_loop()
    )
    protocol.connection_made(wire)
    waiting = list(pieces)
    for _ in range(2_000):
        if waiting and not wire.paused and not wire.closed:
            protocol.data_received(waiting.pop(0))
        elif not state.tasks and (wire.closed or not waiting):
            break
        await asyncio.sleep(0)
    protocol.connection_lost(None)
    await asyncio.gather(*state.tasks)
    return wire


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    return [data[begin:end] for begin, end in zip([0, *ends], ends, strict=False) if end > begin]


INNER = b"GET /inner HTTP/1.1\r\nHost: x\r\n\r\n"
UPGRADES = [
    b"",
    b"",
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n",
    b"Connection: upgrade\r\nUpgrade: websocket\r\n",
    b"Upgrade: h2c\r\n",
]
REQUESTS = st.builds(
    Request, st.binary(max_size=40) | st.sampled_from([b"", INNER, INNER * 2]), st.sampled_from(UPGRADES), st.booleans()
)
PLACES = st.lists(st.integers(0, 5_000), max_size=12)
PROFILE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@PROFILE
@given(st.lists(REQUESTS, min_size=1, max_size=15), PLACES, st.booleans())
def test_however_they_are_cut(requests: list[Request], places: list[int], reads: bool) -> None:
    app = App(reads)
    *others, last = [(f"/{number}", one) for number, one in enumerate(requests)]
    sent = b"".join(one.write(path) for path, one in others) + last[1].write(last[0], b"Connection: close\r\n")
    wire = asyncio.run(exchange(app, cut(sent, places)))
    assert [one.path for one in app.seen] == [path for path, _ in [*others, last]]
    assert wire.written.count(ANSWER) == len(requests)
    assert wire.closed
    if reads:
        assert [one.body for one in app.seen] == [one.body for one in requests]
    assert not any(b"x-trailer" in one.headers for one in app.seen)


@PROFILE
@given(st.lists(st.binary(max_size=60) | REQUESTS.map(lambda one: one.write("/x")), max_size=8), PLACES)
def test_any_bytes_end_in_good_order(parts: list[bytes], places: list[int]) -> None:
    """Each request that is seen gets one answer; at most one problem more ends the connection."""
    app = App()
    wire = asyncio.run(exchange(app, cut(b"".join(parts), places)))
    answers = re.findall(rb"HTTP/1.1 (\d+) ", wire.written)
    assert set(answers[:-1]) <= {b"200"}
    assert len(answers) in {len(app.seen), len(app.seen) + 1}
    assert wire.closed or b"400" not in answers


def test_requests_that_wait_are_all_answered() -> None:
    app = App()
    wire = asyncio.run(exchange(app, [INNER * 1_000]))
    assert (len(app.seen), wire.written.count(ANSWER)) == (1_000, 1_000)
