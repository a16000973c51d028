"""Bridges with other settings: listeners apart, development, several hubs, limits, and services that are not there."""

from collections.abc import Iterator

from tests.contract.bridge.answers.bridges import CODE, ORIGIN
from tests.contract.bridge.answers.cases.request import by, case, event
from tests.contract.bridge.answers.cases.upstream import said
from tests.contract.bridge.answers.exchange import Case

_MESSAGE = {"target": "t"}
_PATHS = (
    "/health/live",
    "/health/ready",
    "/docs",
    "/openapi.json",
    "/hubs/chat/endpoints",
    "/hubs/chat/users/u",
    "/events/",
    "/nothing",
)


def either_listener() -> Iterator[Case]:
    """The same requests to each of two listeners, of which one is for callers alone."""
    for path in _PATHS:
        yield by("all", f"GET {path}", "GET", path)
        yield case(f"GET {path} by nobody", "GET", path)
    yield by("all", "send", "POST", "/hubs/chat/send", body=_MESSAGE)
    yield case("send by nobody", "POST", "/hubs/chat/send", body=_MESSAGE)
    yield case("client", "POST", "/hubs/chat/negotiate", body=b"")
    yield case("client of the default hub", "POST", "/api/negotiate", body=b"")
    yield by("all", "caller", "POST", "/hubs/chat/negotiate", body={"userId": "ann"})
    yield by("nobody", "wrong key", "POST", "/hubs/chat/negotiate", body=b"")
    yield by("all", "all endpoints", "POST", "/hubs/chat/negotiate/endpoints", body={})
    yield case("negotiate, get", "GET", "/hubs/chat/negotiate")
    preflight = (f"Origin: {ORIGIN}", "Access-Control-Request-Method: POST")
    yield case("preflight", "OPTIONS", "/hubs/chat/negotiate", *preflight)
    yield case("page of a route that is not here", "POST", "/hubs/chat/negotiate/", *preflight, body=b"")
    yield event("event", body=said("echo", 1))
    yield event("event in capitals", body=said("echo", 1), target=f"/UPSTREAM/x?code={CODE}")
    yield event("event of a function app", body=said("echo", 1), target=f"/runtime/webhooks/signalr?code={CODE}")
    yield case("event, get", "GET", "/upstream")
    yield case("two slashes", "GET", "/hubs//x")
    yield case("a path too long", "GET", "/" + "x" * 33_000)


def without_keys() -> Iterator[Case]:
    """Callers on loopback need no key."""
    for host in ("localhost", "127.0.0.1:8081", "[::1]", "bridge", "127.0.0.1.example"):
        yield case(f"send to {host}", "POST", "/hubs/chat/send", body=_MESSAGE, host=host)
    yield case(
        "send from a page", "POST", "/hubs/chat/send", "Origin: http://localhost", body=_MESSAGE, host="localhost"
    )
    yield case("send from elsewhere", "POST", "/hubs/chat/send", "Origin: http://x", body=_MESSAGE, host="localhost")
    yield case("send with a wrong key", "POST", "/hubs/chat/send", "X-API-Key: x", body=_MESSAGE, host="localhost")
    yield case("ready", "GET", "/health/ready", host="localhost")
    yield case("ready elsewhere", "GET", "/health/ready")
    yield case("client", "POST", "/hubs/chat/negotiate", body=b"", host="localhost")
    yield case("caller", "POST", "/hubs/chat/negotiate", body={"userId": "ann"}, host="localhost")


