"""Lines of the README's security table, each seen at a running ``serve`` whose service is out of reach."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.e2e.processes import API_KEY, EMULATOR_KEY, Process, free_port, run_bridge

LIMITED = "a-key-for-sending-to-one-hub"
KEYS = [
    {"name": "all", "key": API_KEY},
    {"name": "one", "sha256": hashlib.sha256(LIMITED.encode()).hexdigest(), "hubs": ["chat"], "rights": ["send"]},
]
CODE = "the-code-of-the-upstream"
MESSAGE = {"target": "newMessage"}
CANARY = "canary-5f2a9c"


@dataclass(frozen=True)
class Listeners:
    """The bridge's two listeners, for everybody and for callers, and its log."""

    public: httpx.Client
    callers: httpx.Client
    process: Process


@pytest.fixture(scope="module")
def bridge() -> Iterator[Listeners]:
    port, callers = free_port(), free_port()
    settings = {
        "BRIDGE_CALLERS__KEYS": json.dumps(KEYS),
        "BRIDGE_CALLERS__LISTEN": f"127.0.0.1:{callers}",
        "BRIDGE_NEGOTIATE__PLATFORM_IDENTITY": "true",
        "BRIDGE_HUBS__LOBBY__NEGOTIATE__ANONYMOUS": "true",
        "BRIDGE_HUBS_ONLY": "true",
        "BRIDGE_LIMITS__NEGOTIATE_PER_SECOND": "0.001",
        "BRIDGE_TRUSTED_PROXIES": "127.0.0.1",
        "BRIDGE_UPSTREAM__CODE": CODE,
        "BRIDGE_HANDLERS": "tests.e2e.handlers:chat",
    }
    with run_bridge(port, free_port(), settings) as process, listen(port) as public, listen(callers) as own:
        yield Listeners(public, own, process)


def listen(port: int) -> httpx.Client:
    return httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=10)


def sign(connection_id: str) -> str:
    return "sha256=" + hmac.new(EMULATOR_KEY.encode(), connection_id.encode(), hashlib.sha256).hexdigest()


def code_of(answer: httpx.Response) -> str:
    return str(answer.json()["code"])


def test_a_key_opens_its_right_for_its_hub_on_the_callers_listener_alone(bridge: Listeners) -> None:
    def send(http: httpx.Client, key: str, path: str = "/hubs/chat/send") -> str:
        return code_of(http.post(path, json=MESSAGE, headers={"X-API-Key": key, "X-Request-Timeout": "0.2"}))

    assert send(bridge.callers, LIMITED) == "delivery-failed", "the service is out of reach"
    assert send(bridge.callers, API_KEY) == "delivery-failed"
    assert send(bridge.callers, LIMITED, "/hubs/lobby/send") == "forbidden"
    assert send(bridge.callers, LIMITED, "/hubs/chat/groups") == "forbidden"
    assert send(bridge.callers, LIMITED[:-1]) == "unauthenticated"
    assert send(bridge.callers, "") == "unauthenticated"
    assert send(bridge.public, API_KEY) == "route-not-found"
    headers = {"X-API-Key": API_KEY, "X-Forwarded-For": "198.51.100.100"}
    answer = bridge.public.post("/hubs/lobby/negotiate", json={"userId": "ann"}, headers=headers)
    assert code_of(answer) == "unauthenticated", "nobody is a caller there"


def negotiate(bridge: Listeners, hub: str, **headers: str) -> str:
    """``admitted``, or the code of the refusal."""
    answer = bridge.public.post(f"/hubs/{hub}/negotiate", headers=headers)
    return "admitted" if answer.is_success else code_of(answer)


def test_clients_are_judged_by_their_hubs_rules_and_for_named_hubs(bridge: Listeners) -> None:
    stranger: dict[str, str] = {}
    ann = {"X-MS-CLIENT-PRINCIPAL-ID": "ann"}
    cases = [
        ("lobby", stranger, "admitted"),
        ("chat", stranger, "unauthenticated"),
        ("chat", ann, "admitted"),
        ("unnamed", ann, "forbidden"),
    ]
    for number, (hub, shown, code) in enumerate(cases):
        assert negotiate(bridge, hub, **shown, **{"X-Forwarded-For": f"198.51.100.{number}"}) == code, hub


