"""Health, documents, the console's stream, and what every request has: its id, its path, its credentials."""

from collections.abc import Iterator

from tests.contract.bridge.answers.cases.request import by, case, key, raw, request
from tests.contract.bridge.answers.exchange import Case

_MESSAGE = {"target": "t"}


def operations() -> Iterator[Case]:
    """Health and documents, as anybody and as callers see them."""
    yield case("live", "GET", "/health/live")
    yield case("live with a query", "GET", "/health/live?x=1")
    yield case("live with an empty query", "GET", "/health/live?")
    yield case("live in capitals", "GET", "/Health/Live")
    yield case("live with a slash", "GET", "/health/live/")
    yield case("live with a body", "GET", "/health/live", body=b"{}")
    yield case("ready", "GET", "/health/ready")
    yield case("ready, without a body", "HEAD", "/health/ready")
    yield case("ready and strict", "GET", "/health/ready?strict=true")
    yield case("ready, not strict", "GET", "/health/ready?strict=false")
    yield case("ready, how strict?", "GET", "/health/ready?strict=1")
    yield case("ready, twice strict", "GET", "/health/ready?strict=true&strict=true")
    yield case("ready, unknown parameter", "GET", "/health/ready?Strict=true")
    yield by("reader", "ready to who may read", "GET", "/health/ready")
    yield by("chat-reader", "ready to who may read one hub", "GET", "/health/ready")
    yield by("sender", "ready to who may send", "GET", "/health/ready")
    yield by("nobody", "ready with a wrong key", "GET", "/health/ready")
    yield case("live by head", "HEAD", "/health/live")
    yield case("live by head with a query", "HEAD", "/health/live?x=1")
    yield case("ready by head", "HEAD", "/health/ready")
    yield case("ready by head, how strict?", "HEAD", "/health/ready?strict=1")
    yield case("health of nothing", "GET", "/health/other")
    yield case("health", "GET", "/health")
    yield case("the document", "GET", "/openapi.json")
    yield case("the document with a query", "HEAD", "/openapi.json?x=1")
    yield case("the page of the document", "GET", "/docs")
    yield case("the page of the document, head", "HEAD", "/docs")
    yield case("the page's own redirect", "GET", "/docs/oauth2-redirect")
    yield case("another page", "GET", "/redoc")
    yield case("metrics", "GET", "/metrics")
    yield case("the root", "GET", "/")
    yield case("the root, head", "HEAD", "/")
    yield case("no such route", "GET", "/nothing/here")
    yield by("all", "hubs", "GET", "/hubs")
    yield by("all", "all hubs", "GET", "/hubs")
    yield by("chat-reader", "one hub of them", "GET", "/hubs")
    yield by("sender", "hubs to who may send", "GET", "/hubs")
    yield case("hubs to nobody", "GET", "/hubs")
    yield by("all", "all hubs by head", "HEAD", "/hubs")
    yield case("hubs to nobody by head", "HEAD", "/hubs")
    yield by("all", "endpoints by head", "HEAD", "/hubs/chat/endpoints")
    yield case("endpoints to nobody by head", "HEAD", "/hubs/chat/endpoints")
    yield by("all", "hubs with a slash", "GET", "/hubs/")
    yield by("all", "a hub", "GET", "/hubs/chat")
    yield case("a star", "OPTIONS", "*")
    yield case("an address", "GET", "http://bridge/health/live")
    yield case("an address with a query", "GET", "http://bridge/health/live?x=1")
    yield case("a fragment", "GET", "/health/live#x")


def stream() -> Iterator[Case]:
    """The console's stream, before there was any event."""
    yield raw("events", request("GET", "/events", key()), after="stream")
    yield raw("events to who may read", request("GET", "/events", key("reader"), "Last-Event-ID: x-1"), after="stream")
    yield case("events to nobody", "GET", "/events")
    yield by("chat-reader", "events to who may read one hub", "GET", "/events")
    yield by("sender", "events to who may send", "GET", "/events")
    yield by("nobody", "events with a wrong key", "GET", "/events")
    yield by("all", "events, unknown parameter", "GET", "/events?x=1")
    yield by("all", "events with a slash", "GET", "/events/")
    yield by("all", "events, head", "HEAD", "/events")
    yield by("all", "events by head", "HEAD", "/events")
    yield case("events by head to nobody", "HEAD", "/events")
    yield by("all", "events, post", "POST", "/events", body=b"")


def ids() -> Iterator[Case]:
    """The id of a request: the caller's own, or ours."""
    for name, given in {
        "given": "ann-1",
        "given, as ours look": "0123456789abcdef0123456789abcdef",
        "of all characters": "aZ09._~-",
        "as long as it may be": "x" * 128,
        "too long": "x" * 129,
        "empty": "",
        "with a blank": "a b",
        "with a slash": "a/b",
        "not of ASCII": "\xc3\xa4",
    }.items():
        yield by("all", f"id {name}", "POST", "/hubs/chat/send", f"X-Request-Id: {given}", body=_MESSAGE)
    yield case("id given, of an error", "GET", "/nothing", "X-Request-Id: ann-1")
    yield case("two ids", "GET", "/health/live", "X-Request-Id: one", "X-Request-Id: two")
    trace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    yield by("all", "a trace", "POST", "/hubs/chat/send", trace, body=_MESSAGE)
    yield case("a client's trace", "POST", "/hubs/chat/negotiate", trace)


