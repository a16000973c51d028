"""Negotiate by code: whom a handler in Python and one over HTTP admit, and everything that admits nobody."""

import asyncio
import json
import logging
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from signalr_bridge.errors import SettingsError
from signalr_bridge.main import create_app
from signalr_bridge.settings import Sources, gather, load
from signalr_bridge.upstream.python.loading import load_handlers
from signalr_bridge.web.request import MOUNTED
from standardwebhooks import Webhook

from tests.contract.bridge import admitting
from tests.contract.bridge.running import AUTH, CALLER, SERVICE, Bridge, bridge, build_probing, client
from tests.contract.bridge.test_negotiate import OPEN, as_caller, claims_of, problem_of
from tests.contract.endpoints.programmable import programmable_server
from tests.contract.upstream.backend import Backend, Script, answer, raw
from tests.unit.upstream.forward.test_envelope import SECRETS

MODULE = "tests.contract.bridge.admitting"
PYTHON = {"BRIDGE_HANDLERS": f"{MODULE}:chat"}
FAILED = (503, "negotiate-failed")
TO_CHAT = "/hubs/chat/negotiate"


@pytest.fixture(autouse=True)
def nothing_seen() -> Iterator[None]:
    admitting.SEEN.clear()
    yield
    admitting.SEEN.clear()


def forward(url: str, **more: str) -> dict[str, str]:
    known = {"HUB": "chat", "CATEGORY": "negotiate", "TIMEOUT_SECONDS": "60"}
    given = {**known, "URL": url, "SECRETS": json.dumps(SECRETS), **more}
    return {f"BRIDGE_FORWARD__CLIENTS__{name}": value for name, value in given.items()}


async def ask(running: Bridge, do: str, **headers: str) -> httpx.Response:
    return await running.http.post(TO_CHAT, params={"do": do, "negotiateVersion": "1"}, headers=headers)


def lossless(claims: dict[str, Any]) -> dict[str, Any]:
    text = claims["bridge.claims"]
    found: dict[str, Any] = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return found


# --- in Python


async def test_a_session_cookie_admits_with_claims_and_groups() -> None:
    async with bridge(**PYTHON) as running:
        claims = claims_of(await ask(running, "cookie", Cookie="session=ann"))
        refused = await ask(running, "cookie", Cookie="session=canary")
    assert (claims["asrs.s.uid"], claims["role"], claims["age"]) == ("ann", ["admin", "editor"], 7)
    assert lossless(claims) == {
        "bridge.groups": ["team", "a/b"],
        "role": ["admin", "editor"],
        "age": "7",
        "new": "true",
    }
    assert "bridge.groups" not in claims
    assert problem_of(refused) == (401, "unauthenticated")
    assert "Bearer" in refused.headers["www-authenticate"]
    assert refused.json()["detail"] == "Sign in first."


@pytest.mark.parametrize(
    ("do", "problem", "detail"),
    [
        ("rejected", (403, "forbidden"), "Not today."),
        ("rejected, silent", (403, "forbidden"), "This client is not admitted; the log of the bridge has the reason."),
        ("unauthenticated", (401, "unauthenticated"), "Sign in first."),
        ("unauthenticated, silent", (401, "unauthenticated"), "This client is not admitted; the log of the bridge has"),
        ("unauthenticated, at length", (401, "unauthenticated"), "x" * 1024),
        ("rules", (401, "unauthenticated"), "This client is not admitted"),
    ],
)
async def test_a_refusal_has_its_text(do: str, problem: tuple[int, str], detail: str) -> None:
    async with bridge(**PYTHON) as running:
        refused = await ask(running, do)
    assert problem_of(refused) == problem
    assert refused.json()["detail"].startswith(detail)
    assert len(refused.json()["detail"]) <= 1024
    assert ("www-authenticate" in refused.headers) is (problem[0] == 401)


