"""Functions that answer HTTP requests, at ``/api/<route>``: their routes, who may call, and how they are answered.

Source: https://learn.microsoft.com/azure/azure-functions/functions-bindings-http-webhook-trigger
"""

import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias
from urllib.parse import unquote

from signalr_bridge.errors import BridgeError, HubError, InternalError, InvalidName, SettingsError
from signalr_bridge.functions.description import FunctionDescription, Kind
from signalr_bridge.functions.http_exchange import read_call, write_reply
from signalr_bridge.functions.invocation import FunctionFailed, FunctionResult, HttpCall, HttpReply
from signalr_bridge.functions.route_template import RouteTemplate, parse_template, split_path
from signalr_bridge.negotiate.rules import ClientAdmission
from signalr_bridge.web.authorize import Access
from signalr_bridge.web.callers import Right
from signalr_bridge.web.request import Request
from signalr_bridge.web.table import METHODS, NOWHERE, Audience, PathItem, Route, write_allow
from signalr_bridge.web.trace import NOTE, Note
from signalr_bridge.wire.exchange import Answer

LARGEST_BODY = 8 * 1024 * 1024
"""In bytes."""

RunHttp: TypeAlias = Callable[[HttpCall], Awaitable[FunctionResult]]
"""Runs a function for a request: with its inputs filled, and its outputs sent."""

_FAILED = "The function has failed; the log has the rest."
_RIGHTS: Mapping[str, frozenset[Right]] = MappingProxyType(
    {
        "anonymous": frozenset(),
        "function": frozenset({Right.FUNCTIONS, Right.FUNCTIONS_ADMIN}),
        "admin": frozenset({Right.FUNCTIONS_ADMIN}),
    }
)
"""The rights that each ``authLevel`` asks for."""
_MAKE_TOKENS = frozenset({Kind.CONNECTION_INFO, Kind.NEGOTIATION})
_OWN_TREES = ("hubs", "upstream", "runtime", "health", "docs")
_OWN_PATHS = ("", "metrics", "openapi.json", "events")
"""What the bridge itself answers: these first segments with all that is below, and these paths."""
_UP = frozenset({".", ".."})
_SEPARATOR = re.compile(r"[/\\]")
_METHOD = re.compile(r"[A-Z]{1,32}")
_LOG = logging.getLogger("signalr_bridge.functions")


@dataclass(frozen=True, slots=True)
class HttpFunction:
    """A function that answers requests.

    Attributes:
        function: Its bindings. Its trigger says the route, the methods and the ``authLevel``.
        prefix: What stands in front of its route: ``api``, or ``routePrefix`` of the app's ``host.json``.
        run: Runs it.
        believes_platform: Whether the platform's headers are believed. Else ``hide_headers`` takes them out of calls.
    """

    function: FunctionDescription
    prefix: str
    run: RunHttp
    believes_platform: bool = False


class FunctionRoutes:
    """The routes of all functions. They may change while the bridge runs, when a program beside it is asked anew."""

    def __init__(self) -> None:
        self.functions: Sequence[HttpFunction] = ()
        self._entries: Sequence[_Entry] = ()
        self._merged: dict[tuple[str, ...], PathItem] = {}
        self._watching: list[Callable[[], None]] = []

    def watch(self, changed: Callable[[], None]) -> None:
        """Call this whenever paths may lead elsewhere."""
        self._watching.append(changed)

    def use(self, functions: Sequence[HttpFunction]) -> None:
        """Answer by these functions from now on.

        Raises ``SettingsError`` for a route that is not one or that hides one of the bridge, for an ``authLevel`` that
        there is not, and for two functions that answer the same requests. Then the old ones stay.
        """
        entries = sorted(map(_make_entry, functions), key=lambda one: one.template.precedence)
        _check_differ(entries)
        self.functions, self._entries, self._merged = functions, entries, {}
        for changed in self._watching:
            changed()

    def find(self, path: str) -> PathItem:
        """The path item of a path as it came. It is ``NOWHERE`` when no function has it.

        Of several routes that take the path, the one that says most about it answers, for each method.
        """
        segments = split_path(path)
        found = [one for one in self._entries if one.template.match(segments) is not None]
        if not found:
            return NOWHERE
        key = tuple(one.function.function.name for one in found)
        if key not in self._merged:
            self._merged[key] = _make_path_item(found)
        return self._merged[key]


