"""What stands around the bridge in a benchmark: ``python -m tests.bench.servers <name> <port>``.

``echo`` is what the bridge is compared with: a plain ASGI application, served as the bridge is. The others are trivial
and fast, so that the bridge is what is measured: ``service`` takes what is sent, ``backend`` answers events.
"""

import asyncio
import gc
import sys
from typing import cast

import httptools
import uvloop
from signalr_bridge.wire.server import Listener, bind
from starlette.types import Receive, Scope, Send

ANSWERS = {
    "service": b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
    "backend": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n"
    + b'{"result":"sent"}',
}
HEALTHY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
"""For what is no POST: the bridge's probe of the service."""


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the body."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


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


async def serve(name: str, port: int) -> None:
    if name != "echo":
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Answering(ANSWERS[name]), "127.0.0.1", port, backlog=2048)
        await server.serve_forever()
    with bind("127.0.0.1", port, "port") as sock:
        listener = Listener(echo, sock, grace_seconds=1)
        gc.freeze()  # as the bridge does
        gc.set_threshold(20_000, 20, 50)
        await listener.run_until_stopped()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(sys.argv[1], int(sys.argv[2])))
