"""Every flow of a bridge, each with a fault, driven and written down: what was seen of it by the end.

The bridge, the emulator and Prometheus are processes of their own. ``eastus`` is the emulator, ``westus`` a service
that can be told how to fail, ``orders`` a backend that answers as the user of an event is called.
"""

import asyncio
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed

from tests.contract.endpoints.programmable import Request, Server, answer_of, programmable_server
from tests.e2e.counted import Driver, Ledger, Sample, until
from tests.e2e.forwarded import ask_backend, run_recording_backend
from tests.e2e.otlp_collector import Seen, export_to, run_collector
from tests.e2e.processes import Process, app_command, connection_string, eventually, free_port, wait_until_answered
from tests.e2e.prometheus import Prometheus, run_prometheus
from tests.e2e.raw_client import RawClient, raw_client
from tests.prometheus.queries import find_queries

KEY, NEXT_KEY, CODE, WESTUS_KEY, OTLP_KEY, TICKET = (
    f"canary-{name}-0123456789abcdef" for name in ("key", "next", "code", "westus", "otlp", "ticket")
)
SECRET = "whsec_Y2FuYXJ5LW9mLXRoZS13ZWJob29rLTAxMjM0NQ=="
USER, GROUP, TEXT = "canary-user-alice", "canary-group-staff", "canary-text"
FILE = """
[[callers.keys]]
key = "{key}"
name = "billing"
[upstream]
code = "{code}"
"""
HANDLERS = "tests.e2e.counted_handlers"
NOT_THERE = answer_of(404, x_ms_error_code="Warning.Connection.NotExisted")
MESSAGE = {"target": "newMessage", "arguments": [TEXT]}
BOTH = {"eastus": "accepted", "westus": "accepted"}
SENDS, NEGOTIATES, UPSTREAM = "/hubs/{hub}/send", "/hubs/{hub}/negotiate", "/upstream"
CLOSES, MEMBERS = "/hubs/{hub}/users/{userId}/connections", "/hubs/{hub}/groups/{groupName}/users/{userId}"


@dataclass(frozen=True)
class Ports:
    """Where everybody listens."""

    bridge: int = field(default_factory=free_port)
    metrics: int = field(default_factory=free_port)
    emulator: int = field(default_factory=free_port)
    backend: int = field(default_factory=free_port)
    collector: int = field(default_factory=free_port)
    westus: int = field(default_factory=free_port)


@dataclass(frozen=True)
class Scrape:
    """The text of ``/metrics``, and what had been counted by then."""

    text: str
    counts: Counter[Sample]


@dataclass(frozen=True)
class Stored:
    """What Prometheus knew at the end.

    Args:
        sums: All samples of a metric together, by its name.
        series: The labels of all series, ``__name__`` among them.
        rules: The rules, with their health and alerts.
        answers: How many samples each query of the dashboard gave.
    """

    sums: dict[str, float]
    series: list[dict[str, str]]
    rules: list[dict[str, Any]]
    answers: dict[str, int]


@dataclass(frozen=True)
class Evidence:
    """All that was seen, after all processes have ended.

    Args:
        ledger: What was done.
        before: The metrics before westus has gone.
        after: Those at the end.
        openmetrics: The same in the other format.
        stored: What Prometheus had of them.
        lines: The bridge's log.
        spans: What the collector got.
        exported: The same as bytes, and the heads with which it came.
        received: What westus got.
    """

    ports: Ports
    ledger: Ledger
    before: "Scrape"
    after: "Scrape"
    openmetrics: str
    stored: "Stored"
    lines: list[str]
    spans: list[Seen]
    exported: bytes
    received: list[Request]