@dataclass(frozen=True, slots=True)
class _Entry:
    """A function and where it answers.

    Attributes:
        function: The function.
        template: The template of its path, with the prefix.
        methods: The methods that it names. Empty for one that takes all.
        rights: A caller needs one of them. Empty for a function that anybody may call.
        makes_tokens: Whether it hands out tokens of clients.
    """

    function: HttpFunction
    template: RouteTemplate
    methods: tuple[str, ...]
    rights: frozenset[Right]
    makes_tokens: bool = field(default=False)

    def list_routes(self) -> Iterator[Route]:
        """Its routes, one for each method."""
        own = self.methods or METHODS
        for method in own:
            yield self._make_route(method, method)
        if "GET" in own and "HEAD" not in own:
            yield self._make_route("HEAD", "GET")

    def _make_route(self, method: str, seen: str) -> Route:
        async def answer(request: Request) -> Answer:
            return await self.answer(request, seen)

        name = self.function.function.name
        return Route(
            method,
            f"/{self.template.text}",
            f"{method} {name}",
            answer,
            audience=Audience.APPS,
            rights=self.rights,
            reads_body=True,
        )

    async def answer(self, request: Request, method: str) -> Answer:
        """What the function answers to a request.

        Raises what ``Request.read_body`` and bindings raise, ``InvalidName`` for a path that leads up, and
        ``InternalError`` where the function fails.
        """
        _check_path(request.path)
        if self.makes_tokens and request.caller is None:
            request.part(ClientAdmission).check_rate(request.part(Access).address_of(request))
        body = await request.read_body(LARGEST_BODY)
        call = read_call(
            request,
            body,
            method=method,
            route=self.template.match(split_path(request.path)) or {},
            believes_platform=self.function.believes_platform,
        )
        NOTE.set(Note(self.function.function.source))
        try:
            result = await self.function.run(call)
            return write_reply(result.reply or HttpReply(204), request, keeps_secret=self.makes_tokens)
        except (FunctionFailed, HubError) as error:
            self._log_failure(error, request)
            raise InternalError(_FAILED) from None
        except BridgeError:
            raise
        except Exception as error:
            self._log_failure(error, request, error)
            raise InternalError(_FAILED) from None

    def _log_failure(self, error: Exception, request: Request, stack: Exception | None = None) -> None:
        where = {"function": self.function.function.name, "error": type(error).__name__, "request_id": request.id}
        _LOG.error("function failed", exc_info=stack, extra=where if stack else where | {"reason": str(error)})


def _check_path(path: str) -> None:
    """Raises ``InvalidName`` for a path with ``.`` or ``..`` in it, escaped or not.

    The Functions host takes them out before it looks for a function, and browsers do before they send. So apps do not
    expect them: one that opens files by a path would open others, and a program that is passed the request may take
    it for one to another function.
    """
    if not _UP.isdisjoint(_SEPARATOR.split(unquote(path))):
        raise InvalidName("A path of a function has no '.' and no '..' between slashes.")


def _make_entry(http: HttpFunction) -> _Entry:
    function, trigger = http.function, http.function.trigger
    where = f"The function {function.name}"
    if trigger is None:
        raise SettingsError(f"{where} has no trigger: give it an httpTrigger.")
    level = (trigger.text("authLevel") or "function").lower()
    if level not in _RIGHTS:
        raise SettingsError(f"{where} has an authLevel that there is not: write anonymous, function or admin.")
    methods = tuple(dict.fromkeys(one.strip().upper() for one in trigger.texts("methods") or ()))
    if not all(map(_METHOD.fullmatch, methods)) or "CONNECT" in methods:
        raise SettingsError(f"{where} has a method that no request can have: write get, post and the like.")
    template = parse_template(f"{http.prefix.strip('/')}/{_read_route(function, trigger.text('route'))}", where)
    _check_hides_nothing(template, where)
    makes_tokens = any(one.kind in _MAKE_TOKENS for one in function.inputs)
    return _Entry(http, template, methods, _RIGHTS[level], makes_tokens)


def _read_route(function: FunctionDescription, route: str) -> str:
    """The function's own part of its path, which is its name where it says nothing else."""
    return (route or function.name).strip("/")


def _check_hides_nothing(template: RouteTemplate, where: str) -> None:
    """Raises ``SettingsError`` for a route that takes a path of the bridge itself, whatever else it takes."""
    hidden = [f"/{one}" for one in _OWN_PATHS if template.match(split_path(f"/{one}")) is not None]
    hidden += [f"/{one}" for one in _OWN_TREES if template.may_begin_with(one)]
    if hidden:
        raise SettingsError(
            f"{where} answers at /{template.text}, which takes {hidden[0]} of the bridge: "
            "give it another route, or its app a routePrefix in host.json."
        )


def _check_differ(entries: Sequence[_Entry]) -> None:
    seen: dict[tuple[object, str], _Entry] = {}
    for entry in entries:
        for method in entry.methods or METHODS:
            other = seen.setdefault((entry.template.shape, method), entry)
            if other is not entry:
                names = f"{other.function.function.name} and {entry.function.function.name}"
                raise SettingsError(
                    f"The functions {names} both answer {method} /{entry.template.text}: "
                    "give one of them another route or other methods."
                )


def _make_path_item(entries: Iterable[_Entry]) -> PathItem:
    """The routes of one path by method. What a function says itself counts before the HEAD that comes with a GET."""
    entries = list(entries)
    listed = [(one, route) for one in entries for route in one.list_routes()]
    own = [route for one, route in listed if route.method in (one.methods or METHODS)]
    routes: dict[str, Route] = {}
    for route in [*own, *(route for _, route in listed)]:
        routes.setdefault(route.method, route)
    takes_preflights = any("OPTIONS" in one.methods and not one.rights for one in entries)
    template = f"/{entries[0].template.text}"
    return PathItem(template, routes, Audience.APPS, (), write_allow(routes), takes_preflights)
