"""The bridge with a programmable service behind it: in this process, or on a socket for what no client would send."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from signalr_bridge.endpoints.prober import INTERVAL_SECONDS
from signalr_bridge.main import create_app
from signalr_bridge.settings import gather, load
from signalr_bridge.web.document import BridgeApp
from signalr_bridge.wire.server import Listener
from signalr_bridge.wire.sockets import bind

from tests.contract.endpoints.programmable import Request, Server, programmable_server

CALLER = "a-key-of-a-caller"
SERVICE = "0123456789abcdefghijklmnopqrstuv"
AUTH = {"X-API-Key": CALLER}


def build(*services: str, **settings: str) -> BridgeApp:
    """A bridge in front of the instances at these URLs; the first is ``default``, then ``b`` and ``c``."""
    return build_probing(INTERVAL_SECONDS, *services, **settings)


def build_probing(probe_seconds: float, *services: str, **settings: str) -> BridgeApp:
    """The same; the instances are asked so often how they are."""
    names = ["AzureSignalRConnectionString", "Azure__SignalR__Endpoints__b", "Azure__SignalR__Endpoints__c__secondary"]
    texts = [f"Endpoint={url};AccessKey={SERVICE};Version=1.0;" for url in services]
    given = dict(zip(names, texts, strict=False)) | {"BRIDGE_CALLERS__KEYS": CALLER, "BRIDGE_DOCS": "true"}
    return create_app(load(gather(given | settings, {})), probe_seconds=probe_seconds)


@dataclass(slots=True)
class Bridge:
    app: BridgeApp
    service: Server
    http: httpx.AsyncClient

    @property
    def seen(self) -> list[Request]:
        """What reached the service, without the health probes."""
        return [one for one in self.service.requests if "/connections/probe" not in one.target]


def client(app: BridgeApp, **headers: str) -> httpx.AsyncClient:
    wire = httpx.ASGITransport(app=app, raise_app_exceptions=True)
    return httpx.AsyncClient(transport=wire, base_url="http://bridge", headers=headers, trust_env=False)


@asynccontextmanager
async def bridge(**settings: str) -> AsyncIterator[Bridge]:
    async with programmable_server() as service:
        app = build(service.url, **settings)
        async with app.router.lifespan_context(app), client(app) as http:
            yield Bridge(app, service, http)


@dataclass(slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


async def send_raw(port: int, text: bytes) -> Answer:
    """Send a request as it is; read all of the answer until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text)
    await writer.drain()
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return Answer(int(lines[0].split(" ")[1]), headers, body)


@asynccontextmanager
async def bridge_on_a_socket(**settings: str) -> AsyncIterator[tuple[int, Server]]:
    """A real uvicorn; gives its port and the service behind it."""
    async with programmable_server() as service:
        with bind("127.0.0.1", 0, "port") as sock:
            listener = Listener(build(service.url, **settings), sock, grace_seconds=1)
            serving = asyncio.create_task(listener.serve(sockets=[sock]))
            for _ in range(1000):
                if listener.started:
                    break
                await asyncio.sleep(0.005)
            try:
                yield listener.port, service
            finally:
                listener.should_exit = True
                await serving
