"""The bridges that are asked: the real application on real sockets, by their names in the corpus.

The wall clock stands still and chance is always the same, so that tokens come out the same in every run.
"""

import asyncio
import json
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme
from signalr_bridge.main import create_app
from signalr_bridge.runtime import Runtime
from signalr_bridge.settings import CallersSettings, Settings, gather, load
from signalr_bridge.web.document import BridgeApp
from signalr_bridge.web.guards import ListenerApp, ListenerKind
from signalr_bridge.wire.server import Listener
from signalr_bridge.wire.sockets import bind

from tests.contract.bridge.admission.openid import OpenId, run_openid
from tests.contract.bridge.answers.exchange import Case, exchange
from tests.contract.bridge.answers.stubs import Stub, answer_as_backend, answer_as_service, stub
from tests.unit.web.issuing import said, signed

NOW = 1_800_000_000
SERVICE_KEY = "0123456789abcdefghijklmnopqrstuv"
CODE = "the-code-of-the-upstream"
KEYS: Mapping[str, Mapping[str, list[str]]] = {
    "all": {},
    "chat": {"hubs": ["chat"]},
    "sender": {"rights": ["send"]},
    "reader": {"rights": ["read"]},
    "groups": {"rights": ["groups"]},
    "closer": {"rights": ["connections"]},
    "negotiator": {"rights": ["negotiate"]},
    "chat-reader": {"rights": ["read"], "hubs": ["chat"]},
}
"""The callers, each with the key that ``key_of`` gives, and what each may do."""

ORIGIN = "https://app.contoso.com"
_HANDLERS = "tests.contract.bridge.answers.handlers"
_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def key_of(name: str) -> str:
    """The API key of a caller."""
    return f"a-key-of-{name}-0000"


@dataclass(frozen=True, slots=True)
class World:
    """What stands around a bridge. ``refusing`` is a port at which nobody listens."""

    service: Stub
    backend: Stub
    refusing: int
    issuer: OpenId

    @property
    def ports(self) -> dict[int, int]:
        """The number in the corpus of each port of this run."""
        found = {self.service.port: 10001, self.backend.port: 10002, self.refusing: 10003}
        assert all(len(str(port)) == 5 for port in found), "a length in an answer would differ"
        return found

    def connection(self, port: int) -> str:
        """The connection string of an instance at a port."""
        return f"Endpoint=http://127.0.0.1:{port};AccessKey={SERVICE_KEY};Version=1.0;"

    def tokens(self) -> dict[str, str]:
        """The tokens that stand in requests by name."""
        caller = {"iss": self.issuer.url, "aud": "api://bridge", "azp": "batch"}
        client = {"iss": self.issuer.url, "aud": "api://chat", "roles": ["chatter"]}
        claims: dict[str, dict[str, Any]] = {
            "caller": caller | {"roles": ["Bridge.All"]},
            "sender": caller | {"roles": ["Bridge.Send"]},
            "stranger": caller | {"roles": ["Other"]},
            "expired": caller | {"roles": ["Bridge.All"], "exp": NOW - 3600},
            "client": client,
            "nobody": client | {"sub": None},
            "unwanted": client | {"roles": ["else"]},
        }
        return {name: signed(said(NOW, **one)) for name, one in claims.items()}


_HOLDING = ("one in flight", "one under way")
"""The bridges that are answering one request all the time."""

Given = Mapping[str, str]