@pytest.mark.parametrize("do", admitting.ADMIT_NOBODY)
async def test_what_in_python_admits_nobody(do: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "signalr_bridge")
    async with bridge(**PYTHON, BRIDGE_NEGOTIATE__ANONYMOUS="true") as running:
        refused = await ask(running, do, Cookie="session=canary-cookie")
        assert problem_of(refused) == FAILED
        claims_of(await ask(running, "ann"))
    assert "canary" not in refused.text
    told = [one for one in caplog.records if one.message == "negotiate handler failed"]
    assert [(vars(one)["handler"], vars(one)["hub"]) for one in told] == [(f"{MODULE}:decide", "chat")]
    assert vars(told[0])["reason"]
    assert "canary" not in json.dumps([vars(one) for one in told], default=str)


@pytest.mark.parametrize("hub", ["quick", "patient"])
async def test_a_handler_that_is_silent_admits_nobody(hub: str) -> None:
    async with bridge(BRIDGE_HANDLERS=f"{MODULE}:{hub}") as running:
        assert problem_of(await running.http.post(TO_CHAT)) == FAILED


async def test_the_limit_of_handlers_is_that_of_negotiate_handlers() -> None:
    limit = {"BRIDGE_LIMITS__HANDLER_SECONDS": "0.05"}
    async with bridge(BRIDGE_HANDLERS=f"{MODULE}:Slow", **limit) as running:
        assert problem_of(await running.http.post("/hubs/slow/negotiate")) == FAILED


async def test_a_handler_talks_to_clients_for_the_bridge_that_asks_it() -> None:
    async with bridge(BRIDGE_HANDLERS=f"{MODULE}:talking") as one, bridge(BRIDGE_HANDLERS=f"{MODULE}:talking") as other:
        claims_of(await other.http.post(TO_CHAT))
    assert one.seen == []
    assert [json.loads(request.body) for request in other.seen] == [{"target": "knocked", "arguments": ["127.0.0.1"]}]


async def test_what_is_none_stays_as_the_rules_say() -> None:
    rules = OPEN | {"BRIDGE_NEGOTIATE__LIFETIME_SECONDS": "1234", "BRIDGE_NEGOTIATE__CLOSE_ON_EXPIRY": "true"}
    async with bridge(**PYTHON, **rules) as running:
        standing, named, short = [claims_of(await ask(running, do)) for do in ("rules", "ann", "short")]
    for one, seconds in ((standing, 1234), (named, 1234), (short, 60)):
        assert (one["exp"] - one["iat"], one["asrs.s.coae"]) == (seconds, "true")
    assert "asrs.s.uid" not in standing
    assert named["asrs.s.uid"] == "ann"


async def test_a_framework_s_own_kind_of_text_is_a_text() -> None:
    async with bridge(**PYTHON) as running:
        claims = claims_of(await ask(running, "a framework's texts"))
    assert (claims["asrs.s.uid"], claims["role"], claims["one"]) == ("ann", "admin", "1")


async def test_it_names_its_hub_and_nobody_else_need_admit() -> None:
    async with bridge(**PYTHON) as running:
        assert claims_of(await running.http.post("/api/negotiate", params={"do": "ann"}))["asrs.s.uid"] == "ann"
        assert "asrs.s.uid" not in claims_of(await ask(running, "anonymous"))
        other = await running.http.post("/hubs/other/negotiate", params={"do": "ann"})
    assert problem_of(other) == (401, "unauthenticated")


async def test_the_class_form_and_the_most_specific_hub() -> None:
    hubs = {"BRIDGE_HANDLERS": f"{MODULE}:every,{MODULE}:Team", "BRIDGE_NEGOTIATE__HUBS": "news"}
    async with bridge(**hubs) as running:
        users = [
            claims_of(await running.http.post(f"/hubs/{hub}/negotiate"), hub)["asrs.s.uid"] for hub in ("team", "news")
        ]
        seen = len(admitting.SEEN)
        unnamed = await running.http.post("/hubs/other/negotiate")
    assert users == ["of team", "by * in a thread: True"]
    assert problem_of(unnamed) == (401, "unauthenticated")
    assert len(admitting.SEEN) == seen, "nobody is asked about a hub that nobody names"


async def test_a_hub_that_is_not_named_is_closed_to_anonymous_clients_too() -> None:
    async with bridge(BRIDGE_HANDLERS=f"{MODULE}:every", **OPEN) as running:
        assert problem_of(await running.http.post("/hubs/other/negotiate")) == (403, "forbidden")
    assert admitting.SEEN == []


