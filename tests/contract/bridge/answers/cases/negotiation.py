"""Negotiation: by clients of every kind, by callers, and from web pages."""

import base64
import json
from collections.abc import Iterator

from tests.contract.bridge.answers.bridges import ORIGIN
from tests.contract.bridge.answers.cases.request import JSON, by, case, key
from tests.contract.bridge.answers.exchange import Case

_PATH = "/hubs/chat/negotiate"
_WANTED = "Access-Control-Request-Method: POST"


def clients() -> Iterator[Case]:
    """Clients send no body."""
    yield case("client", "POST", _PATH, body=b"")
    yield case("client as JavaScript writes it", "POST", f"{_PATH}?negotiateVersion=1", "X-Requested-With: x", body=b"")
    yield case("client without a length", "POST", _PATH)
    yield case("client with any query", "POST", f"{_PATH}?a=1&a=2&b&=c&%FF=%zz", body=b"")
    for name, body in {"blank": b" \r\n", "an object": b"{}", "an object with a blank": b"{ }"}.items():
        yield case(f"client with {name}", "POST", _PATH, "Content-Type: text/plain", body=body)
    for name, body in {"a user": b'{"userId": "ann"}', "no JSON": b"x", "an array": b"[]", "null": b"null"}.items():
        yield case(f"client with {name}", "POST", _PATH, JSON, body=body)
    yield case("client with a large body", "POST", _PATH, JSON, body=b" " * 65_537)
    yield case("client with a body as large as it may be", "POST", _PATH, JSON, body=b" " * 65_536)
    yield case("client of the default hub", "POST", "/api/negotiate?negotiateVersion=1", body=b"")
    yield case("client of the default hub with a slash", "POST", "/api/negotiate/", body=b"")
    yield case("client of the default hub in capitals", "POST", "/API/negotiate", body=b"")
    for hub in ("CHAT", "news", "rooms", "outside", "strict", "unknown", "1", "%FF", "", ".", "a%2Fb"):
        yield case(f"client of {hub or 'nothing'}", "POST", f"/hubs/{hub}/negotiate", body=b"")
    yield case("client, slash at the end", "POST", f"{_PATH}/", body=b"")
    yield case("client, endpoints", "POST", f"{_PATH}/endpoints", body=b"")
    yield case("client, get", "GET", _PATH)
    yield case("client with a wrong key", "POST", _PATH, "X-API-Key: wrong", body=b"")
    yield case("client with a token that is none", "POST", _PATH, "Authorization: Bearer nonsense", body=b"")
    yield case("client with a time-out", "POST", _PATH, "X-Request-Timeout: nonsense", body=b"")


def rules() -> Iterator[Case]:
    """What admits and what names a client."""

    def of(hub: str, name: str, *lines: str, query: str = "") -> Case:
        return case(f"{hub}: {name}", "POST", f"/hubs/{hub}/negotiate{query}", *lines, body=b"")

    for token in ("client", "nobody", "unwanted", "caller", "expired"):
        yield of("members", f"the token of {token}", f"Authorization: Bearer {{{{token:{token}}}}}")
    yield of("members", "no token")
    yield of("members", "a token that is none", "Authorization: Bearer a.b.c")
    yield of("members", "two tokens", *["Authorization: Bearer {{token:client}}"] * 2)
    yield of("members", "a token in the query", query="?access_token=x")
    principal = base64.b64encode(json.dumps({"claims": [{"typ": "role", "val": "editor"}]}).encode()).decode()
    yield of("easy", "signed in", "x-ms-client-principal-id: ann")
    yield of("easy", "with claims", "x-ms-client-principal-id: ann", f"x-ms-client-principal: {principal}")
    yield of("easy", "not signed in")
    yield of("easy", "empty", "x-ms-client-principal-id:")
    yield of("easy", "twice", "x-ms-client-principal-id: ann", "x-ms-client-principal-id: bob")
    yield of("easy", "claims that are none", "x-ms-client-principal-id: ann", "x-ms-client-principal: x")
    yield of("easy", "not of ASCII", "x-ms-client-principal-id: \xc3\xa4nn")
    for name, query in {
        "named": "?userId=ann",
        "named in capitals": "?USERID=ann",
        "not of ASCII": "?userId=%C3%A4%20%2B",
        "with a plus": "?userId=a+b",
        "not UTF-8": "?userId=%FF",
        "nobody": "",
        "empty": "?userId=",
        "twice": "?userId=a&userId=b",
        "too long": "?userId=" + "x" * 1025,
        "with a blank at the end": "?userId=ann%20",
        "with a line break": "?userId=a%0Ab",
        "that would forge claims": "?userId=bridge.claims:x",
        "dots": "?userId=..",
    }.items():
        yield of("named", name, query=query)


