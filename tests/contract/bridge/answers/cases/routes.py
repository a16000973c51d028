"""Every route of the OpenAPI document, each as those ask who may and those who may not."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.contract.bridge.answers.cases.request import by, case
from tests.contract.bridge.answers.exchange import Case

_MESSAGE = {"target": "newMessage", "arguments": ["ann", 1]}


@dataclass(frozen=True, slots=True)
class Route:
    """A route with names in its path. ``without`` is a caller who lacks its right, ``owner`` one who has only that."""

    method: str
    path: str
    without: str
    owner: str
    body: Any = None
    query: str = ""

    @property
    def target(self) -> str:
        """The path and the query."""
        return self.path + self.query


_GROUP, _USER, _CONNECTION = "/hubs/chat/groups/team%2F1", "/hubs/chat/users/ann", "/hubs/chat/connections/c-1"

ROUTES = (
    Route("POST", "/hubs/chat/negotiate/endpoints", "sender", "negotiator"),
    Route("POST", "/hubs/chat/send", "groups", "sender", _MESSAGE),
    Route("POST", "/hubs/chat/groups", "sender", "groups", {"action": "add", "userId": "ann", "groupName": "g"}),
    Route("POST", "/hubs/chat/outputs", "reader", "sender", [_MESSAGE, _MESSAGE | {"userId": "ann"}]),
    Route("PUT", _GROUP + "/connections/c-1", "sender", "groups"),
    Route("DELETE", _GROUP + "/connections/c-1", "sender", "groups"),
    Route("PUT", _GROUP + "/users/ann", "sender", "groups", None, "?ttlSeconds=60"),
    Route("DELETE", _GROUP + "/users/ann", "sender", "groups"),
    Route("DELETE", _USER + "/groups", "closer", "groups"),
    Route("DELETE", _CONNECTION + "/groups", "closer", "groups"),
    Route("DELETE", _CONNECTION, "groups", "closer", None, "?reason=bye%20%C3%A4"),
    Route("DELETE", _USER + "/connections", "groups", "closer", None, "?reason=bye&excluded=c-1&excluded=c-2"),
    Route("DELETE", _GROUP + "/connections", "groups", "closer", None, "?excluded=c-1"),
    Route("DELETE", "/hubs/chat/connections", "groups", "closer", None, "?confirm=all"),
    Route("GET", _CONNECTION, "sender", "reader"),
    Route("HEAD", _CONNECTION, "sender", "reader"),
    Route("GET", _USER, "sender", "reader"),
    Route("HEAD", _USER, "sender", "reader"),
    Route("GET", _GROUP, "sender", "reader"),
    Route("HEAD", _GROUP, "sender", "reader"),
    Route("GET", _GROUP + "/users/ann", "sender", "reader"),
    Route("HEAD", _GROUP + "/users/ann", "sender", "reader"),
    Route("GET", "/hubs/chat/exists", "sender", "reader", None, "?groupName=g&userId=ann"),
    Route("HEAD", "/hubs/chat/exists", "sender", "reader", None, "?connectionId=c"),
    Route("GET", _GROUP + "/connections", "sender", "reader"),
    Route("GET", "/hubs/chat/endpoints", "sender", "reader"),
    Route("POST", "/hubs/chat/connections/say-result/invoke", "groups", "sender", {"target": "t", "arguments": [1]}),
)


def right_and_wrong() -> Iterator[Case]:
    """Who may gets what the route gives, and all others are told why not."""
    for one in ROUTES:
        name = f"{one.method} {one.path}"
        yield by("all", f"{name}: done", one.method, one.target, body=one.body)
        yield by(one.owner, f"{name}: by who has that right alone", one.method, one.target, body=one.body)
        yield case(f"{name}: nobody", one.method, one.target, body=one.body)
        yield by("nobody", f"{name}: wrong key", one.method, one.target, body=one.body)
        yield by(one.without, f"{name}: without its right", one.method, one.target, body=one.body)
        elsewhere = one.target.replace("/chat/", "/news/")
        yield by("chat", f"{name}: of another hub", one.method, elsewhere, body=one.body)


def shapes() -> Iterator[Case]:
    """The path and the query are looked at before anything is done."""
    for one in ROUTES:
        name = f"{one.method} {one.path}"
        yield by("all", f"{name}: slash at the end", one.method, one.path + "/" + one.query, body=one.body)
        mark = "&" if one.query else "?"
        yield by("all", f"{name}: unknown parameter", one.method, f"{one.target}{mark}unknown=1", body=one.body)
        yield by("all", f"{name}: no hub's name", one.method, one.target.replace("/chat/", "/1/"), body=one.body)
        yield by("all", f"{name}: empty hub", one.method, one.target.replace("/chat/", "//"), body=one.body)
        if one.method != "POST":
            yield by("all", f"{name}: bad time-out", one.method, one.target, "X-Request-Timeout: soon", body=one.body)


def methods() -> Iterator[Case]:
    """Every path with the methods that it does not take."""
    fixed = ("/health/live", "/health/ready", "/api/negotiate", "/hubs/chat/negotiate", "/events", "/docs")
    for path in dict.fromkeys([*(one.path for one in ROUTES), *fixed, "/openapi.json", "/upstream", "/hubs", "/"]):
        for method in ("PATCH", "OPTIONS"):
            yield case(f"{method} {path}", method, path)
    for path in ("/hubs/chat/send", "/hubs/chat/negotiate", "/api/negotiate", "/upstream", "/upstream/below"):
        for method in ("GET", "HEAD", "DELETE", "PUT"):
            yield case(f"{method} {path}", method, path)
    for path in ("/hubs/chat/groups/g/connections/c", "/hubs/chat/connections/c", "/hubs/chat/connections"):
        yield case(f"POST {path}", "POST", path, body=b"")
        yield by("all", f"GET {path}: by a caller", "GET", path)
    for path in ("/health/live", "/openapi.json", "/hubs/chat/endpoints"):
        yield case(f"POST {path}", "POST", path, body=b"{}")
        yield case(f"HEAD {path}", "HEAD", path)
    for method in ("TRACE", "PROPFIND", "M-SEARCH", "get", "Post", "FETCH"):
        yield case(f"{method} /hubs/chat/send", method, "/hubs/chat/send")
