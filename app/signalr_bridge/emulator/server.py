"""The emulator as a server on a port of its own in the running event loop: start, stop, replace its upstream."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Sequence
from functools import partial
from ipaddress import ip_address
from typing import Self

from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from signalr_bridge.emulator.clients import Limits
from signalr_bridge.emulator.entra import Entra, Role
from signalr_bridge.emulator.guard import Guard
from signalr_bridge.emulator.hubs import Hubs, send
from signalr_bridge.emulator.identity import IssuedKeys, TokenCheck
from signalr_bridge.emulator.negotiation import ClientAcceptor, Negotiations, new_connection_id
from signalr_bridge.emulator.request_spans import traced
from signalr_bridge.emulator.rest_api import RestApi, TokenIssuer, is_issuing
from signalr_bridge.emulator.upstream import UpstreamCaller, UpstreamTemplate, to_templates
from signalr_bridge.errors import SettingsError
from signalr_bridge.protocol.connection_string import EMULATOR_KEY, write_connection_string
from signalr_bridge.protocol.hub_message import Ping
from signalr_bridge.protocol.rest import ERROR_CODE_HEADER
from signalr_bridge.runtime import RUNTIME, Runtime
from signalr_bridge.tracing import TRACING
from signalr_bridge.wire.connection_limit import ConnectionLimit
from signalr_bridge.wire.sockets import open_socket
from signalr_bridge.wire.websocket import WebSocketServer

_HEALTH = frozenset({"/api/health", "/api/v1/health"})
_BOTH_FAMILIES = frozenset({"localhost", "127.0.0.1"})
"""Stand for both loopback addresses. Another one, such as 127.0.0.2, stands for itself alone."""
_HERE = _BOTH_FAMILIES | {"::1", "0.0.0.0", "::"}


class Emulator:
    """An Azure SignalR Service in serverless mode.

    Args:
        port: 0 takes a free one. The attribute ``port`` then tells which.
        host: Where it listens. ``localhost`` and ``127.0.0.1`` stand for both loopback addresses.
        keys: Access keys. They sign upstream calls, and tokens signed with them are accepted.
        upstream: A URL that gets every event, or templates.
        ping_seconds: How often each client is sent a ping.
        check_expiry: Whether tokens that have expired are refused.
        check_audience: Whether tokens for another audience are refused.
        long_claim_names: Whether upstream calls name claims by their long names, as the reference emulator does.
        limits: Times and sizes.
        sign_upstream: Whether upstream calls carry signatures made with the keys.
        upstream_token: Gives the token of a managed identity. Upstream calls present it.
        entra_issuer: Issues tokens to identities, which may call too.
        entra_role: The role that such identities have.
        entra_certificates: The certificates by which the issuer is verified, instead of those of this machine.
        origins: Further origins whose pages may call, beside those of this machine.
        connection_limit: Counts the connections of clients and callers. None counts none.
        runtime: The clocks and ids.

    Raises:
        SettingsError: A setting cannot be used. ``start`` raises it when the port is taken.
    """

    def __init__(
        self,
        port: int = 8888,
        host: str = "127.0.0.1",
        keys: Sequence[str] = (EMULATOR_KEY,),
        upstream: str | Sequence[UpstreamTemplate] = (),
        *,
        ping_seconds: float = 15.0,
        check_expiry: bool = True,
        check_audience: bool = False,
        long_claim_names: bool = True,
        limits: Limits | None = None,
        sign_upstream: bool = True,
        upstream_token: Callable[[], str] | None = None,
        entra_issuer: str | None = None,
        entra_role: Role = "owner",
        entra_certificates: ssl.SSLContext | None = None,
        origins: Sequence[str] = (),
        connection_limit: ConnectionLimit | None = None,
        runtime: Runtime = RUNTIME,
    ) -> None:
        if not keys or not all(keys):
            raise SettingsError("The emulator needs at least one access key, and none may be empty.")
        limits = limits or Limits()
        self.host, self.port, self._keys = host, port, list(keys)
        self._ping_seconds = ping_seconds
        self.hubs = Hubs(runtime.clock)
        signing = self._keys if sign_upstream else ()
        self._upstream = UpstreamCaller(signing, to_templates(upstream), limits.upstream_seconds, upstream_token)
        entra = (
            None if entra_issuer is None else Entra(entra_issuer, entra_role, runtime.wall_clock, entra_certificates)
        )
        issued = IssuedKeys(runtime.wall_clock, lambda: runtime.new_id() + runtime.new_id())
        tokens = TokenCheck(self._keys, runtime.wall_clock, issued, check_expiry, check_audience, entra)
        negotiations = Negotiations(limits.open_seconds, runtime.clock, partial(new_connection_id, runtime.new_id))
        self._acceptor = ClientAcceptor(self.hubs, tokens, self._upstream, negotiations, limits, long_claim_names)
        rest = RestApi(self.hubs, tokens, limits.invoke_seconds)
        paths = _Paths(self._acceptor, rest, TokenIssuer(tokens, self._keys[0]))
        self._guard = self.app = Guard(_allow_origins(paths), origins)
        self._connection_limit = connection_limit
        self._server: WebSocketServer | None = None

    @property
    def url(self) -> str:
        """The URL at which it answers on this machine."""
        host = "localhost" if self.host in _HERE else self.host
        return f"http://{host}:{self.port}"

    @property
    def connection_string(self) -> str:
        """The connection string with the first key."""
        return write_connection_string(self.url, self._keys[0])

    @property
    def upstream(self) -> tuple[UpstreamTemplate, ...]:
        """The templates by which events are posted."""
        return self._upstream.templates

    def replace_upstream(self, upstream: str | Sequence[UpstreamTemplate]) -> None:
        """The next event goes by the new templates."""
        self._upstream.templates = to_templates(upstream)

    def replace_keys(self, keys: Sequence[str]) -> None:
        """The next call is checked and signed with these keys: the service's keys are regenerated one by one."""
        self._keys[:] = keys

    async def start(self) -> None:
        """Return once requests are answered. Raises ``SettingsError`` when the port is taken."""
        sockets = _listen(self.host, self.port)
        self.port = sockets[0].getsockname()[1]
        self._guard.loopback_only = all(ip_address(one.getsockname()[0]).is_loopback for one in sockets)
        self._acceptor.open()
        await self._upstream.start()
        self._server = WebSocketServer(self.app, sockets, self._connection_limit)
        self._pinging = asyncio.create_task(self._ping())
        await self._server.start()

    async def stop(self) -> None:
        """Close every connection, tell the upstream about it, and give the port back. Does nothing when stopped."""
        if self._server is None:
            return
        server, self._server = self._server, None
        self._pinging.cancel()
        await self._acceptor.shut()
        await server.stop()
        await self._upstream.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(self._ping_seconds)
            send(self.hubs.members(), Ping())