def _serve(world: World) -> Given:
    return {
        "AzureSignalRConnectionString": world.connection(world.service.port),
        "BRIDGE_CALLERS__KEYS": json.dumps([{"key": key_of(n), "name": n, **more} for n, more in KEYS.items()]),
        "BRIDGE_CALLERS__OIDC__ISSUER": world.issuer.url,
        "BRIDGE_CALLERS__OIDC__AUDIENCE": "api://bridge",
        "BRIDGE_CALLERS__OIDC__ROLES": json.dumps({"Bridge.Send": {"rights": ["send"]}, "Bridge.All": {}}),
        "BRIDGE_NEGOTIATE__HUBS": "chat,news,rooms",
        "BRIDGE_NEGOTIATE__ANONYMOUS": "true",
        "BRIDGE_HUBS__MEMBERS__NEGOTIATE__ANONYMOUS": "false",
        "BRIDGE_HUBS__MEMBERS__NEGOTIATE__CLAIM_TYPES": "roles",
        "BRIDGE_HUBS__MEMBERS__NEGOTIATE__JWT": json.dumps(
            [{"issuer": world.issuer.url, "audience": "api://chat", "required": {"roles": "chatter"}}]
        ),
        "BRIDGE_HUBS__EASY__NEGOTIATE__ANONYMOUS": "false",
        "BRIDGE_HUBS__EASY__NEGOTIATE__PLATFORM_IDENTITY": "true",
        "BRIDGE_HUBS__EASY__NEGOTIATE__CLAIM_TYPES": "role",
        "BRIDGE_HUBS__NAMED__NEGOTIATE__USER_ID": "{query.userId}",
        "BRIDGE_HUBS__NAMED__NEGOTIATE__TRUST_CLIENT_INPUT": "true",
        "BRIDGE_HUBS__NAMED__NEGOTIATE__LIFETIME_SECONDS": "77",
        "BRIDGE_HUBS__NAMED__NEGOTIATE__CLOSE_ON_EXPIRY": "true",
        "BRIDGE_DEFAULT_HUB": "chat",
        "BRIDGE_CORS__ORIGINS": f"{ORIGIN},https://*.fabrikam.com",
        "BRIDGE_CORS__HEADERS": "X-Tenant",
        "BRIDGE_HUBS__NEWS__CORS__ORIGINS": "https://news.example",
        "BRIDGE_UPSTREAM__CODE": CODE,
        "BRIDGE_HANDLERS": ",".join(f"{_HANDLERS}:{one}" for one in ("rooms", "strict", "broken")),
        "BRIDGE_FORWARD__OUTSIDE__HUB": "outside",
        "BRIDGE_FORWARD__OUTSIDE__URL": f"{world.backend.url}/signalr/{{hub}}/{{event}}",
        "BRIDGE_FORWARD__OUTSIDE__SECRETS": _SECRET,
        "BRIDGE_FORWARD__OUTSIDE__RETRY_SECONDS": "0",
        "BRIDGE_FORWARD__OUTSIDE__TIMEOUT_SECONDS": "0.3",
        "BRIDGE_FORWARD__AWAY__HUB": "away",
        "BRIDGE_FORWARD__AWAY__URL": f"http://127.0.0.1:{world.refusing}/signalr",
        "BRIDGE_FORWARD__AWAY__UNSIGNED": "true",
        "BRIDGE_FORWARD__AWAY__RETRY_SECONDS": "0",
        "BRIDGE_DOCS": "true",
        "BRIDGE_CONSOLE": "true",
    }


_SHORT = {"BRIDGE_CALLERS__KEYS": json.dumps([{"key": key_of("all"), "name": "all"}])}


def _short(world: World, **more: str) -> dict[str, str]:
    return {"AzureSignalRConnectionString": world.connection(world.service.port)} | _SHORT | more


def _settings(name: str, world: World) -> Given:
    """The settings of a bridge by its name in the corpus. Raises ``KeyError``."""
    anonymous = {"BRIDGE_NEGOTIATE__ANONYMOUS": "true", "BRIDGE_NEGOTIATE__HUBS": "chat"}
    cors = {"BRIDGE_CORS__ORIGINS": ORIGIN}
    found: dict[str, Given] = {
        "serve": _serve(world),
        "callers apart": {
            **_serve(world),
            "BRIDGE_CALLERS__LISTEN": "127.0.0.1:1",
        },
        "callers without keys": _short(
            world, BRIDGE_CALLERS__LISTEN="127.0.0.1:1", BRIDGE_CALLERS__ANONYMOUS="true", **anonymous
        ),
        "several hubs": _short(world, BRIDGE_NEGOTIATE__ANONYMOUS="true", BRIDGE_NEGOTIATE__HUBS="chat,news"),
        "named hubs only": _short(world, BRIDGE_HUBS_ONLY="true", **anonymous),
        "unhandled is fine": _short(
            world, BRIDGE_UPSTREAM__UNHANDLED="200", BRIDGE_UPSTREAM__ALLOW_UNSIGNED="true", **anonymous
        ),
        "rates": _short(
            world,
            BRIDGE_LIMITS__CALLER_PER_SECOND="0.001",
            BRIDGE_LIMITS__NEGOTIATE_PER_SECOND="0.001",
            **anonymous,
            **cors,
        ),
        "one in flight": _short(world, BRIDGE_LIMITS__IN_FLIGHT="1", BRIDGE_DOCS="true", **anonymous, **cors),
        "one under way": _short(world),
        "small bodies": _short(
            world, BRIDGE_LIMITS__UPSTREAM_BYTES="200", BRIDGE_HANDLERS=f"{_HANDLERS}:rooms", **anonymous
        ),
        "nobody there": _short(world) | {"AzureSignalRConnectionString": world.connection(world.refusing)},
        "one of two there": _short(
            world,
            Azure__SignalR__Endpoints__west__secondary=world.connection(world.refusing),
            BRIDGE_CONSOLE="true",
            **anonymous,
        ),
        "two there": _short(
            world,
            Azure__SignalR__Endpoints__west=world.connection(world.service.port).replace("127.0.0.1", "localhost"),
            **anonymous,
        ),
    }
    return found[name]


