"""Traces from end to end, and what never leaves, whatever telemetry somebody has installed beside the bridge."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import trustme
from opentelemetry.instrumentation.auto_instrumentation import __file__ as instrumentation

from tests.azure.identity_endpoint import Identities, IdentityEndpoint
from tests.azure.issuer import Issuer
from tests.azure.key_vault import KeyVault
from tests.azure.standin import Answer, Request, Standin, running
from tests.e2e.otlp_collector import Collector, Seen, export_to, run_collector
from tests.e2e.processes import (
    API_KEY,
    E2E,
    Process,
    app_command,
    bridge_settings,
    free_port,
    wait_until_answered,
)
from tests.e2e.raw_client import raw_client, token_as_recorded
from tests.unit.upstream.issued import TENANT, token

assert instrumentation, "opentelemetry-instrument is installed"
INSTRUMENT = str(Path(sys.executable).parent / "opentelemetry-instrument")
USER, GROUP, CODE, KEY, TOKEN, HOOK, EVENT, WORD = (
    f"canary-{name}-c0ffee" for name in ("user", "group", "code", "key", "token", "hook", "event", "word")
)
CANARIES = (USER, GROUP, CODE, KEY, TOKEN, HOOK, EVENT, WORD, API_KEY)
FACTS = ("hub", "category", "event", "result")
CLIENTS_TRACE, CALLERS_TRACE = "1" * 32, "2" * 32
EVERYTHING = {
    "FASTAPI_OTEL_AUTO_CONFIGURE": "true",
    "OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED": "true",
    "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST": ".*",
    "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST": ".*",
    "AZURE_TRACING_ENABLED": "true",
}
"""What others can switch on to see more."""


class Backend(Standin):
    """Takes every event, and keeps the ``traceparent`` of each call."""

    def __init__(self) -> None:
        self.traceparents: list[str] = []
        super().__init__(None)

    def answer(self, request: Request) -> Answer:
        self.traceparents.append(request.headers["traceparent"])
        return 204, {}, b""


def settings_of(emulator: int, backend: Backend, issuer: Issuer, vault: KeyVault) -> dict[str, str]:
    vault.put("BRIDGE-UPSTREAM--CODE", CODE)
    return bridge_settings(emulator) | {
        "BRIDGE_CALLERS__KEYS": json.dumps([{"name": "all", "key": API_KEY}]),
        "BRIDGE_KEY_VAULT_URL": vault.url,
        "BRIDGE_CALLERS__OIDC__ISSUER": f"{issuer.url}/{TENANT}/v2.0",
        "BRIDGE_CALLERS__OIDC__AUDIENCE": "the-bridge",
        "BRIDGE_CALLERS__OIDC__ROLES": json.dumps({"Sender": {"rights": ["send"]}}),
        "BRIDGE_NEGOTIATE__ANONYMOUS": "true",
        "BRIDGE_NEGOTIATE__USER_ID": "{query.userId}",
        "BRIDGE_NEGOTIATE__TRUST_CLIENT_INPUT": "true",
        "BRIDGE_DOCS": "true",
        "BRIDGE_CONSOLE": "true",
        "BRIDGE_HANDLERS": "tests.e2e.handlers:chat,tests.e2e.traced_handlers:traced",
        "BRIDGE_FORWARD__ORDERS__URL": f"{backend.url}/hook/{{hub}}/{{event}}?key={HOOK}",
        "BRIDGE_FORWARD__ORDERS__HUB": "orders",
        "BRIDGE_FORWARD__ORDERS__UNSIGNED": "true",
    }


@contextmanager
def a_bridge(
    collector: int, port: int, emulator: int, backend: Backend, file: Path
) -> Iterator[tuple[Process, list[str]]]:
    """``serve`` below ``opentelemetry-instrument``, and the emulator with the bridge's own telemetry."""
    with (
        running(Issuer(trustme.CA())) as issuer,
        running(IdentityEndpoint(issuer, Identities())) as identity,
        running(KeyVault(issuer)) as vault,
        Process(
            "emulator",
            app_command(
                "emulator", "--port", str(emulator), "--upstream", f"http://localhost:{port}/upstream?code={CODE}"
            ),
            export_to(collector),
        ) as service,
    ):
        wait_until_answered(service, f"http://localhost:{emulator}/api/health")
        assert issuer.authority is not None
        issuer.authority.cert_pem.write_to_path(str(file))
        settings = settings_of(emulator, backend, issuer, vault) | identity.environment
        environment = {**settings, **export_to(collector, "signalr-bridge"), **EVERYTHING, "SSL_CERT_FILE": str(file)}
        command = [INSTRUMENT, *app_command("serve", "--port", str(port))]
        with Process("bridge", command, environment) as bridge:
            wait_until_answered(bridge, f"http://localhost:{port}/health/ready")
            ran_in = drive(port, emulator, token(iss=f"{issuer.url}/{TENANT}/v2.0"))
            bridge.stop()  # with it, the last spans have gone
            yield bridge, ran_in