async def test_a_callers_body_asks_no_handler_and_a_clients_is_refused_before_one() -> None:
    async with bridge(**PYTHON) as running:
        assert claims_of(await as_caller(running, {"userId": "bob"}))["asrs.s.uid"] == "bob"
        assert (await running.http.post(f"{TO_CHAT}/endpoints", headers=AUTH)).status_code == 200
        given = {"userId": "bob"}
        assert problem_of(await running.http.post(TO_CHAT, json=given)) == (401, "unauthenticated")
        assert admitting.SEEN == []
        answer = await running.http.post(TO_CHAT, params={"do": "ann"}, headers=AUTH)
        assert claims_of(answer)["asrs.s.uid"] == "ann", "a blank body is a client's call"


async def test_what_a_handler_learns() -> None:
    headers = {"Cookie": "a=1", "X-One": "1", "x-ms-client-principal-id": "canary", "x-ms-token-aad-id-token": "canary"}
    query = f"{TO_CHAT}?do=anonymous&room=7&room=8&access_token=canary&id=canary&_=canary&asrs.x=canary"
    async with bridge(**PYTHON, **OPEN, BRIDGE_TRUSTED_PROXIES="127.0.0.0/8") as running:
        given = {**headers, "Origin": "https://app.example", "X-Forwarded-For": "2001:db8::7"}
        claims_of(await running.http.post(query, headers=given))
        claims_of(await running.http.post(f"{TO_CHAT}?do=anonymous"))
    full, plain = admitting.SEEN
    assert (full.hub, full.user_id, full.claims, full.scope) == ("chat", None, {}, None)
    assert full.query == {"do": ["anonymous"], "room": ["7", "8"]}
    assert (full.headers["cookie"], full.headers["x-one"]) == (["a=1"], ["1"])
    assert not [name for name in full.headers if name.startswith("x-ms-")]
    assert (full.address, full.origin) == ("2001:db8::7", "https://app.example")
    assert (plain.address, plain.origin) == ("127.0.0.1", None)
    assert repr(full) == "NegotiateRequest(hub='chat')"


async def test_the_platforms_headers_are_shown_where_they_are_trusted() -> None:
    async with bridge(**PYTHON, BRIDGE_NEGOTIATE__PLATFORM_IDENTITY="true") as running:
        answer = await ask(
            running, "no claims", **{"x-ms-client-principal-id": "ann", "x_ms_client_principal_id": "eve"}
        )
    assert claims_of(answer)["asrs.s.uid"] == "ann"
    assert admitting.SEEN[0].user_id == "ann"
    assert admitting.SEEN[0].headers["x-ms-client-principal-id"] == ["ann"]
    assert "x_ms_client_principal_id" not in admitting.SEEN[0].headers


async def test_a_name_that_nobody_verified_is_not_shown() -> None:
    template = {"BRIDGE_NEGOTIATE__USER_ID": "{query.user}", "BRIDGE_NEGOTIATE__TRUST_CLIENT_INPUT": "true"}
    async with bridge(**PYTHON, **OPEN, **template) as running:
        answer = await running.http.post(TO_CHAT, params={"do": "rules", "user": "ann"})
    assert claims_of(answer)["asrs.s.uid"] == "ann", "the rules stand"
    assert admitting.SEEN[0].user_id is None


async def test_it_picks_an_endpoint_that_is_online() -> None:
    async with programmable_server() as first, programmable_server() as second:
        app = build_probing(0.05, first.url, second.url, **PYTHON)
        async with app.router.lifespan_context(app), client(app) as http:
            urls = {(await http.post(TO_CHAT, params={"do": "at b"})).json()["url"] for _ in range(8)}
            assert urls == {f"{second.url}/client/?hub=chat"}
            second.refuse()
            registry = app.state.parts.directory.find("chat")
            async with asyncio.timeout(30):
                while all(map(registry.is_online, registry.endpoints)):  # noqa: ASYNC110 - probes find out
                    await asyncio.sleep(0.02)
            offline = await http.post(TO_CHAT, params={"do": "at b"})
            admitted = await http.post(TO_CHAT, params={"do": "ann"})
    assert problem_of(offline) == (503, "no-endpoint-available")
    assert admitted.json()["url"].startswith(first.url)


