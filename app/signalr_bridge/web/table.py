"""The table of routes: each flow declares its routes once. The front serves by it, and the document is made of it."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

from signalr_bridge.web.callers import Right
from signalr_bridge.web.request import NAMES, Request
from signalr_bridge.wire.exchange import Answer

Answerer: TypeAlias = Callable[[Request], Awaitable[Answer]]
"""Answers a request that may be made. It raises a ``BridgeError`` for a problem."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""All methods that a route may have, in the order of the header ``Allow``."""

_PARAMETER = re.compile(r"\{(\w+)\}")


class Audience(StrEnum):
    """Who may call a route."""

    ANYBODY = "anybody"
    CALLERS = "callers"
    """A backend that has one of the route's rights."""
    CLIENTS = "clients"
    """A SignalR client, by the rules of its hub, or a backend that has one of the route's rights."""
    SERVICE = "service"
    """The SignalR service. The route itself checks who calls."""
    APPS = "apps"
    """Anybody, or a caller with one of the route's rights, as a function app says of each of its functions."""


@dataclass(frozen=True, slots=True)
class Description:
    """What the OpenAPI document says of a route besides its name, its parameters and who may call it.

    Args:
        tags: The groups that it belongs to.
        responses: The answers by status, as FastAPI takes them.
        body: The ``requestBody``. None means that there is none.
        summary: The first line. Empty takes the name of the function that answers.
        more: Further arguments of FastAPI's ``add_api_route``.
        operation: The whole OpenAPI operation, instead of all this.
    """

    tags: Sequence[str] = ()
    responses: Mapping[int | str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    summary: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)
    operation: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of ours.

    Args:
        method: The HTTP method.
        template: The path. A parameter such as ``{hub}`` is one segment.
        operation: The operation id, which stands in the document and never changes.
        answer: Answers it. None means that FastAPI does.
        endpoint: FastAPI's endpoint of a route that is handed over. None for a route that FastAPI has made itself.
        audience: Who may call.
        rights: A caller needs one of them.
        of_any_hub: Whether the right for one hub is enough where the path names no hub. Then the route shows no more.
        query: The query parameters that there are. None means that the query is not checked.
        has_deadline: Whether the caller may set a deadline by ``X-Request-Timeout``.
        is_idempotent: Whether the caller may name the request by ``Idempotency-Key``.
        reads_body: Whether it reads the body. Then it has its place in flight when the body has come, and not before.
        covers_below: Whether the path is taken in any case, and every path below it, too.
        description: What the document says of it. None leaves it out.
        same_as: The operation id of a documented route that this one is another path of. It has no description.
        segments: What stands for parameters that the path does not have, as it would stand in the path.
        yields: Whether a function of an app that has the same path answers in its place.
        ignores_case: Whether the path is found in any case. It is one that yields.
    """

    method: str
    template: str
    operation: str
    answer: Answerer | None = None
    endpoint: Callable[..., Any] | None = None
    audience: Audience = Audience.CALLERS
    rights: frozenset[Right] = frozenset()
    of_any_hub: bool = False
    query: tuple[str, ...] | None = None
    has_deadline: bool = False
    is_idempotent: bool = False
    reads_body: bool = False
    covers_below: bool = False
    description: Description | None = None
    same_as: str = ""
    segments: Mapping[str, str] = field(default_factory=dict)
    yields: bool = False
    ignores_case: bool = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters in the path."""
        return tuple(_PARAMETER.findall(self.template))


@dataclass(frozen=True, slots=True)
class PathItem:
    """All routes of one path, by their method. A path without routes is one, too.

    Args:
        template: The path. Empty when there are no routes.
        routes: The routes by method.
        takes_preflights: Whether a route answers preflights of pages whose origin the settings do not allow.
    """

    template: str
    routes: Mapping[str, Route]
    audience: Audience = Audience.CALLERS
    parameters: tuple[str, ...] = ()
    allow: str = ""
    takes_preflights: bool = False

    def is_for_anybody(self, method: str) -> bool:
        """Whether a page may call without being a caller: a client that negotiates, or whom an app lets in."""
        if self.audience is Audience.APPS:
            route = self.routes.get(method)
            return route is not None and not route.rights
        return self.audience is Audience.CLIENTS


