"""Through how many of our files one request runs: ``python -m tests.shape.walks`` prints it for the four hot paths.

Counted is the server's whole side of one request in a warm process, from the bytes that arrive on the socket to those
of the answer. The listener is real, the service and the backend are on sockets, and a file counts when any of its code
runs meanwhile. The log is off, and the backend answers with a result and with a message to everybody, so that the path
to HTTP holds the one to the service too. ``--files`` lists the files.
"""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import FrameType
from typing import cast

import httptools
import signalr_bridge
import uvloop
from signalr_bridge.main import create_app
from signalr_bridge.settings import gather, load
from signalr_bridge.web.guards import ListenerApp, ListenerKind
from signalr_bridge.wire.server import Listener
from signalr_bridge.wire.sockets import bind

from tests.bench import traffic
from tests.e2e.processes import API_KEY, NAMED_CLIENTS, connection_string

HOUSE = Path(signalr_bridge.__file__).parent
WARM_UP = 10
"""Requests before the one that is looked at: what is made once and kept has been made by then."""

_ANSWER = b'{"result":"sent","outputs":[{"target":"newMessage","arguments":["ann"]}]}'
ANSWERS = {
    "service": b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
    "backend": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_ANSWER)
    + _ANSWER,
}

HEALTHY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
"""For what is no POST: the bridge's probe of the service."""

REQUESTS: dict[str, Callable[[], bytes]] = {
    "send": lambda: traffic.send()[0],
    "negotiate": lambda: traffic.negotiate()[0],
    "upstream to Python": lambda: traffic.message_to(traffic.PYTHON_HUB)[0],
    "upstream to HTTP": lambda: traffic.message_to(traffic.HTTP_HUB)[0],
}


async def walk() -> dict[str, list[str]]:
    """For each path the files, relative to the package, in which code runs during one request."""
    async with serving("service") as service, serving("backend") as backend, bridge(service, backend) as port:
        return {name: await follow(port, request()) for name, request in REQUESTS.items()}


async def follow(port: int, request: bytes) -> list[str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for _ in range(WARM_UP):
            await exchange(reader, writer, request)
        await asyncio.sleep(0.05)  # until the last of what they have begun is done
        names: set[str] = set()
        sys.setprofile(lambda frame, event, argument: note(names, frame, event))
        try:
            await exchange(reader, writer, request)
        finally:
            sys.setprofile(None)
    finally:
        writer.close()
    ours = [Path(name).relative_to(HOUSE) for name in names if Path(name).is_relative_to(HOUSE)]
    return sorted(path.as_posix() for path in ours)


def note(names: set[str], frame: FrameType, event: str) -> None:
    if event == "call":
        names.add(frame.f_code.co_filename)


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> None:
    """Send it and read all of its answer."""
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    if head.split(" ")[1][0] != "2":
        raise SystemExit(f"answered {head}")
    length = head.partition("content-length:")[2].partition("\r\n")[0]
    await reader.readexactly(int(length or 0))


class Answering(asyncio.Protocol):
    """One connection; the same answer to every POST."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by their class
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._transport.write(self._answer if self._parser.get_method() == b"POST" else HEALTHY)


@asynccontextmanager
async def serving(name: str) -> AsyncIterator[int]:
    """What answers every POST; gives its port."""
    server = await asyncio.get_running_loop().create_server(lambda: Answering(ANSWERS[name]), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def bridge(service: int, backend: int) -> AsyncIterator[int]:
    """The bridge as ``serve`` runs it; gives its port."""
    given: dict[str, str] = {
        "AzureSignalRConnectionString": connection_string(service).replace("localhost", "127.0.0.1"),
        "BRIDGE_ALLOW_EMULATOR_KEY": "true",
        "BRIDGE_CALLERS__KEYS": API_KEY,
        "BRIDGE_HANDLERS": "tests.bench.handlers:python",
        "BRIDGE_FORWARD__HTTP__HUB": traffic.HTTP_HUB,
        "BRIDGE_FORWARD__HTTP__URL": f"http://127.0.0.1:{backend}/signalr",
        "BRIDGE_FORWARD__HTTP__SECRETS": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    }
    settings = load(gather(given | NAMED_CLIENTS, {}))
    app = create_app(settings, probe_seconds=3600)
    with bind("127.0.0.1", 0, "port") as sock:
        listener = Listener(ListenerApp(app, ListenerKind.PUBLIC), sock, grace_seconds=1)
        running = asyncio.create_task(listener.serve(sockets=[sock]))
        await listener.ready.wait()
        try:
            yield listener.port
        finally:
            listener.should_exit = True
            await running


def main() -> None:
    logging.getLogger("signalr_bridge").addHandler(logging.NullHandler())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        walks = runner.run(walk())
    for name, files in walks.items():
        print(f"{name}: {len(files)}")
        for file in files if "--files" in sys.argv else ():
            print(f"    {file}")


if __name__ == "__main__":
    main()