def callers() -> Iterator[Case]:
    """Callers say for whom."""
    bodies: dict[str, object] = {
        "a user": {"userId": "ann"},
        "everything": {
            "userId": "ann",
            "claims": {"role": ["admin", "editor"], "level": 3, "vip": True, "sub": "s"},
            "lifetimeSeconds": 60,
            "endpoint": "DEFAULT",
            "closeOnExpiry": True,
        },
        "other spellings": {"USERID": "ann", "LifetimeSeconds": 60},
        "nulls": {"userId": None, "claims": None},
        "a subject": {"claims": {"sub": "ann"}},
        "an empty user": {"userId": ""},
        "a number for a user": {"userId": 1},
        "a user with blanks": {"userId": " ann"},
        "no lifetime": {"lifetimeSeconds": 0},
        "the longest lifetime": {"lifetimeSeconds": 86_400},
        "a lifetime too long": {"lifetimeSeconds": 86_401},
        "a lifetime of text": {"lifetimeSeconds": "60"},
        "an unknown endpoint": {"endpoint": "x"},
        "an unknown property": {"user": "ann", "x/~y": 1},
        "a reserved claim": {"claims": {"asrs.s.uid": "x"}},
        "an empty claim": {"claims": {"": "x"}},
        "a claim of null": {"claims": {"a": None}},
        "a claim of objects": {"claims": {"a": [{}]}},
        "a forged claim": {"claims": {"a": "bridge.claims"}},
        "a claim with a line break": {"claims": {"a": "x\ny"}},
        "claims that are none": {"claims": []},
        "many faults": {"userId": "", "lifetimeSeconds": 0, "x": 1, "closeOnExpiry": 1},
        "a token too long": {"claims": {"a": "x" * 4000}},
        "an array": [],
        "a text": "x",
    }
    for name, body in bodies.items():
        yield by("all", f"caller: {name}", "POST", _PATH, body=body)
    texts = {
        "no JSON": b"x",
        "half": b'{"userId"',
        "not UTF-8": b'{"userId": "\xff"}',
        "a lone surrogate": b'{"userId": "\\ud800"}',
        "twice": b'{"userId": "a", "userId": "b"}',
        "twice in two spellings": b'{"userId": "a", "userid": "b"}',
        "a mark first": b'\xef\xbb\xbf{"userId": "a"}',
        "a large number": b'{"lifetimeSeconds": 1e400}',
        "blank": b"  ",
        "an object": b" { } ",
        "nothing": b"",
    }
    for name, text in texts.items():
        yield by("all", f"caller: {name} as it is written", "POST", _PATH, JSON, body=text)
    user = b'{"userId":"ann"}'
    yield by("all", "caller: without a type", "POST", _PATH, body=user)
    yield by("all", "caller: text", "POST", _PATH, "Content-Type: text/plain", body=user)
    yield by("all", "caller: JSON in capitals", "POST", _PATH, "Content-Type: Application/JSON;charset=x", body=user)
    yield by("all", "caller: encoded", "POST", _PATH, JSON, "Content-Encoding: gzip", body=user)
    yield by("all", "caller: encoded as it is", "POST", _PATH, JSON, "Content-Encoding: identity", body=user)
    yield by("all", "caller: too large", "POST", _PATH, JSON, body=b" " * 65_537)
    yield by("all", "caller: any hub", "POST", "/hubs/other/negotiate", body={"userId": "ann"})
    yield by("all", "caller: a client's call of a hub that clients may not have", "POST", "/hubs/other/negotiate")
    yield by("all", "caller: a client's call of a hub for members", "POST", "/hubs/members/negotiate")
    yield by("all", "caller: the default hub", "POST", "/api/negotiate", body={"userId": "ann"})
    yield by("chat", "caller: the only hub", "POST", "/api/negotiate", body={"userId": "ann"})
    yield by("chat", "caller: another hub", "POST", "/hubs/news/negotiate", body={"userId": "ann"})
    yield by("chat", "caller: no hub", "POST", "/hubs/1/negotiate", body={"userId": "ann"})
    yield by("negotiator", "caller: its right", "POST", _PATH, body={"userId": "ann"})
    yield by("sender", "caller: without its right", "POST", _PATH, body={"userId": "ann"})
    yield by("sender", "caller: the default hub without its right", "POST", "/api/negotiate", body={"userId": "ann"})
    token = "Authorization: Bearer {{token:caller}}"
    yield case("caller: by token", "POST", _PATH, token, body={"userId": "ann"})
    for name, body in {"a user": {"userId": "ann"}, "an endpoint": {"endpoint": "default"}, "faults": {"x": 1}}.items():
        yield by("all", f"caller: all endpoints for {name}", "POST", f"{_PATH}/endpoints", body=body)