async def test_groups_need_lossless_claims() -> None:
    async with bridge(**PYTHON, BRIDGE_NEGOTIATE__LOSSLESS_CLAIMS="false") as running:
        assert problem_of(await ask(running, "cookie", Cookie="session=ann")) == FAILED
        assert "bridge.claims" not in claims_of(await ask(running, "ann"))
        assert problem_of(await ask(running, "user: forged")) == FAILED


# --- tokens


async def test_a_bad_token_is_refused_before_a_handler_is_asked() -> None:
    jwts = {"BRIDGE_NEGOTIATE__JWT": json.dumps([{"issuer": "https://localhost:1", "audience": "x"}])}
    async with bridge(**PYTHON, **jwts) as running:
        for token in ("nonsense", jwt.encode({"aud": "x"}, "k" * 32, algorithm="HS256")):
            assert problem_of(await ask(running, "ann", Authorization=f"Bearer {token}"))[0] == 401
        assert admitting.SEEN == []


@pytest.mark.parametrize("hub_settings", [PYTHON, OPEN])
async def test_an_old_token_of_the_service_is_as_good_as_none(hub_settings: dict[str, str]) -> None:
    jwts = {"BRIDGE_NEGOTIATE__JWT": json.dumps([{"issuer": "https://localhost:1", "audience": "x"}])}
    async with bridge(**hub_settings, **jwts) as running:
        old = (await as_caller(running, {"userId": "ann"})).json()["accessToken"]
        answer = await ask(running, "anonymous", Authorization=f"Bearer {old}")
        assert "asrs.s.uid" not in claims_of(answer), "it names nobody"
        assert all("authorization" not in one.headers for one in admitting.SEEN)
        rest = jwt.encode({"aud": f"{running.service.url}/api/hubs/chat", "exp": 9e9}, SERVICE, algorithm="HS256")
        other = jwt.encode({"aud": "http://127.0.0.1/client/?hub=other", "exp": 9e9}, SERVICE, algorithm="HS256")
        foreign = jwt.encode({"aud": "http://127.0.0.1/client/?hub=chat", "exp": 9e9}, "k" * 32, algorithm="HS256")
        for token in (rest, other, foreign):
            assert problem_of(await ask(running, "ann", Authorization=f"Bearer {token}"))[0] == 401


async def test_an_old_token_admits_nobody() -> None:
    jwts = {"BRIDGE_NEGOTIATE__JWT": json.dumps([{"issuer": "https://localhost:1", "audience": "x"}])}
    async with bridge(BRIDGE_NEGOTIATE__HUBS="chat", **jwts) as running:
        old = (await as_caller(running, {"userId": "ann"})).json()["accessToken"]
        assert problem_of(await ask(running, "ann", Authorization=f"Bearer {old}")) == (401, "unauthenticated")


# --- over HTTP

PROBLEM = "Content-Type: application/problem+json"


def say(body: Any, status: int = 200, *headers: str) -> Script:
    return answer(status, body if isinstance(body, bytes) else json.dumps(body).encode(), *headers)


async def test_a_backend_learns_what_the_rule_names_and_decides() -> None:
    with Backend(
        say({"userId": "ann", "claims": {"role": "admin"}, "groups": ["team"], "endpoint": "default"})
    ) as backend:
        settings = forward(f"{backend.url}/signalr/{{hub}}/{{event}}", HEADERS='["Cookie", "x-absent", "x-ms-token-x"]')
        async with bridge(**settings) as running:
            given = {"Cookie": "a=1", "Authorization": "Basic canary", "X-Ms-Token-X": "canary"}
            answered = await running.http.post(
                TO_CHAT + "?room=7", headers={**given, "Origin": "https://app.example", "traceparent": "canary"}
            )
    claims = claims_of(answered)
    assert (claims["asrs.s.uid"], claims["role"]) == ("ann", "admin")
    assert lossless(claims) == {"bridge.groups": "team", "role": "admin"}
    [call] = backend.calls
    assert (call.method, call.target) == ("POST", "/signalr/chat/negotiate")
    posted, again = (Webhook(secret).verify(call.body, call.headers) for secret in SECRETS)
    assert posted == again
    assert posted == {
        "id": call.headers["webhook-id"],
        "hub": "chat",
        "category": "negotiate",
        "event": "negotiate",
        "userId": None,
        "claims": {},
        "query": {"room": ["7"]},
        "headers": {"cookie": ["a=1"]},
        "address": "127.0.0.1",
        "origin": "https://app.example",
        "time": posted["time"],
    }
    assert posted["time"].endswith("Z")
    assert "canary" not in f"{call.headers} {call.body.decode()}"