def drive(port: int, emulator: int, identity: str) -> list[str]:
    """Every flow, with a canary in all that has a name. Gives the spans in which handlers ran."""
    with httpx.Client(base_url=f"http://localhost:{port}", trust_env=False, timeout=10) as http:
        query = {"access_token": TOKEN, "userId": USER}
        clients = {"traceparent": f"00-{CLIENTS_TRACE}-{'3' * 16}-01"}
        assert http.post("/hubs/chat/negotiate", params=query, headers=clients).status_code == 200
        key = {"X-API-Key": API_KEY, "traceparent": f"00-{CALLERS_TRACE}-{'4' * 16}-01"}
        message = {"target": "newMessage", "arguments": [WORD]}
        for to in ({"groupName": GROUP}, {"userId": USER}):
            assert http.post("/hubs/chat/send", json=message | to, headers=key).status_code == 202
        assert http.put(f"/hubs/chat/groups/{GROUP}/users/{USER}", headers=key).status_code == 204
        assert http.get(f"/hubs/chat/users/{USER}", headers=key).status_code == 404
        assert http.post("/hubs/chat/send", json=message, headers={"X-API-Key": KEY}).status_code == 401
        assert http.get("/hubs", headers={"Authorization": f"Bearer {identity}"}).status_code == 401
        for path in ("/docs", "/openapi.json", "/", f"/nowhere/{USER}", "/events", "/upstream"):
            http.get(path, params={"code": CODE, "access_token": TOKEN}, headers={"X-API-Key": KEY})
    claims = {"aud": "anything", "exp": "<now+3600>", "nameid": USER}
    with raw_client(emulator, "json", token_as_recorded({"alg": "HS256"}, claims)) as client:
        client.send(json.dumps({"type": 1, "target": "echo", "arguments": [WORD], "invocationId": "1"}).encode())
        assert client.answer()["result"] == [WORD]
        client.send(json.dumps({"type": 1, "target": "observe", "arguments": [], "invocationId": "2"}).encode())
        client.answer()
    with raw_client(emulator, "json", hub="traced") as client:
        client.send(b'{"type":1,"target":"loop","arguments":[],"invocationId":"1"}')
        client.send(b'{"type":1,"target":"thread","arguments":[],"invocationId":"2"}')
        ran_in = [client.answer()["result"], client.answer()["result"]]
    with raw_client(emulator, "json", token_as_recorded({"alg": "HS256"}, claims), hub="orders") as client:
        client.send(json.dumps({"type": 1, "target": EVENT, "arguments": [WORD], "invocationId": "1"}).encode())
        client.answer()
    return ran_in


def only(spans: list[Seen]) -> Seen:
    (one,) = spans
    return one


def test_spans_hang_together_and_nothing_secret_leaves(tmp_path: Path) -> None:
    port, emulator, collector_port = free_port(), free_port(), free_port()
    with running(Backend()) as backend, run_collector(collector_port) as collector:
        with a_bridge(collector_port, port, emulator, backend, tmp_path / "ca.pem") as (bridge, ran_in):
            lines = [json.loads(line) for line in bridge.lines if line.startswith("{")]
        raw = collector.raw
        assert [one for one in CANARIES if one.encode() in raw] == []
        check_sends(collector, lines)
        check_events(collector, backend, ran_in)
        check_others(collector)


def check_sends(collector: Collector, lines: list[dict[str, object]]) -> None:
    asked = only(collector.find("POST /hubs/{hub}/negotiate"))
    assert asked.parent == ""
    assert asked.trace_id != CLIENTS_TRACE
    assert (asked.attributes["signalr.hub"], asked.attributes["signalr.endpoint"]) == ("chat", "default")
    sent = collector.find("POST /hubs/{hub}/send")
    assert sorted(str(one.attributes["http.response.status_code"]) for one in sent) == ["202", "202", "401"]
    done = [one for one in sent if one.attributes["http.response.status_code"] == 202]
    names = []
    for one in done:
        assert (one.kind, one.trace_id, one.parent) == ("SERVER", CALLERS_TRACE, "4" * 16)
        assert one.attributes["http.route"] == one.attributes["url.path"] == "/hubs/{hub}/send"
        assert (one.attributes["signalr.outcomes"], one.attributes["signalr.hub"]) == (["default=accepted"], "chat")
        call = only([call for call in collector.spans if call.parent == one.span_id])
        assert (call.kind, call.attributes["signalr.outcome"]) == ("CLIENT", "accepted")
        assert call.attributes["http.response.status_code"] == 202
        assert call.attributes["url.full"] == f"http://localhost:{call.attributes['server.port']}{call.name[5:]}"
        taken = only([taken for taken in collector.spans if taken.parent == call.span_id])
        assert (taken.service, taken.kind, taken.name) == ("signalr-emulator", "SERVER", call.name)
        names.append(call.name)
    assert sorted(names) == [f"POST /api/hubs/{{hub}}/{one}/:send" for one in ("groups/{group}", "users/{user}")]
    logged = [one for one in lines if one.get("path") == "/hubs/chat/send" and one["status"] == 202]
    assert {(one["trace_id"], one["span_id"]) for one in logged} == {(CALLERS_TRACE, one.span_id) for one in done}
    absent = only(collector.find("HEAD /api/hubs/{hub}/users/{user}", "signalr-bridge"))
    assert (absent.attributes["signalr.outcome"], absent.is_error) == ("absent", False)