def long_queries() -> Iterator[Case]:
    """What this issue changes stands in ``CHANGES``."""
    for name, length in {"8 KiB": 8_192, "more than 8 KiB": 8_193, "much more than 8 KiB": 30_000}.items():
        query = "?a=" + "x" * (length - 2)
        yield case(f"client: a query of {name}", "POST", _PATH + query, body=b"")
        yield case(f"client of the default hub: a query of {name}", "POST", "/api/negotiate" + query, body=b"")


def pages() -> Iterator[Case]:
    """Web pages of configured origins, and of others."""
    elsewhere, news = "Origin: https://evil.example", "Origin: https://news.example"
    wild, here = "Origin: https://x.fabrikam.com", f"Origin: {ORIGIN}"
    origins = {
        "the origin": here,
        "a wild one": wild,
        "in capitals": here.upper().replace("ORIGIN", "Origin"),
        "with its port": f"{here}:443",
        "with another port": f"{here}:444",
        "another": elsewhere,
        "null": "Origin: null",
        "empty": "Origin:",
        "of two labels": "Origin: https://x.y.fabrikam.com",
        "without its label": "Origin: https://.fabrikam.com",
        "over http": f"Origin: {ORIGIN.replace('https', 'http')}",
        "with a slash": f"{here}/",
        "of another hub": news,
    }
    for name, line in origins.items():
        yield case(f"page of {name}", "POST", _PATH, line, body=b"")
        yield case(f"preflight of {name}", "OPTIONS", _PATH, line, _WANTED)
    yield case("page of two", "POST", _PATH, here, wild, body=b"")
    yield case("preflight of two", "OPTIONS", _PATH, here, wild, _WANTED)
    yield case("page of news", "POST", "/hubs/news/negotiate", news, body=b"")
    yield case("preflight of news", "OPTIONS", "/hubs/NEWS/negotiate", news, _WANTED)
    yield case("preflight of news from elsewhere", "OPTIONS", "/hubs/news/negotiate", here, _WANTED)
    yield case("preflight with headers", "OPTIONS", _PATH, here, _WANTED, "Access-Control-Request-Headers: x-else")
    yield case("preflight of the default hub", "OPTIONS", "/api/negotiate", here, _WANTED)
    yield case("preflight with a query", "OPTIONS", f"{_PATH}?x=1", here, _WANTED)
    yield case("preflight of no hub", "OPTIONS", "/hubs/%FF/negotiate", here, _WANTED)
    yield case("preflight of an unknown hub", "OPTIONS", "/hubs/unknown/negotiate", here, _WANTED)
    yield case("preflight for another method", "OPTIONS", _PATH, here, "Access-Control-Request-Method: DELETE")
    yield case("no preflight", "OPTIONS", _PATH, here)
    yield case("preflight of nobody", "OPTIONS", _PATH, _WANTED)
    yield case("preflight with an id", "OPTIONS", _PATH, here, _WANTED, "X-Request-Id: mine")
    yield case("preflight of a path with a slash", "OPTIONS", f"{_PATH}/", here, _WANTED)
    for path in ("/hubs/chat/send", f"{_PATH}/endpoints", "/health/live", "/upstream", "/openapi.json", "/nothing"):
        yield case(f"preflight of {path}", "OPTIONS", path, here, _WANTED)
        yield case(f"page of {path}", "GET", path, here)
    yield case("page: a method", "GET", _PATH, here)
    yield case("page: head", "HEAD", _PATH, here)
    yield case("page: no hub", "POST", "/hubs/1/negotiate", here, body=b"")
    yield case("page: an unknown hub", "POST", "/hubs/unknown/negotiate", here, body=b"")
    yield case("page: with a body", "POST", _PATH, here, body=b"x")
    yield case("page: a wrong key", "POST", _PATH, here, "X-API-Key: wrong", body=b"")
    yield case("page: faults", "POST", _PATH, here, key(), body={"endpoint": "x"})
    yield case("page: not admitted", "POST", "/hubs/members/negotiate", here, body=b"")
    yield case("page: not UTF-8", "POST", "/hubs/%FF/negotiate", here, body=b"")