def settings_of(ports: Ports, file: Path) -> dict[str, str]:
    return {
        "Azure__SignalR__Endpoints__eastus": connection_string(ports.emulator),
        "Azure__SignalR__Endpoints__westus": f"Endpoint=http://127.0.0.1;Port={ports.westus};AccessKey={WESTUS_KEY}",
        "BRIDGE_ENDPOINTS__WESTUS__WEIGHT": "0",
        "BRIDGE_ALLOW_EMULATOR_KEY": "true",
        "BRIDGE_SETTINGS_FILE": str(file),
        "BRIDGE_HOST": "127.0.0.1",
        "BRIDGE_HANDLERS": f"{HANDLERS}:chat,{HANDLERS}:gate",
        "BRIDGE_HUBS__CHAT__NEGOTIATE__ANONYMOUS": "true",
        "BRIDGE_HUBS__CHAT__NEGOTIATE__TRUST_CLIENT_INPUT": "true",
        "BRIDGE_HUBS__CHAT__NEGOTIATE__USER_ID": "{query.userId}",
        "BRIDGE_NEGOTIATE__HUBS": "private",
        "BRIDGE_FORWARD__ORDERS__HUB": "orders",
        "BRIDGE_FORWARD__ORDERS__URL": f"http://127.0.0.1:{ports.backend}/events",
        "BRIDGE_FORWARD__ORDERS__SECRETS": SECRET,
        "BRIDGE_FORWARD__ORDERS__RETRY_SECONDS": "1",
        "BRIDGE_TRUSTED_PROXIES": "127.0.0.1",
        "BRIDGE_LIMITS__NEGOTIATE_PER_SECOND": "0.001",
        "BRIDGE_LIMITS__IN_FLIGHT": "5",
        "BRIDGE_LOG_FORMAT": "json",
        "BRIDGE_METRICS": "true",
        "BRIDGE_METRICS_LISTEN": f"127.0.0.1:{ports.metrics}",
        "AzureSignalRRetry__MaxRetries": "3",
        "AzureSignalRRetry__Delay": "00:00:00.2",
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{OTLP_KEY}",
    }


async def gather(folder: Path) -> Evidence:
    """Drives everything once. The processes have ended when it returns."""
    ports, ledger, file = Ports(), Ledger(), folder / "bridge.toml"
    file.write_text(FILE.format(key=KEY, code=CODE))
    with run_collector(ports.collector) as collector, ExitStack() as processes:
        async with programmable_server(ports.westus) as westus:
            westus.honest = {"/connections/probe": NOT_THERE}
            bridge, prometheus = await start(processes, ports, file)
            async with Driver(f"http://127.0.0.1:{ports.bridge}", KEY, CODE, ledger) as driver:
                await drive(driver, ports, westus, bridge, file)
                before = Scrape(await scrape(ports.metrics), ledger.counts.copy())
                await drive_outage(driver, westus)
            after = Scrape(await scrape(ports.metrics), ledger.counts)
            metrics = before, after, await scrape(ports.metrics, "application/openmetrics-text")
            stored = await asyncio.to_thread(look_at, prometheus, ledger)
        processes.close()
        spans = collector.spans, collector.raw
        return Evidence(ports, ledger, *metrics, stored, bridge.lines, *spans, westus.requests)


async def start(processes: ExitStack, ports: Ports, file: Path) -> tuple[Process, Prometheus]:
    """Starts all processes. The bridge that is given has seen both endpoints."""
    url = f"http://127.0.0.1:{ports.bridge}"
    emulator = ("emulator", "--port", str(ports.emulator), "--upstream", f"{url}/upstream?code={CODE}")
    emulating = Process("emulator", app_command(*emulator), export_to(ports.collector, "emulator"))
    processes.enter_context(emulating)
    prometheus, *_ = await asyncio.gather(
        asyncio.to_thread(processes.enter_context, run_prometheus(file.parent, f"127.0.0.1:{ports.metrics}")),
        asyncio.to_thread(processes.enter_context, run_recording_backend(ports.backend)),
        asyncio.to_thread(wait_until_answered, emulating, f"http://localhost:{ports.emulator}/api/health"),
    )
    settings = settings_of(ports, file) | export_to(ports.collector, "bridge")
    bridge = processes.enter_context(Process("bridge", app_command("serve", "--port", str(ports.bridge)), settings))
    await asyncio.to_thread(wait_until_answered, bridge, f"{url}/health/live")
    await asyncio.to_thread(eventually, lambda: all_online(url), "both endpoints online")
    return bridge, prometheus


async def drive(driver: Driver, ports: Ports, westus: Server, bridge: Process, file: Path) -> None:
    await drive_sends(driver, westus)
    await drive_clients(driver, westus, ports.emulator, bridge)
    await all_answered(bridge, driver.ledger)
    await drive_service(driver)
    await drive_forwards(driver, ports.backend)
    await drive_limits(driver, ports)
    await drive_settings(driver, bridge, file)