def development() -> Iterator[Case]:
    """Only this machine's own programs and pages."""
    message = {"target": "t"}
    for host in (
        "localhost",
        "localhost:8080",
        "127.0.0.1",
        "[::1]:8080",
        "bridge",
        "",
        "localhost.example",
        "LOCALHOST",
    ):
        yield case(f"send to {host or 'nothing'}", "POST", "/hubs/chat/send", body=message, host=host)
        yield case(f"live at {host or 'nothing'}", "GET", "/health/live", host=host)
        yield case(f"client at {host or 'nothing'}", "POST", "/hubs/chat/negotiate", body=b"", host=host)
    for origin in (
        "http://localhost:8080",
        "http://localhost",
        "https://localhost:8080",
        "null",
        "http://evil.example",
    ):
        line = f"Origin: {origin}"
        yield case(f"send from {origin}", "POST", "/hubs/chat/send", line, body=message, host="localhost:8080")
        yield case(f"client from {origin}", "POST", "/hubs/chat/negotiate", line, body=b"", host="localhost:8080")
        preflight = "Access-Control-Request-Method: POST"
        yield case(
            f"preflight from {origin}", "OPTIONS", "/hubs/chat/negotiate", line, preflight, host="localhost:8080"
        )
    here = "localhost:8080"
    yield case("a client by name", "POST", "/hubs/any/negotiate?userId=ann", body=b"", host=here)
    yield case("a caller", "POST", "/hubs/any/negotiate", body={"userId": "ann"}, host=here)
    yield case("the default hub", "POST", "/api/negotiate", body=b"", host=here)
    yield case("a wrong key", "POST", "/hubs/chat/send", "X-API-Key: x", body=message, host=here)
    yield case("ready", "GET", "/health/ready", host=here)
    yield case("the page of the document", "GET", "/docs", host=here)
    yield case("the page of the document elsewhere", "GET", "/docs")
    yield case("nothing elsewhere", "GET", "/nothing")
    yield case("two slashes elsewhere", "GET", "//x")
    yield event("an event elsewhere", body=said("echo", 1), target="/upstream")


def several_hubs() -> Iterator[Case]:
    """No hub is the default, and there is no document and no console."""
    yield case("client", "POST", "/api/negotiate", body=b"")
    yield by("all", "caller", "POST", "/api/negotiate", body={"userId": "ann"})
    yield by("all", "caller without a body", "POST", "/api/negotiate", body=b"")
    yield case("client with a body", "POST", "/api/negotiate", body=b"x")
    yield case("preflight", "OPTIONS", "/api/negotiate", "Origin: https://x", "Access-Control-Request-Method: POST")
    yield case("get", "GET", "/api/negotiate")
    for path in ("/docs", "/openapi.json", "/events", "/docs/oauth2-redirect"):
        yield by("all", f"GET {path}", "GET", path)
    yield case("an event without a code", "POST", "/upstream", body=b"")
    yield event("an event", "chat", body=said("echo", 1), target="/upstream")


def named_hubs() -> Iterator[Case]:
    """Callers, too, know only the hubs that are named."""
    for hub in ("chat", "CHAT", "other", "1"):
        yield by("all", f"send to {hub}", "POST", f"/hubs/{hub}/send", body=_MESSAGE)
        yield case(f"send to {hub} by nobody", "POST", f"/hubs/{hub}/send", body=_MESSAGE)
        yield by("all", f"users of {hub}", "GET", f"/hubs/{hub}/users/u")
        yield by("all", f"users of {hub}, head", "HEAD", f"/hubs/{hub}/users/u")
        yield by("all", f"caller of {hub}", "POST", f"/hubs/{hub}/negotiate", body={"userId": "ann"})
        yield case(f"client of {hub}", "POST", f"/hubs/{hub}/negotiate", body=b"")
    yield by("all", "the only hub is the default", "POST", "/api/negotiate", body={"userId": "ann"})


