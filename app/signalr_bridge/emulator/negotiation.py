"""Accepts clients: ``/client/negotiate``, and the WebSocket that follows it or comes without it.

Source: ``docs/protocol/service-emulation.md`` 2.1 and 5.2 to 5.4. WebSockets are the only transport.
"""

import asyncio
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from signalr_bridge.emulator.clients import ClientConnection, Limits
from signalr_bridge.emulator.hubs import Hubs
from signalr_bridge.emulator.identity import TokenCheck, TokenIdentity, find_parameter, read_identity, refuse_token
from signalr_bridge.emulator.sockets import ClientSocket
from signalr_bridge.emulator.upstream import UpstreamCaller
from signalr_bridge.errors import BadToken, Unauthenticated
from signalr_bridge.protocol.upstream_event import EventHeaders
from signalr_bridge.runtime import Clock, NewId
from signalr_bridge.wire.websocket import CONNECTION

_TRANSPORTS = [{"transport": "WebSockets", "transferFormats": ["Text", "Binary"]}]
_SECRET_QUERY = frozenset({"access_token", "id"})


class Taken(Exception):
    """The connection is open already."""


class Unknown(Exception):
    """The connection is unknown, or its time to open is over."""


@dataclass(frozen=True, slots=True)
class _Negotiated:
    """A connection that was negotiated, or is open."""

    connection_id: str
    until: float | None
    """When it expires, in monotonic seconds. None once it is open."""


class Negotiations:
    """The connections that were negotiated or are open, by token.

    Args:
        open_seconds: How long a client may take to open its WebSocket.
        clock: Gives monotonic seconds.
        new_id: Gives an id, from a source that is good for secrets.
    """

    def __init__(self, open_seconds: float, clock: Clock, new_id: NewId) -> None:
        self._open_seconds, self._clock, self._new_id = open_seconds, clock, new_id
        self._by_token: dict[str, _Negotiated] = {}

    def negotiate(self, version: int) -> dict[str, Any]:
        """The answer to a negotiation. In version 0 the connection id is also the token."""
        self._forget_expired()
        connection_id = self._new_id()
        token = connection_id if version == 0 else self._new_id()
        self._by_token[token] = _Negotiated(connection_id, self._clock() + self._open_seconds)
        tokens = {} if version == 0 else {"connectionToken": token}
        known = {"negotiateVersion": version, "connectionId": connection_id}
        return known | tokens | {"availableTransports": _TRANSPORTS}

    def open(self, token: str | None) -> tuple[str, str]:
        """The token and the connection id of a WebSocket that opens. Raises ``Taken`` and ``Unknown``."""
        self._forget_expired()
        if token is None:
            connection_id = token = self._new_id()
        else:
            connection_id = self._find(token)
        self._by_token[token] = _Negotiated(connection_id, until=None)
        return token, connection_id

    def close(self, token: str) -> None:
        """Forgets a connection that has ended."""
        self._by_token.pop(token, None)

    def _find(self, token: str) -> str:
        found = self._by_token.get(token)
        if found is None:
            raise Unknown
        if found.until is None:
            raise Taken
        return found.connection_id

    def _forget_expired(self) -> None:
        now = self._clock()
        expired = [token for token, one in self._by_token.items() if one.until is not None and one.until <= now]
        for token in expired:
            del self._by_token[token]