async def all_answered(bridge: Process, ledger: Ledger) -> None:
    """Waits until each upstream call has been answered: the emulator's clients do not wait for all of them."""
    events = ledger.number_of("requests_total", route=UPSTREAM)

    def look(lines: list[str]) -> bool | None:
        return sum('"message":"upstream call"' in line for line in lines) == events or None

    await asyncio.to_thread(bridge.wait_for, look, "line of the last event")


def all_online(url: str) -> bool | None:
    answer = httpx.get(f"{url}/health/ready", headers={"X-API-Key": KEY}, trust_env=False).json()
    return {one["state"] for one in answer["endpoints"]} == {"online"} or None


async def scrape(port: int, accepted: str = "text/plain") -> str:
    async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
        answer = await http.get(f"http://127.0.0.1:{port}/metrics", headers={"Accept": accepted})
    return answer.raise_for_status().text


def look_at(prometheus: Prometheus, ledger: Ledger) -> Stored:
    """What it knows as soon as it has scraped the last delivery, and judged the endpoint that is gone."""

    def total(metric: str) -> float:
        return sum(float(one["value"][1]) for one in prometheus.query(f"sum(signalr_bridge_{metric})"))

    last = ledger.number_of("deliveries_total")
    eventually(lambda: total("deliveries_total") == last or None, "the last delivery in Prometheus")
    offline = partial(prometheus.query, 'ALERTS{alertname="SignalRBridgeEndpointOffline"}')
    eventually(lambda: offline() or None, "an alert about westus")
    sums = {metric: total(metric) for metric in {name for name, _ in ledger.counts}}
    texts = {query.place: query.text for query in find_queries() if "$" in query.text}
    for name in ("job", "instance", "endpoint", "hub"):
        texts = {place: text.replace(f"${name}", ".*") for place, text in texts.items()}
    asked = {place: text.replace("$__rate_interval", "1m") for place, text in texts.items()}
    answers = {place: len(prometheus.query(text)) for place, text in asked.items()}
    return Stored(sums, prometheus.series(), prometheus.rules(), answers)


async def drive_sends(driver: Driver, westus: Server) -> None:
    """To everybody, a user, a group: accepted, absent, unknown, rejected, tried again, and given again."""
    assert await driver.send("SEND_TO_ALL", MESSAGE, 202) == BOTH
    again = {"Idempotency-Key": "once"}
    assert await driver.send("SEND_TO_ALL", MESSAGE, 202, headers=again) == BOTH
    replay = await driver.call("POST", "/hubs/chat/send", SENDS, 202, json=MESSAGE, headers=again)
    assert replay.headers["Idempotency-Replay"] == "true"
    driver.ledger.count("idempotency_replayed_total")
    driver.ledger.count("idempotency_kept")

    westus.answer = NOT_THERE
    assert await driver.send("SEND_TO_USER", MESSAGE | {"userId": USER}, 202) == BOTH | {"westus": "absent"}
    westus.say(500)
    assert await driver.send("SEND_TO_GROUP", MESSAGE | {"groupName": GROUP}, 207) == BOTH | {"westus": "unknown"}
    westus.say(400)
    assert await driver.send("SEND_TO_GROUP", MESSAGE | {"groupName": GROUP}, 207) == BOTH | {"westus": "rejected"}

    westus.say(429)
    before = posts(westus)
    sending = asyncio.create_task(driver.send("SEND_TO_ALL", MESSAGE, 202))
    await until(lambda: posts(westus) > before, "the first attempt")
    westus.say(202)
    assert await sending == BOTH
    tries = posts(westus) - before
    assert tries > 1
    driver.ledger.count("delivery_retries_total", tries - 1, endpoint="westus")

    joined = await driver.call("PUT", f"/hubs/chat/groups/{GROUP}/users/{USER}", MEMBERS, 204)
    driver.delivered(joined, "ADD_USER", BOTH)


def posts(server: Server) -> int:
    return sum(one.method == "POST" for one in server.requests)