def rates() -> Iterator[Case]:
    """One request each, and then no more."""
    here = f"Origin: {ORIGIN}"
    for name in ("the first", "the second"):
        yield case(f"client, {name}", "POST", "/hubs/chat/negotiate", here, body=b"")
        yield by("all", f"send, {name}", "POST", "/hubs/chat/send", body=_MESSAGE)
    yield case("client of an unknown hub", "POST", "/hubs/unknown/negotiate", here, body=b"")
    yield case("client of the default hub", "POST", "/api/negotiate", here, body=b"")
    yield by("all", "question", "GET", "/hubs/chat/users/u")
    yield by("all", "question, head", "HEAD", "/hubs/chat/users/u")
    yield by("all", "caller", "POST", "/hubs/chat/negotiate", here, body={"userId": "ann"})
    yield by("all", "no hub", "POST", "/hubs/1/send", body=_MESSAGE)
    yield by("all", "ready", "GET", "/health/ready")
    yield by("nobody", "wrong key", "POST", "/hubs/chat/send", body=_MESSAGE)
    yield case("preflight", "OPTIONS", "/hubs/chat/negotiate", here, "Access-Control-Request-Method: POST")
    yield event("event", "chat", "connections", "connected", target="/upstream")


def one_in_flight() -> Iterator[Case]:
    """One request is in flight already."""
    here = f"Origin: {ORIGIN}"
    yield case("client", "POST", "/hubs/chat/negotiate", here, body=b"")
    yield case("preflight", "OPTIONS", "/hubs/chat/negotiate", here, "Access-Control-Request-Method: POST")
    yield by("all", "send", "POST", "/hubs/chat/send", body=_MESSAGE)
    yield case("send by nobody, one in flight", "POST", "/hubs/chat/send", body=_MESSAGE)
    yield by("all", "question, head", "HEAD", "/hubs/chat/users/u")
    yield case("nothing, one in flight", "GET", "/nothing")
    yield case("another method, one in flight", "PATCH", "/hubs/chat/send")
    yield case("the document", "HEAD", "/openapi.json")
    yield case("live", "GET", "/health/live")
    yield by("all", "ready", "GET", "/health/ready?strict=true")
    yield case("health of nothing", "GET", "/health/other")
    yield event("event", "chat", "connections", "connected", target="/upstream")
    yield case("a path too long", "GET", "/" + "x" * 33_000)


def one_under_way() -> Iterator[Case]:
    """A request with an ``Idempotency-Key`` is under way."""
    for name, body in {"the same": _MESSAGE, "another body": {"target": "u"}}.items():
        yield by("all", name, "POST", "/hubs/say_nothing/send", "Idempotency-Key: k", body=body)
    yield by("all", "another key", "POST", "/hubs/chat/send", "Idempotency-Key: l", body=_MESSAGE)


def nobody_there() -> Iterator[Case]:
    """The only instance cannot be reached."""
    yield case("ready", "GET", "/health/ready")
    yield by("all", "ready to a caller", "GET", "/health/ready")
    yield case("ready and strict", "GET", "/health/ready?strict=true")
    yield by("all", "endpoints", "GET", "/hubs/chat/endpoints")
    yield by("all", "send", "POST", "/hubs/chat/send", body=_MESSAGE)
    yield by("all", "outputs", "POST", "/hubs/chat/outputs", body=[_MESSAGE, _MESSAGE])
    yield by("all", "join", "PUT", "/hubs/chat/groups/g/connections/c")
    yield by("all", "question", "GET", "/hubs/chat/users/u")
    yield by("all", "question, head", "HEAD", "/hubs/chat/users/u")
    yield by("all", "members", "GET", "/hubs/chat/groups/g/connections")
    yield by("all", "call", "POST", "/hubs/chat/connections/c/invoke", body=_MESSAGE)
    yield by("all", "caller", "POST", "/hubs/chat/negotiate", body={"userId": "ann"})
    yield by("all", "all endpoints", "POST", "/hubs/chat/negotiate/endpoints", body={"userId": "ann"})