@pytest.mark.parametrize(
    ("script", "problem", "detail"),
    [
        (say({"detail": "Sign in first."}, 401, PROBLEM), (401, "unauthenticated"), "Sign in first."),
        (say({"detail": "Not today."}, 403, PROBLEM), (403, "forbidden"), "Not today."),
        (say({}, 403, PROBLEM), (403, "forbidden"), "This client is not admitted"),
        (say({"detail": 5}, 401, PROBLEM), (401, "unauthenticated"), "This client is not admitted"),
        (say(b"<html>", 403), (403, "forbidden"), "This client is not admitted"),
        (say(b"", 401), (401, "unauthenticated"), "This client is not admitted"),
        (say(b"", 204), (401, "unauthenticated"), "This client is not admitted"),
    ],
)
async def test_a_backend_refuses_with_its_text(script: Script, problem: tuple[int, str], detail: str) -> None:
    with Backend(script) as backend:
        async with bridge(**forward(backend.url)) as running:
            refused = await running.http.post(TO_CHAT)
    assert problem_of(refused) == problem
    assert refused.json()["detail"].startswith(detail)
    assert ("www-authenticate" in refused.headers) is (problem[0] == 401)


NONSENSE: dict[str, Script] = {
    "500": say({"userId": "canary"}, 500),
    "201": say({"userId": "canary"}, 201),
    "400": say({"detail": "canary"}, 400, PROBLEM),
    "a redirect": say(b"", 302, "Location: /canary"),
    "no HTTP": raw(b"canary\r\n\r\n"),
    "nothing": raw(b""),
    "cut off": raw(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"userId":"canary"}'),
    "too large": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"),
    "an empty body": say(b""),
    "an empty object": say({}),
    "other members alone": say({"claims": {"role": "canary"}}),
    "an array": say([{"userId": "canary"}]),
    "a text": say("canary"),
    "null": say(None),
    "garbage": say(b'{"userId":'),
    "an unknown member": say({"userId": "ann", "canary": 1}),
    "a member twice": say(b'{"userId":"ann","UserId":"canary"}'),
    "user: a number": say({"userId": 5}),
    "user: empty": say({"userId": ""}),
    "user: half a character": say(b'{"userId":"\\ud800"}'),
    "claims: an array": say({"userId": "ann", "claims": ["canary"]}),
    "claims: reserved": say({"userId": "ann", "claims": {"nameid": "canary"}}),
    "claims: groups": say({"userId": "ann", "claims": {"bridge.groups": "canary"}}),
    "claims: too long": say({"userId": "ann", "claims": {"canary": "y" * 4000}}),
    "groups: a text": say({"userId": "ann", "groups": "canary"}),
    "groups: 101": say({"userId": "ann", "groups": [str(one) for one in range(101)]}),
    "lifetime: a text": say({"userId": "ann", "lifetimeSeconds": "60"}),
    "lifetime: too long": say({"userId": "ann", "lifetimeSeconds": 86_401}),
    "endpoint: unknown": say({"userId": "ann", "endpoint": "canary"}),
    "close: a number": say({"userId": "ann", "closeOnExpiry": 1}),
}


