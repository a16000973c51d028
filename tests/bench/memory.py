"""How much memory the bridge takes: while many send, and for each request that it cannot answer yet."""

import time
from contextlib import ExitStack
from dataclasses import dataclass

from tests.bench import traffic
from tests.bench.cases import Effort
from tests.bench.load import Job, Load
from tests.bench.servers import Server, Surrounding, many_endpoints, start_bridge

ENDPOINTS, CONNECTIONS = 5, 128
_CALM = 0.5
"""Seconds after the warm-up, so that what it has begun is done."""
_UNDER_WAY = 3.0
"""Seconds until all requests are in flight. The service answers their calls after four."""
_SLOW_HUB = "slow"


@dataclass(frozen=True)
class Growth:
    """What the memory of the process grew by.

    Args:
        what: While what.
        idle: Bytes before.
        grown: Bytes more, at most.
        requests: Requests in flight. 0 is for a load that comes and goes.
    """

    what: str
    idle: int
    grown: int
    requests: int = 0


def measure(around: Surrounding, load: Load, effort: Effort) -> list[Growth]:
    """Over the schemes. Every figure is of a process of its own, because memory that was used is used again."""
    with ExitStack() as stack:

        def begin(scheme: str, endpoints: int) -> Server:
            given = many_endpoints(around, scheme, endpoints)
            return stack.enter_context(start_bridge(around, given, {"BRIDGE_LIMITS__IN_FLIGHT": "4000"}))

        sends = [(scheme, begin(scheme, ENDPOINTS)) for scheme in effort.schemes]
        flights = [(scheme, number, begin(scheme, 1)) for scheme in effort.schemes for number in effort.in_flight]
        found = [send_many(bridge, load, scheme, effort.memory) for scheme, bridge in sends]
        return found + [keep_in_flight(bridge, load, scheme, number) for scheme, number, bridge in flights]


def send_many(bridge: Server, load: Load, scheme: str, count: int) -> Growth:
    idle = calm_down(bridge, load)
    bridge.forget_most()
    load.prepare(Job(bridge.port, traffic.send(), CONNECTIONS, count, status="2"))
    load.begin()
    load.end()
    what = f"{count:,} sends, {CONNECTIONS} in flight, {ENDPOINTS} endpoints, {scheme}"
    return Growth(what, idle, bridge.most_resident - idle)


def keep_in_flight(bridge: Server, load: Load, scheme: str, number: int) -> Growth:
    """The answers are not waited for: the bridge ends before, and with it the connections of the load."""
    idle = calm_down(bridge, load)
    bridge.forget_most()
    load.prepare(Job(bridge.port, traffic.send(_SLOW_HUB), number, number, status=""))
    load.begin()
    time.sleep(_UNDER_WAY)
    grown = bridge.most_resident - idle
    bridge.end()
    load.drop()
    return Growth(f"{number:,} sends in flight, one endpoint, {scheme}", idle, grown, number)


def calm_down(bridge: Server, load: Load) -> int:
    """The bytes that the bridge has when it has answered a few requests, one after the other."""
    bridge.wait()
    load.prepare(Job(bridge.port, traffic.send(), 1, 100, status="2"))
    load.begin()
    load.end()
    time.sleep(_CALM)
    return bridge.resident