def one_of_two_there() -> Iterator[Case]:
    """Of two instances one cannot be reached. That is known once it was tried three times."""
    yield by("all", "endpoints before", "GET", "/hubs/chat/endpoints")
    for name in ("before", "then"):
        yield by("all", f"send {name}", "POST", "/hubs/chat/send", body=_MESSAGE)
    yield by("all", "endpoints then", "GET", "/hubs/chat/endpoints")
    yield by("all", "send to who is away", "POST", "/hubs/chat/send", body=_MESSAGE | {"endpoints": ["west"]})
    yield by("all", "send to who is there", "POST", "/hubs/chat/send", body=_MESSAGE | {"endpoints": ["default"]})
    yield by(
        "all",
        "outputs",
        "POST",
        "/hubs/chat/outputs",
        body=[_MESSAGE, {"action": "removeAll", "userId": "u"}, _MESSAGE],
    )
    yield by(
        "all",
        "outputs that go on",
        "POST",
        "/hubs/chat/outputs?onError=continue",
        body=[{"action": "removeAll", "userId": "u"}, _MESSAGE],
    )
    yield by("all", "join", "PUT", "/hubs/chat/groups/g/connections/c")
    yield by("all", "join of one who is absent", "PUT", "/hubs/chat/groups/g/connections/say-absent")
    yield by("all", "leave", "DELETE", "/hubs/chat/groups/g/users/u")
    yield by("all", "close all", "DELETE", "/hubs/chat/connections?confirm=all")
    yield by("all", "question", "GET", "/hubs/chat/users/u")
    yield by("all", "question about one who is absent", "GET", "/hubs/chat/users/say-absent")
    yield by("all", "members", "GET", "/hubs/chat/groups/g/connections")
    yield by("all", "call", "POST", "/hubs/chat/connections/say-result/invoke", body=_MESSAGE)
    yield by("all", "call of one who is absent", "POST", "/hubs/chat/connections/say-absent/invoke", body=_MESSAGE)
    yield case("client", "POST", "/hubs/chat/negotiate", body=b"")
    yield by("all", "caller at one that is away", "POST", "/hubs/chat/negotiate", body={"endpoint": "west"})
    yield by("all", "all endpoints", "POST", "/hubs/chat/negotiate/endpoints", body={"userId": "ann"})
    yield by("all", "ready and strict", "GET", "/health/ready?strict=true")
    yield event("event", "chat", "connections", "connected", target="/upstream")


def two_there() -> Iterator[Case]:
    """Both instances answer."""
    yield by("all", "send", "POST", "/hubs/chat/send", body=_MESSAGE)
    yield by("all", "send: absent", "POST", "/hubs/chat/send", body=_MESSAGE | {"connectionId": "say-absent"})
    yield by("all", "send: 403", "POST", "/hubs/chat/send", body=_MESSAGE | {"connectionId": "say-403"})
    yield by("all", "send: 429", "POST", "/hubs/chat/send", body=_MESSAGE | {"connectionId": "say-429"})
    yield by("all", "send: 500", "POST", "/hubs/chat/send", body=_MESSAGE | {"connectionId": "say-500"})
    yield by("all", "outputs side by side", "POST", "/hubs/chat/outputs?order=none", body=[_MESSAGE] * 3)
    yield by("all", "join", "PUT", "/hubs/chat/groups/g/connections/c")
    yield by("all", "question", "GET", "/hubs/chat/users/say-absent")
    yield by("all", "members", "GET", "/hubs/chat/groups/g/connections?top=3")
    yield by("all", "call", "POST", "/hubs/chat/connections/say-result/invoke", body=_MESSAGE)
    yield by("all", "call of an unknown one", "POST", "/hubs/chat/connections/say-absent/invoke", body=_MESSAGE)
    yield by("all", "caller", "POST", "/hubs/chat/negotiate", body={"userId": "ann"})
    yield by("all", "caller at one", "POST", "/hubs/chat/negotiate", body={"endpoint": "WEST"})
    yield by("all", "all endpoints", "POST", "/hubs/chat/negotiate/endpoints", body=b"")
