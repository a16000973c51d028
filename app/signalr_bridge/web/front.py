"""The front: it looks a request up in the table of routes, and does for every route what all of them need."""

import asyncio
import logging
import re
from collections.abc import Coroutine, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from signalr_bridge.errors import (
    BridgeError,
    Forbidden,
    InternalError,
    InvalidName,
    MethodNotAllowed,
    RateLimited,
    RouteNotFound,
    ShuttingDown,
)
from signalr_bridge.runtime import Runtime
from signalr_bridge.tracing import TRACING
from signalr_bridge.web.asgi_request import AsgiRequest
from signalr_bridge.web.authorize import EVERY, Access
from signalr_bridge.web.callers import Right
from signalr_bridge.web.cancellation import is_from_outside
from signalr_bridge.web.cors import CorsOf, apply_cors, find_settings, is_allowed
from signalr_bridge.web.guards import ListenerKind, is_of_this_machine
from signalr_bridge.web.observer import Observer
from signalr_bridge.web.problems import DEFECT_ANSWERED, NO_SUCH_ROUTE, answer_problem
from signalr_bridge.web.request import PartsByType, Request
from signalr_bridge.web.shares import Flight, Share, Shares, Shed
from signalr_bridge.web.table import NOWHERE, Audience, PathItem, Route, Table, keep_public
from signalr_bridge.web.trace import CLIENT, NOTE, TRACE, Note, Trace, begin_trace, read_traceparent
from signalr_bridge.wire.exchange import Answer, IncomingRequest

LONGEST_PATH = 32 * 1024
"""In bytes, as sent. Two names with every character escaped fit."""

# Python 3.11 takes 0.1 us to find a member in its enumeration.
_CALLERS, _CLIENTS, _SERVICE, _APPS = Audience.CALLERS, Audience.CLIENTS, Audience.SERVICE, Audience.APPS
_OF_PAGES = frozenset({_CLIENTS, _APPS})
"""Whose routes pages of other origins may call."""
_CLOSING = Right.CONNECTIONS
_HEALTH = "/health/"
_WATCHED = (_HEALTH, "/metrics")
"""Takes no place, because it is wanted most when none is left."""
_METRICS = ListenerKind.METRICS
_REQUEST = "bridge.request"
REQUEST_ID = re.compile(rb"[A-Za-z0-9._~-]{1,128}")
"""What a caller's own ``X-Request-Id`` has to be. Any other one is replaced."""
_SENT = Answer(0)
"""Stands for the answer of a route that FastAPI serves, which has been sent already."""
_LOG = logging.getLogger("signalr_bridge.access")


