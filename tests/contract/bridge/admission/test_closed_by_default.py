"""What the settings keep closed by default is tried and found closed, and then with the settings that open it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import httpx
import pytest
from signalr_bridge.errors import SettingsError
from signalr_bridge.main import create_app
from signalr_bridge.settings import check_servable, gather, load
from signalr_bridge.settings.names import settings_by_path, write_name
from signalr_bridge.web.document import BridgeApp
from signalr_bridge.web.guards import ListenerApp, ListenerKind
from starlette.types import ASGIApp

from tests.contract.bridge.running import AUTH, SERVICE, bridge, build
from tests.unit.web.issuing import signed

PATH = "/hubs/chat/negotiate"
CHAT = {"BRIDGE_NEGOTIATE__HUBS": "chat"}
ANONYMOUS = CHAT | {"BRIDGE_NEGOTIATE__ANONYMOUS": "true"}
UPSTREAM = {
    "Content-Type": "application/json",
    "X-ASRS-Hub": "chat",
    "X-ASRS-Category": "connections",
    "X-ASRS-Event": "connected",
    "X-ASRS-Connection-Id": "c",
}
ORIGIN = {"Origin": "https://app.example"}


def has_cors(answer: httpx.Response) -> bool:
    return "access-control-allow-origin" in answer.headers


@dataclass(frozen=True)
class Closed:
    """A request that is refused (``status``), and the settings by which it is taken."""

    name: str
    request: str
    status: int
    opened_by: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    open_status: int = 200
    body: bytes = b""
    reads: Callable[[httpx.Response], object] = lambda answer: None
    """What else tells closed from open."""


CLOSED = [
    Closed("anonymous clients", f"POST {PATH}", 401, {"BRIDGE_NEGOTIATE__ANONYMOUS": "true"}, settings=CHAT),
    Closed("hubs that nobody names", f"POST {PATH}", 403, CHAT, settings={"BRIDGE_NEGOTIATE__ANONYMOUS": "true"}),
    Closed(
        "hubs that nobody names, all at once",
        f"POST {PATH}",
        403,
        {"BRIDGE_NEGOTIATE__HUBS": '["*"]'},
        settings={"BRIDGE_NEGOTIATE__ANONYMOUS": "true"},
    ),
    Closed(
        "platform identity",
        f"POST {PATH}",
        401,
        {"BRIDGE_NEGOTIATE__PLATFORM_IDENTITY": "true"},
        {"X-MS-CLIENT-PRINCIPAL-ID": "ann"},
        CHAT,
    ),
    Closed(
        "an unverified id token",
        f"POST {PATH}",
        401,
        {"BRIDGE_NEGOTIATE__ID_TOKEN_UNVERIFIED": "true", "BRIDGE_NEGOTIATE__TRUST_CLIENT_INPUT": "true"},
        {"X-Token": signed(name="rsa-foreign")},
        ANONYMOUS
        | {
            "BRIDGE_NEGOTIATE__ID_TOKEN": "{headers.x-token}",
            "BRIDGE_NEGOTIATE__JWT": json.dumps([{"issuer": "https://localhost:1", "audience": "x"}]),
        },
    ),
    Closed(
        "unsigned upstream",
        "POST /upstream",
        401,
        {"BRIDGE_UPSTREAM__ALLOW_UNSIGNED": "true"},
        UPSTREAM,
    ),
    Closed(
        "unhandled messages",
        "POST /upstream",
        404,
        {"BRIDGE_UPSTREAM__UNHANDLED": "200"},
        UPSTREAM | {"X-ASRS-Category": "messages", "X-ASRS-Event": "t"},
        {"BRIDGE_UPSTREAM__ALLOW_UNSIGNED": "true"},
    ),
    Closed(
        "the OpenAPI document", "GET /openapi.json", 404, {"BRIDGE_DOCS": "true"}, settings={"BRIDGE_DOCS": "false"}
    ),
    Closed("the documentation", "GET /docs", 404, {"BRIDGE_DOCS": "true"}, settings={"BRIDGE_DOCS": "false"}),
    Closed(
        "an empty destination for everybody",
        "POST /hubs/chat/send",
        422,
        {"BRIDGE_OUTPUT__EMPTY_MEANS_ALL": "true"},
        AUTH | {"Content-Type": "application/json"},
        open_status=202,
        body=b'{"target": "t", "userId": ""}',
    ),
    Closed("metrics", "GET /metrics", 404, {"BRIDGE_METRICS": "true"}, AUTH, open_status=200),
    Closed("events", "GET /events?x=1", 404, {"BRIDGE_CONSOLE": "true"}, AUTH, open_status=400),
    Closed(
        "pages of other origins",
        f"POST {PATH}",
        200,
        {"BRIDGE_CORS__ORIGINS": "https://app.example"},
        ORIGIN,
        ANONYMOUS,
        reads=has_cors,
    ),
    Closed(
        "pages of other origins, preflight",
        f"OPTIONS {PATH}",
        204,
        {"BRIDGE_CORS__ORIGINS": "https://app.example"},
        ORIGIN | {"Access-Control-Request-Method": "POST"},
        open_status=204,
        reads=has_cors,
    ),
]


@pytest.mark.parametrize("closed", CLOSED, ids=lambda closed: closed.name)
async def test_it_is_closed_by_default(closed: Closed) -> None:
    method, path = closed.request.split(" ")
    body = b'{"type":1,"target":"t","arguments":[]}' if path == "/upstream" else closed.body
    seen = []
    for settings in (closed.settings, {**closed.settings, **closed.opened_by}):
        async with bridge(**settings) as running:
            answer = await running.http.request(method, path, headers=closed.headers, content=body)
            seen.append((answer.status_code, closed.reads(answer)))
    assert seen[0][0] == closed.status
    assert seen[1][0] == closed.open_status, "else this table tells nothing"
    assert seen[0] != seen[1]


# --- what a start-up refusal keeps closed

SERVABLE = {
    "AzureSignalRConnectionString": f"Endpoint=https://a.example;AccessKey={SERVICE};Version=1.0;",
    "BRIDGE_CALLERS__KEYS": "a-key-of-a-caller",
}
EMULATOR = "Endpoint=http://localhost;Port=8888;AccessKey=ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH;Version=1.0;"
ISSUER = json.dumps([{"issuer": "https://issuer.example", "audience": "x"}])
LOOPBACK = {"BRIDGE_CALLERS__LISTEN": "127.0.0.1:8081"}

REFUSALS = [
    ("nobody could call", {"BRIDGE_CALLERS__KEYS": ""}, {"BRIDGE_CALLERS__KEYS": "a-key-of-a-caller"}),
    ("a short key", {"BRIDGE_CALLERS__KEYS": "fifteen-letters"}, {"BRIDGE_CALLERS__KEYS": "sixteen--letters"}),
    (
        "anonymous callers on the public listener",
        {"BRIDGE_CALLERS__ANONYMOUS": "true"},
        {"BRIDGE_CALLERS__ANONYMOUS": "true"} | LOOPBACK,
    ),
    (
        "anonymous callers from everywhere",
        {"BRIDGE_CALLERS__ANONYMOUS": "true", "BRIDGE_CALLERS__LISTEN": "0.0.0.0:8081"},
        {"BRIDGE_CALLERS__ANONYMOUS": "true", "BRIDGE_CALLERS__LISTEN": "[::1]:8081", "BRIDGE_CALLERS__KEYS": ""},
    ),
    ("one listener for both", {"BRIDGE_CALLERS__LISTEN": "127.0.0.1:8080"}, LOOPBACK),
    ("the emulator's key", {"AzureSignalRConnectionString": EMULATOR}, {"BRIDGE_ALLOW_EMULATOR_KEY": "true"}),
    (
        "a template over what clients write",
        {"BRIDGE_NEGOTIATE__USER_ID": "{query.u}"},
        {"BRIDGE_NEGOTIATE__USER_ID": "{query.u}", "BRIDGE_NEGOTIATE__TRUST_CLIENT_INPUT": "true"},
    ),
    (
        "a template over the platform's headers, which nobody strips",
        {"BRIDGE_NEGOTIATE__USER_ID": "{headers.x-ms-client-principal-name}"},
        {
            "BRIDGE_NEGOTIATE__USER_ID": "{headers.x-ms-client-principal-name}",
            "BRIDGE_NEGOTIATE__PLATFORM_IDENTITY": "true",
        },
    ),
    (
        "a template over other headers, behind the platform",
        {"BRIDGE_NEGOTIATE__USER_ID": "{headers.x-user}", "BRIDGE_NEGOTIATE__PLATFORM_IDENTITY": "true"},
        {"BRIDGE_NEGOTIATE__USER_ID": "{claims.sub}"},
    ),
    (
        "an id token that nobody verifies",
        {"BRIDGE_NEGOTIATE__ID_TOKEN": "{headers.x}"},
        {"BRIDGE_NEGOTIATE__ID_TOKEN": "{headers.x}", "BRIDGE_NEGOTIATE__JWT": ISSUER},
    ),
    (
        "an unverified id token that clients write",
        {"BRIDGE_NEGOTIATE__ID_TOKEN": "{headers.x}", "BRIDGE_NEGOTIATE__ID_TOKEN_UNVERIFIED": "true"},
        {
            "BRIDGE_NEGOTIATE__ID_TOKEN": "{headers.x-ms-token-aad-id-token}",
            "BRIDGE_NEGOTIATE__ID_TOKEN_UNVERIFIED": "true",
            "BRIDGE_NEGOTIATE__PLATFORM_IDENTITY": "true",
        },
    ),
    (
        "an issuer without TLS",
        {"BRIDGE_NEGOTIATE__JWT": ISSUER.replace("https", "http")},
        {"BRIDGE_NEGOTIATE__JWT": ISSUER},
    ),
    ("an issuer without audience", {"BRIDGE_NEGOTIATE__JWT": '[{"issuer":"https://x.example"}]'}, {}),
    (
        "callers' tokens without roles",
        {"BRIDGE_CALLERS__OIDC__ISSUER": "https://x.example", "BRIDGE_CALLERS__OIDC__AUDIENCE": "x"},
        {
            "BRIDGE_CALLERS__OIDC__ISSUER": "https://x.example",
            "BRIDGE_CALLERS__OIDC__AUDIENCE": "x",
            "BRIDGE_CALLERS__OIDC__ROLES": '{"r": {"rights": ["send"]}}',
            "BRIDGE_CALLERS__KEYS": "",
        },
    ),
    ("an unknown right", {"BRIDGE_CALLERS__KEYS": '[{"key":"sixteen--letters","rights":["all"]}]'}, {}),
    ("an empty list of rights", {"BRIDGE_CALLERS__KEYS": '[{"key":"sixteen--letters","rights":[]}]'}, {}),
    ("an empty list of hubs", {"BRIDGE_CALLERS__KEYS": '[{"key":"sixteen--letters","hubs":[]}]'}, {}),
    ("a key and its digest", {"BRIDGE_CALLERS__KEYS": json.dumps([{"key": "k" * 16, "sha256": "a" * 64}])}, {}),
    ("every origin", {"BRIDGE_CORS__ORIGINS": "*"}, {"BRIDGE_CORS__ORIGINS": "https://*.example.com"}),
    ("the origin null", {"BRIDGE_CORS__ORIGINS": "null"}, {}),
    ("an origin with a path", {"BRIDGE_CORS__ORIGINS": "https://a.example/"}, {}),
    ("a reserved claim", {"BRIDGE_NEGOTIATE__CLAIM_TYPES": "asrs.s.uid"}, {"BRIDGE_NEGOTIATE__CLAIM_TYPES": "roles"}),
    (
        "joins by claims that may be forged",
        {
            "BRIDGE_HUBS__CHAT__JOIN": '{"claim":"role","group":"{value}"}',
            "BRIDGE_NEGOTIATE__LOSSLESS_CLAIMS": "false",
        },
        {"BRIDGE_HUBS__CHAT__JOIN": '[{"claim":"role","group":"{value}"}]'},
    ),
    (
        "all hubs and only those that are named",
        {"BRIDGE_HUBS_ONLY": "true", "BRIDGE_NEGOTIATE__HUBS": "*"},
        {"BRIDGE_HUBS_ONLY": "true"},
    ),
]


@pytest.mark.parametrize(("refused", "taken"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS])
def test_what_does_not_start(refused: Mapping[str, str], taken: Mapping[str, str]) -> None:
    with pytest.raises(SettingsError) as caught:
        start({**SERVABLE, **refused})
    assert not {"fifteen-letters", "sixteen--letters"} & set(caught.value.detail.split())
    start({**SERVABLE, **taken})


def start(settings: Mapping[str, str]) -> None:
    loaded = load(gather(settings, {}))
    check_servable(loaded)
    create_app(loaded)


# --- two listeners

PUBLIC = ["/hubs/chat/negotiate", "/api/negotiate", "/upstream", "/upstream/x", "/runtime/webhooks/signalr"]
CALLERS = ["/hubs/chat/send", "/hubs/chat/negotiate/endpoints", "/hubs/chat/endpoints", "/openapi.json", "/events"]


async def test_callers_have_a_listener_of_their_own() -> None:
    app = build("http://localhost:1", BRIDGE_CONSOLE="true", **LOOPBACK, **ANONYMOUS)
    for listener, own, foreign in (("public", PUBLIC, CALLERS), ("callers", [*CALLERS, *PUBLIC[:2]], PUBLIC[2:])):
        async with entered(app, listener) as http:
            for path in own:
                assert (await http.request("PATCH", path)).status_code == 405, (listener, path)
            for path in foreign:
                answer = await http.request("PATCH", path, headers=AUTH)
                assert (answer.status_code, answer.json()["code"]) == (404, "route-not-found"), (listener, path)
            assert (await http.get("/health/live")).status_code == 200


async def test_on_the_public_listener_no_request_is_a_caller_s() -> None:
    app = build("http://localhost:1", BRIDGE_CALLERS__ANONYMOUS="true", **LOOPBACK, **ANONYMOUS)
    for listener, status in (("public", 401), ("callers", 200), (None, 401)):
        for headers in ({}, AUTH):
            async with entered(app, listener, Host="localhost", **headers) as http:
                assert (await http.post(PATH, json={"userId": "ann"})).status_code == status
                assert (await http.post(PATH)).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "localhost:8081"}, 200),
        ({"Host": "[::1]"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "localhost", "Origin": "https://evil.example"}, 403),
        ({"Host": "localhost", "Origin": "null"}, 403),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, 403),
        ({"Host": "bridge.internal"} | AUTH, 200),
        ({"Host": "localhost", "X-API-Key": "wrong"}, 401),
    ],
)
async def test_anonymous_callers_are_this_machine_s_programs(headers: dict[str, str], status: int) -> None:
    """No web page, and no name that somebody makes point here."""
    app = build("http://localhost:1", BRIDGE_CALLERS__ANONYMOUS="true", **LOOPBACK)
    async with entered(app, "callers", **headers) as http:
        assert (await http.get("/hubs/chat/endpoints")).status_code == status


def entered(app: BridgeApp, listener: str | None, **headers: str) -> httpx.AsyncClient:
    """A client of this listener. None: of one that does not say its kind."""
    served: ASGIApp = app if listener is None else ListenerApp(app, ListenerKind(listener))
    wire = httpx.ASGITransport(app=served)
    return httpx.AsyncClient(transport=wire, base_url="http://bridge", headers=headers, trust_env=False)


def test_no_setting_is_missing() -> None:
    """Every setting that is off by default is tried here, or is named with the reason why it opens nothing."""
    opens_nothing = {
        "BRIDGE_HUBS_ONLY": "it shuts",
        "BRIDGE_STRICT": "it shuts",
        "BRIDGE_LOG_USERS": "it names users in the log, for whoever reads that already",
        "BRIDGE_FUNCTION_APP__TIMERS": "it runs what the app itself brings",
        "BRIDGE_NEGOTIATE__CLOSE_ON_EXPIRY": "it ends connections",
    }
    off = {write_name(path) for path, field in settings_by_path().items() if field.default is False}
    tried = {name for closed in CLOSED for name in closed.opened_by} | {
        name for _, *given in REFUSALS for name in given[1]
    }
    assert off - tried - opens_nothing.keys() == set()