async def drive_clients(driver: Driver, westus: Server, emulator: int, bridge: Process) -> None:
    """Clients who are admitted, refused and failed; what an admitted one calls; one whom ``connected`` refuses."""
    answer = await driver.negotiate("chat", 200, "admitted", "10.0.0.1", f"?userId={USER}&ticket={TICKET}")
    await driver.negotiate("private", 401, "refused", "10.0.0.2")
    await driver.negotiate("gate", 503, "failed", "10.0.0.3")
    with ThreadPoolExecutor(1) as thread, ExitStack() as stack:
        token, loop = answer.json()["accessToken"], asyncio.get_running_loop()
        client = await loop.run_in_executor(thread, stack.enter_context, raw_client(emulator, "json", token))
        connection = await loop.run_in_executor(thread, talk, client)
        write_talk(driver, connection)
        await all_answered(bridge, driver.ledger)
        westus.answer = NOT_THERE
        item = MESSAGE | {"connectionId": connection}
        assert await driver.send("SEND_TO_CONNECTION", item, 202) == BOTH | {"westus": "absent"}
        westus.say(400)
        closed = await driver.call("DELETE", f"/hubs/chat/users/{USER}/connections", CLOSES, 207)
        assert {one["name"]: one["outcome"] for one in closed.json()["endpoints"]} == BOTH | {"westus": "rejected"}
        driver.delivered(closed, "CLOSE_USER", BOTH | {"westus": "rejected"})
        westus.say(202)
        await loop.run_in_executor(thread, await_end, client)
    driver.ledger.request(UPSTREAM, "POST", 200)
    driver.ledger.event(
        "chat", "connections", "disconnected", "returned", connection=connection, handler=f"{HANDLERS}:depart"
    )
    await drive_banned(driver, emulator)


def talk(client: RawClient) -> str:
    """Calls every method, and gives the connection's id."""
    client.send(b'{"type":1,"invocationId":"1","target":"who","arguments":[]}')
    connection = str(client.answer()["result"])
    for event in ("refuse", "fail", "nobody"):
        client.send(json.dumps({"type": 1, "invocationId": event, "target": event, "arguments": []}).encode())
        assert "error" in client.answer()
    client.send(json.dumps({"type": 1, "target": "relay", "arguments": [TEXT]}).encode())
    assert b"relayed" in client.receive()
    return connection


def write_talk(driver: Driver, connection: str) -> None:
    driver.ledger.request(UPSTREAM, "POST", 200)
    driver.ledger.event(
        "chat", "connections", "connected", "returned", connection=connection, handler=f"{HANDLERS}:arrive"
    )
    for event, result in {"who": "returned", "refuse": "refused", "fail": "failed", "relay": "returned"}.items():
        driver.ledger.request(UPSTREAM, "POST", 200)
        driver.ledger.event("chat", "messages", event, result, connection=connection, handler=f"{HANDLERS}:{event}")
    driver.ledger.request(UPSTREAM, "POST", 404)
    driver.ledger.event("chat", "messages", "nobody", "unhandled", connection=connection)
    driver.count_deliveries("SEND_TO_ALL", BOTH)


def await_end(client: RawClient) -> None:
    with suppress(ConnectionClosed):
        while True:
            client.receive()


async def drive_banned(driver: Driver, emulator: int) -> None:
    """One whom ``connected`` refuses: the connection is closed at the endpoint that called."""
    answer = await driver.negotiate("chat", 200, "admitted", "10.0.0.4", "?userId=banned")
    await asyncio.to_thread(be_refused, emulator, answer.json()["accessToken"])
    driver.ledger.request(UPSTREAM, "POST", 403)
    driver.ledger.event("chat", "connections", "connected", "refused", connection="", handler=f"{HANDLERS}:arrive")
    driver.count_deliveries("CLOSE_CONNECTION", {"eastus": "accepted"})
    driver.ledger.request(UPSTREAM, "POST", 200)
    driver.ledger.event("chat", "connections", "disconnected", "returned", connection="", handler=f"{HANDLERS}:depart")


def be_refused(emulator: int, token: str) -> None:
    with suppress(ConnectionClosed), raw_client(emulator, "json", token) as client:
        await_end(client)