def _development(world: World) -> Settings:
    given = load(gather(_short(world) | {"BRIDGE_DEFAULT_HUB": "chat", "BRIDGE_NEGOTIATE__HUBS": "*"}, {}))
    rules = given.negotiate.model_copy(
        update={"anonymous": True, "user_id": "{query.userId}", "trust_client_input": True, "hubs": ("*",)}
    )
    more: dict[str, Any] = {"callers": CallersSettings(), "negotiate": rules, "docs": True, "console": True}
    return given.model_copy(update=more | {"development": True, "handlers": (f"{_HANDLERS}:rooms",)})


@contextmanager
def trusted_issuer() -> Iterator[OpenId]:
    """An issuer of tokens, whose certificate everything in this process believes meanwhile."""
    authority, before = trustme.CA(), os.environ.get("SSL_CERT_FILE")
    with tempfile.TemporaryDirectory() as folder, run_openid(authority) as issuer:
        file = Path(folder) / "authority.pem"
        authority.cert_pem.write_to_path(str(file))
        os.environ["SSL_CERT_FILE"] = str(file)
        try:
            yield issuer
        finally:
            os.environ.pop("SSL_CERT_FILE")
            os.environ |= {} if before is None else {"SSL_CERT_FILE": before}


@asynccontextmanager
async def world(issuer: OpenId) -> AsyncIterator[World]:
    """The service, the backend, and a port at which nobody listens."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        async with stub(answer_as_service) as service, stub(answer_as_backend) as backend:
            yield World(service, backend, int(unheard.getsockname()[1]), issuer)


@asynccontextmanager
async def bridge(name: str, listener: str, world: World) -> AsyncIterator[int]:
    """The bridge of this name, ready to be asked. Gives the port of its listener, ``public`` or ``callers``."""
    settings = _development(world) if name == "development" else load(gather(_settings(name, world), {}))
    runtime = Runtime(wall_clock=lambda: float(NOW), random=lambda: 0.01)
    app = create_app(settings, runtime=runtime, probe_seconds=3600)
    async with AsyncExitStack() as stack:
        public = await stack.enter_async_context(_listen(app, ListenerKind.PUBLIC))
        apart = settings.callers.listen is not None
        callers = await stack.enter_async_context(_listen(app, ListenerKind.CALLERS, first=False)) if apart else public
        await _wait_for_probe(callers.port, with_key=not settings.development)
        async with _hold(callers.port, world) if name in _HOLDING else nullcontext():
            yield public.port if listener == "public" else callers.port


@asynccontextmanager
async def _listen(app: BridgeApp, kind: ListenerKind, *, first: bool = True) -> AsyncIterator[Listener]:
    with bind("127.0.0.1", 0, "port") as sock:
        listener = Listener(ListenerApp(app, kind), sock, grace_seconds=1, owns_lifespan=first)
        running = asyncio.create_task(listener.serve(sockets=[sock]))
        await asyncio.wait({running, asyncio.create_task(listener.ready.wait())}, return_when=asyncio.FIRST_COMPLETED)
        assert not running.done(), running
        try:
            yield listener
        finally:
            listener.should_exit = True
            await running


async def _wait_for_probe(port: int, *, with_key: bool) -> None:
    """Until the first instance has been probed, because answers show how it is."""
    line = f"X-API-Key: {key_of('all')}\r\n" if with_key else ""
    asked = f"GET /health/ready HTTP/1.1\r\nHost: localhost\r\n{line}\r\n".encode()
    for _ in range(500):
        found = await exchange(port, Case("probed", (asked,)))
        if b'"since":"' in found.answers[0]:
            return
        await asyncio.sleep(0.005)
    raise TimeoutError("the instance was not probed")


@asynccontextmanager
async def _hold(port: int, world: World) -> AsyncIterator[None]:
    """One request is in flight for as long as the block runs."""
    body = b'{"target":"t"}'
    head = f"POST /hubs/say_nothing/send HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key_of('all')}\r\n"
    head += "X-Request-Timeout: 100\r\nIdempotency-Key: k\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.encode() + body)
    await world.service.holds.wait()
    try:
        yield
    finally:
        world.service.cut()
        writer.transport.abort()