NOWHERE = PathItem("", {})
"""The path item of a path that no route has."""


def keep_public(path_item: PathItem) -> PathItem:
    """The path item without the routes of an app that take a right. It is ``NOWHERE`` when none is left."""
    routes = {method: one for method, one in path_item.routes.items() if not one.rights}
    if not routes:
        return NOWHERE
    return replace(path_item, routes=routes, allow=write_allow(routes))


def write_allow(methods: Iterable[str]) -> str:
    """The header ``Allow``: the methods in the usual order."""
    given = list(methods)
    return ", ".join([*(one for one in METHODS if one in given), *(one for one in given if one not in METHODS)])


Found: TypeAlias = tuple[PathItem, Mapping[str, str]]
"""A path item, and the segments of the path by the parameters that stand there, as they came."""

_MOST_KEPT, _LONGEST_KEPT = 1024, 256
_NO_SEGMENTS: Mapping[str, str] = MappingProxyType({})


class AppRoutes(Protocol):
    """Routes that are not fixed: those of function apps."""

    def find(self, path: str) -> PathItem:
        """The path item of a path as it came. It is ``NOWHERE`` when there is none."""
        ...

    def watch(self, changed: Callable[[], None]) -> None:
        """Call this whenever paths may lead elsewhere."""
        ...


class Table:
    """All routes. Raises ``ValueError`` for a route that says too little or that another one hides.

    Args:
        routes: The routes that are fixed.
        apps: The routes of function apps. They stand behind those that are fixed, and in front of those that yield.
            None means that there are no apps.
    """

    def __init__(self, routes: Iterable[Route], apps: AppRoutes | None = None) -> None:
        self._apps = apps
        if apps is not None:
            apps.watch(self.forget)
        self.routes = tuple(routes)
        for route in self.routes:
            _check(route)
        _check_differ(self.routes)
        templates = dict.fromkeys(one.template for one in self.routes)
        path_items = [_make_path_item(template, self.routes) for template in templates]
        plain = {one.template: one for one in path_items if not one.parameters}
        self._yielding = {one.template: _give_segments(plain[one.template]) for one in self.routes if one.yields}
        self._in_any_case = {
            one.template.lower(): self._yielding[one.template] for one in self.routes if one.ignores_case
        }
        self._plain = {path: one for path, one in plain.items() if path not in self._yielding}
        self._below = {
            f"{one.template}/": one for one in path_items if any(route.covers_below for route in one.routes.values())
        }
        self._kept: dict[str, Found] = {}
        self._shapes = _group_by_shape([one for one in path_items if one.parameters])

    def find(self, path: str) -> Found:
        """The path item of a path as it came. It is ``NOWHERE`` when there is none.

        An empty segment counts as a value, so that an empty name is refused and finds no other route. At the end, it
        is not one, so that no route is found. What short paths lead to is kept, because most callers use few of them.
        """
        found = self._kept.get(path)
        if found is None:
            found = self._find(path)
            if len(path) <= _LONGEST_KEPT and found[0] is not NOWHERE:
                if len(self._kept) >= _MOST_KEPT:
                    self._kept.clear()
                self._kept[path] = found
        return found

    def forget(self) -> None:
        """Forget what paths lead to."""
        self._kept.clear()

    def _find(self, path: str) -> Found:
        if (path_item := self._plain.get(path)) is not None:
            return path_item, _NO_SEGMENTS
        segments = path.split("/")
        for shape in self._shapes.get(len(segments), ()) if segments[-1] else ():
            if (path_item := shape.path_items.get(shape.literals(segments))) is not None:
                return path_item, dict(zip(path_item.parameters, shape.values(segments), strict=True))
        lowered = f"{path.lower()}/"
        for prefix, path_item in self._below.items():
            if lowered.startswith(prefix):
                return path_item, _NO_SEGMENTS
        if self._apps is not None and (of_app := self._apps.find(path)) is not NOWHERE:
            return of_app, _NO_SEGMENTS
        found = self._yielding.get(path)
        return found or self._in_any_case.get(path.lower(), (NOWHERE, _NO_SEGMENTS))


