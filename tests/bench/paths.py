"""The cases of the benchmark: the paths of the bridge with one endpoint beside those of its peers, and with several."""

from collections.abc import Mapping
from contextlib import ExitStack

from tests.bench import traffic
from tests.bench.cases import CROWD, MANY, ONE, STEADY, Bench, Case, Effort
from tests.bench.servers import (
    PLAIN_HUB,
    Peers,
    Server,
    Surrounding,
    many_endpoints,
    one_endpoint,
    start_bridge,
    start_go,
    start_peers,
    start_uvicorn,
)
from tests.bench.traffic import key_of

ACCEPTED = "202"

Cases = Mapping[str, Case]
"""By their names."""


def measure_one_endpoint(bench: Bench, around: Surrounding, effort: Effort) -> Cases:
    with ExitStack() as stack:
        bridge = stack.enter_context(start_bridge(around, one_endpoint(around)))
        peers = Peers(*(stack.enter_context(peer) for peer in start_peers(around)))
        for server in (bridge, *peers):
            server.wait()
        cases = name_all(
            [
                Case("the service itself, https", around.service, traffic.call_of_service(), ACCEPTED, tls=True),
                Case("echo", peers.plain, traffic.message_to(traffic.PYTHON_HUB)),
                *negotiate_cases(bridge, peers),
                *send_cases(bridge, peers),
                *upstream_cases(bridge, peers),
            ]
        )
        bench.measure("one endpoint", list(cases.values()), effort.rounds)
        return cases


def negotiate_cases(bridge: Server, peers: Peers) -> list[Case]:
    return [
        Case("negotiate, client: bridge", bridge, traffic.negotiate()),
        Case("negotiate, caller with claims: bridge", bridge, traffic.negotiate_with_claims()),
        Case("negotiate: FastAPI", peers.naive, traffic.negotiate()),
        Case("negotiate: Go", peers.tuned, traffic.negotiate()),
    ]


def send_cases(bridge: Server, peers: Peers) -> list[Case]:
    cases = []
    for scheme, hub in (("https", traffic.PYTHON_HUB), ("http", PLAIN_HUB)):
        requests = traffic.send(hub)
        cases += [
            Case(f"send, {scheme}: bridge", bridge, requests, ACCEPTED),
            Case(f"send, {scheme}: ASGI + aiohttp", peers.plain, requests, ACCEPTED),
            Case(f"send, {scheme}: FastAPI + httpx", peers.naive, requests, ACCEPTED, (MANY, ONE, STEADY)),
            Case(f"send, {scheme}: Go as Dapr", peers.dapr, requests, ACCEPTED),
            Case(f"send, {scheme}: Go tuned", peers.tuned, requests, ACCEPTED),
        ]
    return [
        *cases,
        Case("send to a group, https: bridge", bridge, traffic.send_to_group(), ACCEPTED),
        Case(f"send an array of {traffic.ARRAY}, https: bridge", bridge, traffic.send_array(), ACCEPTED),
    ]


def upstream_cases(bridge: Server, peers: Peers) -> list[Case]:
    key = key_of("e0")
    message = traffic.message_to(traffic.PYTHON_HUB, key)
    return [
        Case("upstream, Python, JSON: bridge", bridge, message),
        Case("upstream, Python, MessagePack: bridge", bridge, traffic.messagepack_message_to(traffic.PYTHON_HUB, key)),
        Case("upstream, Python, connected: bridge", bridge, traffic.connected_to(traffic.PYTHON_HUB, key)),
        Case("upstream, HTTP handler: bridge", bridge, traffic.message_to(traffic.HTTP_HUB, key)),
        Case("upstream: FastAPI", peers.naive, message),
        Case("upstream: Go", peers.tuned, message),
    ]


def measure_many_endpoints(bench: Bench, around: Surrounding, effort: Effort) -> Cases:
    """Beside one endpoint again, so that the difference is one of neighbours. There must be some with 10."""
    with ExitStack() as stack:
        echo = stack.enter_context(start_uvicorn(around, "plain", "--no-access-log"))
        tuned = stack.enter_context(start_go(around, "tuned", 10))
        bridges = {
            (scheme, count): stack.enter_context(start_bridge(around, many_endpoints(around, scheme, count)))
            for scheme in effort.schemes
            for count in (1, *effort.endpoints)
        }
        for server in (echo, tuned, *bridges.values()):
            server.wait()
        most = max(effort.endpoints)
        cases = name_all(
            [
                Case("echo", echo, traffic.message_to(traffic.PYTHON_HUB), modes=(MANY,)),
                *(send_to_many(scheme, count, bridge) for (scheme, count), bridge in bridges.items()),
                Case("send, https, 10 endpoints: Go tuned", tuned, traffic.send(), ACCEPTED, (MANY, ONE)),
                *upstream_of_many(most, bridges["https", most]),
            ]
        )
        bench.measure("several endpoints", list(cases.values()), effort.rounds_of_several)
        return cases


def send_to_many(scheme: str, count: int, bridge: Server) -> Case:
    """With many endpoints 128 requests would be thousands of connections."""
    modes = (MANY, ONE, CROWD) if count <= 5 else (MANY, ONE)
    return Case(f"send, {scheme}, {name_count(count)}: bridge", bridge, traffic.send(), ACCEPTED, modes)


def upstream_of_many(count: int, bridge: Server) -> list[Case]:
    """Events of the last of the endpoints, whose keys are tried last."""
    key = key_of(f"e{count - 1}")
    return [
        Case(f"upstream, {kind}, {name_count(count)}: bridge", bridge, traffic.message_to(hub, key), modes=(MANY, ONE))
        for kind, hub in (("Python", traffic.PYTHON_HUB), ("HTTP handler", traffic.HTTP_HUB))
    ]


def name_count(count: int) -> str:
    return f"{count} endpoint{'s' if count > 1 else ''}"


def name_all(cases: list[Case]) -> Cases:
    return {case.name: case for case in cases}