def test_a_client_is_limited_by_the_address_that_the_nearest_trusted_proxy_saw(bridge: Listeners) -> None:
    def ask(**headers: str) -> str:
        return negotiate(bridge, "lobby", **headers)

    assert ask(**{"X-Forwarded-For": "203.0.113.1"}) == "admitted"
    assert ask(**{"X-Forwarded-For": "203.0.113.1"}) == "rate-limited"
    assert ask(**{"X-Forwarded-For": "203.0.113.99, 203.0.113.1"}) == "rate-limited", "what the client wrote"
    assert ask(Forwarded="for=203.0.113.1") == "rate-limited"
    assert ask(**{"X-Forwarded-For": "203.0.113.2", "Forwarded": "for=203.0.113.3"}) == "admitted"
    assert ask(**{"X-Forwarded-For": "203.0.113.4", "Forwarded": "for=203.0.113.5"}) == "rate-limited", "neither counts"


def test_callers_know_named_hubs_alone(bridge: Listeners) -> None:
    answer = bridge.callers.post("/hubs/unnamed/send", json=MESSAGE, headers={"X-API-Key": API_KEY})
    assert (answer.status_code, code_of(answer)) == (404, "hub-not-found")


def test_the_upstream_wants_its_code_beside_the_signature(bridge: Listeners) -> None:
    headers = {
        "X-ASRS-Hub": "chat",
        "X-ASRS-Category": "messages",
        "X-ASRS-Event": "echo",
        "X-ASRS-Connection-Id": "one",
        "X-ASRS-Signature": sign("one"),
    }
    body = {"type": 1, "invocationId": "1", "target": "echo", "arguments": [1]}

    def call(path: str, **changed: str) -> int:
        return bridge.public.post(path, json=body, headers=headers | changed).status_code

    assert call(f"/upstream?code={CODE}") == 200
    assert call("/upstream") == 401
    assert call(f"/upstream?code={CODE[:-1]}") == 401
    assert call(f"/upstream?code={CODE}", **{"X-ASRS-Signature": sign("two")}) == 401


def test_health_tells_strangers_whether_and_callers_why(bridge: Listeners) -> None:
    for http in (bridge.public, bridge.callers):
        assert http.get("/health/live").status_code == 200
        answer = http.get("/health/ready")
        assert (answer.status_code, answer.json()) == (503, {"status": "waiting"})
    told = bridge.callers.get("/health/ready", headers={"X-API-Key": API_KEY}).json()
    assert told["endpoints"][0]["state"] == "offline"


def test_wrong_keys_are_slowed_down_and_right_ones_are_not(bridge: Listeners) -> None:
    def guess(key: str, address: str) -> int:
        headers = {"X-API-Key": key, "X-Forwarded-For": address}
        return bridge.callers.get("/hubs", headers=headers).status_code

    statuses = [guess(f"a-guess-of-many-{number}", "192.0.2.1") for number in range(200)]
    assert statuses[:100] == [401] * 100
    assert statuses.count(429) >= 20
    assert guess(API_KEY, "192.0.2.1") == 200
    assert guess("a-guess", "192.0.2.2") == 401


def test_no_problem_and_no_log_line_holds_what_was_sent(bridge: Listeners) -> None:
    """But for the path in the log, and the name of an unknown property in the problem."""
    key = {"X-API-Key": API_KEY, "X-Request-Timeout": "0.2"}
    bodies: list[object] = [
        {"target": "t", "userId": CANARY, "groupName": CANARY},
        {"target": "t", "connectionId": 1, "arguments": CANARY},
        {"target": "t", "endpoints": [CANARY]},
        {"target": "t", "excluded": [CANARY, 1]},
        {"action": CANARY, "groupName": CANARY, "userId": CANARY},
        {"target": "t", "arguments": [CANARY]},
        f"{CANARY}",
    ]
    answers = [bridge.callers.post("/hubs/chat/send", json=one, headers=key) for one in bodies]
    answers += [bridge.callers.post("/hubs/chat/send", content=f'{{"{CANARY}'.encode(), headers=key)]
    answers += [
        bridge.callers.post("/hubs/chat/send", json=MESSAGE, headers=key | {name: CANARY})
        for name in ("X-API-Key", "X-Request-Timeout", "Idempotency-Key", "Content-Type", "Content-Encoding")
    ]
    for query in (f"code={CANARY}", f"order={CANARY}", f"{CANARY}={CANARY}"):
        answers.append(bridge.callers.post(f"/hubs/chat/send?{query}", json=MESSAGE, headers=key))
        answers.append(bridge.public.post(f"/hubs/lobby/negotiate?{query}"))
        answers.append(bridge.public.post(f"/upstream?{query}"))
    shown = [answer.text for answer in answers if CANARY in answer.text]
    assert shown == []
    assert [line for line in bridge.process.lines if CANARY in line] == []
    assert len({answer.status_code for answer in answers}) >= 5