def _give_segments(path_item: PathItem) -> Found:
    """The path item of routes that yield, and what stands for the parameters that their path does not have."""
    return path_item, next(iter(path_item.routes.values())).segments


@dataclass(frozen=True, slots=True)
class _Shape:
    """The path items whose parameters stand at the same positions.

    Args:
        literals: Picks the segments that are no parameters.
        values: Picks those that are.
        path_items: They themselves, by what ``literals`` picks.
    """

    literals: Callable[[Sequence[str]], Any]
    values: Callable[[Sequence[str]], Sequence[str]]
    path_items: dict[Any, PathItem]


def _group_by_shape(path_items: Sequence[PathItem]) -> dict[int, list[_Shape]]:
    """The shapes by the number of segments. One with fewer parameters comes first, because it says more."""
    found: dict[tuple[int, tuple[int, ...]], _Shape] = {}
    for path_item in sorted(path_items, key=lambda one: len(one.parameters)):
        segments = path_item.template.split("/")
        at = tuple(index for index, one in enumerate(segments) if _PARAMETER.fullmatch(one))
        literals = itemgetter(*(index for index in range(len(segments)) if index not in at))
        shape = found.setdefault((len(segments), at), _Shape(literals, _pick(at), {}))
        shape.path_items[literals(segments)] = path_item
    grouped: dict[int, list[_Shape]] = {}
    for (length, _), shape in found.items():
        grouped.setdefault(length, []).append(shape)
    return grouped


def _pick(positions: tuple[int, ...]) -> Callable[[Sequence[str]], Sequence[str]]:
    if len(positions) == 1:
        at = positions[0]
        return lambda segments: (segments[at],)
    return itemgetter(*positions)


def _make_path_item(template: str, routes: Sequence[Route]) -> PathItem:
    own = {one.method: one for one in routes if one.template == template}
    first = next(iter(own.values()))
    return PathItem(template, own, first.audience, first.parameters, write_allow(own))


def _check(route: Route) -> None:
    """Raises ``ValueError`` with what the route lacks."""
    wrong = [
        (route.method not in METHODS, f"the method is one of {', '.join(METHODS)}"),
        (not re.fullmatch(r"(/(\{\w+\}|[\w.~-]+))+|/", route.template), "the path begins with / and ends without"),
        (route.answer is not None and route.endpoint is not None, "ours answers it or FastAPI's, not both"),
        (route.answer is None and route.endpoint is None and route.description is not None, "nothing answers it"),
        (bool(route.rights) is not (route.audience in _WITH_RIGHTS), "routes for callers name rights, and only those"),
        (route.of_any_hub and "hub" in route.parameters, "of_any_hub is for a path without a hub"),
        (route.answer is not None and not set(route.parameters) <= NAMES, f"a parameter is one of {sorted(NAMES)}"),
        (
            route.answer is not None and (route.description is None) is not bool(route.same_as),
            "a description says what it does, or same_as names the route that is described",
        ),
    ]
    faults = [text for is_wrong, text in wrong if is_wrong]
    if faults:
        raise ValueError(f"{route.method} {route.template}: {'; '.join(faults)}")


_WITH_RIGHTS = frozenset({Audience.CALLERS, Audience.CLIENTS})


def _check_differ(routes: Sequence[Route]) -> None:
    """Raises ``ValueError`` for two routes that are one, or whose path is for different audiences."""
    seen: dict[str, Route] = {}
    for route in routes:
        path = _PARAMETER.sub("{}", route.template)
        for key in (f"operation {route.operation}", f"{route.method} {path}"):
            if key in seen:
                raise ValueError(f"{route.method} {route.template}: there are two routes of '{key}'")
            seen[key] = route
        if seen.setdefault(path, route).audience is not route.audience:
            raise ValueError(f"{route.method} {route.template}: one path is for one audience")
        if seen[path].template != route.template:
            raise ValueError(f"{route.method} {route.template}: the parameters of one path have one name each")