async def drive_service(driver: Driver) -> None:
    """Calls of the service: refused by code, signature, routing and body; handled, and handled by nobody."""
    await driver.deliver("chat", "connected", 401, connection="c1", code="canary-wrong-code")
    await driver.deliver("chat", "connected", 401, connection="c1", signature="sha256=00")
    await driver.deliver("chat", "who", 400, connection="c1", body=b"no message")
    await driver.deliver("chat", "", 400, connection="c1")
    for reason in ("code", "signature", "body", "routing"):
        driver.ledger.count("events_refused_total", reason=reason)
    await driver.deliver("chat", "nobody", 404, connection="c1")
    driver.ledger.event("chat", "messages", "nobody", "unhandled", connection="c1")
    await driver.deliver("chat", "fail", 500, connection="c1")
    driver.ledger.event("chat", "messages", "fail", "failed", connection="c1", handler=f"{HANDLERS}:fail")
    await driver.deliver("chat", "refuse", 200, connection="c1")
    driver.ledger.event("chat", "messages", "refuse", "refused", connection="c1", handler=f"{HANDLERS}:refuse")


async def drive_forwards(driver: Driver, backend: int) -> None:
    """Events of which the backend takes one, one at the second try, one never."""
    results = {("connected", "o1", "503,204"): "returned", ("connected", "o2", "503"): "failed"}
    for (event, connection, user), result in {**results, ("paid", "o1", ""): "returned"}.items():
        status = 200 if result == "returned" else 500
        await driver.deliver("orders", event, status, connection=connection, user=user)
        write_forward(driver, event, connection, result)
    seen = await asyncio.to_thread(ask_backend, backend)
    assert seen["requests"] > 4
    driver.ledger.count("forward_attempts_total", 2, forward="orders", result="done")
    driver.ledger.count("forward_attempts_total", seen["requests"] - 2, forward="orders", result="failed")
    driver.ledger.count("forward_given_up_total", forward="orders")


def write_forward(driver: Driver, event: str, connection: str, result: str) -> None:
    category = "connections" if event == "connected" else "messages"
    driver.ledger.event("orders", category, event, result, connection=connection, handler="forward.orders")


async def drive_limits(driver: Driver, ports: Ports) -> None:
    """One client who comes too often, and the service when all its places are taken. Metrics are served then, too."""
    backend = ports.backend
    await driver.negotiate("chat", 429, "refused", "10.0.0.1")
    driver.ledger.count("shed_total", share="clients", reason="rate")
    before = (await asyncio.to_thread(ask_backend, backend))["requests"]
    holding = [asyncio.create_task(driver.deliver("orders", "hold", 200, connection=f"h{n}")) for n in range(3)]
    await asyncio.to_thread(eventually, lambda: ask_backend(backend)["requests"] == before + 3 or None, "three calls")
    await driver.deliver("orders", "paid", 503, connection="h4")
    driver.ledger.count("shed_total", share="service", reason="in-flight")
    driver.ledger.event("orders", "messages", "paid", "failed", connection="h4")
    full = await scrape(ports.metrics)
    assert 'in_flight{share="service"} 1.0' in full
    assert 'in_flight{share="common"} 2.0' in full
    await asyncio.to_thread(ask_backend, backend, "release")
    await asyncio.gather(*holding)
    for number in range(3):
        write_forward(driver, "hold", f"h{number}", "returned")
    driver.ledger.count("forward_attempts_total", 3, forward="orders", result="done")


async def drive_settings(driver: Driver, bridge: Process, file: Path) -> None:
    """A change that is taken, one that is a mistake."""
    file.write_text(FILE.format(key=NEXT_KEY, code=CODE))
    await asyncio.to_thread(bridge.wait_for_line, '"what":"BRIDGE_CALLERS__KEYS.*"result":"taken"')
    driver.key = NEXT_KEY
    driver.ledger.count("settings_changes_total", result="done")
    file.write_text(FILE.format(key=NEXT_KEY, code=CODE) + "nothing = ")
    await asyncio.to_thread(bridge.wait_for_line, '"message":"settings refused, the old ones stay"')
    driver.ledger.count("settings_changes_total", result="refused")


async def drive_outage(driver: Driver, westus: Server) -> None:
    """An endpoint that is gone: it is tried, and then it is known to be down."""
    westus.refuse()
    for _ in range(10):
        if (await driver.send("SEND_TO_ALL", MESSAGE, 0))["westus"] == "offline":
            return
    raise AssertionError("westus is still tried")