class _Paths:
    """Finds the part that answers a path. Paths are compared as they came, because ``%2F`` is not a slash."""

    def __init__(self, acceptor: ClientAcceptor, rest: RestApi, issuing: TokenIssuer) -> None:
        self._acceptor, self._rest, self._issuing = acceptor, rest, issuing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._find(scope)
        await (app if TRACING.tracer is None else traced(app))(scope, receive, send)

    def _find(self, scope: Scope) -> ASGIApp:
        path = scope["raw_path"].decode("latin-1").lower()
        if scope["type"] == "websocket":
            return self._acceptor if path in {"/client", "/client/"} else Response(status_code=404)
        if path == "/client/negotiate":
            return self._acceptor.negotiate
        if path in {"/client", "/client/"}:
            return PlainTextResponse("The emulator offers the transport WebSockets only.", 400)
        if path in _HEALTH and scope["method"] in {"GET", "HEAD"}:
            return Response(status_code=200)
        return self._issuing if is_issuing(scope["method"], path) else self._rest


def _allow_origins(app: ASGIApp) -> ASGIApp:
    """``app`` with CORS for every origin that the guard takes.

    It is echoed, because browsers refuse ``*`` together with credentials.
    """
    return CORSMiddleware(
        app,
        allow_origin_regex=".*",
        allow_methods=["*"],
        allow_headers=["*"],
        allow_credentials=True,
        expose_headers=[ERROR_CODE_HEADER],
    )


def _listen(host: str, port: int) -> list[socket.socket]:
    if host not in _BOTH_FAMILIES:
        return [_bind(host, port)]
    first = _bind("127.0.0.1", port)
    try:
        return [first, _bind("::1", first.getsockname()[1])]
    except SettingsError as exc:
        if port != 0 and isinstance(exc.__context__, OSError) and exc.__context__.errno == errno.EADDRINUSE:
            first.close()
            raise  # clients that resolve localhost to ::1 would reach another program
        return [first]  # a machine without IPv6


def _bind(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65_535:
        raise SettingsError("The port is not a number from 0 to 65535.")
    try:
        return open_socket(host, port, both_families=True)
    except OSError as exc:
        raise SettingsError(_explain(exc, host, port)) from None


def _explain(error: OSError, host: str, port: int) -> str:
    match error:
        case OSError(errno=errno.EADDRINUSE):
            return f"Port {port} is taken: stop what listens there, perhaps another emulator, or choose another port."
        case OSError(errno=errno.EACCES):
            return f"Port {port} needs more rights than this process has: choose one above 1023."
    return f"The emulator cannot listen on {host}: it is no address of this machine."