@pytest.mark.parametrize("name", NONSENSE)
async def test_what_over_http_admits_nobody(name: str, caplog: pytest.LogCaptureFixture) -> None:
    with Backend(NONSENSE[name]) as backend:
        async with bridge(**forward(backend.url, HEADERS="cookie"), **OPEN) as running:
            refused = await running.http.post(TO_CHAT, headers={"Cookie": "canary"})
    assert problem_of(refused) == FAILED
    assert len(backend.calls) == 1, "there is one try"
    told = [one for one in caplog.records if one.message == "negotiate handler failed"]
    assert [vars(one)["handler"] for one in told] == ["forward.clients"]
    assert not vars(told[0])["reason"].isidentifier(), "it is a sentence, and not the name of an error"
    assert "canary" not in json.dumps([vars(one) for one in told], default=str) + refused.text


async def test_a_backend_that_is_silent_or_absent_admits_nobody() -> None:
    def wait(call: Any, output: Any) -> None:
        backend.stopped.wait(10)

    with Backend(wait) as backend:
        async with bridge(**forward(backend.url, TIMEOUT_SECONDS="0.05")) as running:
            assert problem_of(await running.http.post(TO_CHAT)) == FAILED
    async with bridge(**forward(backend.url)) as running:
        assert problem_of(await running.http.post(TO_CHAT)) == FAILED


@pytest.mark.parametrize(
    ("body", "user"), [({"userId": None}, None), ({"USERID": "ann"}, "ann"), ({"userId": "ann", "claims": None}, "ann")]
)
async def test_an_anonymous_client_is_named_in_so_many_words(body: Any, user: str | None) -> None:
    with Backend(say(body)) as backend:
        async with bridge(**forward(backend.url)) as running:
            assert claims_of(await running.http.post(TO_CHAT)).get("asrs.s.uid") == user


@pytest.mark.parametrize("script", [say({}), say({"lifetimeSeconds": 60}), say(b"", 204)])
async def test_a_client_whom_the_rules_verified_keeps_its_name(script: Script) -> None:
    platform = {"BRIDGE_NEGOTIATE__PLATFORM_IDENTITY": "true"}
    with Backend(script) as backend:
        async with bridge(**forward(backend.url), **platform) as running:
            answered = await running.http.post(TO_CHAT, headers={"x-ms-client-principal-id": "ann"})
    assert claims_of(answered)["asrs.s.uid"] == "ann"
    assert json.loads(backend.calls[0].body)["userId"] == "ann"


async def test_64_clients_wait_for_a_backend_and_no_more() -> None:
    def wait(call: Any, output: Any) -> None:
        backend.stopped.wait(30)
        say({"userId": None})(call, output)

    with Backend(wait) as backend:
        rule = forward(backend.url)
        more = {
            name.replace("CLIENTS", "MORE"): value
            for name, value in (rule | {"BRIDGE_FORWARD__CLIENTS__HUB": "more"}).items()
        }
        async with bridge(**rule, **more) as running:
            waiting = [asyncio.create_task(running.http.post(TO_CHAT)) for _ in range(64)]
            async with asyncio.timeout(30):
                while len(backend.calls) < 64:  # noqa: ASYNC110 - they come from another thread
                    await asyncio.sleep(0.01)
            over = await running.http.post("/hubs/more/negotiate")
            assert problem_of(over) == (503, "overloaded")
            assert over.headers["retry-after"] == "1"
            backend.stopped.set()
            assert {one.status_code for one in await asyncio.gather(*waiting)} == {200}
            claims_of(await running.http.post("/hubs/more/negotiate"), "more")


# --- at the start


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (forward("http://b", FORMAT="cloudevents"), "BRIDGE_FORWARD__CLIENTS__FORMAT"),
        (forward("http://b", FORMAT="functions", FUNCTION="x"), "BRIDGE_FORWARD__CLIENTS__FORMAT"),
        (forward("http://b", FUNCTION="x"), "BRIDGE_FORWARD__CLIENTS__FUNCTION"),
        (forward("http://b", EVENT="connected"), "BRIDGE_FORWARD__CLIENTS__EVENT"),
        (forward("http://b", HEADERS="a b"), "BRIDGE_FORWARD__CLIENTS__HEADERS"),
        (forward("http://b", CATEGORY="messages", HEADERS="cookie"), "BRIDGE_FORWARD__CLIENTS__HEADERS"),
        (forward("http://b", SECRETS="whsec_c2hvcnQ="), "24 to 64 bytes"),
        (forward("http://b", SECRETS=""), "has no secrets"),
        (forward("http://b/{hub}x"), "BRIDGE_FORWARD__CLIENTS__URL"),
        (forward("http://b") | PYTHON, f"(hub chat): {MODULE}:decide, forward.clients"),
        ({"BRIDGE_HANDLERS": f"{MODULE}:chat,{MODULE}:quick"}, f"{MODULE}:decide, {MODULE}:sleep"),
    ],
)
def test_a_handler_that_could_not_work_stops_the_start(settings: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError) as caught:
        create_app(
            load(gather({"AzureSignalRConnectionString": f"Endpoint=http://x;AccessKey={SERVICE};"} | settings, {}))
        )
    assert told in str(caught.value)