def paths() -> Iterator[Case]:
    """Names in paths, of any character, and those that no path can carry."""
    names = {
        "a slash": "a%2Fb",
        "a percent sign": "a%25b",
        "a plus": "a+b",
        "a blank": "a%20b",
        "an emoji": "%F0%9F%98%80",
        "a question mark": "a%3Fb",
        "small hex": "a%2fb",
        "bytes that are not escaped": "\xc3\xa4",
        "a dot": ".",
        "two dots": "..",
        "an escaped dot": "%2E",
        "two escaped dots": "%2E%2E",
        "three dots": "...",
        "not UTF-8": "%FF",
        "half an escape": "%4",
        "no escape": "%zz",
        "a line break": "a%0Ab",
        "a zero": "a%00b",
        "a C1 control": "%C2%85",
        "a lone surrogate": "%ED%A0%80",
        "only a blank": "%20",
        "nothing": "",
        "1024 letters": "x" * 1024,
        "1025 letters": "x" * 1025,
        "1024 units": "%F0%9F%98%80" * 512,
        "1025 units": "%F0%9F%98%80" * 512 + "x",
        "a semicolon": "a;b=c",
        "two at once": "a//b",
    }
    for name, text in names.items():
        yield by("all", f"a user of {name}", "GET", f"/hubs/chat/users/{text}")
    for name in ("a slash", "an escaped dot", "nothing", "1025 letters", "not UTF-8"):
        yield by("all", f"a group of {name}", "GET", f"/hubs/chat/groups/{names[name]}/connections")
        yield by("all", f"a connection of {name}", "DELETE", f"/hubs/chat/connections/{names[name]}")
        yield by("all", f"a member of {name}", "PUT", f"/hubs/chat/groups/g/users/{names[name]}")
    hubs = {
        "capitals": "CHAT",
        "escaped": "%63hat",
        "signs": "a_`,.[]",
        "a digit first": "1a",
        "a hyphen": "a-b",
        "128": "x" * 128,
        "129": "x" * 129,
        "a dot": ".",
        "a slash": "a%2Fb",
        "not UTF-8": "%FF",
        "not of ASCII": "%C3%A4",
    }
    for name, text in hubs.items():
        yield by("all", f"a hub of {name}", "POST", f"/hubs/{text}/send", body=_MESSAGE)
    yield by("chat", "a hub of no name to who may one", "POST", "/hubs/1/send", body=_MESSAGE)
    yield by("chat", "a hub of capitals to who may one", "POST", "/hubs/CHAT/send", body=_MESSAGE)
    yield case("two slashes first", "GET", "//health/live")
    yield case("two slashes inside", "POST", "/hubs//chat/send", body=b"")
    yield case("two slashes last", "POST", "/hubs/chat/send//", body=b"")
    yield case("a dot inside", "GET", "/health/./live")
    yield case("dots inside", "GET", "/health/x/../live")
    yield case("an escaped letter", "GET", "/health/li%76e")
    yield case("an escaped slash", "GET", "/health%2Flive")
    yield case("a backslash", "GET", "/health\\live")
    yield case("the longest path", "GET", "/" + "x" * (32 * 1024 - 1))
    yield case("a path too long", "GET", "/" + "x" * (32 * 1024))
    yield by("all", "a name too long for a path", "GET", "/hubs/chat/users/" + "x" * (32 * 1024))
    yield case("a path too long on negotiate", "POST", "/hubs/" + "x" * (32 * 1024) + "/negotiate")


def credentials() -> Iterator[Case]:
    """Who calls, by key and by token."""

    def send(name: str, *lines: str) -> Case:
        return case(name, "POST", "/hubs/chat/send", *lines, body=_MESSAGE)

    for name in ("caller", "sender", "stranger", "expired", "client"):
        yield send(f"the token of {name}", f"Authorization: Bearer {{{{token:{name}}}}}")
    yield case("a token without the right", "GET", "/hubs/chat/users/a", "Authorization: Bearer {{token:sender}}")
    yield send("no token", "Authorization: Bearer nonsense")
    yield send("an empty token", "Authorization: Bearer ")
    yield send("a token of another scheme", "Authorization: Basic YTpi")
    yield send("a token in small letters", "authorization: bearer {{token:caller}}")
    yield send("two tokens", "Authorization: Bearer {{token:caller}}", "Authorization: Bearer {{token:caller}}")
    yield send("a key and no token", key(), "Authorization: Bearer nonsense")
    yield send("a wrong key and a token", "X-API-Key: wrong", "Authorization: Bearer {{token:caller}}")
    yield send("two keys", key(), key())
    yield send("an empty key", "X-API-Key:")
    yield send("a key of blanks", "X-API-Key:   ")
    yield send("a key with blanks around it", key() + "  ")
    yield send("a key not of ASCII", "X-API-Key: \xc3\xa4")
    yield send("a key in capitals", key().upper())
    yield case("a key in the query", "POST", f"/hubs/chat/send?{key().split(': ')[1]}", body=_MESSAGE)
