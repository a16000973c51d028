"""``/metrics``: the names and labels of the contract, the numbers of what was done, and who may read them."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text
from signalr_bridge.protocol.upstream_event import sign
from signalr_bridge.web.guards import ListenerApp, ListenerKind

from tests.contract.bridge.running import AUTH, CALLER, SERVICE, Bridge, bridge
from tests.contract.endpoints.programmable import Server, answer_of, programmable_server
from tests.prometheus.names import KNOWN

CODE, CANARY = "canary-code", "canary"
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
SETTINGS = {
    "BRIDGE_METRICS": "true",
    "BRIDGE_NEGOTIATE__HUBS": "chat",
    "BRIDGE_UPSTREAM__CODE": CODE,
    "BRIDGE_LIMITS__DEADLINE_SECONDS": "2",
    "BRIDGE_FORWARD__ORDERS__HUB": "chat",
    "BRIDGE_FORWARD__ORDERS__EVENT": "order",
    "BRIDGE_FORWARD__ORDERS__UNSIGNED": "true",
    "BRIDGE_FORWARD__ORDERS__TIMEOUT_SECONDS": "1",
}


@pytest.fixture
async def backend() -> AsyncIterator[Server]:
    async with programmable_server() as server:
        yield server


def message(target: str, **changes: str) -> tuple[dict[str, str], bytes]:
    """An upstream call with a message to the hub chat, as the service signs it."""
    headers = {
        "X-ASRS-Hub": "chat",
        "X-ASRS-Category": "messages",
        "X-ASRS-Event": target,
        "X-ASRS-Connection-Id": "c1",
        "X-ASRS-User-Id": f"{CANARY}-user",
        "X-ASRS-Signature": sign("c1", SERVICE),
        "Content-Type": "application/json",
    }
    body = json.dumps({"type": 1, "target": target, "arguments": [f"{CANARY}-argument"]}).encode()
    return headers | {name.replace("_", "-"): value for name, value in changes.items()}, body


read_openmetrics: Callable[[str], Iterator[Metric]] = openmetrics.text_string_to_metric_families


async def call(one: Bridge, target: str, code: str = CODE, body: bytes | None = None, **changes: str) -> int:
    headers, usual = message(target, **changes)
    response = await one.http.post(f"/upstream?code={code}", headers=headers, content=usual if body is None else body)
    return response.status_code


async def scrape(http: httpx.AsyncClient) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """All samples, by name and labels."""
    response = await http.get("/metrics", headers=AUTH)
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in read_text(response.text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def value(found: Mapping[str, Mapping[tuple[tuple[str, str], ...], float]], metric: str, /, **labels: str) -> float:
    return found[f"signalr_bridge_{metric}"].get(tuple(sorted(labels.items())), 0.0)


async def test_what_was_done_is_counted(backend: Server) -> None:
    async with bridge(**SETTINGS, BRIDGE_FORWARD__ORDERS__URL=backend.url) as one:
        to_all = {"target": "x", "arguments": [f"{CANARY}-argument"]}
        again = AUTH | {"Idempotency-Key": f"{CANARY}-key"}
        statuses = [(await one.http.post("/hubs/chat/send", json=to_all, headers=again)).status_code for _ in range(2)]
        assert statuses == [202, 202]
        to_one = to_all | {"userId": f"{CANARY}-user"}
        assert (await one.http.post("/hubs/unnamed/send", json=to_one, headers=AUTH)).status_code == 202
        one.service.answer = answer_of(503)
        assert (await one.http.post("/hubs/chat/send", json=to_all, headers=AUTH)).status_code == 503
        one.service.answer = answer_of(202)

        for _ in range(2):
            response = await one.http.post("/hubs/chat/negotiate", json={"userId": "ann"}, headers=AUTH)
            assert response.status_code == 200, response.text
        assert (await one.http.post("/hubs/unnamed/negotiate")).status_code == 401
        assert (await one.http.get(f"/{CANARY}/path")).status_code == 404

        backend.answer = answer_of(204)
        assert await call(one, "order") == 200
        backend.answer = answer_of(403, b'{"detail":"no"}', Content_Type="application/problem+json")
        assert await call(one, "order") == 200
        backend.answer = answer_of(500)
        assert await call(one, "order") == 500
        assert await call(one, f"{CANARY}-event") == 404
        assert await call(one, "order", code=f"{CANARY}-wrong") == 401
        assert await call(one, "order", X_ASRS_Signature="sha256=00") == 401
        assert await call(one, "order", X_ASRS_Hub="no hub") == 400
        assert await call(one, "order", body=b"{") == 400

        (shown,) = (await one.http.get("/hubs/chat/endpoints", headers=AUTH)).json()
        found = await scrape(one.http)
        text = (await one.http.get("/metrics", headers=AUTH)).text

    sends = {"route": "/hubs/{hub}/send", "method": "POST"}
    assert value(found, "requests_total", **sends, status="202") == 3
    assert value(found, "requests_total", **sends, status="503") == 1
    assert value(found, "requests_total", route="other", method="GET", status="404") == 1
    assert value(found, "request_seconds_count", route="/hubs/{hub}/send") == 4
    at_default = {"endpoint": "default"}
    assert value(found, "deliveries_total", **at_default, action="send_to_all", outcome="accepted") == 1
    assert value(found, "deliveries_total", **at_default, action="send_to_user", outcome="accepted") == 1
    assert value(found, "delivery_retries_total", **at_default) >= 1
    assert value(found, "negotiations_total", hub="chat", result="admitted") == 2
    assert value(found, "negotiations_total", hub="other", result="refused") == 1
    events = {"hub": "chat", "category": "messages"}
    assert {
        result: value(found, "events_total", **events, event="order", result=result)
        for result in ("returned", "refused", "failed")
    } == {"returned": 1, "refused": 1, "failed": 1}
    assert value(found, "events_total", **events, event="other", result="unhandled") == 1
    assert value(found, "handler_seconds_count", hub="chat", event="order") == 3
    refused = {"code": 1, "signature": 1, "routing": 1, "body": 1, "entra": 0}
    assert {one: value(found, "events_refused_total", reason=one) for one in refused} == refused
    attempts = {
        one: value(found, "forward_attempts_total", forward="orders", result=one) for one in ("done", "refused")
    }
    assert attempts == {"done": 1, "refused": 1}
    assert value(found, "forward_attempts_total", forward="orders", result="failed") >= 1
    assert value(found, "forward_waiting", forward="orders") == 0
    assert value(found, "idempotency_kept") == 1
    assert value(found, "idempotency_replayed_total") == 1
    states = {dict(key)["state"]: one for key, one in found["signalr_bridge_endpoint_state"].items()}
    assert [state for state, one in states.items() if one] == [shown["state"]]
    assert set(states) == {"online", "offline", "denied", "misrouted", "throttled"}
    assert value(found, "endpoint_weight", **at_default) == 1
    assert value(found, "breaker_open", kind="backend", name=backend.url) == 0
    assert [value(found, "in_flight", share=one) for one in ("clients", "callers", "service", "common")] == [0, 0, 0, 0]
    version = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    assert [dict(key)["python"] for key in found["signalr_bridge_build_info"]] == [version]
    assert not re.search(f"{CANARY}|{SERVICE}|{CALLER}", text)


async def test_what_is_in_flight_and_what_was_turned_away() -> None:
    async with bridge(BRIDGE_METRICS="true", BRIDGE_LIMITS__IN_FLIGHT="5") as one:
        one.service.delay = 0.5
        seen = len(one.seen)
        to_all = {"target": "x", "arguments": []}
        sending = [asyncio.create_task(one.http.post("/hubs/chat/send", json=to_all, headers=AUTH)) for _ in range(3)]
        for _ in range(500):
            if len(one.seen) == seen + 3:
                break
            await asyncio.sleep(0.01)
        assert (await one.http.post("/hubs/chat/send", json=to_all, headers=AUTH)).status_code == 503
        found = await scrape(one.http)
        assert [(await task).status_code for task in sending] == [202, 202, 202]
    assert [value(found, "in_flight", share=one) for one in ("clients", "callers", "service", "common")] == [0, 1, 0, 2]
    assert value(found, "shed_total", share="callers", reason="in-flight") == 1


async def test_there_is_every_name_with_its_labels_and_no_other(backend: Server) -> None:
    async with bridge(**SETTINGS, BRIDGE_FORWARD__ORDERS__URL=backend.url) as one:
        backend.answer = answer_of(204)
        assert await call(one, "order") == 200
        response = await one.http.get("/metrics", headers=AUTH | OPENMETRICS)
        assert response.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        families = {family.name: family for family in read_openmetrics(response.text)}
    said = {
        name.removesuffix("_total").removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
        for name in KNOWN
    }
    assert {one.removesuffix("_info") for one in families} == {one.removesuffix("_info") for one in said}
    samples = [one for family in families.values() for one in family.samples]
    assert {one.name: frozenset(one.labels) for one in samples}.items() <= KNOWN.items()


@pytest.mark.parametrize(
    ("key", "status"),
    [
        (None, 401),
        ("not-the-key-of-anybody", 401),
        ("a-key-that-only-sends", 403),
        ("a-key-that-reads-one-hub", 403),
        ("a-key-that-reads-all-hubs", 200),
    ],
)
async def test_on_the_one_listener_a_caller_needs_to_read_every_hub(key: str | None, status: int) -> None:
    keys = [
        {"name": "a", "key": "a-key-that-only-sends", "rights": ["send"]},
        {"name": "b", "key": "a-key-that-reads-one-hub", "rights": ["read"], "hubs": ["chat"]},
        {"name": "c", "key": "a-key-that-reads-all-hubs", "rights": ["read"]},
    ]
    async with bridge(BRIDGE_METRICS="true", BRIDGE_CALLERS__KEYS=json.dumps(keys)) as one:
        response = await one.http.get("/metrics", headers={} if key is None else {"X-API-Key": key})
        assert response.status_code == status
        assert ("signalr_bridge" in response.text) is (status == 200)


@pytest.mark.parametrize(
    ("settings", "statuses"),
    [
        ({"BRIDGE_METRICS": "true", "BRIDGE_CALLERS__LISTEN": "127.0.0.1:1"}, {"public": 404, "callers": 200}),
        (
            {"BRIDGE_METRICS": "true", "BRIDGE_METRICS_LISTEN": "127.0.0.1:2", "BRIDGE_CALLERS__LISTEN": "127.0.0.1:1"},
            {"public": 404, "callers": 200, "metrics": 200},
        ),
        ({"BRIDGE_METRICS": "true", "BRIDGE_METRICS_LISTEN": "127.0.0.1:2"}, {"public": 404, "metrics": 200}),
        ({}, {"public": 404}),
    ],
)
async def test_each_listener(settings: dict[str, str], statuses: dict[str, int]) -> None:
    async with bridge(**settings) as one:
        for name, status in statuses.items():
            wire = httpx.ASGITransport(app=ListenerApp(one.app, ListenerKind(name)))
            async with httpx.AsyncClient(transport=wire, base_url="http://bridge", trust_env=False) as http:
                assert (await http.get("/metrics", headers=AUTH)).status_code == status, name
                assert (await http.get("/health/live")).status_code == 200
                if name == "metrics":
                    for path in ("/", "/hubs/chat/endpoints", "/hubs/chat/negotiate", "/upstream", "/metricsx"):
                        assert (await http.post(path, headers=AUTH)).status_code == 404, path


async def test_labels_are_bounded(backend: Server) -> None:
    async with bridge(**SETTINGS, BRIDGE_FORWARD__ORDERS__URL=backend.url) as one:
        await call(one, "order")
        for method in ("POST", "PURGE0"):
            await one.http.request(method, "/nowhere", headers=AUTH)
        await call(one, "unknown0")
        before = {name: len(samples) for name, samples in (await scrape(one.http)).items()}
        for number in range(1, 40):
            await one.http.request(f"PURGE{number}", f"/nowhere/{number}")
            await one.http.post("/hubs/chat/send", json={"target": "x"}, headers=AUTH | {"X-API-Key": "x" * number})
            await one.http.post(f"/hubs/hub{number}/negotiate", headers=AUTH)
            await call(one, f"unknown{number}", X_ASRS_Hub=f"hub{number}", X_ASRS_Category="messages")
        after = {name: len(samples) for name, samples in (await scrape(one.http)).items()}
    grown = {name: after[name] - before.get(name, 0) for name in after if not name.endswith("_bucket")}
    assert max(grown.values()) <= 5, grown