def check_events(collector: Collector, backend: Backend, ran_in: list[str]) -> None:
    called = {one.span_id: one for one in collector.spans if one.name == "POST /hook/{hub}/{event}"}
    assert {one.split("-")[2] for one in backend.traceparents} == set(called)
    answered = {one.span_id: one for one in collector.find("POST /upstream", "signalr-bridge")}
    posted = {one.span_id: one for one in collector.find("POST /upstream", "signalr-emulator")}
    assert {one.parent for one in called.values()} <= set(answered)
    assert {one.parent for one in answered.values()} == set(posted)
    assert {one.kind for one in posted.values()} == {"CLIENT"}
    assert not any(one.is_error for one in posted.values())
    assert [answered[one].attributes["signalr.event"] for one in ran_in] == ["loop", "thread"]
    told = {tuple(one.attributes.get(f"signalr.{fact}") for fact in FACTS) for one in answered.values()}
    assert told == {
        ("chat", "connections", "connected", "returned"),
        ("chat", "connections", "disconnected", "returned"),
        ("chat", "messages", "echo", "returned"),
        ("chat", "messages", "observe", "returned"),
        ("orders", "connections", "connected", "returned"),
        ("orders", "connections", "disconnected", "returned"),
        ("orders", "messages", "other", "returned"),
        ("traced", "connections", "connected", "returned"),
        ("traced", "connections", "disconnected", "returned"),
        ("traced", "messages", "loop", "returned"),
        ("traced", "messages", "thread", "returned"),
    }


def check_others(collector: Collector) -> None:
    """Calls to stores and identity have spans of ours, not of who sees HTTP in general. Health has none."""
    assert {one.scope for one in collector.spans} == {"signalr_bridge", "azure-core"}
    assert collector.find("GET /secrets/{secret}")[0].attributes["signalr.called"] == "store"
    assert only(collector.find(f"GET /{TENANT}/v2.0/.well-known/openid-configuration")).kind == "CLIENT"
    assert [one.attributes["signalr.called"] for one in collector.find("POST")] == ["identity"]
    assert not [one for one in collector.spans if "health" in one.name]


def test_the_spans_of_a_host_hold_no_names_and_no_queries() -> None:
    port, collector_port = free_port(), free_port()
    command = [sys.executable, "-m", "uvicorn", "tests.e2e.traced_host:app", "--port", str(port)]
    settings = bridge_settings(free_port()) | export_to(collector_port, "shop") | EVERYTHING
    with run_collector(collector_port) as collector:
        with Process("host", command, settings, folder=E2E.parents[1]) as host:
            wait_until_answered(host, f"http://localhost:{port}/realtime/health/live")
            with httpx.Client(base_url=f"http://localhost:{port}", trust_env=False, timeout=10) as http:
                http.get("/orders/7?size=3")
                headers = {"X-API-Key": API_KEY, "X-Request-Timeout": "0.2"}
                path = f"/realtime/hubs/chat/groups/{GROUP}/users/{USER}"
                http.put(path, headers=headers, params={"code": CODE})
                http.post(f"/realtime/hubs/chat/negotiate?access_token={TOKEN}")
                http.post(f"/realtime/upstream/{USER}?code={CODE}", content=WORD)
        assert [one for one in CANARIES if one.encode() in collector.raw] == []
        names = {(one.scope, one.kind, one.name) for one in collector.spans}
        assert ("fastapi", "SERVER", "PUT /hubs/{hub}/groups/{groupName}/users/{userId}") in names
        assert ("signalr_bridge", "INTERNAL", "PUT /hubs/{hub}/groups/{groupName}/users/{userId}") in names
        assert ("opentelemetry.instrumentation.asgi", "SERVER", "POST /upstream") in names
        assert ("opentelemetry.instrumentation.asgi", "INTERNAL", "POST /upstream http send") in names
        shop = only([one for one in collector.find("GET /orders/{order}") if one.scope == "fastapi"])
        assert (shop.attributes["url.query"], shop.attributes["url.path"]) == ("size=3", "/orders/7")