async def test_a_star_and_a_name_do_not_contradict_each_other() -> None:
    with Backend(say({"userId": "over HTTP"})) as backend:
        async with bridge(BRIDGE_HANDLERS=f"{MODULE}:every", **forward(backend.url)) as running:
            assert claims_of(await running.http.post(TO_CHAT))["asrs.s.uid"] == "over HTTP"
    assert {(one.hub, one.source) for one in running.app.state.parts.negotiate_handlers.handlers} == {
        ("*", f"{MODULE}:decide_in_a_thread"),
        ("chat", "forward.clients"),
    }


async def test_handlers_that_are_loaded_anew_decide_and_others_stay() -> None:
    with Backend(say({"userId": "over HTTP"})) as backend:
        lasting = forward(backend.url, HUB="lobby")
        async with bridge(**PYTHON, **lasting, BRIDGE_NEGOTIATE__HUBS="team") as running:
            parts = running.app.state.parts
            parts.use(load_handlers([f"{MODULE}:Team"], []))
            assert problem_of(await ask(running, "ann")) == (401, "unauthenticated")
            assert claims_of(await running.http.post("/hubs/team/negotiate"), "team")["asrs.s.uid"] == "of team"
            with pytest.raises(SettingsError):
                parts.use(load_handlers([f"{MODULE}:chat", f"{MODULE}:quick"], []))
            assert claims_of(await running.http.post("/hubs/team/negotiate"), "team")["asrs.s.uid"] == "of team"
            assert claims_of(await running.http.post("/hubs/lobby/negotiate"), "lobby")["asrs.s.uid"] == "over HTTP"


async def test_the_scope_is_the_hosts_where_the_bridge_is_mounted() -> None:
    async with bridge(**PYTHON) as running:

        async def host(scope: Any, receive: Any, send: Any) -> None:
            await running.app({**scope, MOUNTED: True, "user": "ann"}, receive, send)

        async with httpx.AsyncClient(transport=httpx.ASGITransport(host), base_url="http://host") as http:
            claims_of(await http.post(TO_CHAT, params={"do": "anonymous"}))
    assert admitting.SEEN[0].scope is not None
    assert admitting.SEEN[0].scope["user"] == "ann"


async def test_a_new_secret_signs_the_next_call(tmp_path: Path) -> None:
    file = tmp_path / "bridge.toml"
    with Backend(say({"userId": None})) as backend:

        def write(secret: str) -> None:
            text = f'category = "negotiate"\nhub = "chat"\nurl = "{backend.url}"\nsecrets = ["{secret}"]\n'
            file.write_text(f"[forward.clients]\n{text}")

        write(SECRETS[0])
        async with programmable_server() as service:
            given = {
                "AzureSignalRConnectionString": f"Endpoint={service.url};AccessKey={SERVICE};Version=1.0;",
                "BRIDGE_SETTINGS_FILE": str(file),
                "BRIDGE_CALLERS__KEYS": CALLER,
            }
            sources = Sources(given, {})
            app = create_app(load(sources.read()), sources)
            app.state.parts.watcher.settle = 0.05
            async with app.router.lifespan_context(app), client(app) as http:
                claims_of(await http.post(TO_CHAT))
                write(SECRETS[1])
                await app.state.parts.watcher.read_again()
                claims_of(await http.post(TO_CHAT))
    for call, secret in zip(backend.calls, SECRETS, strict=True):
        Webhook(secret).verify(call.body, call.headers)