class Front:
    """Answers every request. It is an application for servers with and without ASGI.

    In this order it gives the request an id, adds the headers of CORS, checks the listener, finds the route, finds the
    caller and checks its right, reads names, deadline and query, takes a place in flight, and has the route answer. A
    route that reads a body has its place once the body has come. So nobody takes one who only begins to ask.
    The observer is told of the end. It never learns a query, because those of clients and of the service hold secrets.

    Whatever is raised before an answer has begun becomes an answer, also when it is not an ``Exception``. So no error
    in a request ends the process. Its signals come by handlers of the event loop.

    Args:
        table: All routes.
        fastapi: Serves the routes that nothing of ours answers.
        parts: The parts of the application. The routes find them there, and the front finds ``Access``.
        cors_of: Gives the settings of CORS by hub.
        runtime: The clock and new ids.
        observer: Is told of the end of each request.
        shares: What requests in flight may take together. Health and metrics take nothing.
        separate: Whether callers have their own listener. Then a request without a mark counts as public.
        takes_notes: Whether somebody may watch. Then the observer is told of negotiations, too.
        only_this_machine: Whether requests of other machines are refused, as in development.
    """

    def __init__(
        self,
        table: Table,
        fastapi: ASGIApp,
        parts: PartsByType,
        cors_of: CorsOf,
        *,
        runtime: Runtime,
        observer: Observer,
        shares: Shares,
        separate: bool,
        takes_notes: bool = False,
        only_this_machine: bool,
    ) -> None:
        self.table = table
        self._fastapi = fastapi
        self.parts, self._cors_of = parts, cors_of
        self._cors_of_apps: CorsOf = lambda _: cors_of(EVERY)  # a function names no hub, so what all hubs have counts
        self._observer, self._clock, self._new_id = observer, runtime.clock, runtime.new_id
        self.shares = shares
        self._unmarked = ListenerKind.PUBLIC if separate else ListenerKind.ONLY
        self._separate = separate
        self._takes_notes = takes_notes
        self._only_this_machine = only_this_machine

    def begin(self, incoming: IncomingRequest, kind: ListenerKind | None = None) -> Coroutine[Any, Any, Answer] | None:
        """The answer, to be awaited. None for a route that FastAPI serves, which takes a request by ASGI.

        ``kind`` is that of the listener. None means that there is one for all requests.
        """
        path_item, segments = self.table.find(incoming.path)
        route = path_item.routes.get(incoming.method)
        if route is not None and route.answer is None:
            return None
        return self._answer(incoming, path_item, segments, route, kind)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers by ASGI. Raises what a route raises that FastAPI serves and that has begun to answer."""
        incoming = AsgiRequest(scope, receive)
        path_item, segments = self.table.find(incoming.path)
        route, kind = path_item.routes.get(incoming.method), scope.get("entered_by")
        answer = await self._answer(incoming, path_item, segments, route, kind, (scope, receive, send))
        if answer is not _SENT:
            await send({"type": "http.response.start", "status": answer.status, "headers": list(answer.headers)})
            await send({"type": "http.response.body", "body": answer.body})
            _cancel_again()

    async def _answer(
        self,
        incoming: IncomingRequest,
        path_item: PathItem,
        segments: Mapping[str, str],
        route: Route | None,
        kind: ListenerKind | None,
        asgi: tuple[Scope, Receive, Send] | None = None,
    ) -> Answer:
        started = self._clock()
        request = Request(incoming, self.parts, self._name_listener(kind), segments)
        request.asgi = asgi
        given = request.last_header(b"x-request-id")
        request.id = self._new_id() if given is None or not REQUEST_ID.fullmatch(given) else given.decode()
        given = request.last_header(b"traceparent")
        passed = None if given is None else _read_trace(request, path_item, given)
        if TRACING.tracer is None:
            TRACE.set(Trace(request.id, passed))
        else:
            TRACE.set(begin_trace(TRACING.tracer, request.id, passed, request.method, path_item.template))
        if self._takes_notes:
            NOTE.set(Note())
        problem: BridgeError | None = None
        try:
            answer = await self._serve(request, path_item, route)
        except BridgeError as error:
            if isinstance(error, RateLimited):
                self.shares.count_shed(self._find_share(request, path_item), Shed.RATE)
            answer = answer_problem(error, request.id)
            problem = error.with_traceback(None)  # else this frame and the body would wait for the garbage collector
        except BaseException as error:
            if request.status or _is_thrown_away(error):
                self._tell_end(request, path_item, started)
                raise
            problem = _judge(error, request.id)
            answer = answer_problem(problem, request.id)
        if answer is not _SENT:
            request.status = answer.status
            body = b"" if request.method == "HEAD" else answer.body
            answer = Answer(answer.status, [*answer.headers, *_own_headers(request)], body)
        self._tell_end(request, path_item, started)
        if self._takes_notes and route is not None and Right.NEGOTIATE in route.rights:
            self._tell_negotiation(request, problem, started)
        return answer

    def _name_listener(self, kind: ListenerKind | None) -> ListenerKind:
        return kind if kind is not None and (self._separate or kind is _METRICS) else self._unmarked

    def _tell_end(self, request: Request, path_item: PathItem, started: float) -> None:
        self._observer.request_ended(
            method=request.method,
            path=request.path,
            route=path_item.template,
            status=request.status,
            seconds=self._clock() - started,
            caller=None if request.caller is None else request.caller.name,
            request_id=request.id,
        )

    def _tell_negotiation(self, request: Request, problem: BridgeError | None, started: float) -> None:
        note = NOTE.get() or Note()
        self._observer.negotiation_ended(
            hub=note.hub or _name_hub(request),
            by=note.by or _name_actor(request),
            user_id=note.user_id if problem is None else None,
            endpoint=note.endpoint if problem is None else None,
            status=request.status,
            code=None if problem is None else problem.code,
            seconds=self._clock() - started,
        )

    async def _serve(self, request: Request, path_item: PathItem, route: Route | None) -> Answer:
        if len(request.path) > LONGEST_PATH:
            raise InvalidName("The path is longer than 32 KiB.")
        if request.listener is _METRICS and not request.path.startswith(_WATCHED):
            raise RouteNotFound(NO_SUCH_ROUTE)
        if self._separate and path_item.audience is _APPS and request.listener is ListenerKind.PUBLIC:
            path_item = keep_public(path_item)
            route = path_item.routes.get(request.method)
        if path_item.audience in _OF_PAGES and self._apply_cors(request, path_item):
            return Answer(HTTPStatus.NO_CONTENT)
        if self._separate or self._only_this_machine:
            self._check_listener(request, path_item)
        if route is None:
            raise _explain_missing(request, path_item)
        await self._check(request, route)
        if request.path.startswith(_WATCHED):
            return await (self._hand_over(request) if route.answer is None else route.answer(request))
        request.flight = flight = Flight(self.shares, self._find_share(request, path_item))
        try:
            if route.reads_body:
                request.recheck = _check_again
            else:
                flight.begin()
            return await (self._hand_over(request) if route.answer is None else route.answer(request))
        finally:
            flight.end()

    def _apply_cors(self, request: Request, path_item: PathItem) -> bool:
        """Adds the headers of CORS. Returns whether the request is a preflight that is answered here."""
        cors_of = self._find_cors(path_item)
        is_allowed = apply_cors(
            request,
            cors_of,
            path_item.allow,
            of_app=path_item.audience is _APPS,
            loopback=self._only_this_machine,
        )
        return is_allowed is not None and (is_allowed or not path_item.takes_preflights)

    def _find_cors(self, path_item: PathItem) -> CorsOf:
        return self._cors_of_apps if path_item.audience is _APPS else self._cors_of

    def _find_share(self, request: Request, path_item: PathItem) -> Share:
        """Whose share a request takes from. A caller that negotiates for its client is one of the callers."""
        audience = path_item.audience
        if request.caller is not None or audience is _CALLERS:
            return self.shares.callers
        if audience in _OF_PAGES:
            return self.shares.clients
        return self.shares.service if audience is _SERVICE else self.shares.common

    async def _check(self, request: Request, route: Route) -> None:
        """Checks what the table says of the route, and reads what it takes."""
        request.rights = route.rights
        if route.audience is _CALLERS:
            await request.part(Access).require_caller(request, of_any_hub=route.of_any_hub)
            request.read_names()
        elif route.audience is _CLIENTS:
            await request.part(Access).find_caller(request)
        elif route.audience is _APPS and route.rights:
            await request.part(Access).require_caller_of_app(request)
        if self._takes_notes or _CLOSING in route.rights:
            NOTE.set(Note(_name_actor(request)))
        if route.has_deadline:
            request.read_deadline()
        if route.query is not None:
            request.read_query(route.query)

    def _check_listener(self, request: Request, path_item: PathItem) -> None:
        """Raises ``RouteNotFound`` for a route of other listeners, and ``Forbidden`` for a request of another machine.

        In development the upstream is guarded, too, because every page knows the emulator's key, which signs its calls.
        """
        if request.path.lower().startswith(_HEALTH) or request.listener is _METRICS:
            return
        if self._only_this_machine:
            self._check_machine(request, path_item)
        if not self._separate or path_item.audience in _OF_PAGES:
            return
        if (path_item.audience is _SERVICE) is not (request.listener is ListenerKind.PUBLIC):
            raise RouteNotFound(NO_SUCH_ROUTE)

    def _check_machine(self, request: Request, path_item: PathItem) -> None:
        """Raises ``Forbidden`` for a request of another machine.

        A page of another origin, at another port of this machine or one that is allowed, may negotiate as a client,
        and call what an app lets anybody call.
        """
        hosts, origins = request.headers_of(b"host"), request.headers_of(b"origin")
        if is_of_this_machine(hosts, origins):
            return
        negotiates = path_item.is_for_anybody(request.method) and is_of_this_machine(hosts, ())
        settings = find_settings(request, self._find_cors(path_item))
        if not negotiates or not all(is_allowed(one, settings, loopback=True) for one in origins):
            more = ", or name the page's origin by --allow-origin" if negotiates else ""
            raise Forbidden(f"In development only this machine's own programs and pages may call: use localhost{more}.")
        request.crosses_origin = True

    async def _hand_over(self, request: Request) -> Answer:
        """Has FastAPI answer, which finds the request as ``find_request`` says. Returns ``_SENT``."""
        assert request.asgi is not None, "a route of FastAPI is served by ASGI"
        scope, receive, send = request.asgi
        scope["path"] = scope.get("root_path", "") + request.path
        scope["request_id"], scope[_REQUEST] = request.id, request

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                if request.caller is None and request.flight is not None:
                    request.flight.end()  # who takes a page slowly keeps nobody out
                request.status = message["status"]
                message["headers"] = [*message["headers"], *_own_headers(request)]
            elif request.method == "HEAD" and message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        try:
            await self._fastapi(scope, receive, send_with_headers)
        except Exception:
            if DEFECT_ANSWERED not in scope:  # Starlette raises what has been answered, too
                raise
        return _SENT


async def _check_again(request: Request) -> None:
    """Checks the caller of a request whose body has come late. Raises what ``Access.check_again`` does."""
    if request.caller is not None:
        await request.part(Access).check_again(request)


def find_request(scope: Scope) -> Request:
    """The request that the front has handed over to a route of FastAPI."""
    request: Request = scope[_REQUEST]
    return request


def _own_headers(request: Request) -> Sequence[tuple[bytes, bytes]]:
    return ((b"x-request-id", request.id.encode()), *request.answer_headers)


def _name_actor(request: Request) -> str:
    return CLIENT if request.caller is None else request.caller.name


def _name_hub(request: Request) -> str:
    """The hub that a request to negotiate is for. One that is not valid is as it came."""
    if request.hub_segment is None:
        return request.part(Access).hub_names.default or ""
    try:
        return request.hub
    except InvalidName:
        return request.hub_segment


def _read_trace(request: Request, path_item: PathItem, given: bytes) -> str | None:
    """The trace that a caller or the service passes on. That of a client is not trusted."""
    if path_item.audience in _OF_PAGES or request.path.endswith("/negotiate"):
        return None
    return read_traceparent(given)


def _explain_missing(request: Request, path_item: PathItem) -> BridgeError:
    """The error of a path or a method that no route has."""
    if path_item.audience is _SERVICE:
        return MethodNotAllowed("The service calls with POST.", headers={"Allow": path_item.allow})
    if path_item is not NOWHERE or request.method == "CONNECT":
        return MethodNotAllowed("This route takes other methods; see Allow.", headers={"Allow": path_item.allow})
    return InvalidName("A path segment is empty.") if "//" in request.path else RouteNotFound(NO_SUCH_ROUTE)


def _judge(error: BaseException, request_id: str) -> BridgeError:
    """The answer to an error that is a bug, which is logged, or to the end of the process.

    A cancellation without a request to cancel this task was raised by code in it, and is a bug.
    """
    if is_from_outside(error):
        return ShuttingDown("This replica shuts down, and could not finish: what was asked for may have happened.")
    _LOG.error("unhandled error", exc_info=error, extra={"request_id": request_id})
    return InternalError("Something went wrong here; the log has the rest.")


def _cancel_again() -> None:
    """Let a cancellation go on, which the answer has delayed, so that the task ends as a cancelled one.

    It is not raised, because uvicorn logs whatever comes out of an application as its error, with the stack.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        task.uncancel()
        task.cancel()


def _is_thrown_away(error: BaseException) -> bool:
    """Whether Python throws away an unfinished request after the loop's end, when nothing can be sent any more."""
    return isinstance(error, GeneratorExit) and is_from_outside(error)