class ClientAcceptor:
    """Accepts clients and keeps track of them."""

    def __init__(
        self,
        hubs: Hubs,
        tokens: TokenCheck,
        upstream: UpstreamCaller,
        negotiations: Negotiations,
        limits: Limits,
        long_claim_names: bool,
    ) -> None:
        self._hubs, self._tokens, self._upstream = hubs, tokens, upstream
        self._negotiations, self._limits = negotiations, limits
        self._long_claim_names = long_claim_names
        self._clients: dict[asyncio.Task[Any], tuple[ClientConnection, ClientSocket]] = {}
        self._is_shut = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a WebSocket at ``/client``: it is refused with an HTTP answer, or served until its end."""
        request = HTTPConnection(scope)
        answer = self._admit(request)
        if isinstance(answer, Response):
            await answer(scope, receive, send)
            return
        token, connection_id, identity = answer
        try:
            await self._serve(request, connection_id, identity, receive, send)
        finally:
            self._negotiations.close(token)

    def _admit(self, request: HTTPConnection) -> Response | tuple[str, str, TokenIdentity]:
        if self._is_shut:
            return PlainTextResponse("The emulator is stopping.", 503)
        try:
            claims = self._tokens.read_claims(request)
        except (Unauthenticated, BadToken) as exc:
            return refuse_token(exc)
        hubs, ids = find_parameter(request, "hub"), find_parameter(request, "id")
        if len(hubs) != 1 or not hubs[0]:
            return PlainTextResponse("The query names exactly one hub: hub=...", 400)
        try:
            token, connection_id = self._negotiations.open(ids[-1] if ids else None)
        except Unknown:
            return PlainTextResponse("No Connection with that ID", 404)
        except Taken:
            return PlainTextResponse("The connection is open already.", 409)
        return token, connection_id, read_identity(claims, long_names=self._long_claim_names)

    async def _serve(
        self, request: HTTPConnection, connection_id: str, identity: TokenIdentity, receive: Receive, send: Send
    ) -> None:
        client, socket = self._make_client(request, connection_id, identity, receive, send)
        task = asyncio.current_task()
        assert task is not None
        self._clients[task] = client, socket
        try:
            await receive()  # websocket.connect
            await send({"type": "websocket.accept"})
            await client.run()
        except (OSError, asyncio.CancelledError):
            pass  # it disconnected before it was accepted, or was cut when the emulator stopped
        finally:
            del self._clients[task]

    def _make_client(
        self, request: HTTPConnection, connection_id: str, identity: TokenIdentity, receive: Receive, send: Send
    ) -> tuple[ClientConnection, ClientSocket]:
        limits = self._limits
        socket = ClientSocket(
            receive,
            send,
            request.scope["state"][CONNECTION],
            outgoing_limit=limits.outgoing_messages,
            grace_seconds=limits.grace_seconds,
            send_seconds=limits.send_seconds,
        )
        about = EventHeaders(
            connection_id=connection_id,
            user_id=identity.user_id or "",
            claims_line=identity.claims_line,
            client_query=redact_query(request.scope["query_string"].decode("latin-1")),
        )
        hub = self._hubs.find(find_parameter(request, "hub")[0])
        client = ClientConnection(about, identity.user_id, hub, socket, self._upstream, limits.handshake_seconds)
        if identity.close_at is not None:
            client.close_after = max(0.0, identity.close_at - self._tokens.clock())
        return client, socket

    async def negotiate(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers ``POST /client/negotiate``."""
        await self._answer_negotiation(HTTPConnection(scope))(scope, receive, send)

    def _answer_negotiation(self, request: HTTPConnection) -> Response:
        if request.scope["method"] != "POST":
            return Response(status_code=405, headers={"Allow": "POST"})
        try:
            self._tokens.read_claims(request)
        except (Unauthenticated, BadToken) as exc:
            return refuse_token(exc)
        versions = find_parameter(request, "negotiateVersion")
        try:
            version = int(versions[-1]) if versions else 0
        except ValueError:
            return JSONResponse({"error": "The client requested a non-integer protocol version."})
        return JSONResponse(self._negotiations.negotiate(max(0, min(version, 1))))

    def open(self) -> None:
        """Accepts clients from now on."""
        self._is_shut = False

    async def shut(self) -> None:
        """Closes every client's connection, and waits a limited time for the last events about them."""
        self._is_shut = True
        for client, _ in self._clients.values():
            client.close()
        if self._clients:
            await asyncio.wait(self._clients, timeout=self._limits.stop_seconds)
        for task, (_, socket) in list(self._clients.items()):
            socket.drop("The emulator has stopped.")
            task.cancel()


def redact_query(query: str) -> str:
    """The client's query for the upstream, with its ``?``, without what would let others act as this client."""
    pieces = [piece for piece in query.split("&") if piece]
    told = [piece for piece in pieces if unquote_plus(piece.partition("=")[0]).lower() not in _SECRET_QUERY]
    return "?" + "&".join(told) if told else ""


def new_connection_id(new_id: NewId) -> str:
    """A new id as the service writes it: the 16 bytes of an id of ours as 22 characters."""
    return urlsafe_b64encode(bytes.fromhex(new_id())).decode().rstrip("=")
